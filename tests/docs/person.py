# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader, who has a checkout, the AWS CLI, an account and its profile."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from controllers import BIN
from controllers import ROOT
from controllers import Controller
from controllers import RegionalAws
from harness import SOFTWARE


def reader_of(aws: RegionalAws, controller: Controller, inventory: Path) -> dict[str, str]:
    """The environment of one who has a checkout, an AWS account and its profile."""
    checkout = controller.work
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name != "policies":
            (checkout / path.name).symlink_to(path)
    (checkout / ".cache").mkdir()
    home = aws.home / "aws"
    (checkout / ".cache/local_aws").symlink_to(home)
    if not (home / "venv").exists():
        (home / "venv").symlink_to(SOFTWARE / "venv")
    root, aws_files = aws.root(), controller.home / ".aws"
    aws_files.mkdir(exist_ok=True)
    keys = f"aws_access_key_id = {root['AWS_ACCESS_KEY_ID']}\naws_secret_access_key = {root['AWS_SECRET_ACCESS_KEY']}\n"
    (aws_files / "credentials").write_text(f"[default]\n{keys}[my-account]\n{keys}", encoding="utf-8")
    rehearsal = {
        **json.loads(inventory.read_text())["all"]["hosts"]["localhost"],
        "local_aws_software": str(SOFTWARE),
        "local_aws_region": aws.region,
    }
    given = controller.folder / "rehearsal.json"
    given.write_text(json.dumps(rehearsal), encoding="utf-8")
    return {
        **controller.environment({"AWS_REGION": aws.region}),
        # The first AWS CLI, which PyPI has, does not know AWS_REGION; the second does.
        "AWS_DEFAULT_REGION": aws.region,
        "ANSIBLE_INVENTORY": str(inventory),
        # Else ansible-navigator writes one beside the playbook, in the checkout.
        "ANSIBLE_NAVIGATOR_PLAYBOOK_ARTIFACT_ENABLE": "false",
        "CURL_CA_BUNDLE": aws.info["ca_bundle"],
        "PATH": f"{tools()}:{BIN}:{os.environ['PATH']}",
        "PUT_OFF": str(aws.home / "put-off"),
        "DONE": str(aws.home / "done"),
        "ROOT": str(ROOT),
        "ARGS": f"-e @{given}",
        "MAKEFLAGS": f" -- LOCAL_AWS_HOME={aws.home / 'aws'}",
    }


def tools() -> Path:
    """A folder with the AWS CLI in it, of the version that the local AWS is tested with."""
    source = (ROOT / "local_aws/tests/test_clients.py").read_text(encoding="utf-8")
    requirement = re.search(r'"(awscli==[\d.]+)"', source)
    assert requirement
    home = ROOT / ".cache/clients" / requirement[1].replace("==", "-")
    if not (home / "ready").exists():
        for command in (
            ["venv", "-q", str(home)],
            ["pip", "install", "-q", "--python", str(home / "bin/python"), requirement[1]],
        ):
            subprocess.run([BIN / "uv", *command], check=True)
        (home / "ready").touch()
    folder = ROOT / ".cache/clients/bin"
    folder.mkdir(exist_ok=True)
    if not (folder / "aws").exists():
        (folder / "aws").symlink_to(home / "bin/aws")
    return folder
