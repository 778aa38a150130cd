# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines on which Ansible runs: each with a home and a working directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from botocore.config import Config
from harness import ROOT
from harness import SOFTWARE
from harness import LocalAws
from harness import Played
from harness import create_client

BIN = Path(sys.executable).parent
SCALE = 60
_SECONDS = 900


class RegionalAws(LocalAws):
    """A local AWS in some region, which the present user runs."""

    def __init__(self, home: Path, region: str) -> None:
        super().__init__(home, present_user=True)
        self.region = region

    def start(self) -> None:
        """Start it."""
        options = ["--scale", str(SCALE), "--runtimes", str(SOFTWARE / "runtimes"), "--region", self.region]
        self.info = self._run("up", *options)

    def client(self, service: str, region: str = "", **credentials: str) -> Any:
        """A client with the credentials of the account's root, or with others."""
        keys = credentials or {
            "aws_access_key_id": self.info["access_key_id"],
            "aws_secret_access_key": self.info["secret_access_key"],
        }
        return create_client(
            service,
            region_name=region or self.region,
            endpoint_url=self.info["endpoint_url"],
            verify=self.info["ca_bundle"],
            config=Config(proxies={}),
            **keys,
        )

    def where(self) -> dict[str, str]:
        """What takes the place of AWS, which a user at AWS does not export."""
        return {
            "AWS_URL": self.info["endpoint_url"],
            "AWS_ENDPOINT_URL": self.info["endpoint_url"],
            "AWS_CA_BUNDLE": self.info["ca_bundle"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def root(self) -> dict[str, str]:
        """Credentials and region."""
        return {
            "AWS_ACCESS_KEY_ID": self.info["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.info["secret_access_key"],
            "AWS_REGION": self.region,
        }


def to_its_end(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Played:
    """Run a command, and leave nothing of it whatever happens."""
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _unused = process.communicate(timeout=_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return Played(process.returncode, output)


class Controller:
    """A machine that has not been used yet.

    Args:
        aws: what its user works with.
        folder: becomes home, working directory and folder for temporary files.
    """

    def __init__(self, aws: RegionalAws, folder: Path) -> None:
        self.aws, self.folder = aws, folder
        self.home, self.work, self.temporary = folder / "home", folder / "work", folder / "tmp"
        for each in (self.home, self.work, self.temporary):
            each.mkdir()

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Nothing of the present user's."""
        machine = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        machine["PATH"] = f"{BIN}:{machine['PATH']}"
        places = {"HOME": str(self.home), "TMPDIR": str(self.temporary)}
        quiet = {"NO_COLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0"}
        credentials = self.aws.root() if more is None else dict(more)
        return {"LANG": "C.UTF-8", **machine, **places, **quiet, **self.aws.where(), **credentials}

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Played:
        """A command to its end.

        Args:
            command: words.
            environment: takes the place of the root's credentials.
        """
        return to_its_end(command, self.environment(environment), self.work)

    def play(
        self, playbook: str, variables: Mapping[str, Any], *arguments: str, environment: Mapping[str, str] | None = None
    ) -> Played:
        """One of the collection's playbooks."""
        path = self.folder / "vars.json"
        path.write_text(json.dumps(dict(variables)), encoding="utf-8")
        command = ["ansible-playbook", f"mlops.mlflow_aws.{playbook}", "-e", f"@{path}", *arguments]
        return self.run(command, environment)


__all__ = ["BIN", "ROOT", "Controller", "RegionalAws"]
