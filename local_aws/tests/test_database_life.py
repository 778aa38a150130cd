# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to an RDS instance in its life: changes, stops, snapshots, crashes, restarts of everything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from running import SCALE
from running import LocalAws
from running import eventually
from running import marked_processes
from test_core_cli import NOBODY
from test_core_cli import _as_nobody
from test_database_instances import PASSWORD
from test_database_instances import connect
from test_database_instances import create
from test_database_instances import delete
from test_database_instances import describe
from test_database_instances import error_of
from test_database_instances import new_database
from test_database_instances import open_to_this_machine
from test_database_instances import query
from test_database_instances import wait_for
from test_database_renaming import wait_until_named
from test_security_groups import Network
from test_security_groups import Trying
from test_tasks_life import Stage

__all__ = ["new_database"]

Make = Callable[..., dict[str, Any]]


def settled(aws: LocalAws, name: str) -> dict[str, Any]:
    """An instance that is available with nothing pending."""

    def done() -> Any:
        instance = describe(aws, name)
        assert instance is not None
        return (
            instance if instance["DBInstanceStatus"] == "available" and not instance["PendingModifiedValues"] else None
        )

    return eventually(done, what=f"{name} to be settled")


def server_process(aws: LocalAws, name: str) -> psutil.Process:
    """The postmaster of an instance."""
    for process in marked_processes(aws.home):
        if process.environ()["LOCAL_AWS_OWNER"].endswith(f"#db/{name}") and "-D" in process.cmdline():
            return process
    raise AssertionError(f"no server of {name}")


def test_a_new_master_password_is_a_new_password(local_aws: LocalAws, new_database: Make) -> None:
    instance = new_database()
    name = instance["DBInstanceIdentifier"]
    changed = "another-" + uuid.uuid4().hex
    answer = local_aws.client("rds").modify_db_instance(DBInstanceIdentifier=name, MasterUserPassword=changed)
    assert answer["DBInstance"]["PendingModifiedValues"] == {"MasterUserPassword": "****"}
    settled(local_aws, name)
    assert query(local_aws, instance, "SELECT 1", password=changed) == 1
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(local_aws, instance)


def test_no_password_is_kept_in_clear(local_aws: LocalAws, new_database: Make) -> None:
    new_database()
    local_aws.client("rds").describe_db_instances()
    eventually((local_aws.home / "state/services/databases.json").exists, what="a saved state")
    for path in local_aws.home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_changes_at_once_and_later(local_aws: LocalAws, new_database: Make) -> None:
    rds = local_aws.client("rds")
    instance = new_database(BackupRetentionPeriod=1)
    name = instance["DBInstanceIdentifier"]
    before = int(query(local_aws, instance, "SHOW max_connections"))
    answer = rds.modify_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.small",
        MultiAZ=True,
        BackupRetentionPeriod=7,
        AllocatedStorage=30,
        DeletionProtection=True,
        ApplyImmediately=True,
    )["DBInstance"]
    assert answer["PendingModifiedValues"]["DBInstanceClass"] == "db.t4g.small"
    assert answer["DBInstanceClass"] == "db.t4g.micro"
    assert answer["DeletionProtection"] is True
    now = settled(local_aws, name)
    assert (now["DBInstanceClass"], now["MultiAZ"], now["BackupRetentionPeriod"]) == ("db.t4g.small", True, 7)
    assert now["AllocatedStorage"] == 30
    assert now["Endpoint"] == instance["Endpoint"]
    assert int(query(local_aws, now, "SHOW max_connections")) > before
    later = rds.modify_db_instance(DBInstanceIdentifier=name, AllocatedStorage=40)["DBInstance"]
    assert later["PendingModifiedValues"] == {"AllocatedStorage": 40}
    assert later["AllocatedStorage"] == 30
    code, message = error_of(rds.delete_db_instance, DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    assert code == "InvalidParameterCombination"
    assert "disable deletion protection" in message
    rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False, ApplyImmediately=True)
    settled(local_aws, name)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"EngineVersion": "18"}, "AllowMajorVersionUpgrade"),
        ({"EngineVersion": "15.3"}, "Cannot find version 15.3"),
        ({"NewDBInstanceIdentifier": "two--hyphens"}, "NewDBInstanceIdentifier is not a valid identifier"),
        ({"DBInstanceClass": "db.t9.huge"}, "Invalid DB Instance class"),
        ({"AllocatedStorage": 20_000_000}, "Invalid storage size"),
    ],
)
def test_changes_that_are_refused(
    local_aws: LocalAws, unchanged: dict[str, Any], change: dict[str, Any], part: str
) -> None:
    name = unchanged["DBInstanceIdentifier"]
    _code, message = error_of(local_aws.client("rds").modify_db_instance, DBInstanceIdentifier=name, **change)
    assert part in message


@pytest.fixture(scope="module")
def unchanged(local_aws: LocalAws) -> Iterator[dict[str, Any]]:
    """An instance that no test changes."""
    name = f"unchanged-{uuid.uuid4().hex[:8]}"
    create(local_aws, name)
    yield wait_for(local_aws, name)
    delete(local_aws, name)


def test_stop_start_and_reboot_keep_data_and_port(local_aws: LocalAws, new_database: Make) -> None:
    rds = local_aws.client("rds")
    instance = new_database()
    name = instance["DBInstanceIdentifier"]
    query(local_aws, instance, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert rds.stop_db_instance(DBInstanceIdentifier=name)["DBInstance"]["DBInstanceStatus"] == "stopping"
    stopped = wait_for(local_aws, name, "stopped")
    # Seven days by a clock that runs 600 times as fast.
    left = (stopped["AutomaticRestartTime"] - datetime.now(UTC)).total_seconds()
    assert left <= 7 * 24 * 3600 / SCALE
    for refused in (rds.modify_db_instance, rds.reboot_db_instance):
        code, message = error_of(refused, DBInstanceIdentifier=name)
        assert (code, message) == ("InvalidDBInstanceState", "Database instance is not in available state.")
    with pytest.raises(psycopg2.OperationalError):
        connect(local_aws, instance)
    assert error_of(rds.stop_db_instance, DBInstanceIdentifier=name)[0] == "InvalidDBInstanceState"
    assert rds.start_db_instance(DBInstanceIdentifier=name)["DBInstance"]["DBInstanceStatus"] == "starting"
    started = wait_for(local_aws, name)
    assert started["Endpoint"] == instance["Endpoint"]
    assert "AutomaticRestartTime" not in started
    assert query(local_aws, started, "SELECT answer FROM kept") == 42
    rds.reboot_db_instance(DBInstanceIdentifier=name)
    assert query(local_aws, wait_for(local_aws, name), "SELECT answer FROM kept") == 42


def test_a_snapshot_is_a_copy_that_can_be_restored(local_aws: LocalAws, new_database: Make) -> None:
    rds = local_aws.client("rds")
    instance = new_database()
    name = instance["DBInstanceIdentifier"]
    snapshot = f"snapshot-{uuid.uuid4().hex[:8]}"
    query(local_aws, instance, "CREATE TABLE kept AS SELECT 'before' AS moment")
    answer = rds.create_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot)["DBSnapshot"]
    assert answer["Status"] == "creating"
    code, _message = error_of(rds.create_db_snapshot, DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot)
    assert code in ("InvalidDBInstanceState", "DBSnapshotAlreadyExists")
    rds.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier=snapshot, WaiterConfig={"Delay": 1, "MaxAttempts": 1800}
    )
    wait_for(local_aws, name)
    query(local_aws, instance, "UPDATE kept SET moment = 'after'")
    first = snapshot
    snapshot = copied_snapshot(local_aws, name, first)
    rds.delete_db_snapshot(DBSnapshotIdentifier=first)
    assert error_of(rds.delete_db_snapshot, DBSnapshotIdentifier=first)[0] == "DBSnapshotNotFound"
    restored = f"{name}-r"
    created = rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=restored, DBSnapshotIdentifier=snapshot, **open_to_this_machine(local_aws)
    )
    assert created["DBInstance"]["DBInstanceStatus"] == "creating"
    copy = wait_for(local_aws, restored)
    assert copy["MasterUsername"] == "mlflow"
    assert copy["Endpoint"]["Port"] != instance["Endpoint"]["Port"]
    assert query(local_aws, copy, "SELECT moment FROM kept") == "before"
    assert query(local_aws, instance, "SELECT moment FROM kept") == "after"
    delete(local_aws, restored)
    rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot)
    assert error_of(rds.describe_db_snapshots, DBSnapshotIdentifier=snapshot)[0] == "DBSnapshotNotFound"
    assert not (local_aws.home / "snapshots" / snapshot).exists()


def copied_snapshot(aws: LocalAws, name: str, snapshot: str) -> str:
    """Copies a tagged snapshot of an instance, and looks for both in every way; the name of the copy."""
    rds, copy = aws.client("rds"), f"{snapshot}-copy"
    (taken,) = rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot)["DBSnapshots"]
    tags = [{"Key": "Version", "Value": "1"}]
    rds.add_tags_to_resource(ResourceName=taken["DBSnapshotArn"], Tags=tags)
    made = rds.copy_db_snapshot(SourceDBSnapshotIdentifier=snapshot, TargetDBSnapshotIdentifier=copy, CopyTags=True)[
        "DBSnapshot"
    ]
    assert (made["Status"], made["SourceDBSnapshotIdentifier"]) == ("creating", taken["DBSnapshotArn"])
    again = {"SourceDBSnapshotIdentifier": snapshot, "TargetDBSnapshotIdentifier": copy}
    assert error_of(rds.copy_db_snapshot, **again)[0] == "DBSnapshotAlreadyExists"
    waiter = rds.get_waiter("db_snapshot_available")
    waiter.wait(DBSnapshotIdentifier=copy, WaiterConfig={"Delay": 1, "MaxAttempts": 1800})
    assert rds.list_tags_for_resource(ResourceName=made["DBSnapshotArn"])["TagList"] == tags
    both = [snapshot, copy]
    for wanted in ({"Name": "db-instance-id", "Values": [name]}, {"Name": "db-snapshot-id", "Values": both}):
        found = rds.describe_db_snapshots(Filters=[wanted])["DBSnapshots"]
        assert [item["DBSnapshotIdentifier"] for item in found] == both
    by_resource = rds.describe_db_snapshots(DbiResourceId=taken["DbiResourceId"])["DBSnapshots"]
    assert [item["DBSnapshotIdentifier"] for item in by_resource] == both
    unknown = [{"Name": "colour", "Values": ["blue"]}]
    assert error_of(rds.describe_db_snapshots, Filters=unknown)[0] == "InvalidParameterValue"
    return copy


def test_deleting_keeps_a_final_snapshot(local_aws: LocalAws, new_database: Make) -> None:
    rds = local_aws.client("rds")
    instance = new_database()
    name = instance["DBInstanceIdentifier"]
    query(local_aws, instance, "CREATE TABLE kept AS SELECT 7 AS answer")
    code, message = error_of(rds.delete_db_instance, DBInstanceIdentifier=name)
    assert (code, message) == (
        "InvalidParameterCombination",
        "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
    )
    final = f"final-{uuid.uuid4().hex[:8]}"
    answer = rds.delete_db_instance(DBInstanceIdentifier=name, FinalDBSnapshotIdentifier=final)
    assert answer["DBInstance"]["DBInstanceStatus"] == "deleting"
    eventually(lambda: describe(local_aws, name) is None, what="the instance to be gone")
    assert rds.describe_db_snapshots(DBSnapshotIdentifier=final)["DBSnapshots"][0]["Status"] == "available"
    assert not (local_aws.home / "db" / name).exists()
    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=name, DBSnapshotIdentifier=final, **open_to_this_machine(local_aws)
    )
    again = wait_for(local_aws, name)
    assert query(local_aws, again, "SELECT answer FROM kept") == 7


def test_a_killed_server_comes_back(local_aws: LocalAws, new_database: Make) -> None:
    instance = new_database()
    query(local_aws, instance, "CREATE TABLE kept AS SELECT 1 AS answer")
    server_process(local_aws, instance["DBInstanceIdentifier"]).send_signal(signal.SIGKILL)

    def answer() -> Any:
        try:
            return query(local_aws, instance, "SELECT answer FROM kept")
        except psycopg2.OperationalError:
            return None

    assert eventually(answer, what="the server to be back") == 1


def test_a_used_subnet_group_stays(local_aws: LocalAws, new_database: Make) -> None:
    subnets = local_aws.client("ec2").describe_subnets()["Subnets"]
    rds = local_aws.client("rds")
    group = f"subnets-{uuid.uuid4().hex[:8]}"
    rds.create_db_subnet_group(
        DBSubnetGroupName=group,
        DBSubnetGroupDescription="d",
        SubnetIds=[subnet["SubnetId"] for subnet in subnets[:2]],
    )
    instance = new_database(DBSubnetGroupName=group)
    assert instance["DBSubnetGroup"]["DBSubnetGroupName"] == group
    assert error_of(rds.delete_db_subnet_group, DBSubnetGroupName=group)[0] == "InvalidDBSubnetGroupStateFault"
    delete(local_aws, instance["DBInstanceIdentifier"])
    rds.delete_db_subnet_group(DBSubnetGroupName=group)


def pass_restart_time(state: Path, name: str) -> None:
    """Moves the time at which RDS starts a stopped instance into the past."""
    document = json.loads(state.read_text())
    for _region, record in document["instances"]:
        if record["DBInstanceIdentifier"] == name:
            record["AutomaticRestartTime"] = "2026-01-01T00:00:00+00:00"
    state.write_text(json.dumps(document))


@pytest.mark.parametrize("end", ["down", "kill"])
def test_everything_is_back_after_a_restart(new_local_aws: Callable[..., LocalAws], end: str) -> None:
    aws = new_local_aws()
    aws.up()
    create(aws, "running")
    create(aws, "sleeping")
    running = wait_for(aws, "running")
    before = wait_for(aws, "sleeping")
    query(aws, running, "CREATE TABLE kept AS SELECT 5 AS answer")
    aws.client("rds").stop_db_instance(DBInstanceIdentifier="sleeping")
    wait_for(aws, "sleeping", "stopped")
    create(aws, "unborn")
    rds = aws.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="running", NewDBInstanceIdentifier="renamed", ApplyImmediately=True)
    state = aws.home / "state/services/databases.json"
    eventually(
        lambda: state.exists() and '"unborn"' in state.read_text() and '"renamed"' in state.read_text(),
        what="the state to be saved",
    )
    if end == "down":
        aws.down()
        # As if the seven days of a stop had passed meanwhile.
        pass_restart_time(state, "sleeping")
    else:
        aws.kill()
    aws.up()
    again = wait_until_named(aws, "renamed")
    assert query(aws, again, "SELECT answer FROM kept") == 5
    assert again["LatestRestorableTime"]
    assert query(aws, wait_for(aws, "unborn"), "SELECT 1") == 1
    if end == "down":
        wait_for(aws, "sleeping")
        events = aws.client("rds").describe_events(SourceType="db-instance", SourceIdentifier="sleeping")["Events"]
        assert [event["Message"] for event in events if event["EventCategories"] == ["notification"]] == [
            "DB instance stopped",
            "DB instance is being started due to it exceeding the maximum allowed time being stopped.",
            "DB instance started",
        ]
    else:
        sleeping = describe(aws, "sleeping")
        assert sleeping is not None
        assert sleeping["DBInstanceStatus"] == "stopped"
        aws.client("rds").start_db_instance(DBInstanceIdentifier="sleeping")
    awake = wait_for(aws, "sleeping")
    assert awake["Endpoint"] == before["Endpoint"]
    assert query(aws, awake, "SELECT 1") == 1


def test_a_home_with_a_long_path_that_only_root_may_enter(
    tmp_path: Path, new_local_aws: Callable[..., LocalAws]
) -> None:
    closed = tmp_path / ("a" * 60) / ("b" * 60)
    closed.mkdir(parents=True)
    closed.parent.chmod(0o700)
    aws = new_local_aws(closed / "home")
    aws.up()
    create(aws, "main")
    instance = wait_for(aws, "main")
    assert query(aws, instance, "SELECT 1") == 1
    rds = aws.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier="main", DBSnapshotIdentifier="copy")
    rds.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier="copy", WaiterConfig={"Delay": 1, "MaxAttempts": 1800}
    )
    if os.geteuid() == 0:
        assert server_process(aws, "main").username() == "nobody"


def test_a_normal_user_has_databases_and_tasks_too(new_local_aws: Callable[..., LocalAws]) -> None:
    if os.geteuid() == 0:
        command, environment = _as_nobody()
        folder = Path(tempfile.mkdtemp(prefix="local-aws-nobody-"))
        os.chown(folder, NOBODY, NOBODY)
        # The caller's cache of uv belongs to root.
        environment = {**environment, "HOME": str(folder), "UV_CACHE_DIR": str(folder / "uv")}
        aws = new_local_aws(folder / "home", command=command, environment=environment)
    else:
        folder = Path(tempfile.mkdtemp(prefix="local-aws-user-"))
        aws = new_local_aws(folder / "home")
    try:
        aws.up("--runtimes", str(folder / "runtimes"))
        network = Network(aws)
        database, group = network.group(), network.group()
        network.admit(database, 5432, "127.0.0.1/32")
        create(aws, "main", VpcSecurityGroupIds=[database])
        stage = Stage(aws)
        task = stage.run(["python", "-c", "print('hello')"])
        assert query(aws, wait_for(aws, "main"), "SELECT 1") == 1
        stopped = stage.reach(task, "STOPPED")
        assert stage.output(stopped) == ["hello"], stopped
        # Security groups need to see whose connections are whose, which is the system's to allow.
        instance = wait_for(aws, "main")
        network.admit(database, 5432, group)
        without = Trying.at_database(stage, instance, [network.group()])
        Trying.at_database(stage, instance, [group]).gets_in()
        without.is_dropped()
        assert without.moments() == []
        aws.client("rds").delete_db_instance(DBInstanceIdentifier="main", FinalDBSnapshotIdentifier="final")
        eventually(lambda: describe(aws, "main") is None, what="the instance to be gone")
        aws.down("--wipe")
    finally:
        shutil.rmtree(folder)
