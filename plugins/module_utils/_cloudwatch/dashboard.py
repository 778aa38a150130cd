# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards of CloudWatch. Private to the collection.

Facts: CloudWatch API Reference, GetDashboard, PutDashboard and DeleteDashboards, whose error for an unknown dashboard
is C(ResourceNotFound) in botocore's model, C(DashboardNotFoundError).
"""

from __future__ import annotations

import json
import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult

Body = dict[str, typing.Any]

_UNKNOWN = ("ResourceNotFound", "DashboardNotFoundError")


def find(cloudwatch: Client, name: str) -> Body | None:
    """Return the body of a dashboard, None if there is no such dashboard."""
    try:
        found = cloudwatch.get_dashboard(DashboardName=name)
    except ClientError as e:
        if error_code(e) in _UNKNOWN:
            return None
        raise
    try:
        body = json.loads(found["DashboardBody"])
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def ensure_present(cloudwatch: Client, name: str, body: Body, check_mode: bool) -> ModuleResult:
    """Create the dashboard, or change it if it differs."""
    current = find(cloudwatch, name)
    outcome = ModuleResult(current != body, _shown(current), _shown(body), {"dashboard_name": name}, [])
    if outcome.changed and not check_mode:
        told = cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps(body))
        outcome.warnings += [
            f"{one.get('DataPath', '')}: {one.get('Message', '')}"
            for one in told.get("DashboardValidationMessages", [])
        ]
    return outcome


def ensure_absent(cloudwatch: Client, name: str, check_mode: bool) -> ModuleResult:
    """Delete the dashboard."""
    current = find(cloudwatch, name)
    if current is not None and not check_mode:
        try:
            cloudwatch.delete_dashboards(DashboardNames=[name])
        except ClientError as e:
            if error_code(e) not in _UNKNOWN:
                raise
    return ModuleResult(current is not None, _shown(current), {}, {"dashboard_name": name}, [])


def _shown(body: Body | None) -> dict[str, typing.Any]:
    """Return a body for a diff: widgets by their titles."""
    if body is None:
        return {}
    widgets = body.get("widgets") or []
    shown = {}
    for number, widget in enumerate(widgets, 1):
        title = (widget.get("properties") or {}).get("title") or widget.get("type")
        shown[f"{number:02} {title}"] = json.dumps(widget, sort_keys=True)
    others = {key: value for key, value in body.items() if key != "widgets"}
    return {**others, "widgets": shown}
