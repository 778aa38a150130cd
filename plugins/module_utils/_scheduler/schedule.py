# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules of EventBridge Scheduler that start tasks of Amazon ECS. Private to the collection.

Facts: Scheduler API Reference, UpdateSchedule: "EventBridge Scheduler uses all values, including empty values,
specified in the request", and a default for what is missing, so that all of it is sent each time.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_missing
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult

Document = dict[str, typing.Any]

# What this module does not set, and an update keeps.
_KEPT = ("ActionAfterCompletion", "EndDate", "KmsKeyArn", "StartDate")


@dataclass(frozen=True)
class DesiredState:
    """The user's request.

    Attributes:
        arn: of the schedule.
        name, group: names.
        settings: in the form of settings().
    """

    arn: str
    name: str
    group: str
    settings: Document


def settings(params: Mapping[str, typing.Any]) -> Document:
    """Return what the module's options ask for, in boto3's snake case."""
    target, task = params["target"], params["target"]["ecs_parameters"]
    return {
        "description": params["description"],
        "enabled": params["enabled"],
        "flexible_time_window_minutes": params["flexible_time_window_minutes"],
        "schedule_expression": params["schedule_expression"],
        "schedule_expression_timezone": params["schedule_expression_timezone"],
        "target": {
            "arn": target["arn"],
            "dead_letter_arn": target["dead_letter_arn"],
            "ecs_parameters": {**task, "subnets": sorted(task["subnets"]), "security_groups": _sorted(task)},
            "input": target["input"],
            "maximum_event_age_in_seconds": target["maximum_event_age_in_seconds"],
            "maximum_retry_attempts": target["maximum_retry_attempts"],
            "role_arn": target["role_arn"],
        },
    }


def _sorted(task: Mapping[str, typing.Any]) -> list[str]:
    return sorted(task["security_groups"] or [])


def describe(found: Mapping[str, typing.Any]) -> Document:
    """Return a schedule in the form of settings()."""
    target = found["Target"]
    task = target.get("EcsParameters") or {}
    network = (task.get("NetworkConfiguration") or {}).get("awsvpcConfiguration") or {}
    retry = target.get("RetryPolicy") or {}
    return {
        "description": found.get("Description", ""),
        "enabled": found.get("State") == "ENABLED",
        "flexible_time_window_minutes": found["FlexibleTimeWindow"].get("MaximumWindowInMinutes", 0),
        "schedule_expression": found["ScheduleExpression"],
        "schedule_expression_timezone": found.get("ScheduleExpressionTimezone", "UTC"),
        "target": {
            "arn": target["Arn"],
            "dead_letter_arn": (target.get("DeadLetterConfig") or {}).get("Arn", ""),
            "ecs_parameters": {
                "assign_public_ip": network.get("AssignPublicIp") == "ENABLED",
                "launch_type": task.get("LaunchType", ""),
                "security_groups": sorted(network.get("SecurityGroups") or []),
                "subnets": sorted(network.get("Subnets") or []),
                "task_definition_arn": task.get("TaskDefinitionArn", ""),
            },
            "input": target.get("Input", ""),
            "maximum_event_age_in_seconds": retry.get("MaximumEventAgeInSeconds", 86400),
            "maximum_retry_attempts": retry.get("MaximumRetryAttempts", 185),
            "role_arn": target["RoleArn"],
        },
    }


def request(desired: DesiredState, found: Mapping[str, typing.Any]) -> Document:
    """Return the input of CreateSchedule or UpdateSchedule."""
    wanted, target = desired.settings, desired.settings["target"]
    task, window = target["ecs_parameters"], wanted["flexible_time_window_minutes"]
    network = {
        "Subnets": task["subnets"],
        "AssignPublicIp": "ENABLED" if task["assign_public_ip"] else "DISABLED",
        **({"SecurityGroups": task["security_groups"]} if task["security_groups"] else {}),
    }
    return {
        **{name: found[name] for name in _KEPT if found.get(name)},
        "Name": desired.name,
        "GroupName": desired.group,
        "Description": wanted["description"],
        "State": "ENABLED" if wanted["enabled"] else "DISABLED",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": window} if window else {"Mode": "OFF"},
        "ScheduleExpression": wanted["schedule_expression"],
        "ScheduleExpressionTimezone": wanted["schedule_expression_timezone"],
        "Target": {
            "Arn": target["arn"],
            "RoleArn": target["role_arn"],
            "EcsParameters": {
                "TaskDefinitionArn": task["task_definition_arn"],
                "LaunchType": task["launch_type"],
                "NetworkConfiguration": {"awsvpcConfiguration": network},
            },
            "RetryPolicy": {
                "MaximumEventAgeInSeconds": target["maximum_event_age_in_seconds"],
                "MaximumRetryAttempts": target["maximum_retry_attempts"],
            },
            **({"DeadLetterConfig": {"Arn": target["dead_letter_arn"]}} if target["dead_letter_arn"] else {}),
            **({"Input": target["input"]} if target["input"] else {}),
        },
    }


def find(scheduler: Client, name: str, group: str) -> Document:
    """Return a schedule as GetSchedule has it, empty if there is none."""
    try:
        return dict(scheduler.get_schedule(Name=name, GroupName=group))
    except ClientError as e:
        if is_missing(e):
            return {}
        raise


def ensure_present(scheduler: Client, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Create the schedule, or change what differs."""
    found = find(scheduler, desired.name, desired.group)
    before = describe(found) if found else {}
    outcome = ModuleResult(before != desired.settings, before, desired.settings, {"schedule_arn": desired.arn}, [])
    if outcome.changed and not check_mode:
        change = scheduler.update_schedule if found else scheduler.create_schedule
        change(**request(desired, found))
    return outcome


def ensure_absent(scheduler: Client, arn: str, names: tuple[str, str], check_mode: bool) -> ModuleResult:
    """Delete the schedule, by its name and that of its group."""
    name, group = names
    found = find(scheduler, name, group)
    if found and not check_mode:
        scheduler.delete_schedule(Name=name, GroupName=group)
    return ModuleResult(bool(found), describe(found) if found else {}, {}, {"schedule_arn": arn}, [])
