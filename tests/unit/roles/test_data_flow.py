# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles do not know each other: the role mlflow alone hands each of them what it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.mlops.mlflow_aws.plugins.filter.variable_names import variable_names
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.roles import SAME_AS
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.variables import CHECKS

ROLES = Path(__file__).resolve().parents[3] / "roles"
CHILDREN = ("network", "bucket", "auth", "iam", "rds", "ecs_express", "maintenance", "monitoring", "validation")
PREFIX = "mlops.mlflow_aws."


def load(path: Path) -> Any:
    """Read a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


OPTIONS = {
    role: load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    for role in (*CHILDREN, "mlflow")
}
FACTS = {role: load(ROLES / role / "meta/facts.yml")["facts"] for role in (*CHILDREN, "mlflow")}
# Written once when the role creates something, and never told by a deployment's variables.
OWN = ("take_over", "checked", "known", "known_variables")


def code(path: Path) -> str:
    """The text of a file without comments and without names of this collection's plugins."""
    lines = (re.sub(r"(^|\s)#.*", "", line) for line in path.read_text(encoding="utf-8").splitlines())
    return re.sub(rf"{re.escape(PREFIX)}\w+", "", "\n".join(lines))


@pytest.mark.parametrize("role", CHILDREN)
def test_child_role_names_no_variable_of_another_role(role: str) -> None:
    others = {name for other in OPTIONS if other != role for name in (*OPTIONS[other], *FACTS[other])}
    found = {
        f"{path.relative_to(ROLES)}: {name}"
        for part in ("tasks", "vars", "defaults")
        for path in (ROLES / role / part).glob("*.yml")
        for name in set(re.findall(r"\w+", code(path))) & others
    }
    assert found == set()


def test_what_modules_and_roles_decide_alike_names_no_variable_of_a_deployment() -> None:
    found = {
        f"{path.name}: {name}"
        for path in (ROLES.parent / "plugins/module_utils/_inputs").glob("*.py")
        for name in set(re.findall(r"\w+", path.read_text(encoding="utf-8"))) & OPTIONS["mlflow"].keys()
    }
    assert found == set()


@pytest.mark.parametrize("role", CHILDREN)
def test_defaults_are_literal_but_for_names_made_of_the_roles_own(role: str) -> None:
    for name, default in load(ROLES / role / "defaults/main.yml").items():
        used = set(re.findall(r"\{\{ (\w+)", str(default)))
        assert used <= OPTIONS[role].keys(), f"{name}: {default}"


def calls() -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """Yield what the role mlflow calls: its own file, the role, the file of tasks, the variables that it hands over."""
    for path in sorted((ROLES / "mlflow/tasks").glob("*.yml")):
        for task in load(path):
            for key in ("ansible.builtin.import_role", "ansible.builtin.include_role"):
                if key in task:
                    called = task[key]
                    role = called["name"].removeprefix(PREFIX)
                    yield path.name, role, called.get("tasks_from", "main.yml"), task.get("vars") or {}


CALLS = list(calls())


def used_by(role: str, file: str, given: dict[str, str]) -> set[str]:
    """The role's options that a file of tasks uses, by the role's variables, by the files that it includes, and by the
    defaults of options that are not given.
    """
    variables = load(ROLES / role / "vars/main.yml") if (ROLES / role / "vars/main.yml").exists() else {}
    options = {name: value for name, value in load(ROLES / role / "defaults/main.yml").items() if name not in given}
    seen: set[str] = set()
    texts = [code(ROLES / role / "tasks" / file)]
    while texts:
        text = texts.pop()
        for name in set(re.findall(r"\w+", text)) - seen:
            seen.add(name)
            # Those are names, and no uses.
            if name in variables and not name.endswith("_own_variables"):
                texts.append(yaml.safe_dump(variables[name]))
            if name in options:
                texts.append(yaml.safe_dump(options[name]))
        for included in re.findall(r"(?:import|include)_tasks: \S*?(\w+\.yml)|/tasks/(\w+\.yml)", text):
            name = "".join(included)
            if name not in ("owner.yml", "check.yml"):
                texts.append(code(ROLES / role / "tasks" / name))
    return seen & OPTIONS[role].keys()


@pytest.mark.parametrize(("where", "role", "file", "given"), CALLS, ids=[" ".join(call[:3]) for call in CALLS])
def test_all_that_a_step_takes_from_a_deployment_is_handed_over(
    where: str, role: str, file: str, given: dict[str, str]
) -> None:
    # What is handed over anywhere stands for something of the deployment's, and must be wherever it is used.
    told = {name for _where, other, _file, given in CALLS if other == role for name in given}
    told -= {f"{role}_{name}" for name in OWN}
    # Where tags are not set, nothing is created; what a run finds out is not needed before.
    lacking = {name for name in used_by(role, file, given) & told if name not in given}
    assert lacking == set(), f"{where} hands no {', '.join(sorted(lacking))} to {role}/{file}"
    assert given.keys() <= OPTIONS[role].keys()


def passed_on(role: str) -> dict[str, set[str]]:
    """Return which variables of a deployment the role mlflow passes on as they are, by the variable of the role."""
    found: dict[str, set[str]] = {}
    for _where, other, _file, given in CALLS:
        for name, value in given.items() if other == role else ():
            if match := re.fullmatch(r"\{\{ (mlflow_\w+)(?: \| [\w.]+)* \}\}", str(value)):
                found.setdefault(name, set()).add(match[1])
    return found


@pytest.mark.parametrize("role", ["auth", "ecs_express", "rds"])
def test_messages_name_the_variable_that_the_user_of_a_deployment_sets(role: str) -> None:
    own = load(ROLES / role / "vars/main.yml")[f"__{role}_own_variables"]
    names = load(ROLES / "mlflow/vars/main.yml")["__mlflow_variable_names"]
    assert set(own.values()) <= OPTIONS[role].keys()
    passed = passed_on(role)
    for what, name in variable_names(own, names).items():
        assert name in OPTIONS["mlflow"], f"{what}: {name} is no variable of the role mlflow"
        assert passed.get(own[what], {name}) == {name}, f"{what} is set by {passed[own[what]]}, not by {name}"


def test_a_variable_of_a_deployment_is_handed_over_to_all_that_mean_the_same() -> None:
    passed = {
        (variable, name)
        for _where, _role, _file, given in CALLS
        for variable, value in given.items()
        for name in re.findall(r"\b(mlflow_\w+)", str(value))
    }
    for variable, names in SAME_AS.items():
        for name in names:
            theirs = {CHECKS.get(other) for one, other in passed if one == name}
            assert not theirs or CHECKS[variable] in theirs, f"{name} is checked as {variable}"


def test_slow_things_are_waited_for_where_they_are_needed() -> None:
    # A database takes minutes at AWS, and other services know a new role after ten seconds: both at the same time.
    order = ("converge.yml", "server.yml", "main.yml")
    steps = [f"{role}/{file}" for name in order for where, role, file, _given in CALLS if where == name]
    expected = [
        *("rds/create.yml", "iam/create.yml", "rds/available.yml", "iam/settled.yml", "ecs_express/create.yml"),
        "validation/server.yml",
    ]
    assert [step for step in steps if step in expected] == expected
    [task] = [task for task in load(ROLES / "iam/tasks/create.yml") if PREFIX + "iam_service_role" in task]
    assert task[PREFIX + "iam_service_role"]["wait"] is False
