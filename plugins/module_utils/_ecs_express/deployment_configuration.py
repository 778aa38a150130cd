# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: the deployment configuration of a service. UpdateService sets it, Express Mode's own calls do not.

"This parameter doesn't trigger a new service deployment" (botocore model, UpdateService, deploymentConfiguration).
What is changed there stays: "Express Mode will not overwrite changes unless requested as part of an Express Mode
update" (ECS guide, express-service-advanced-customization).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import Canonical

Resource = dict[str, Any]

# Defaults of a new service (ECS guide, express-service-update-full; users' DescribeServices).
DEFAULTS: Canonical = {
    "bake_time_in_minutes": 3,
    "canary_bake_time_in_minutes": 3,
    "canary_percent": 5.0,
    "rollback_on_alarm": True,
}
_OPTION = "deployment_configuration"
# Botocore model, DeploymentConfiguration and CanaryConfiguration.
_RANGES: dict[str, tuple[float, float, str]] = {
    "bake_time_in_minutes": (0, 1440, "minutes from 0 to 1440"),
    "canary_bake_time_in_minutes": (0, 1440, "minutes from 0 to 1440"),
    "canary_percent": (0.1, 100, "a percentage from 0.1 to 100"),
}


def desired(given: Mapping[str, Any] | None) -> Canonical:
    """Return the settings that the user gave; raises EcsExpressError for values that ECS refuses."""
    result = {key: value for key, value in (given or {}).items() if value is not None}
    for key, (least, most, what) in _RANGES.items():
        if key in result and not least <= result[key] <= most:
            raise EcsExpressError(message=f"{_OPTION}.{key} is {result[key]}, but must be {what}")
    return result


def current(service: Mapping[str, Any]) -> Canonical:
    """Return the settings of a service as DescribeServices shows them; others are absent."""
    shown = service.get("deploymentConfiguration") or {}
    canary, alarms = shown.get("canaryConfiguration") or {}, shown.get("alarms") or {}
    percent = canary.get("canaryPercent")
    found = {
        "bake_time_in_minutes": shown.get("bakeTimeInMinutes"),
        "canary_bake_time_in_minutes": canary.get("canaryBakeTimeInMinutes"),
        "canary_percent": None if percent is None else float(percent),
        "rollback_on_alarm": bool(alarms.get("enable") and alarms.get("rollback")),
    }
    return {key: value for key, value in found.items() if value is not None}


def changes(want: Canonical, service: Mapping[str, Any]) -> compare.Changes:
    """Return what differs, below ``deployment_configuration``; names of alarms do not count, as ECS adds its own."""
    return compare.compare({_OPTION: want} if want else {}, {_OPTION: current(service)})


def special(service: Mapping[str, Any]) -> Canonical:
    """Return the settings that differ from the defaults, which a re-created service must get."""
    return {key: value for key, value in current(service).items() if value != DEFAULTS[key]}


def to_send(want: Canonical, service: Mapping[str, Any], own_alarm: str) -> Resource:
    """Return the whole current structure with the changes: whether ECS merges or replaces it is not documented.

    ``own_alarm``: the name of the alarm that ECS makes for the service.
    """
    result: Resource = copy.deepcopy(dict(service.get("deploymentConfiguration") or {}))
    if "bake_time_in_minutes" in want:
        result["bakeTimeInMinutes"] = want["bake_time_in_minutes"]
    for key, name in (("canary_percent", "canaryPercent"), ("canary_bake_time_in_minutes", "canaryBakeTimeInMinutes")):
        if key in want:
            result.setdefault("canaryConfiguration", {})[name] = want[key]
    if "rollback_on_alarm" in want:
        on = want["rollback_on_alarm"]
        names = (result.get("alarms") or {}).get("alarmNames") or [own_alarm]
        # Disabled without names: the form that users report to work.
        result["alarms"] = {"alarmNames": names if on else [], "enable": on, "rollback": on}
    return result
