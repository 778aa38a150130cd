# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summaries that the guides show are those that the roles print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
EXPRESSION = re.compile(r"\{\{.*?\}\}", re.S)


def load(path: str) -> Any:
    """A YAML file of the checkout."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def messages(path: str, name: str) -> list[str]:
    """The lines of a role's summary, as they stand in its task."""
    [task] = [task for task in load(path) if task["name"] == name]
    found: list[str] = [line for value in task.get("vars", {}).values() if isinstance(value, list) for line in value]
    said = task["ansible.builtin.debug"]["msg"]
    return found + (said if isinstance(said, list) else [])


def shown(page: str, first: str) -> list[str]:
    """The lines of the block of a guide that begins like this."""
    [block] = [
        one
        for one in re.findall(r"^```text\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
        if first in one
    ]
    return [" ".join(str(line).split()) for line in yaml.safe_load(block)]


def fixed(line: str) -> Iterator[str]:
    """The words of a line that are the same in every run."""
    return (part for part in (" ".join(part.split()) for part in EXPRESSION.split(line)) if len(part) > 1)


@pytest.mark.parametrize(
    ("page", "first", "path", "name"),
    [
        ("docs/getting-started.md", "answers at", "roles/mlflow/tasks/main.yml", "Show the summary"),
        ("docs/guides/validate.md", "is ready", "roles/mlflow/tasks/validate.yml", "validate | Show the summary"),
        (
            "docs/guides/rehearse.md",
            "runs on this machine",
            "roles/local_aws/tasks/summary.yml",
            "summary | Show how to use the rehearsal",
        ),
    ],
)
def test_a_summary_is_shown_as_it_is_printed(page: str, first: str, path: str, name: str) -> None:
    lines, wanted = shown(page, first), messages(path, name)
    assert len(lines) == len(wanted)
    for line, template in zip(lines, wanted, strict=True):
        for part in fixed(template):
            assert part in line, f"{page} shows {line!r}, where {path} prints {template!r}"


def test_what_is_said_of_the_login() -> None:
    said = load("roles/mlflow/vars/main.yml")["__mlflow_login"]
    [line] = [line for line in shown("docs/getting-started.md", "answers at") if line.startswith("Login:")]
    for part in fixed(said["basic"]):
        assert part in line
