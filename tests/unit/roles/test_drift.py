# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario `drift` forgets no attribute that the roles manage.

Managed is what a role's task gives to a module that makes or changes something, and what the module of the bucket sets
without being told.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.settings import PUBLIC_ACCESS_BLOCKS
from ansible_collections.mlops.mlflow_aws.plugins.modules import s3_artifact_bucket

ROOT = Path(__file__).resolve().parents[3]
ROLES = ("auth", "bucket", "ecs_express", "iam", "network", "rds")
# They change nothing.
READ_ONLY = ("_info", "aws_caller_context", "mlflow_deployment_state", "resource_ownership", "role_variables")
NO_OPTION = ("state",)

sys.path.insert(0, str(ROOT / "extensions/molecule/drift"))
import attributes  # noqa: E402
import comparison  # noqa: E402


def tasks(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The tasks of a file, those in blocks too."""
    for entry in entries:
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part) or [])
        yield entry


def options(given: dict[str, Any], base: str) -> Iterator[str]:
    """The options of a task, those of structures by their full names."""
    for name, value in given.items():
        path = f"{base}.{name}"
        literal = isinstance(value, dict) and path not in ("secretsmanager_secret.generate",)
        if literal and path not in ("rds_db_parameter_group.parameters", "iam_service_role.condition"):
            yield from options(value, path)
        elif name not in NO_OPTION:
            yield path


def managed() -> set[str]:
    """module.option of all that the roles' tasks ask for."""
    found: set[str] = set()
    for file in (path for role in ROLES for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml"))):
        for task in tasks(yaml.safe_load(file.read_text(encoding="utf-8")) or []):
            for key, given in task.items():
                collection, _point, module = key.rpartition(".")
                if collection not in ("mlops.mlflow_aws", "amazon.aws") or module.endswith(READ_ONLY):
                    continue
                if task.get("check_mode") or (given or {}).get("state", "present") != "present":
                    continue
                found |= set(options(given, module))
    shown = yaml.safe_load(s3_artifact_bucket.RETURN)["bucket"]["contains"]
    untold = set(shown) - {"name", "arn", "region", "public_access_block"}
    blocks = {f"public_access_block.{name}" for name in PUBLIC_ACCESS_BLOCKS}
    return found | {f"s3_artifact_bucket.{name}" for name in untold | blocks}


def test_every_managed_attribute_is_changed_or_left_out_for_a_reason() -> None:
    known = {*attributes.ATTRIBUTES, *attributes.LEFT_OUT}
    assert managed() - known == set(), "add them to extensions/molecule/drift/attributes.py"
    assert known - managed() == set(), "no role manages these any more"
    assert set(attributes.ATTRIBUTES) & set(attributes.LEFT_OUT) == set()
    assert all(attributes.LEFT_OUT.values())


BEFORE: dict[str, Any] = {"roles": {"a": {"tags": {"x": "1"}}, "b": {"tags": {"x": "2"}}}, "rds": {"force.ssl": "1"}}


@pytest.mark.parametrize(
    ("where", "picked"),
    [
        ("roles.*.tags", {"roles.a.tags": {"x": "1"}, "roles.b.tags": {"x": "2"}}),
        ("rds.force.ssl", {"rds.force.ssl": "1"}),
        ("roles.c.tags", {}),
    ],
)
def test_a_place_is_found(where: str, picked: dict[str, Any]) -> None:
    assert comparison.pick(BEFORE, where) == picked


def test_what_was_not_changed_and_what_was_not_restored_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "ATTRIBUTES", {"m.tags": ("roles.*.tags",), "m.gone": ("nowhere",)})
    after = {**BEFORE, "roles": {"a": {"tags": {"x": "9"}}, "b": {"tags": {"x": "2"}}}}
    assert comparison.untouched(BEFORE, after) == [
        "m.tags: roles.b.tags is still {'x': '2'}",
        "m.gone: there is nothing at nowhere",
    ]
    assert list(comparison.differences(BEFORE, after)) == ["roles.a.tags.x: was '1', is '9'"]
    assert not list(comparison.differences(BEFORE, BEFORE))


PLANNED = [
    {"module": "m", "name": f"drift-{kind}-role", "attributes": [{"attribute": "tags.x"}, {"attribute": "tags.y"}]}
    for kind in ("a", "b")
]


@pytest.mark.parametrize(
    ("planned", "told"),
    [
        (PLANNED, []),
        (PLANNED[:1], ["The plan lacks m drift-b-role tags"]),
        (
            [*PLANNED, {"module": "m", "name": "drift-a-role", "attributes": [{"attribute": "tagsof"}]}],
            ["The plan has m drift-a-role tagsof, which was not changed by hand"],
        ),
        (
            [*PLANNED, {"module": "other", "name": "drift-a-role", "attributes": [{"attribute": "tags"}]}],
            ["The plan has other drift-a-role tags, which was not changed by hand"],
        ),
    ],
)
def test_where_a_plan_disagrees_is_told(
    monkeypatch: pytest.MonkeyPatch, planned: list[dict[str, Any]], told: list[str]
) -> None:
    monkeypatch.setattr(comparison, "ATTRIBUTES", {"m.tags": ("roles.*.tags",)})
    played = {"plays": [{"tasks": [{"hosts": {"h": {"resources": planned, "summary": "Plan"}}}]}]}
    assert comparison.disagreements("drift", BEFORE, comparison.plan_of(played)) == told


def output(module: str, **result: Any) -> dict[str, Any]:
    """What the callback ansible.posix.json writes of one task."""
    found = {"action": f"mlops.mlflow_aws.{module}", "changed": True, **result}
    return {"plays": [{"tasks": [{"task": {"name": "A task"}, "hosts": {"h": found}}]}]}


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"diff": {"before": {"tags": {"x": "2"}}, "after": {"tags": {"x": "1"}}}}, []),
        ({"results": [{"changed": True, "diff": [{"before": {"tags": 1}, "after": {"tags": 2}}]}]}, []),
        ({}, ["A task: m shows no difference", "m.tags: no diff shows tags"]),
        (
            {"diff": {"before": {"tags": 1}, "after": {"tags": 1}}},
            ["A task: m shows no difference", "m.tags: no diff shows tags"],
        ),
        ({"diff": {"before": {"x": 1}, "after": {"x": 2}}}, ["m.tags: no diff shows tags"]),
        ({"changed": False}, ["m.tags: no diff shows tags"]),
    ],
)
def test_what_a_check_run_does_not_show_is_told(
    monkeypatch: pytest.MonkeyPatch, result: dict[str, Any], told: list[str]
) -> None:
    monkeypatch.setattr(comparison, "ATTRIBUTES", {"m.tags": ("roles.*.tags",)})
    assert comparison.undisclosed(output("m", **result)) == told


def test_a_resource_that_is_taken_for_unchanged_is_told() -> None:
    def output(changed: list[str], unchanged: bool = False) -> dict[str, Any]:
        result = {
            "action": "mlops.mlflow_aws.mlflow_deployment_state",
            "changed_by_hand": changed,
            "unchanged": unchanged,
        }
        return {"plays": [{"tasks": [{"hosts": {"localhost": result}}]}]}

    resources = sorted({name for names in comparison._RESOURCES.values() for name in names})
    assert comparison.unnoticed(output(resources)) == []
    assert comparison.unnoticed(output([one for one in resources if one != "log_group"])) == [
        "log_group was changed by hand, and is taken for unchanged"
    ]
    assert comparison.unnoticed(output(resources, unchanged=True)) == ["The deployment is taken for unchanged."]
    assert comparison.unnoticed({"plays": []})
    modules = {attribute.partition(".")[0] for attribute in attributes.ATTRIBUTES}
    assert modules == comparison._RESOURCES.keys()
