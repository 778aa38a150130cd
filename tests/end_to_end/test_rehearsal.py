# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook rehearse_up points others at the local AWS with, on a machine that has AWS accounts of its own."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml
from harness import SOFTWARE
from harness import LocalAws
from harness import Played
from harness import is_prepared

NOWHERE = "http://127.0.0.1:9"
# A release that no test installs.
UNPREPARED = "3.15.1"
# The environment of a user who works with an account.
SHELLS = {
    "a profile, and a proxy": {
        "AWS_PROFILE": "company",
        "HTTPS_PROXY": NOWHERE,
        "https_proxy": NOWHERE,
        "no_proxy": "example.com",
    },
    "temporary keys, the default profile's name, and a token of a pipeline": {
        "AWS_ACCESS_KEY_ID": "ASIAFOREIGNFOREIGN00",
        "AWS_SECRET_ACCESS_KEY": "foreign",
        "AWS_SESSION_TOKEN": "foreign",
        "AWS_DEFAULT_PROFILE": "company",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere",
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/foreign",
    },
}
ASKS = {
    "hosts": "localhost",
    "connection": "local",
    "gather_facts": False,
    "environment": "{{ mlflow_environment }}",
    "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
    "tasks": [
        {"mlops.mlflow_aws.aws_caller_context": {}},
        {"amazon.aws.s3_bucket_info": {}},
        {
            "ansible.builtin.command": {
                "argv": [
                    "{{ ansible_playbook_python }}",
                    "-c",
                    "import boto3; print(boto3.client('sts', region_name='us-east-1').get_caller_identity()['Arn'])",
                ]
            },
            "register": "asked",
        },
        {"ansible.builtin.assert": {"that": "asked.stdout is match('arn:aws:iam::123456789012:root')"}},
    ],
}


def asked(aws: LocalAws, shell: dict[str, str], *arguments: str) -> Played:
    """Start it, if it does not run, and ask it in every way in which the playbooks do."""
    book = aws.home / "asks.yml"
    book.write_text(yaml.safe_dump([{"import_playbook": "mlops.mlflow_aws.rehearse_up"}, ASKS], sort_keys=False))
    exported = dict.fromkeys(aws.user_environment()) | shell
    return aws.play(str(book), where(aws), environment=exported, arguments=arguments)


def where(aws: LocalAws) -> dict[str, str]:
    """The variables that tell the role of it."""
    return {"local_aws_home": str(aws.home / "aws"), "local_aws_software": str(SOFTWARE)}


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_what_the_shell_holds_of_other_accounts_does_not_matter(aws: LocalAws, shell: dict[str, str]) -> None:
    asked(aws, shell).succeeded()


@pytest.fixture(scope="module")
def begun(aws: LocalAws) -> str:
    """What Ansible shows with -vvv, which includes the command line of each task; the shell holds nothing."""
    return asked(aws, {}, "-vvv").succeeded().output


def test_no_key_is_on_a_command_line_or_shown(aws: LocalAws, begun: str) -> None:
    assert "AWS_SHARED_CREDENTIALS_FILE=" in begun
    assert aws.info["secret_access_key"] not in begun
    assert aws.info["access_key_id"] not in begun


@pytest.mark.usefixtures("begun")
def test_the_keys_are_their_owners_alone(aws: LocalAws) -> None:
    holding = [path for path in (aws.home / "aws").glob("*") if path.is_file() and holds(path, aws)]
    assert {path.name for path in holding} == {"aws-credentials", "credentials.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}


def test_a_rehearsal_is_never_at_another_aws(aws: LocalAws) -> None:
    """Here the shell's AWS is the local AWS too, so that what reaches it would be seen."""
    wrong = {**where(aws), "mlflow_environment": {"AWS_REGION": "eu-central-1"}, "mlflow_confirm_destroy": "mlflow"}
    aws.page("calls", "DELETE")
    assert "mlflow_environment is given with -e" in aws.play("rehearse_destroy", wrong).problem()
    sure = {**where(aws), "mlflow_confirm_destroy": "mlflow"}
    played = aws.play("rehearse_destroy", sure, arguments=["--start-at-task", "absent | Check the variables"])
    assert played.code != 0
    assert "a rehearsal begins with the start of the local AWS" in played.output
    assert aws.page("calls")["counts"] == {}


def test_bad_input_is_found_before_anything_is_installed(aws: LocalAws) -> None:
    nothing = {"local_aws_home": str(aws.home / "none"), "local_aws_software": str(aws.home / "none")}
    said = aws.play("rehearse", {**nothing, "mlflow_version": "3.16", "mlflow_verion": "3.16.0"}).problem()
    assert "mlflow_version is '3.16', which does not name one release" in said
    assert "did you mean mlflow_version?" in said
    assert not (aws.home / "none").exists()


@pytest.mark.usefixtures("begun")
def test_check_mode_says_what_a_rehearsal_would_do(aws: LocalAws) -> None:
    """Also for an image whose software is not on this machine yet."""
    assert not is_prepared(UNPREPARED)
    aws.page("calls", "DELETE")
    played = aws.play("rehearse", aws.small(**where(aws), mlflow_version=UNPREPARED), check=True).succeeded()
    assert played.changed["localhost"] > 0
    assert aws.writes() == []
    assert not is_prepared(UNPREPARED)


@pytest.mark.usefixtures("begun")
def test_check_mode_says_what_rehearse_down_would_do(aws: LocalAws) -> None:
    assert changes(aws, check=True) == 1
    assert aws.page("status")
    assert changes(aws, check=True, local_aws_wipe=True) == 2
    assert changes(aws) == 1
    assert changes(aws, check=True) == 0
    assert changes(aws, check=True, local_aws_wipe=True) == 1
    assert changes(aws, local_aws_wipe=True) >= 1
    assert not (aws.home / "aws/aws-credentials").exists()
    assert changes(aws, check=True, local_aws_wipe=True) == 0


def changes(aws: LocalAws, *, check: bool = False, **variables: bool) -> int:
    """How many changes rehearse_down tells."""
    return aws.play("rehearse_down", {**where(aws), **variables}, check=check).succeeded().changed["localhost"]


def holds(path: Path, aws: LocalAws) -> bool:
    """Whether a file holds the secret key."""
    return aws.info["secret_access_key"].encode() in path.read_bytes()
