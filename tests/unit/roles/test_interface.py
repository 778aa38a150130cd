# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles say of their variables is what they do: specifications, facts and uses agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.mlops.mlflow_aws.plugins.action import role_variables
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import specification

ROOT = Path(__file__).resolve().parents[3]
ROLES = {path.parents[1].name: path.parents[1] for path in sorted((ROOT / "roles").glob("*/meta/main.yml"))}

# Steps of other files of the role, and of the role that composes them: their variables have been checked.
INTERNAL = {
    *(("auth", name) for name in ("create", "keep", "preflight", "owner")),
    *(("bucket", name) for name in ("context", "create", "preflight", "owner")),
    *(("ecs_express", name) for name in ("container", "context", "create", "deploy", "log_group", "needs", "owner")),
    *(("iam", name) for name in ("create", "owner", "settled")),
    *(("local_aws", name) for name in ("install", "running")),
    *(
        ("mlflow", name)
        for name in (
            *("ask", "bootstrap_admin", "client_requirements", "converge", "inputs", "lock", "login_settings"),
            *(
                "maintenance",
                "maintenance_absent",
                "monitoring",
                "monitoring_absent",
                "newer",
                "owner",
                "preflight",
                "recall",
                "report_retained",
                "server",
                "state",
            ),
        )
    ),
    *(("network", name) for name in ("owner", "security_groups", "subnets")),
    *(("rds", name) for name in ("available", "create", "preflight", "owner")),
    *(("validation", name) for name in ("server",)),
}
# Where nothing is made there is nothing to remove: its README says so.
WITHOUT_ABSENT = {"validation"}

# What takes text for what the type says.
TAKEN = {
    "bool": r"\|\s*bool\b",
    "int": r"\|\s*(int|float)\b",
    "float": r"\|\s*(int|float)\b",
    "list": r"\|\s*mlops\.mlflow_aws\.(as_type|as_texts)\(list\)",
    "dict": r"\|\s*mlops\.mlflow_aws\.(as_type|as_texts)\(dict\)",
}
# For each type: text and what it stands for, and what stands for nothing of the type.
GIVEN: dict[str, tuple[list[tuple[str, Any]], list[Any]]] = {
    "bool": ([("false", False), ("False", False), ("yes", True), ("0", False)], ["maybe", "", 2, None, []]),
    "int": ([("7", 7), ("-1", -1)], ["seven", "7.5", "", True, None]),
    "float": ([("7.5", 7.5), ("60", 60.0)], ["fast", "", True, None]),
    "list": ([('["a", "b"]', ["a", "b"]), ("a,b", ["a", "b"]), ("", [])], ["[", {"a": 1}, 7, None, [None]]),
    "dict": ([('{"a": "b"}', {"a": "b"}), ("a=b", {"a": "b"}), ("", {})], ["a", "{", ["a"], 7, None]),
    "str": ([("a", "a"), ("3.10", "3.10"), ("false", "false")], [["a"], {"a": 1}, True, None]),
    "path": ([("~/a", "~/a")], [["a"], True, None]),
}
EXPRESSIONS = {"when", "that", "until", "changed_when", "failed_when"}


def load(path: Path) -> Any:
    """Read a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


SPECIFICATIONS = {role: load(path / "meta" / "argument_specs.yml")["argument_specs"] for role, path in ROLES.items()}
OPTIONS = {role: entries["main"]["options"] for role, entries in SPECIFICATIONS.items()}
ALL = {name: option for options in OPTIONS.values() for name, option in options.items()}
FACTS = {role: load(path / "meta" / "facts.yml")["facts"] for role, path in ROLES.items()}


def strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text in a YAML document, with the key above it."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from strings(one, str(name))
    elif isinstance(value, list):
        for one in value:
            yield from strings(one, key)
    elif isinstance(value, str):
        yield key, value


def expressions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each Jinja expression in a file, with the key above it."""
    for key, text in strings(load(path)):
        for found in [text] if key in EXPRESSIONS else re.findall(r"\{\{(.*?)\}\}", text, re.S):
            yield key, found


def uses() -> Iterator[tuple[str, str, str, str]]:
    """Yield each expression of the roles that uses an option: file, key, expression, option."""
    for role, folder in ROLES.items():
        for path in sorted([*folder.glob("tasks/*.yml"), *folder.glob("vars/*.yml"), *folder.glob("defaults/*.yml")]):
            for key, expression in expressions(path):
                # Without what stands in quotes, but for the names of types.
                code = re.sub(r"(as_type|as_texts)\('(\w+)'\)", r"\1(\2)", expression)
                code = re.sub(r"'[^']*'", "''", code)
                for name in sorted(set(re.findall(r"(?<![.\w])[a-z]\w+", code)) & ALL.keys()):
                    yield f"{role}/{path.parent.name}/{path.name}", key, code.strip(), name


USES = list(uses())


@pytest.mark.parametrize("role", ROLES)
def test_each_entry_point_has_a_specification_and_begins_with_the_check(role: str) -> None:
    files = {path.stem for path in ROLES[role].glob("tasks/*.yml")}
    entries = {name for name in files if (role, name) not in INTERNAL}
    assert entries == SPECIFICATIONS[role].keys()
    assert "absent" in entries or role in WITHOUT_ABSENT
    for entry in entries:
        path = ROLES[role] / "tasks" / f"{entry}.yml"
        first = load(path)[0]
        while included := first.get("ansible.builtin.include_tasks") or first.get("ansible.builtin.import_tasks"):
            first = load(ROLES[role] / "tasks" / Path(included).name)[0]
        assert "mlops.mlflow_aws.role_variables" in first, f"{role}: {entry} begins with {first['name']}"
        assert "tags" not in first and "vars" not in first


@pytest.mark.parametrize("role", ROLES)
def test_all_entry_points_take_the_same_options(role: str) -> None:
    for entry in SPECIFICATIONS[role].values():
        assert entry["options"] == OPTIONS[role]
        assert entry["short_description"] and entry["description"] and entry["author"]


# Kept by other entry points than those that deploy.
NOT_DEPLOYED = {
    *("bucket_kept", "ecs_express_container", "ecs_express_image_version", "iam_other_region"),
    *("rds_final_snapshot", "rds_kept"),
}


def recalled() -> set[str]:
    """The facts of other roles that a deployment has without them, where there is nothing to do."""
    tasks = load(ROLES["mlflow"] / "tasks/recall.yml")
    kept = {name for task in tasks for name in task.get("ansible.builtin.set_fact", {})}
    return {name for name in kept if not name.startswith("__")}


def test_what_the_roles_keep_is_there_without_them() -> None:
    deployed = {
        name
        for role in ("network", "rds", "bucket", "iam", "ecs_express")
        for name in FACTS[role]
        if name not in NOT_DEPLOYED
    }
    assert recalled() == deployed
    # The role auth keeps its own.
    assert "import_tasks: login_settings.yml" in (ROLES["mlflow"] / "tasks/recall.yml").read_text(encoding="utf-8")
    assert "tasks_from: keep.yml" in (ROLES["mlflow"] / "tasks/login_settings.yml").read_text(encoding="utf-8")
    [kept] = [task for task in load(ROLES["auth"] / "tasks/keep.yml") if "ansible.builtin.set_fact" in task]
    assert set(kept["ansible.builtin.set_fact"]) == set(FACTS["auth"])


@pytest.mark.parametrize("role", ROLES)
def test_the_facts_are_those_that_the_tasks_keep(role: str) -> None:
    kept: set[str] = set()
    for path in ROLES[role].glob("tasks/*.yml"):
        text = path.read_text(encoding="utf-8")
        kept |= set(re.findall(rf"register: ({role}_\w+)", text))
        for task in load(path):
            kept |= set(task.get("ansible.builtin.set_fact", {}))
    if role == "mlflow":
        kept -= recalled()
    assert {name for name in kept if not name.startswith("__")} == FACTS[role].keys()
    assert not FACTS[role].keys() & OPTIONS[role].keys()


@pytest.mark.parametrize("role", ROLES)
def test_names_begin_with_the_role(role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in [*OPTIONS[role], *FACTS[role]])
    assert f"{role}_known_variables" in OPTIONS[role]


@pytest.mark.parametrize("name", [name for name, option in ALL.items() if option["type"] in TAKEN])
def test_an_option_is_taken_for_what_its_type_says_wherever_it_is_used(name: str) -> None:
    """``-e name=value`` gives text; an option may be handed on as it is only to another one of the same type."""
    for where, key, code, used in USES:
        if used != name:
            continue
        whole = re.fullmatch(rf"{name}(\s*\|\s*default\([^()]*\))?", code)
        if whole and key in ALL:
            assert ALL[key]["type"] == ALL[name]["type"], f"{where}: {key} and {name} differ in type"
            continue
        for rest in re.split(rf"(?<![.\w]){name}\b", code)[1:]:
            taken = re.match(rf"\s*(\|\s*default\([^()]*\)\s*)?{TAKEN[ALL[name]['type']]}", rest)
            assert taken, f"{where}: {key}: {code}: {name} is used as it comes"


def test_there_is_something_to_see() -> None:
    assert len(USES) > 200
    assert {option["type"] for option in ALL.values()} == {"str", "path", *TAKEN}


@pytest.mark.parametrize("name", ALL)
def test_text_is_taken_for_what_the_specification_says_and_the_rest_is_refused(name: str) -> None:
    option = ALL[name]
    taken, refused = GIVEN[option["type"]]
    if "choices" in option:
        listed = option["type"] == "list"
        taken = [(str(choice), [choice] if listed else choice) for choice in option["choices"]]
        refused = [*refused, "none of them"]
    for text, value in taken:
        assert specification.type_problem(name, text, option) is None
        assert specification.type_problem(name, value, option) is None
        assert specification.as_type(text, option["type"]) == value
    for value in refused:
        sentence = str(specification.type_problem(name, value, option))
        assert re.fullmatch(rf"{name}(\[0\])? is [^\n]+, but must be [^\n]+\.", sentence), sentence
        assert len(sentence) < 400
    assert specification.type_problem(name, option.get("default", "a"), option) is None


def test_the_variables_of_the_playbooks_alone_are_known() -> None:
    """There is no specification for playbooks, so that the list is held against what they use."""
    used: set[str] = set()
    for path in (ROOT / "playbooks").glob("*.yml"):
        text = path.read_text(encoding="utf-8").replace("mlops.mlflow_aws", "").replace("mlflow_health.version", "")
        used |= set(re.findall(r"\bmlflow_\w+", text))
    facts = yaml.safe_load((ROLES["mlflow"] / "meta/facts.yml").read_text(encoding="utf-8"))["facts"]
    assert used - OPTIONS["mlflow"].keys() - facts.keys() == role_variables.PLAYBOOK_VARIABLES


def test_the_facts_named_in_the_front_doors_readme_are_facts() -> None:
    text = (ROLES["mlflow"] / "README.md").read_text(encoding="utf-8")
    table = text.split("## Outbound variables")[1].split("## Outcome")[0]
    named = set(re.findall(r"`(\w+)`", table))
    assert named and named <= {name for facts in FACTS.values() for name in facts}
