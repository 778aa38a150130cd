# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a schedule invokes: RunTask of Amazon ECS. All other targets are refused.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_CLUSTER = re.compile(r"arn:aws(?:-[a-z]+)*:ecs:[a-z0-9-]+:\d{12}:cluster/\S+")
_OTHERS = ("EventBridgeParameters", "KinesisParameters", "SageMakerPipelineParameters", "SqsParameters")
# Scheduler's names of what RunTask has, too.
_SAME = {
    "CapacityProviderStrategy": "capacityProviderStrategy",
    "EnableECSManagedTags": "enableECSManagedTags",
    "EnableExecuteCommand": "enableExecuteCommand",
    "Group": "group",
    "LaunchType": "launchType",
    "PlacementConstraints": "placementConstraints",
    "PlacementStrategy": "placementStrategy",
    "PlatformVersion": "platformVersion",
    "PropagateTags": "propagateTags",
    "ReferenceId": "referenceId",
    "Tags": "tags",
}


def problem(target: Mapping[str, Any]) -> str:
    """What is wrong with a target; empty if nothing is."""
    if not _CLUSTER.fullmatch(target["Arn"]):
        return f"The local AWS starts tasks of Amazon ECS alone on a schedule, and not the target {target['Arn']}."
    if "EcsParameters" not in target:
        return "EcsParameters must be provided for a target of Amazon ECS."
    if others := [name for name in _OTHERS if name in target]:
        return f"{', '.join(others)} cannot be used with a target of Amazon ECS."
    try:
        overrides = json.loads(target.get("Input") or "{}")
    except ValueError:
        overrides = None
    return "" if isinstance(overrides, dict) else "Input must be the JSON of RunTask's overrides."


def run_task(target: Mapping[str, Any], context: Mapping[str, str]) -> dict[str, Any]:
    """The input of RunTask.

    :arg context: what takes the place of attributes such as ``<aws.scheduler.scheduled-time>``.
    """
    settings = target["EcsParameters"]
    text = target.get("Input") or "{}"
    for name, value in context.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    params: dict[str, Any] = {
        "cluster": target["Arn"],
        "taskDefinition": settings["TaskDefinitionArn"],
        "count": settings.get("TaskCount", 1),
        **{to: settings[name] for name, to in _SAME.items() if name in settings},
    }
    if overrides := json.loads(text):
        params["overrides"] = overrides
    network = (settings.get("NetworkConfiguration") or {}).get("awsvpcConfiguration")
    if network:
        found = {f"{name[:1].lower()}{name[1:]}": value for name, value in network.items()}
        params["networkConfiguration"] = {"awsvpcConfiguration": found}
    return params
