# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every block of code in the documentation is well formed, and names only what exists; nothing is run here."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from blocks import DATA
from blocks import OTHER
from blocks import ROOT
from blocks import SHELL
from blocks import Block
from blocks import all_blocks
from blocks import blocks_of
from blocks import data_blocks
from blocks import kind
from blocks import pages
from blocks import shell_blocks
from commands import COLLECTION
from commands import MAKEFILE
from commands import playbook_variables
from commands import problems
from commands import role_variables
from commands import simple_commands

BIN = Path(sys.executable).parent
# A prefix of ours, so that an unknown variable is a typing error.
OURS = ("mlflow", *sorted(role_variables()))


def test_the_pages_and_their_blocks_are_found() -> None:
    assert len(pages()) > 20
    assert len(shell_blocks()) > 20
    assert len(data_blocks()) > 20


def test_marks_hold_for_one_block_or_down_to_a_heading() -> None:
    text = """# One
<!-- needs AWS: a domain -->
```shell
a
```
```shell
b
```
## Two
<!-- from here on run by: make units -->
```shell
c
```
### Three
```shell
d
```
## Four
```shell
e
```
"""
    assert [(block.text.strip(), block.mark) for block in blocks_of(text, "page")] == [
        ("a", "needs AWS"),
        ("b", ""),
        ("c", "run by"),
        ("d", "run by"),
        ("e", ""),
    ]


def test_every_block_says_its_language() -> None:
    assert [str(block) for block in all_blocks() if block.language not in SHELL | DATA | OTHER] == []


def reached(target: str) -> set[str]:
    """The targets that one of make brings about."""
    found: set[str] = set()
    waiting = [target]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        rule = re.search(rf"^{re.escape(one)}:([^#\n]*)(?:#.*)?\n((?:\t.*\n)*)", MAKEFILE, re.M)
        if rule:
            waiting += re.findall(r"(?<![\w$(/.-])[a-z][\w-]+", rule[1])
            waiting += re.findall(r"\$\(call part,([a-z-]+)", rule[2])
            for line in re.findall(r"\$\(MAKE\)(.*)", rule[2]):
                waiting += re.findall(r"(?<=\s)[a-z][\w-]+(?=\s|$)", line)
    return found


def test_what_is_said_to_run_a_block_is_among_the_checks() -> None:
    among = reached("test") | reached("nightly")
    assert {"units", "molecule", "end-to-end"} < among
    for block in all_blocks():
        if block.mark == "run by":
            named = re.match(r"make ([\w-]+)", block.why)
            assert named, f"{block}: name a target of make"
            assert named[1] in among, f"{block}: neither make test nor make nightly runs make {named[1]}"


def test_what_needs_aws_or_the_internet_says_why() -> None:
    assert [str(block) for block in all_blocks() if block.mark.startswith("needs") and len(block.why) < 8] == []


# --- shell -----------------------------------------------------------------------------------------------------------


def test_shell_is_well_formed() -> None:
    for block in shell_blocks():
        text = block.text if block.language in SHELL else "\n".join(block.commands)
        done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{block}: {done.stderr}"


@pytest.mark.parametrize("block", shell_blocks(), ids=str)
def test_commands_name_only_what_exists(block: Block) -> None:
    said = [one for line in block.commands for words in simple_commands(line) for one in problems(words)]
    assert said == [], f"{block}: {said}"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("make rehaerse", "make has no target rehaerse"),
        ("make rehearse ARGZ=1", "make knows no variable ARGZ"),
        ("make rehearse ARGS='-e mlflow_nam=x'", "no variable is called mlflow_nam"),
        ("ansible-playbook mlops.mlflow_aws.deploi", "there is no playbook mlops.mlflow_aws.deploi"),
        ("ansible-playbook mlops.mlflow_aws.deploy -e mlflow_nam=x", "no variable is called mlflow_nam"),
        ("ansible-playbook mlops.mlflow_aws.deploy --chekc", "ansible-playbook has no option --chekc"),
        ("login=$(aws secretsmanager get-secret --secret-id x)", "aws secretsmanager has no get-secret"),
        ("aws ecs list-services --clutser x", "aws ecs list-services has no --clutser"),
        ("aws elastic list-services", "aws has no elastic"),
        ("aws rds delete-db-instance --no-final-snapshot", "aws rds delete-db-instance has no --no-final-snapshot"),
        ("aws s3api delete-objekt --bucket x", "aws s3api has no delete-objekt"),
        ("git clone https://github.com/someone/else", "https://github.com/someone/else is not our repository"),
        ("ansible-navigator run mlops.mlflow_aws.deploi --mode stdout", "there is no playbook mlops.mlflow_aws.deploi"),
        ("ansible-navigator run mlops.mlflow_aws.deploy --moed x", "ansible-navigator run has no option --moed"),
        ("ansible-builder create --contxt x", "ansible-builder create has no option --contxt"),
        ("ansible-doc mlops.mlflow_aws.nothing", "there is no mlops.mlflow_aws.nothing"),
        ("local-aws upp", "local-aws has no command upp"),
        ("local-aws faults --odrer x", "local-aws faults has no option --odrer"),
        ("no-such-program | jq .", "unknown command: no-such-program"),
    ],
)
def test_these_checks_find_what_is_wrong(command: str, said: str) -> None:
    assert [one for words in simple_commands(command) for one in problems(words)] == [said]


def test_python_is_well_formed() -> None:
    for block in all_blocks():
        if block.language == "python":
            ast.parse(block.text, str(block))


# --- YAML and JSON ---------------------------------------------------------------------------------------------------


def test_every_block_of_data_is_something_that_is_checked() -> None:
    assert [str(block) for block in data_blocks() if not kind(block.document)] == []


def as_playbook(block: Block) -> list[dict[str, Any]]:
    """Tasks in a play."""
    if kind(block.document) == "playbook":
        playbook: list[dict[str, Any]] = block.document
        return playbook
    return [{"name": str(block), "hosts": "localhost", "gather_facts": False, "tasks": block.document}]


def test_playbooks_and_tasks_pass_the_syntax_check(tmp_path: Path) -> None:
    written = []
    for number, block in enumerate(data_blocks()):
        if kind(block.document) in {"playbook", "tasks"}:
            path = tmp_path / f"{number}.yml"
            path.write_text(yaml.safe_dump(as_playbook(block), sort_keys=False), encoding="utf-8")
            written.append(path)
    assert written
    command = [str(BIN / "ansible-playbook"), "--syntax-check", "-i", "localhost,", *map(str, written)]
    environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_DEPRECATION_WARNINGS": "0"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def assignments(block: Block) -> Iterator[tuple[str, str, Any]]:
    """What a block sets: role (empty: any), variable, value."""
    document = block.document
    what = kind(document)
    if what == "variables":
        yield from (("", name, value) for name, value in document.items())
    elif what == "inventory":
        yield from _of_group(document)
    elif what in {"playbook", "tasks"}:
        yield from _of_tasks(document)


def _of_group(groups: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for group in groups.values():
        for variables in [(group or {}).get("vars") or {}, *((group or {}).get("hosts") or {}).values()]:
            yield from (("", name, value) for name, value in (variables or {}).items())
        yield from _of_group((group or {}).get("children") or {})


def _of_tasks(entries: list[dict[str, Any]]) -> Iterator[tuple[str, str, Any]]:
    for entry in entries:
        role = ""
        for module in ("import_role", "include_role"):
            called = entry.get(f"ansible.builtin.{module}") or {}
            role = called.get("name", role)
        yield from (
            (role.removeprefix(f"{COLLECTION}."), name, value) for name, value in (entry.get("vars") or {}).items()
        )
        for key in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
            yield from _of_tasks(entry.get(key) or [])
        for one in entry.get("roles") or []:
            if isinstance(one, dict):
                yield from (
                    (one["role"].removeprefix(f"{COLLECTION}."), *pair) for pair in (one.get("vars") or {}).items()
                )


def wrong(role: str, name: str, value: Any) -> str:
    """What is wrong with a variable, if something is."""
    options = {key: one for spec in role_variables().values() for key, one in spec.items()}
    if role and role in role_variables() and name.startswith((f"{role}_", "mlflow_")):
        options = {**role_variables()[role], **{key: one for key, one in options.items() if key.startswith("mlflow_")}}
    if name not in options:
        known = name in playbook_variables() or not name.startswith(tuple(f"{one}_" for one in OURS))
        return "" if known else f"no role has a variable {name}"
    if isinstance(value, str) and ("{{" in value or "…" in value):
        return ""
    spec = {key: one for key, one in options[name].items() if key in {"type", "elements", "choices", "options"}}
    result = ArgumentSpecValidator({name: spec}).validate({name: value})
    return "; ".join(result.error_messages)


@pytest.mark.parametrize("block", data_blocks(), ids=str)
def test_variables_are_what_the_specifications_say(block: Block) -> None:
    said = [one for role, name, value in assignments(block) if (one := wrong(role, name, value))]
    assert said == [], f"{block}: {said}"


@pytest.mark.parametrize(
    ("role", "name", "value"),
    [
        ("", "mlflow_worker", 1),
        ("", "mlflow_workers", "many"),
        ("rds", "rds_nam", "x"),
        ("", "mlflow_rolled_back", "sulk"),
    ],
)
def test_wrong_variables_are_found(role: str, name: str, value: Any) -> None:
    assert wrong(role, name, value)


# --- policies --------------------------------------------------------------------------------------------------------


def policies() -> list[tuple[str, dict[str, Any]]]:
    """Those in the text, and the files that it names."""
    found = [(str(block), block.document) for block in data_blocks() if kind(block.document) == "policy"]
    for path in sorted((ROOT / "docs").rglob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if kind(document) == "policy":
            found.append((str(path.relative_to(ROOT)), document))
    return found


@pytest.mark.parametrize(("where", "policy"), policies(), ids=[where for where, _unused in policies()])
def test_policies_are_valid(where: str, policy: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html"""
    assert set(policy) <= {"Version", "Id", "Statement"}
    assert policy["Version"] == "2012-10-17"
    services = set(botocore.session.get_session().get_available_services()) | {
        "elasticloadbalancing",
        "application-autoscaling",
        # The prefix of the Resource Groups Tagging API.
        "tag",
    }
    for statement in policy["Statement"]:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}, where
        assert statement["Effect"] in {"Allow", "Deny"}
        assert ("Resource" in statement) != ("Principal" in statement and "Resource" not in statement)
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        for action in actions:
            service, _unused, name = action.partition(":")
            assert service in services, f"{where}: {action}"
            assert re.fullmatch(r"[A-Z]\w+\*?|\*", name), f"{where}: {action}"
        resources = statement.get("Resource", [])
        for resource in resources if isinstance(resources, list) else [resources]:
            assert resource == "*" or len(resource.split(":", 5)) == 6, f"{where}: {resource}"
