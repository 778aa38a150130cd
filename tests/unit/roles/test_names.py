# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles run in other people's playbooks: a name of theirs must not get in the way.

What a play has registered or set as a fact comes before a task's variables (Ansible, "Variable precedence"), so a
task's variable called ``bucket`` is the play's, if it has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
TASKS = sorted([*ROLES.glob("*/tasks/*.yml"), *(ROLES.parent / "playbooks").glob("*.yml")])
# What a task, or a play, does.
VERBS = re.compile(
    "Ask|Assert|Back|Change|Check|Create|Delete|Deploy|Destroy|Drill|Fail|Fetch|Find|Install|Keep|List|Log|Look|Make|Point|Read"
    "|Refuse|Report|Restore|Roll|Schedule|Set|Show|Start|Stop|Tell|Upgrade|Validate|Wait|Write"
)


def names(tasks: list[dict[str, Any]]) -> Iterator[str]:
    """What the tasks call their variables and results."""
    for task in tasks:
        yield from task.get("vars") or {}
        if "register" in task:
            yield task["register"]
        for part in ("block", "rescue", "always"):
            yield from names(task.get(part) or [])


def test_tasks_use_names_of_their_role_only() -> None:
    ours = tuple(f"{prefix}{role}_" for role in NAMES for prefix in ("", "__"))
    foreign = {
        f"{path.relative_to(ROLES)}: {name}"
        for path in ROLES.glob("*/tasks/*.yml")
        for name in names(yaml.safe_load(path.read_text(encoding="utf-8")) or [])
        if not name.startswith(ours)
    }
    assert foreign == set()


def titles(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The names of plays and tasks."""
    for entry in entries:
        yield entry["name"]
        for part in ("tasks", "block", "rescue", "always"):
            yield from titles(entry.get(part) or [])


def test_each_task_is_named_by_a_verb_and_what_it_is_about() -> None:
    odd = {
        f"{path.relative_to(ROLES.parent)}: {title}"
        for path in TASKS
        for title in titles(yaml.safe_load(path.read_text(encoding="utf-8")) or [])
        for words in [title.rpartition(" | ")[2].split()]
        if not VERBS.fullmatch(words[0]) or len(words) == 1
    }
    assert odd == set()


def test_no_file_of_tasks_includes_itself() -> None:
    for path in ROLES.glob("*/tasks/*.yml"):
        assert f"/tasks/{path.name}" not in path.read_text(encoding="utf-8"), path
