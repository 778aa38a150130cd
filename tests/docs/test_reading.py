# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader types what the documentation says, page by page, and it works.

All runs on one local AWS, where there is a deployment already, called as in the examples. A page is one session of a
shell. What destroys is put off: test_end.py does it. What stands for something of the reader's own gets a value.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from blocks import ROOT
from blocks import SHELL
from blocks import Block
from blocks import all_blocks
from blocks import data_blocks
from blocks import kind
from controllers import BIN
from controllers import Controller
from controllers import RegionalAws
from controllers import to_its_end

# Written from the modules' EXAMPLES, which have a test of their own.
EXAMPLES = ("docs/modules/", "tests/end_to_end/test_examples.py")
# Targets of make that are not run from here, although a reader may type them: they are what runs this.
CHECKS = "test|check|nightly|lint|types|units|sanity|molecule|end-to-end|local-aws-units|readers|release|bench|browser"
PREAMBLE = r"""
set -eu -o pipefail
put_off() { printf '%s\n' "$*" >> "$PUT_OFF"; }
# The repository is this one; what is made is made here, where the tools are.
git() {
  if [[ "$1" == clone ]]; then command git clone --quiet "file://$ROOT" mlops.mlflow_aws; else command git "$@"; fi
}
make() {
  if grep -qxF "make $*" "$DONE" 2>/dev/null; then echo "another page has it: make $*"; return; fi
  printf '%s\n' "make $*" >> "$DONE"
  case "$*" in
    rehearse-destroy|rehearse-down|rehearse-wipe) put_off make "$@" ;;
    *mlflow_version=*) echo "make nightly: molecule's scenario oldest" ;;
    *) if [[ "$1" =~ ^(CHECKS)$ ]]; then echo "elsewhere: make $1"; else command make -C "$ROOT" "$@"; fi ;;
  esac
}
ansible-playbook() {
  case "$*" in
    *destroy*--check*) command ansible-playbook "$@" ;;
    *destroy*|*rehearse_down*) put_off ansible-playbook "$@" ;;
    *) command ansible-playbook "$@" ;;
  esac
}
""".replace("CHECKS", CHECKS)


def runnable(block: Block) -> bool:
    """Whether it is run here."""
    return not block.mark and not block.page.startswith(EXAMPLES[0])


def shell_pages() -> dict[str, list[Block]]:
    """The shell blocks that are run, by page."""
    found: dict[str, list[Block]] = {}
    for block in all_blocks():
        if block.language in SHELL | {"console"} and runnable(block):
            found.setdefault(block.page, []).append(block)
    return found


def playbook_blocks() -> list[Block]:
    """Playbooks and tasks that are run by themselves: no command of their page runs them."""
    called = " ".join(block.text for block in all_blocks() if block.language in SHELL)
    return [
        block
        for block in data_blocks()
        if runnable(block)
        and kind(block.document) in {"playbook", "tasks"}
        and not block.page.startswith("roles/")
        and not (block.name and block.name in called)
    ]


def test_the_examples_of_modules_have_a_test_of_their_own() -> None:
    assert (ROOT / EXAMPLES[1]).is_file()


def filled(text: str, url: str, password: str) -> str:
    """With values for what is the reader's own."""
    for pattern, value in (
        (r"https://…", url),
        (r"'…'", f"'{password}'"),
        (r"(?<=mlflow_name=)(vision|analytics)(?!.*policies)", "mlflow"),
    ):
        text = re.sub(pattern, value.replace("\\", r"\\"), text)
    assert "…" not in re.sub(r"#.*", "", text), f"What does … stand for?\n{text}"
    return text


def secret(aws: RegionalAws, name: str) -> dict[str, Any]:
    """A secret's members."""
    found: dict[str, Any] = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
    return found


@pytest.mark.parametrize("page", shell_pages())
def test_the_commands_of_a_page(
    page: str, deployed: str, controller: Controller, reader: dict[str, str], url: str
) -> None:
    password = secret(controller.aws, f"{deployed}/login")["password"]
    for block in data_blocks():
        if block.page == page and block.name:
            (controller.work / block.name).write_text(filled(block.text, url, password), encoding="utf-8")
    script = [PREAMBLE]
    for block in shell_pages()[page]:
        text = "\n".join(block.commands) if block.language == "console" else block.text
        script += [f"echo '::: {block}' >&2", filled(text, url, password)]
    to_its_end(["bash", "-c", "\n".join(script)], reader, controller.work).succeeded()


@pytest.mark.parametrize("block", playbook_blocks(), ids=str)
def test_a_playbook_or_tasks(block: Block, deployed: str, controller: Controller, reader: dict[str, str]) -> None:
    """On the deployment that is there, whatever name the example gives to its own."""
    document = block.document
    if kind(document) == "tasks":
        document = [{"name": str(block), "hosts": "localhost", "gather_facts": False, "tasks": document}]
    (controller.work / "play.yml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    played = controller.run(["ansible-playbook", "play.yml", "-e", f"mlflow_name={deployed}"], reader)
    assert played.code == 0, played.output
    assert played.changed == {"localhost": 0}, played.output


# The order in which one takes what another one leaves.
ROLES = ["local_aws", "network", "bucket", "auth", "rds", "iam", "ecs_express", "validation", "mlflow"]


def test_the_roles_one_after_another(deployed: str, controller: Controller, reader: dict[str, str]) -> None:
    """The examples of their READMEs, in one play: they find all that the role mlflow has made, and change nothing."""
    examples = {block.page.split("/")[1]: block for block in data_blocks() if block.page.startswith("roles/")}
    assert sorted(examples) == sorted(ROLES)
    rehearsal = controller.folder / "rehearsal.json"
    given = {
        **json.loads(rehearsal.read_text()),
        "mlflow_name": deployed,
        "local_aws_home": str(controller.aws.home / "aws"),
    }
    rehearsal.write_text(json.dumps(given), encoding="utf-8")
    # The local AWS was started by the tests and not by its role, which still has to write down its keys.
    for roles in (["local_aws"], ROLES):
        tasks = [task for role in roles for task in examples[role].document]
        play = {"name": "Roles", "hosts": "localhost", "gather_facts": False, "tasks": tasks}
        (controller.work / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
        played = controller.run(["ansible-playbook", "play.yml", "-e", f"@{rehearsal}"], reader)
        assert played.code == 0, played.output
    assert played.changed == {"localhost": 0}, played.output


@pytest.mark.parametrize(
    "block", [one for one in data_blocks() if runnable(one) and kind(one.document) == "inventory"], ids=str
)
def test_an_inventory(block: Block, tmp_path: Path) -> None:
    """Ansible finds its hosts, and the collection's playbooks take all of them."""
    (tmp_path / "inventory.yml").write_text(block.text, encoding="utf-8")
    command = [str(BIN / "ansible-playbook"), "mlops.mlflow_aws.deploy", "-i", "inventory.yml", "--list-hosts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    hosts = set(re.findall(r"^      (\S+)$", done.stdout, re.M))
    assert hosts
    assert hosts == {name for name in hosts if f"{name}:" in block.text}, done.stdout


@pytest.mark.parametrize(
    "block", [one for one in data_blocks() if runnable(one) and kind(one.document) == "policy"], ids=str
)
def test_a_policy(block: Block, aws: RegionalAws) -> None:
    """IAM takes it."""
    iam = aws.client("iam")
    arn = iam.create_policy(PolicyName=re.sub(r"\W", "-", str(block)), PolicyDocument=block.text)["Policy"]["Arn"]
    iam.delete_policy(PolicyArn=arn)


def test_nothing_is_left_that_is_not_run() -> None:
    """Kinds that only test_syntax.py or test_builder.py can say something about are few, and named here."""
    checked = {"playbook", "tasks", "inventory", "policy", "variables", "collections", "execution environment"}
    assert {kind(block.document) for block in data_blocks() if runnable(block)} <= checked
    assert sys.version_info >= (3, 11)
