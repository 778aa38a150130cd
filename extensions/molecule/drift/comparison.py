# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two snapshots, and find which differences a check run shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attributes import ATTRIBUTES
from attributes import SHOWN_AS


def pick(found: Any, where: str) -> dict[str, Any]:
    """Return the values at a path, by their full paths; a key may itself contain dots."""
    if not where:
        return {"": found}
    picked: dict[str, Any] = {}
    for key in found if isinstance(found, dict) else []:
        if where == key or where.startswith(f"{key}."):
            rest = where[len(key) + 1 :]
        elif where == "*" or where.startswith("*."):
            rest = where[2:]
        else:
            continue
        picked.update({f"{key}.{path}".rstrip("."): value for path, value in pick(found[key], rest).items()})
    return picked


def untouched(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the managed attributes that are the same in both, each with its path."""
    same = []
    for attribute, places in ATTRIBUTES.items():
        for where in places:
            old, new = pick(before, where), pick(after, where)
            if not old:
                same.append(f"{attribute}: there is nothing at {where}")
            same += [f"{attribute}: {path} is still {value!r}" for path, value in old.items() if new.get(path) == value]
    return same


def diffs_of(output: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Yield task, module and diff of each change that a check run predicts; None where it shows no difference."""
    for play in output["plays"]:
        for task in play["tasks"]:
            for result in task["hosts"].values():
                module = str(result.get("action", "")).rpartition(".")[2]
                for item in result.get("results") or [result]:
                    if item.get("changed"):
                        shown = item.get("diff") or {}
                        parts = shown if isinstance(shown, list) else [shown]
                        real = [one for one in parts if one.get("before") != one.get("after")]
                        yield task["task"]["name"], module, real[0] if real else None


def undisclosed(output: dict[str, Any]) -> list[str]:
    """Return the changes that a check run predicts without showing old and new."""
    found = list(diffs_of(output))
    silent = [f"{name}: {module} shows no difference" for name, module, diff in found if diff is None]
    for attribute in ATTRIBUTES:
        module, _point, option = attribute.partition(".")
        member = SHOWN_AS.get(attribute, option).partition(".")[0]
        shown = [diff for _name, by, diff in found if by == module and diff is not None]
        if not any(diff["before"].get(member) != diff["after"].get(member) for diff in shown):
            silent.append(f"{attribute}: no diff shows {member}")
    return silent


# The resources of mlflow_deployment_state that a module's attributes are part of.
_RESOURCES = {
    "s3_artifact_bucket": ("bucket",),
    "iam_service_role": ("iam_role_task", "iam_role_execution", "iam_role_infrastructure"),
    "secretsmanager_secret": ("secret_database", "secret_login", "secret_server"),
    "ec2_security_group": ("security_group_service", "security_group_database"),
    "rds_db_subnet_group": ("database_subnet_group",),
    "rds_db_parameter_group": ("database_parameter_group",),
    "rds_postgresql_instance": ("database",),
    "logs_log_group": ("log_group",),
    "ecs_express_service": ("service", "task_definition", "scaling", "deployment_settings", "listener_rule"),
}


def unnoticed(output: dict[str, Any]) -> list[str]:
    """Return what a check run has not noticed in its comparison with what was deployed last."""
    compared = [
        result
        for play in output["plays"]
        for task in play["tasks"]
        for result in task["hosts"].values()
        if str(result.get("action", "")).endswith("mlflow_deployment_state") and "changed_by_hand" in result
    ]
    if not compared:
        return ["The deployment was not compared with what was deployed last."]
    seen = compared[0]["changed_by_hand"]
    changed = {name for attribute in ATTRIBUTES for name in _RESOURCES[attribute.partition(".")[0]]}
    found = [f"{name} was changed by hand, and is taken for unchanged" for name in sorted(changed.difference(seen))]
    return found + (["The deployment is taken for unchanged."] if compared[0]["unchanged"] else [])


def plan_of(output: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the resources of the plan that the playbook plan made."""
    results = [result for play in output["plays"] for task in play["tasks"] for result in task["hosts"].values()]
    [found] = [result["resources"] for result in results if "resources" in result and "summary" in result]
    return list(found)


def disagreements(name: str, before: dict[str, Any], resources: list[dict[str, Any]]) -> list[str]:
    """Return what a plan says would change and is as before, and the other way round.

    Args:
        name: of the deployment.
        before: its attributes before the managed ones were changed by hand.
        resources: of the plan.
    """
    expected = set(_changed_by_hand(name, before))
    planned = {
        (one["module"], one["name"], attribute["attribute"]) for one in resources for attribute in one["attributes"]
    }
    missing = [one for one in expected if not any(_covers(one, other) for other in planned)]
    more = [other for other in planned if not any(_covers(one, other) for one in expected)]
    return [f"The plan lacks {' '.join(one)}" for one in sorted(missing)] + [
        f"The plan has {' '.join(one)}, which was not changed by hand" for one in sorted(more)
    ]


def _covers(one: tuple[str, str, str], planned: tuple[str, str, str]) -> bool:
    """Return whether what is planned is the attribute that was changed by hand, or lies in it."""
    (module, name, path), (by, of, attribute) = one, planned
    return module == by and name in ("", of) and f"{attribute}.".startswith(f"{path}.")


def _changed_by_hand(name: str, before: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield module, resource and attribute; the resource is empty where the deployment has one of its kind."""
    named = {"roles": f"{name}-%s-role", "groups": f"{name}-%s", "secrets": f"{name}/%s"}
    for attribute, places in ATTRIBUTES.items():
        module, _point, option = attribute.partition(".")
        for where in places:
            for path in pick(before, where):
                kind, _point, rest = path.partition(".")
                resource = named[kind] % rest.partition(".")[0] if kind in named else ""
                yield module, resource, SHOWN_AS.get(attribute, option)


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield each difference with its path."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    elif before != after:
        yield f"{path}: was {before!r}, is {after!r}"
