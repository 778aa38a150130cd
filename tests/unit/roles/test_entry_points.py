# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each entry point of a role works in a play in which no other one of it ran."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
INCLUDES = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
ENTRY_POINTS = [
    (path.parents[1].name, entry)
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml"))
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
]


def flat(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Tasks, and those of their blocks."""
    for task in tasks:
        blocks = {key: task[key] for key in ("block", "rescue", "always") if key in task}
        yield {key: value for key, value in task.items() if key not in blocks}
        for block in blocks.values():
            yield from flat(block)


def tasks_of(role: str, name: str) -> Iterator[dict[str, Any]]:
    """The tasks of a file, and of those that it includes."""
    for task in flat(yaml.safe_load((ROLES / role / "tasks" / name).read_text(encoding="utf-8"))):
        yield task
        for included in (task[key] for key in INCLUDES if key in task):
            yield from tasks_of(role, Path(included).name)


def texts(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts(list(value.values()))
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def kept(task: dict[str, Any]) -> set[str]:
    """The variables that a task sets, for itself or for those after it."""
    loop = task.get("loop_control", {}).get("loop_var")
    return {task.get("register"), loop, *task.get("vars", {}), *task.get("ansible.builtin.set_fact", {})}


def missing(role: str, tasks: list[dict[str, Any]], variables: dict[str, Any]) -> set[str]:
    """The role's own variables that tasks rely on and that nothing sets."""
    known = variables.keys() | set().union(*map(kept, tasks))
    used: list[tuple[str, frozenset[str]]] = [
        (text, frozenset()) for task in tasks for text in texts({**task, "register": None})
    ]
    seen, found = set(used), set()
    while used:
        text, guarded = used.pop()
        # A variable of vars/main.yml is evaluated only where it is used: what was asked there holds in it.
        guarded |= set(re.findall(r"\b(__\w+) is (?:not )?defined", text))
        for name, default in re.findall(rf"\b(__{role}_\w+)(\s*\|\s*default\b)?", text):
            found |= {name} - known - guarded if not default else set()
            deeper = {(inner, guarded) for inner in texts(variables.get(name))} - seen
            seen |= deeper
            used.extend(deeper)
    return found


@pytest.mark.parametrize(("role", "entry"), ENTRY_POINTS)
def test_what_an_entry_point_relies_on_is_set_by_itself(role: str, entry: str) -> None:
    path = ROLES / role / "vars" / "main.yml"
    variables = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    assert missing(role, list(tasks_of(role, f"{entry}.yml")), variables) == set()
