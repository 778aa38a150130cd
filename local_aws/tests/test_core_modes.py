# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in a home are their owner's alone from the moment they are there, also where the umask closes nothing."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import PACKAGE
from running import LocalAws

Maker = Callable[..., LocalAws]
#: What others may read: locks, numbers, and what a client is to be given.
PUBLIC = {"command.lock", "daemon.lock", "daemon.pid", "daemon.source", "settings.json", "runtimes"}


@pytest.fixture
def watched(new_local_aws: Maker, tmp_path: Path) -> Callable[[int | None], tuple[LocalAws, Path]]:
    """Makes a local AWS whose interpreters note what they make open to others, and where they note it."""

    def make(mode: int | None) -> tuple[LocalAws, Path]:
        home, report = tmp_path / "watched", tmp_path / "report"
        if mode is not None:
            home.mkdir()
            home.chmod(mode)
        environment = {
            "PYTHONPATH": f"{Path(__file__).with_name('modes')}{os.pathsep}{PACKAGE}",
            "WATCHED_HOME": str(home),
            "WATCHED_REPORT": str(report),
        }
        return new_local_aws(home, environment=environment), report

    return make


def use(aws: LocalAws) -> None:
    """Puts secrets into it, and lets it save and find them again."""
    aws.up()
    aws.client("secretsmanager").create_secret(Name="watched", SecretString="made-up-and-long-enough")
    aws.client("s3").create_bucket(Bucket="watched")
    aws.client("s3").put_object(Bucket="watched", Key="folder/k", Body=b"body")
    aws.down()
    aws.up()
    assert aws.client("secretsmanager").get_secret_value(SecretId="watched")["SecretString"]


def test_a_new_home_is_closed(watched: Any) -> None:
    aws, report = watched(None)
    use(aws)
    assert stat.S_IMODE(aws.home.stat().st_mode) == 0o700
    assert not report.exists(), report.read_text(encoding="utf-8")


def test_what_is_private_in_a_home_that_is_open_is_closed(watched: Any) -> None:
    """As a folder that holds the software too, which others may use."""
    aws, report = watched(0o755)
    use(aws)
    lines = report.read_text(encoding="utf-8").splitlines()
    assert {line.split(" ", 1)[1] for line in lines} <= PUBLIC, lines
    for path in aws.home.iterdir():
        if path.name not in PUBLIC and path.suffix != ".pem":
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode & 0o077 == 0 or path.name == "daemon.json", (path, oct(mode))
    secret = aws.info["secret_access_key"]
    assert secret in Path(aws.info["credentials_file"]).read_text(encoding="utf-8")
    for path in aws.home.iterdir():
        if path.is_file() and path.stat().st_mode & 0o077:
            assert secret not in path.read_text(encoding="utf-8")


def test_folders_that_an_older_version_left_open_are_closed(new_local_aws: Maker) -> None:
    aws = new_local_aws()
    for name in ("state", "s3"):
        (aws.home / name).mkdir(parents=True)
        (aws.home / name).chmod(0o755)
    (aws.home / "aws-credentials").write_text("", encoding="ascii")
    (aws.home / "aws-credentials").chmod(0o644)
    aws.up()
    for name, expected in (("state", 0o700), ("s3", 0o700), ("aws-credentials", 0o600)):
        assert stat.S_IMODE((aws.home / name).stat().st_mode) == expected
    assert json.loads((aws.home / "credentials.json").read_text(encoding="ascii"))
