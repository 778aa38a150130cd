# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill any part of a local AWS with a database in it: nothing is left behind, and everything comes back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from running import PACKAGE
from running import LocalAws
from running import eventually
from running import marked_processes

DATABASE = {
    "DBInstanceIdentifier": "survivor",
    "DBInstanceClass": "db.t4g.micro",
    "Engine": "postgres",
    "AllocatedStorage": 20,
    "MasterUsername": "mlflow",
    "MasterUserPassword": "made-up-and-unlikely-8d21f0",
}


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
    aws.client("rds").create_db_instance(**DATABASE)
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


def names(aws: LocalAws) -> dict[str, set[str]]:
    """What there is, by service."""
    return {
        "iam": {item["RoleName"] for item in aws.client("iam").list_roles()["Roles"]},
        "logs": {item["logGroupName"] for item in aws.client("logs").describe_log_groups()["logGroups"]},
        "rds": {item["DBInstanceIdentifier"] for item in aws.client("rds").describe_db_instances()["DBInstances"]},
        "s3": {item["Name"] for item in aws.client("s3").list_buckets()["Buckets"]},
        "secretsmanager": {item["Name"] for item in aws.client("secretsmanager").list_secrets()["SecretList"]},
    }


def create(aws: LocalAws, name: str) -> None:
    """Creates something of each service: of JSON, Query and REST, answered by ministack and by services of our own."""
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws.client("rds").create_db_instance(**{**DATABASE, "DBInstanceIdentifier": name})
    aws.client("secretsmanager").create_secret(Name=name, SecretString="made-up-and-unlikely-51c2")
    aws.client("logs").create_log_group(logGroupName=name)
    aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
    aws.client("s3").create_bucket(Bucket=name)


def delete(aws: LocalAws, name: str) -> None:
    """Deletes all of it but the database, whose deletion goes on in the background."""
    aws.client("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    aws.client("logs").delete_log_group(logGroupName=name)
    aws.client("iam").delete_role(RoleName=name)
    aws.client("s3").delete_bucket(Bucket=name)


def test_what_was_acknowledged_survives_kill_9(new_local_aws: Callable[..., LocalAws]) -> None:
    """Also where nothing is saved in the background: a second may be long, and a machine slow."""
    unsaved = f"{Path(__file__).with_name('unsaved')}{os.pathsep}{PACKAGE}"
    aws = new_local_aws(environment={"PYTHONPATH": unsaved})
    aws.up()
    create(aws, "kept")
    create(aws, "deleted")
    delete(aws, "deleted")
    before = names(aws)
    assert before["rds"] == {"kept", "deleted"}
    assert all("kept" in found for found in before.values())
    os.kill(aws.info["pid"], signal.SIGKILL)
    eventually(lambda: not marked_processes(aws.home), what="the end of all processes")
    aws.up()
    assert names(aws) == before


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
