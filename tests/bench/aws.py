# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local AWS for a benchmark, in a fresh home, and the environment that points programs at it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config
from command import BenchError

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PACKAGE = ROOT / "local_aws"

#: What the local AWS calls itself where one of its services calls another, and what the benchmark calls itself.
_OWN_AGENT = "mlflow-aws-bench"
_NOT_THE_DEPLOYER = ("AWS Internal", "ecs.amazonaws.com", "ecs-tasks.amazonaws.com", _OWN_AGENT)


def defaults(role: str) -> dict[str, Any]:
    """The variables of a role, with their defaults."""
    path = ROOT / "roles" / role / "defaults" / "main.yml"
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def mlflow_version() -> str:
    """The version that is deployed by default."""
    return str(defaults("mlflow")["mlflow_version"])


def environment(**more: str) -> dict[str, str]:
    """This process's environment without anything of AWS's or of a make that runs it, and with what is given."""
    left_out = ("AWS_", "MLFLOW_", "MAKE", "TF_VAR_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PYTHONDONTWRITEBYTECODE": "1", **more}


class LocalAws:
    """A local AWS of its own, in a fresh home.

    :arg home: its folder; what is in it is deleted.
    :arg software: the folder with its software, filled if empty.
    :arg scale: AWS seconds in one second.
    """

    def __init__(self, home: Path, software: Path, scale: float) -> None:
        self.home = home
        self.software = software
        self.scale = scale
        self.info: dict[str, Any] = {}

    def variables(self) -> dict[str, Any]:
        """What the playbooks that rehearse are told of it."""
        return {
            "local_aws_home": str(self.home),
            "local_aws_software": str(self.software),
            "local_aws_scale": self.scale,
        }

    def up(self, *versions: str) -> None:
        """Install what is missing, bring MLflow's software, start it.

        :arg versions: of MLflow, besides the present one.
        """
        images = [f"ghcr.io/mlflow/mlflow:v{version}-full" for version in (mlflow_version(), *versions)]
        variables = {**self.variables(), "local_aws_images": images}
        if (self.software / "venv" / "bin" / "python").exists():
            self._program("down", "--wipe")
        command = [str(BIN / "ansible-playbook"), "mlops.mlflow_aws.rehearse_up", "-e", json.dumps(variables)]
        done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise BenchError(f"The local AWS did not start:\n{done.stdout}")
        self.info = self._program("up")

    def down(self) -> None:
        """Stop it and remove its state."""
        if self.info:
            self._program("down", "--wipe")

    def _program(self, verb: str, *arguments: str) -> dict[str, Any]:
        python = self.software / "venv" / "bin" / "python"
        command = [str(python), "-m", "local_aws", verb, "--home", str(self.home), *arguments]
        done = subprocess.run(
            command, env=environment(PYTHONPATH=str(PACKAGE)), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"local_aws {verb} failed: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def environment(self) -> dict[str, str]:
        """What points Ansible and Terraform at it, as a user points them at AWS."""
        return environment(
            AWS_URL=self.info["endpoint_url"],
            AWS_ACCESS_KEY_ID=self.info["access_key_id"],
            AWS_SECRET_ACCESS_KEY=self.info["secret_access_key"],
            AWS_REGION=self.info["region"],
            AWS_CA_BUNDLE=self.info["ca_bundle"],
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull,
            AWS_EC2_METADATA_DISABLED="true",
        )

    def client(self, service: str) -> Any:
        """A boto3 client of the benchmark's own, whose calls are not counted."""
        return boto3.client(
            service,
            region_name=self.info["region"],
            endpoint_url=self.info["endpoint_url"],
            aws_access_key_id=self.info["access_key_id"],
            aws_secret_access_key=self.info["secret_access_key"],
            verify=self.info["ca_bundle"],
            config=Config(user_agent=_OWN_AGENT, proxies={}),
        )

    def forget_calls(self) -> None:
        """Begin to count anew."""
        self._calls("DELETE")

    def calls(self) -> list[dict[str, Any]]:
        """The deployer's calls since then, oldest first, with their time and operation."""
        page = self._calls("GET")
        if sum(page["counts"].values()) != len(page["calls"]):
            raise BenchError(
                "There were more AWS calls than the local AWS remembers: raise _MAX_CALLS in its context.py."
            )
        root = f"arn:aws:iam::{self.info['account_id']}:root"
        return [
            call
            for call in page["calls"]
            if call["principal"] == root and not call["user_agent"].startswith(_NOT_THE_DEPLOYER)
        ]

    def counts(self) -> Counter[str]:
        """How many there were of each operation."""
        return Counter(call["api"] for call in self.calls())

    def _calls(self, method: str) -> dict[str, Any]:
        context = ssl.create_default_context(cafile=self.info["ca_bundle"])
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        token = Path(self.info["token_file"]).read_text(encoding="ascii").strip()
        request = urllib.request.Request(
            f"{self.info['endpoint_url']}/_local_aws/calls",
            method=method,
            headers={"Authorization": f"Bearer {token}"},
        )
        with opener.open(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found
