# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local AWS for the tests of each file, which are about what a user sees.

MLFLOW_AWS_SOFTWARE: the folder with the local AWS's virtual environment and the runtimes (default: .cache/local_aws).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import page
import psutil
import pytest
from express import ExpressAws
from harness import SOFTWARE
from harness import LocalAws
from harness import becomes_nobody
from harness import prepare_software

QUICK = 60
VERSION = "3.17.2"
IMAGE = f"ghcr.io/mlflow/mlflow:v{VERSION}-full"


def pytest_report_header() -> str:
    """Say who the user is."""
    return f"end to end: software in {SOFTWARE}, run as {'nobody' if becomes_nobody() else 'the present user'}"


@pytest.fixture(scope="session")
def software(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The server's software, put there by the folder's owner: the user nobody may not write to it."""
    prepare_software(VERSION, tmp_path_factory.mktemp("owner"))


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """The local AWS of a file's tests; nothing of it is left afterwards."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    home.chmod(0o755)
    local_aws = LocalAws(home)
    try:
        local_aws.up(QUICK)
        yield local_aws
    finally:
        local_aws.down()
        left = [process.pid for process in psutil.process_iter() if _belongs_to(process, home)]
        shutil.rmtree(home)
        assert not left


@pytest.fixture(scope="session")
def cloud() -> Iterator[ExpressAws]:
    """A local AWS for the Express modules alone, faster than that of the other tests."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    express = ExpressAws(home)
    try:
        express.up()
        yield express
    finally:
        express.down()
        shutil.rmtree(home)
        page.write()


def _belongs_to(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get("LOCAL_AWS_OWNER", "").startswith(str(home))
    except psutil.Error:
        return False


@pytest.fixture
def calm(aws: LocalAws) -> Iterator[LocalAws]:
    """The local AWS without faults and with no call recorded."""
    aws.page("faults", "DELETE")
    aws.page("calls", "DELETE")
    yield aws
    aws.page("faults", "DELETE")
