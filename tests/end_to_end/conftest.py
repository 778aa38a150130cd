# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local AWS for the tests of each file, which are about what a user sees.

MLFLOW_AWS_SOFTWARE: the folder with the local AWS's virtual environment and the runtimes (default: .cache/local_aws).
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import groups
import page
import psutil
import pytest
from express import ExpressAws
from harness import SOFTWARE
from harness import LocalAws
from harness import becomes_nobody
from harness import prepare_software
from servers import MlflowServer
from servers import packages

QUICK = 60
VERSION, OLDEST = "3.17.2", "3.10.0"
IMAGE = f"ghcr.io/mlflow/mlflow:v{VERSION}-full"

pytest_xdist_make_scheduler = groups.pytest_xdist_make_scheduler


def pytest_report_header() -> str:
    """Say who the user is."""
    return f"end to end: software in {SOFTWARE}, run as {'nobody' if becomes_nobody() else 'the present user'}"


@pytest.fixture(scope="session")
def software(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The server's software, put there by the folder's owner: the user nobody may not write to it."""
    prepare_software(VERSION, tmp_path_factory.mktemp("owner"))


@contextlib.contextmanager
def running() -> Iterator[LocalAws]:
    """A local AWS of which nothing is left afterwards."""
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


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """The local AWS of a file's tests."""
    with running() as local_aws:
        yield local_aws


@pytest.fixture(scope="session")
def refusals() -> Iterator[LocalAws]:
    """The local AWS of all files in which deployments are refused before anything is created."""
    with running() as local_aws:
        yield local_aws


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


@pytest.fixture(scope="session")
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, MlflowServer]]:
    """The servers, by name; started at the same time. That of the oldest version only if a test of it is to run."""
    folder = tmp_path_factory.mktemp("mlflow")
    items = [item for item in request.session.items if "servers" in getattr(item, "fixturenames", ())]
    versions = [VERSION, OLDEST] if any(OLDEST in item.name for item in items) else [VERSION]
    for version in versions:
        prepare_software(version, tmp_path_factory.mktemp("owner"))
    more = packages(folder / "packages")
    started = {
        **{version: MlflowServer(folder / version, version, more) for version in versions},
        "workspaces": MlflowServer(folder / "workspaces", VERSION, more, options=("--enable-workspaces",)),
    }
    try:
        for server in started.values():
            server.wait()
        yield started
    finally:
        for server in started.values():
            server.stop()


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
