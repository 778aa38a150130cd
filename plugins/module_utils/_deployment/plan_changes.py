# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What a check run of deploy said it would change, resource by resource and attribute by attribute. Pure Python.

A result is what a module returned in check mode, reduced by reduced(): its diff, and those arguments that name the
resource or decide what it costs.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

Result = dict[str, typing.Any]

CREATE, CHANGE, REPLACE, DELETE = "create", "change", "replace", "delete"
#: What stands for a value that AWS chooses when the resource is created.
KNOWN_AFTER_APPLY = "(known after apply)"
# What the roles hand on in check mode for what does not exist yet (roles/network/vars, roles/rds/tasks/available.yml,
# and the ARN of a secret in module_utils/_secretsmanager/secret.py).
_PLACEHOLDERS = ("sg-00000000000000000", "to-be-created", "-??????")


@dataclass(frozen=True)
class Kind:
    """A kind of resource.

    Attributes:
        title: what AWS calls it.
        name: the module's option with its name.
        kept: other options that are kept of a result.
        shown: attributes worth a word where one is created.
    """

    title: str
    name: str
    kept: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


#: Every module with which a deployment changes something.
KINDS: dict[str, Kind] = {
    "cloudwatch_alarms": Kind("alarms", "prefix"),
    "cloudwatch_dashboard": Kind("dashboard", "dashboard_name"),
    "ec2_security_group": Kind("security group", "group_name"),
    "ecs_express_service": Kind(
        "Express Mode service",
        "service_name",
        ("cpu", "memory", "scaling_target", "network_configuration", "deployment_configuration"),
        ("primary_container.image", "cpu", "memory"),
    ),
    "iam_service_linked_role": Kind("service-linked role", "aws_service_name"),
    "iam_service_role": Kind("IAM role", "name"),
    "logs_log_group": Kind("log group", "log_group_name", shown=("retention_in_days",)),
    "mlflow_database_logins": Kind("server's logins in the database", "database"),
    "mlflow_deployment_maintenance": Kind("mark of schedules on", "name"),
    "mlflow_deployment_monitoring": Kind("mark of alarms on", "name"),
    "mlflow_maintenance_task": Kind("task on a schedule", "job"),
    "mlflow_upgrade": Kind("upgrade of", "name"),
    "rds_db_parameter_group": Kind("RDS parameter group", "db_parameter_group_name"),
    "rds_db_subnet_group": Kind("RDS subnet group", "db_subnet_group_name"),
    "rds_postgresql_instance": Kind(
        "RDS instance",
        "db_instance_identifier",
        shown=("db_instance_class", "engine_version", "allocated_storage", "storage_type", "multi_az"),
    ),
    "s3_artifact_bucket": Kind("S3 bucket", "name"),
    "scheduler_schedule": Kind("schedule", "schedule_name", shown=("schedule_expression",)),
    "scheduler_schedule_group": Kind("group of schedules", "schedule_group_name"),
    "secretsmanager_secret": Kind("secret", "name"),
    "sns_topic": Kind("SNS topic", "topic_name"),
    "sqs_queue": Kind("SQS queue", "queue_name"),
}


@dataclass(frozen=True)
class Attribute:
    """One attribute that would change; None stands for absent."""

    path: str
    before: typing.Any
    after: typing.Any


@dataclass(frozen=True)
class Resource:
    """One resource that would change.

    Attributes:
        module: the module that would change it, without its collection.
        title: what AWS calls its kind.
        name: of the resource.
        action: create, change, replace or delete.
        attributes: what would change; of one that is created or deleted, all of it.
        before: its state, as far as its module compares it.
    """

    module: str
    title: str
    name: str
    action: str
    attributes: tuple[Attribute, ...] = ()
    before: Mapping[str, typing.Any] = field(default_factory=dict)


def reduced(module: str, arguments: Mapping[str, typing.Any], result: Mapping[str, typing.Any]) -> Result | None:
    """Return what a plan needs of a module's result, None if it needs nothing of it.

    Args:
        module: name of the module, without its collection.
        arguments: what it was called with.
        result: what it returned in check mode.
    """
    kind = KINDS.get(module)
    if result.get("failed") or result.get("skipped") or not (kind or result.get("changed")):
        return None
    kept = (kind.name, *kind.kept) if kind else ()
    return {
        "module": module,
        "arguments": {name: arguments[name] for name in kept if name in arguments},
        "changed": bool(result.get("changed")),
        "diff": result.get("diff") or {},
    }


def resources(results: Iterable[Result]) -> list[Resource]:
    """Return what would change, in the order in which deploy does it."""
    return [found for result in results for found in _resources(result) if result["changed"]]


def _resources(result: Result) -> Iterator[Resource]:
    module = result["module"]
    kind = KINDS.get(module) or Kind(module, "name")
    names = result["arguments"].get(kind.name) or "(unnamed)"
    names = list(dict.fromkeys(names)) if isinstance(names, list) else names
    diffs = _diffs(names, result["diff"])
    several = names if isinstance(names, list) and len(names) == len(diffs) else None
    for index, diff in enumerate(diffs):
        before, after = _state(diff.get("before")), _state(diff.get("after"))
        if several and before == after:
            continue
        name = several[index] if several else ", ".join(names) if isinstance(names, list) else str(names)
        action = _action(module, before, after)
        yield Resource(module, kind.title, name, action, tuple(attributes(before, after)), before)


def _diffs(names: str | list[str], diff: typing.Any) -> list[Result]:
    """Return each resource's diff: a module of several resources has one diff, with their states by name."""
    if isinstance(diff, list):
        return diff
    before, after = _state(diff.get("before")), _state(diff.get("after"))
    if not isinstance(names, list) or not {*before, *after} <= set(names):
        return [diff]
    return [{"before": before.get(name), "after": after.get(name)} for name in names]


def _state(value: typing.Any) -> dict[str, typing.Any]:
    """Return one side of a diff; text, such as that of a module of another collection, as one attribute."""
    if isinstance(value, dict):
        return value
    return {"state": value} if value else {}


def _action(module: str, before: Mapping[str, typing.Any], after: Mapping[str, typing.Any]) -> str:
    if not before:
        # A change of the service shows what differs alone, and what is added has nothing before it.
        return CHANGE if module == "ecs_express_service" and "service_name" not in after else CREATE
    if not after:
        return CHANGE if module == "ecs_express_service" and "service_name" not in before else DELETE
    # It shows the whole service only where it replaces one.
    return REPLACE if "service_name" in before else CHANGE


def attributes(
    before: Mapping[str, typing.Any], after: Mapping[str, typing.Any], base: str = ""
) -> Iterator[Attribute]:
    """Yield each attribute that differs, with its path."""
    for key in [*before, *(key for key in after if key not in before)]:
        path, old, new = f"{base}{key}", before.get(key), after.get(key)
        if _is_mapping(old) and _is_mapping(new) and (old or new):
            yield from attributes(old or {}, new or {}, f"{path}.")
        elif old != new:
            yield Attribute(path, old, KNOWN_AFTER_APPLY if _is_placeholder(new) else new)


def _is_mapping(value: typing.Any) -> bool:
    """Whether it has attributes of its own: a policy is one value."""
    return value is None or (isinstance(value, Mapping) and "Statement" not in value)


def _is_placeholder(value: typing.Any) -> bool:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return any(placeholder in text for placeholder in _PLACEHOLDERS)
