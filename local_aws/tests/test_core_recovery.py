# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill any part of a local AWS with a database in it: nothing is left behind, and everything comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from running import LocalAws
from running import eventually
from running import marked_processes


def processes_below(home: Path) -> list[str]:
    """Command lines with the home in them, or with its marker: PostgreSQL's backends overwrite their environment."""
    found = [f"{process.pid} marked" for process in marked_processes(home)]
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(home) in line and process.pid != os.getpid():
            found.append(f"{process.pid} {line}")
    return found


@pytest.fixture
def with_database(new_local_aws: Callable[..., LocalAws]) -> LocalAws:
    """A local AWS with an available database."""
    aws = new_local_aws()
    aws.up()
    aws.client("rds").create_db_instance(
        DBInstanceIdentifier="survivor",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="mlflow",
        MasterUserPassword="made-up-and-unlikely-8d21f0",
    )
    eventually(lambda: database_status(aws) == "available", what="the database")
    return aws


def database_status(aws: LocalAws) -> str:
    """DBInstanceStatus."""
    return aws.client("rds").describe_db_instances()["DBInstances"][0]["DBInstanceStatus"]


def database_pid(aws: LocalAws) -> int | None:
    """The pid of PostgreSQL, if it runs."""
    return aws.page("status")["processes"].get("db/survivor")


def test_kill_9_of_the_daemon(with_database: LocalAws) -> None:
    aws = with_database
    os.kill(aws.info["pid"], signal.SIGKILL)
    eventually(lambda: not processes_below(aws.home), what="the end of all processes")
    aws.up()
    eventually(lambda: database_status(aws) == "available" and database_pid(aws), what="the database")
    aws.down()
    assert not processes_below(aws.home)


def test_kill_9_of_everything_but_the_database(with_database: LocalAws) -> None:
    aws = with_database
    for process in marked_processes(aws.home):
        if "postgres" not in process.name():
            process.kill()
    aws.up()
    eventually(lambda: database_status(aws) == "available" and database_pid(aws), what="the database")
    aws.down()
    assert not processes_below(aws.home)


@pytest.mark.skipif(psutil.LINUX is False, reason="the parent-death signal is Linux's")
def test_kill_9_of_a_shim(with_database: LocalAws) -> None:
    aws = with_database
    before = database_pid(aws)
    assert before is not None
    psutil.Process(before).parent().kill()
    eventually(lambda: database_pid(aws) not in (None, before), what="the database's new process")
    aws.down()
    assert not processes_below(aws.home)


def test_kill_9_of_the_database(with_database: LocalAws) -> None:
    aws = with_database
    before = database_pid(aws)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: database_pid(aws) not in (None, before), what="the database's new process")
    aws.down()
    assert not processes_below(aws.home)
