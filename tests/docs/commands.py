# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be known of a command without running it: that all that it names exists."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.exceptions
import botocore.session
import yaml
from blocks import ROOT
from blocks import all_blocks
from botocore import xform_name

BIN = Path(sys.executable).parent
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
COLLECTION = f"{GALAXY['namespace']}.{GALAXY['name']}"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SEPARATORS = {";", "&&", "||", "|", "&", "(", ")", "{", "}", "do", "then", "else"}
SHELL_WORDS = {
    "export",
    "cd",
    "set",
    "for",
    "done",
    "if",
    "fi",
    "echo",
    "eval",
    "true",
    "return",
    "source",
    "printf",
    "mkdir",
    "read",
    "umask",
}
# A reader has these already; their options are not ours to check.
PREREQUISITES = {
    "curl",
    "jq",
    "git",
    "python",
    "python3",
    "node",
    "env",
    "cat",
    "docker",
    "podman",
    "openssl",
    "xdg-open",
}


def simple_commands(text: str) -> Iterator[list[str]]:
    """The words of each simple command of a line, those within ``$(…)`` too; comments and assignments are left out."""
    inner = re.compile(r"\$\(((?:[^()]|\([^()]*\))*)\)")
    for found in inner.findall(text):
        yield from simple_commands(found)
    line = re.sub(r"^\w+\(\)\s*\{(.*)\}$", r"\1", inner.sub("SUBSTITUTED", text))
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in lexer:
        if word in SEPARATORS:
            yield from _without_assignments(words)
            words = []
        else:
            words.append(word)
    yield from _without_assignments(words)


def _without_assignments(words: list[str]) -> Iterator[list[str]]:
    while words and (re.match(r"\w+=", words[0]) or words[0] in SEPARATORS):
        words = words[1:]
    if words:
        yield words


def defined_functions() -> set[str]:
    """Shell functions that some page defines."""
    return {name for block in all_blocks() for name in re.findall(r"^(\w+)\(\)", block.text, re.M)}


@cache
def role_variables() -> dict[str, dict[str, dict[str, object]]]:
    """The options of each role's entry points, by role."""
    found: dict[str, dict[str, dict[str, object]]] = {}
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        found[path.parts[-3]] = {
            name: option for entry in specs.values() for name, option in (entry.get("options") or {}).items()
        }
    return found


@cache
def playbook_variables() -> set[str]:
    """Those that a playbook reads by itself."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").glob("*.yml"))
    return set(re.findall(r"\b(?:mlflow|local_aws)_\w+", text)) | {"mlflow_live_progress", "mlflow_direct_execution"}


def known_variables() -> set[str]:
    """Whatever may be set with ``-e``."""
    return {name for options in role_variables().values() for name in options} | playbook_variables()


@cache
def options_of(*command: str) -> set[str]:
    """The options that a program's help names."""
    done = subprocess.run([BIN / command[0], *command[1:], "--help"], capture_output=True, text=True, check=False)
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", done.stdout))


def unknown_options(program: tuple[str, ...], words: list[str]) -> list[str]:
    """Sentences about options that the program does not have."""
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]
    known = options_of(*program)
    return [f"{' '.join(program)} has no option {one}" for one in given if one not in known and one[:2] not in known]


def make(words: list[str]) -> list[str]:
    """Targets and variables."""
    targets = set(re.findall(r"^([a-z][\w-]*):", MAKEFILE, re.M))
    variables = set(re.findall(r"^([A-Z_]+)\s*[:?]?=", MAKEFILE, re.M)) | set(re.findall(r"\$\(([A-Z_]+)\)", MAKEFILE))
    said = [f"make has no target {one}" for one in words[1:] if "=" not in one and one not in targets]
    for one in words[1:]:
        name, equals, value = one.partition("=")
        if equals and name not in variables:
            said.append(f"make knows no variable {name}")
        if name == "ARGS":
            said += extra_variables(shlex.split(value))
    return said


def extra_variables(words: list[str]) -> list[str]:
    """The variables after ``-e``."""
    said = []
    for flag, value in zip(words, [*words[1:], ""], strict=True):
        if flag not in {"-e", "--extra-vars"} or value.startswith("@"):
            continue
        names = list(json.loads(value)) if value.startswith("{") else [part.split("=")[0] for part in value.split()]
        said += [f"no variable is called {name}" for name in names if name not in known_variables()]
    return said


def ansible_playbook(words: list[str]) -> list[str]:
    """Playbooks, options, variables."""
    named = [word for word in words[1:] if word.startswith(f"{COLLECTION}.") or re.search(r"\.ya?ml$", word)]
    said = [] if named else [f"{' '.join(words)}: no playbook"]
    written = {block.name for block in all_blocks()}
    for one in named:
        ours = ROOT / "playbooks" / f"{one.removeprefix(f'{COLLECTION}.')}.yml"
        if not (ours.is_file() if one.startswith(COLLECTION) else one in written or (ROOT / one).is_file()):
            said.append(f"there is no playbook {one}")
    own = {
        name for one in named for block in all_blocks() if block.name == one for name in re.findall(r"\w+", block.text)
    }
    unknown = [one for one in extra_variables(words) if one.rpartition(" ")[2] not in own]
    return said + unknown + unknown_options(("ansible-playbook",), words[1:])


def ansible_tool(words: list[str]) -> list[str]:
    """One with subcommands."""
    program, *rest = words
    depth = {"ansible-galaxy": 2, "ansible-navigator": 1, "ansible-builder": 1}[program]
    said = unknown_options((program, *rest[:depth]), rest[depth:])
    if program == "ansible-navigator" and rest[0] == "run":
        # What it does not know it hands to ansible-playbook.
        theirs = unknown_options(("ansible-playbook",), rest[1:])
        said = [one for one in said if one.replace(f"{program} run", "ansible-playbook") in theirs]
        said += [one for one in ansible_playbook(["ansible-playbook", *rest[1:]]) if "no option" not in one]
    if not options_of(program, *rest[:depth]):
        said.append(f"{program} has no {' '.join(rest[:depth])}")
    return said


def ansible_doc(words: list[str]) -> list[str]:
    """Plugins and roles."""
    names = [word for word in words[1:] if word.startswith(COLLECTION)]
    kinds = ("plugins/modules/{}.py", "plugins/filter/{}.py", "roles/{}")
    missing = [one for one in names if not any((ROOT / path.format(one.rpartition(".")[2])).exists() for path in kinds)]
    return [f"there is no {one}" for one in missing] + unknown_options(("ansible-doc",), words[1:])


@cache
def _service(name: str) -> botocore.model.ServiceModel | None:
    try:
        return botocore.session.get_session().get_service_model(name)
    except botocore.exceptions.UnknownServiceError:
        return None


def aws(words: list[str]) -> list[str]:
    """Service, operation and parameters; the CLI's names are those of botocore's model with hyphens."""
    if len(words) < 3 or words[1] in {"configure", "sso", "s3"}:
        return []
    model = _service("s3" if words[1] == "s3api" else words[1])
    if not model:
        return [f"aws has no {words[1]}"]
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    if words[2] in {"wait", "help"}:
        return []
    if words[2] not in operations:
        return [f"aws {words[1]} has no {words[2]}"]
    shape = model.operation_model(operations[words[2]]).input_shape
    members = shape.members if shape else {}
    known = {f"--{xform_name(name, '-')}" for name in members}
    known |= {f"--no-{xform_name(name, '-')}" for name, member in members.items() if member.type_name == "boolean"}
    known |= {"--query", "--output", "--region", "--profile", "--endpoint-url", "--no-cli-pager", "--cli-input-json"}
    given = [word.partition("=")[0] for word in words[3:] if word.startswith("--")]
    return [f"aws {words[1]} {words[2]} has no {one}" for one in given if one not in known]


def pip(words: list[str]) -> list[str]:
    """``pip install`` of something that has a name."""
    names = [word for word in words if re.fullmatch(r"[\w.-]+([<>=~!]=?[\w.,<>=]+)?", word)]
    return [] if names and "install" in words else [f"{' '.join(words)}: what is installed?"]


def local_aws(words: list[str]) -> list[str]:
    """The command of the local AWS."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "local_aws")}
    command = [sys.executable, "-m", "local_aws", *words[1:2], "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or len(words) < 2:
        return [f"{words[0]} has no command {' '.join(words[1:2])}"]
    given = [word.partition("=")[0] for word in words[2:] if word.startswith("--")]
    known = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", done.stdout))
    return [f"{words[0]} {words[1]} has no option {one}" for one in given if one not in known]


CHECKS: dict[str, Callable[[list[str]], list[str]]] = {
    "make": make,
    "ansible-playbook": ansible_playbook,
    "ansible-navigator": ansible_tool,
    "ansible-builder": ansible_tool,
    "ansible-galaxy": ansible_tool,
    "ansible-doc": ansible_doc,
    "aws": aws,
    "pip": pip,
    "local-aws": local_aws,
    # The one in the folder of a running local AWS.
    ".cache/local_aws/local-aws": local_aws,
}


def problems(words: list[str]) -> list[str]:
    """What is wrong with one simple command."""
    program = words[0]
    if program in CHECKS:
        return CHECKS[program](words)
    if program == "git" and words[1:2] == ["clone"]:
        return [f"{one} is not our repository" for one in words[2:] if "://" in one and one != GALAXY["repository"]]
    known = SHELL_WORDS | PREREQUISITES | defined_functions() | {"SUBSTITUTED"}
    if program in known or "$" in program or shutil.which(program) or (ROOT / program).is_file():
        return []
    return [f"unknown command: {program}"]
