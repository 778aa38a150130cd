# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The questions about the alarms of a deployment, the topic that they are sent to, and the dashboard."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._cloudwatch import alarms
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._cloudwatch import dashboard
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Question
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Resources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._sns import topic


def monitoring_questions(scope: Scope) -> Iterator[Question]:
    """Yield nothing for a deployment that is not to have alarms."""
    if scope.alarm_prefix:
        yield Question("alarms", ("cloudwatch",), lambda cloudwatch: _read_alarms(cloudwatch, scope))
    if scope.dashboard:
        yield Question("dashboard", ("cloudwatch",), lambda cloudwatch: _read_dashboard(cloudwatch, scope))
    if scope.topic:
        yield Question("topic", ("sns",), lambda sns: _read_topic(sns, scope))


def _read_alarms(cloudwatch: Client, scope: Scope) -> Resources:
    found = alarms.describe(cloudwatch, scope.alarm_prefix)
    return {"alarms": {"Alarms": found}} if found else {}


def _read_dashboard(cloudwatch: Client, scope: Scope) -> Resources:
    body = dashboard.find(cloudwatch, scope.dashboard)
    return {} if body is None else {"dashboard": {"Name": scope.dashboard, "Body": json.dumps(body, sort_keys=True)}}


def _read_topic(sns: Client, scope: Scope) -> Resources:
    found = topic.find(sns, scope.arn("sns", scope.topic))
    return {} if found is None else {"topic": {**found, "name": scope.topic}}
