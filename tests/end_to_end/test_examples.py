# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EXAMPLES of every module and filter run, and what the documentation claims of them holds: attributes, RETURN."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import ACTIONS
from examples import COLLECTION
from examples import EACH_TIME
from examples import documented
from examples import names
from harness import ROOT
from shapes import ELSEWHERE
from shapes import UNSEEN
from shapes import agrees
from shapes import leaves
from shapes import problems

Doc = dict[str, Any]
# They work with a whole deployment: test_restore.py and test_verbs.py compare what they return.
NEEDS_DEPLOYMENT = {"mlflow_database_logins", "mlflow_drill", "mlflow_gc"}
MODULES = [name for name in names("modules") if name not in {*ACTIONS, *NEEDS_DEPLOYMENT}]
# The first reads no value that is to be generated: a plan needs no right to read secrets.
PARTIAL_CHECK = {"secretsmanager_secret", "watched_command"}
# What is made anew each time: a deployment, a secret's value, a command's work, a backup without a name.
PARTIAL = {"ecs_express_service", "mlflow_backup", "secretsmanager_secret", "watched_command"}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[Doc]:
    """What came of each task."""
    folder = tmp_path_factory.mktemp("examples")
    program = [sys.executable, str(Path(__file__).with_name("examples.py")), str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads((folder / "recorded.json").read_text(encoding="utf-8")))


def results(recorded: list[Doc], name: str) -> list[Doc]:
    """All that a module returned, whosever example it was."""
    runs = [entry for entry in recorded if entry["module"] == f"{COLLECTION}.{name}"]
    # Those that tell most come first.
    return [entry[how] for how in ("first", "check", "again", "failure") for entry in runs if how in entry]


def changes(recorded: list[Doc], name: str) -> list[Doc]:
    """The tasks of a module, each run three times."""
    return [entry for entry in recorded if entry["module"] == f"{COLLECTION}.{name}" and "first" in entry]


def attributes(name: str) -> Doc:
    """What a module says of its modes."""
    return dict(yaml.safe_load(documented(name, "DOCUMENTATION"))["attributes"])


def returned(name: str) -> Doc:
    """The RETURN of a module or filter."""
    return dict(yaml.safe_load(documented(name, "RETURN")))


@pytest.mark.parametrize("name", [*MODULES, *names("filter")])
def test_every_example_runs(recorded, name):
    own = [entry for entry in recorded if entry["example_of"] == name]
    assert sorted(entry["task"] for entry in own) == sorted(task["name"] for task in yaml.safe_load(documented(name)))
    assert any(entry["module"] == f"{COLLECTION}.{name}" or name in names("filter") for entry in own)
    assert [f"{entry['task']}: {entry['problem']}" for entry in own if "problem" in entry] == []


@pytest.mark.parametrize("name", ACTIONS)
def test_every_role_begins_with_what_has_no_use_elsewhere(name):
    task, *_others = yaml.safe_load(documented(name))
    [called] = set(task) - {"name"}
    roles = [path.parent.parent.name for path in ROOT.glob("roles/*/tasks/*.yml") if called in path.read_text("utf-8")]
    assert set(roles) == {path.parent.parent.name for path in ROOT.glob("roles/*/tasks/main.yml")}


@pytest.mark.parametrize("name", MODULES)
def test_check_mode_tells_what_a_run_does(recorded, name):
    assert attributes(name)["check_mode"]["support"] == ("partial" if name in PARTIAL_CHECK else "full")
    for entry in changes(recorded, name):
        assert entry["check"]["changed"] == entry["first"]["changed"], entry["task"]


@pytest.mark.parametrize("name", MODULES)
def test_a_second_run_changes_nothing(recorded, name):
    assert attributes(name)["idempotent"]["support"] == ("partial" if name in PARTIAL else "full")
    for entry in changes(recorded, name):
        each_time = any(entry["arguments"].get(option) for option in EACH_TIME)
        assert each_time or entry["again"]["changed"] is False, entry["task"]


@pytest.mark.parametrize("name", MODULES)
def test_diff_mode_shows_before_and_after(recorded, name):
    claimed = attributes(name)["diff_mode"]["support"] != "none"
    for entry in changes(recorded, name):
        for how in ("check", "first"):
            assert ("diff" in entry[how]) == claimed, entry["task"]
            if claimed:
                diff = entry[how]["diff"]
                assert (diff["before"] != diff["after"]) == entry[how]["changed"], f"{entry['task']}: {diff}"


@pytest.mark.parametrize("name", MODULES)
def test_what_is_returned_is_documented(recorded, name):
    found = [problem for result in results(recorded, name) if "failed" not in result for problem in whole(name, result)]
    assert sorted(set(found)) == []
    for result in results(recorded, name):
        # ansible-core's about how a module returns its result.
        assert "deprecations" not in result


def whole(name: str, result: Doc) -> list[str]:
    """What is wrong with a result."""
    return list(problems(returned(name), result))


@pytest.mark.parametrize("name", MODULES)
def test_what_is_documented_is_returned(recorded, name):
    runs = [*results(recorded, name), *(ELSEWHERE[name](recorded, results) if name in ELSEWHERE else [])]
    never = [path for path, _entry, seen in leaves(returned(name), runs) if not seen]
    assert [path for path in never if not path.endswith(UNSEEN)] == []


@pytest.mark.parametrize("name", MODULES)
def test_samples_came_out_of_a_run(recorded, name):
    runs = [*results(recorded, name), *(ELSEWHERE[name](recorded, results) if name in ELSEWHERE else [])]
    for path, entry, seen in leaves(returned(name), runs):
        if "sample" in entry and not path.endswith(UNSEEN):
            assert agrees(entry, seen), f"{path}: {entry['sample']} is unlike {seen[:2]}: run make samples"


@pytest.mark.parametrize("name", names("filter"))
def test_a_filter_returns_what_it_says(recorded, name):
    entry = returned(name)["_value"]
    values = [one["value"] for one in recorded if one["example_of"] == name and one.get("value") not in (None, "")]
    assert agrees(entry, values), f"{entry['sample']} is unlike {values}"
