# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the local AWS's tests, which run inside its own virtual environment (running.py says how it is set)."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from express_support import Account
from running import LocalAws


@pytest.fixture(autouse=True)
def _no_aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what would let a test find real credentials, an endpoint, or the machine's CA bundle."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BOTO_", "EC2_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One running local AWS, shared by the tests: leave nothing in it that disturbs others."""
    aws = LocalAws(tmp_path_factory.mktemp("shared"))
    aws.up()
    yield aws
    aws.down()
    aws.assert_gone()
    assert "was done without asking IAM" not in aws.log()


@pytest.fixture
def new_local_aws(tmp_path: Path) -> Iterator[Callable[..., LocalAws]]:
    """Makes homes of one's own (not started); whatever runs in them is stopped after the test."""
    made: list[LocalAws] = []

    def make(home: Path | None = None, **options: Any) -> LocalAws:
        made.append(LocalAws(home or tmp_path / f"home{len(made)}", **options))
        return made[-1]

    yield make
    for aws in made:
        if aws.home.exists():
            aws.down("--wipe")


@pytest.fixture
def faults(local_aws: LocalAws) -> Iterator[Callable[..., str]]:
    """Orders faults in the shared local AWS; they are gone after the test."""
    yield local_aws.order_fault
    local_aws.page("faults", "DELETE")


@pytest.fixture(scope="module")
def account(local_aws: LocalAws) -> Account:
    """An account with the roles of Express Mode in the shared local AWS."""
    return Account(local_aws)


@pytest.fixture
def made(account: Account) -> Iterator[list[str]]:
    """ARNs of services that are removed after the test, without the faults."""
    arns: list[str] = []
    yield arns
    account.aws.page("faults", "DELETE")
    account.all_gone(arns)
