# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RDS tells of instances and snapshots: events, keys, networks, times; and what the local AWS refuses.

Sources: Amazon RDS User Guide, "Amazon RDS event categories and event messages" and "Restoring a DB instance to a
specified time"; botocore's texts on DescribeEvents, RestoreDBInstanceFromDBSnapshot and CreateDBInstance (KmsKeyId).
"""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from express_support import refused
from express_support import unique
from running import LocalAws
from running import eventually
from test_database_instances import create
from test_database_instances import delete
from test_database_instances import describe
from test_database_instances import new_database
from test_database_instances import wait_for
from test_database_life import Make
from test_database_life import server_process
from test_database_life import settled

from local_aws.services.rds.events import CREATED
from local_aws.services.rds.events import KEPT_SECONDS
from local_aws.services.rds.events import Events

__all__ = ["new_database"]


@pytest.fixture(scope="module")
def rds(local_aws: LocalAws) -> Any:
    """RDS, as root."""
    return local_aws.client("rds")


def told(rds: Any, name: str, kind: str = "db-instance", **more: Any) -> list[tuple[str, str]]:
    """Categories and messages of something's events."""
    answer = rds.describe_events(SourceIdentifier=name, SourceType=kind, **more)
    return [(",".join(item["EventCategories"]), item["Message"]) for item in answer["Events"]]


def expect(rds: Any, name: str, *messages: str, kind: str = "db-instance") -> None:
    """Waits for events that end with these, in this order."""

    def there() -> bool:
        found = [message for _category, message in told(rds, name, kind)]
        return found[-len(messages) :] == list(messages)

    eventually(there, what=f"{messages}, not {told(rds, name, kind)}")


def test_events_of_an_instance_from_creation_to_deletion(local_aws: LocalAws, rds: Any) -> None:
    name = unique("told")
    create(local_aws, name, MultiAZ=True)
    wait_for(local_aws, name)
    expect(rds, name, "DB instance created", "Backing up DB instance", "Finished DB Instance backup")
    event, *_backup = rds.describe_events(SourceIdentifier=name, SourceType="db-instance")["Events"]
    assert event["SourceArn"] == describe(local_aws, name)["DBInstanceArn"]

    rds.reboot_db_instance(DBInstanceIdentifier=name, ForceFailover=True)
    expect(
        rds,
        name,
        "Multi-AZ instance failover started",
        "DB instance shutdown",
        "DB instance restarted",
        "Multi-AZ instance failover completed",
    )
    settled(local_aws, name)
    rds.modify_db_instance(DBInstanceIdentifier=name, AllocatedStorage=30, ApplyImmediately=True)
    expect(
        rds,
        name,
        "Applying modification to allocated storage",
        "Finished applying modification to allocated storage",
    )
    settled(local_aws, name)
    rds.modify_db_instance(DBInstanceIdentifier=name, MultiAZ=False, BackupRetentionPeriod=0, ApplyImmediately=True)
    expect(
        rds,
        name,
        "Applying modification to convert to a standard DB Instance",
        "Disabled automated backups",
        "DB instance shutdown",
        "DB instance restarted",
        "Finished applying modification to convert to a standard DB Instance",
    )
    settled(local_aws, name)
    rds.modify_db_instance(DBInstanceIdentifier=name, MasterUserPassword="another-" + "x" * 20)
    expect(rds, name, "Reset master credentials")
    settled(local_aws, name)
    rds.stop_db_instance(DBInstanceIdentifier=name)
    wait_for(local_aws, name, "stopped")
    expect(rds, name, "DB instance stopped")
    rds.start_db_instance(DBInstanceIdentifier=name)
    wait_for(local_aws, name)
    expect(rds, name, "DB instance started")
    delete(local_aws, name)
    expect(rds, name, "DB instance deleted")
    assert [message for category, message in told(rds, name, EventCategories=["failover"])] == [
        "Multi-AZ instance failover started",
        "Multi-AZ instance failover completed",
    ]


def test_a_crash_is_a_recovery(local_aws: LocalAws, rds: Any, new_database: Make) -> None:
    name = new_database()["DBInstanceIdentifier"]
    os.kill(server_process(local_aws, name).pid, signal.SIGKILL)
    expect(
        rds,
        name,
        "Recovery of the DB instance has started. Recovery time will vary with the amount of data to be recovered.",
        "DB instance restarted",
        "Recovery of the DB instance is complete",
    )


def test_a_snapshot_and_what_is_restored_from_it(local_aws: LocalAws, rds: Any) -> None:
    source, snapshot, copy = unique("source"), unique("snapshot"), unique("copy")
    create(
        local_aws,
        source,
        BackupRetentionPeriod=7,
        PreferredBackupWindow="01:00-01:30",
        StorageEncrypted=True,
        MonitoringInterval=0,
        StorageType="gp3",
        Port=5433,
    )
    before = wait_for(local_aws, source)
    vpc = before["DBSubnetGroup"]["VpcId"]
    ec2 = local_aws.client("ec2")
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["IsDefault"]
    assert before["PreferredBackupWindow"] == "01:00-01:30"
    key = local_aws.client("kms").describe_key(KeyId="alias/aws/rds")["KeyMetadata"]["Arn"]
    assert before["KmsKeyId"] == key

    made = rds.create_db_snapshot(DBInstanceIdentifier=source, DBSnapshotIdentifier=snapshot)["DBSnapshot"]
    waiter = rds.get_waiter("db_snapshot_available")
    waiter.wait(DBSnapshotIdentifier=snapshot, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    (shown,) = rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot)["DBSnapshots"]
    for described in (made, shown):
        assert (described["VpcId"], described["KmsKeyId"], described["Encrypted"]) == (vpc, key, True)
        assert (described["BackupRetentionPeriod"], described["PreferredBackupWindow"]) == (7, "01:00-01:30")
        assert described["Port"] == 5433
    expect(rds, snapshot, "Creating manual snapshot", "Manual snapshot created", kind="db-snapshot")
    expect(rds, source, "Backing up DB instance", "Finished DB Instance backup")

    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier=copy, DBSnapshotIdentifier=snapshot)
    after = wait_for(local_aws, copy)
    kept = ("BackupRetentionPeriod", "PreferredBackupWindow", "KmsKeyId", "StorageEncrypted", "StorageType")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after["DBSubnetGroup"]["VpcId"] == vpc
    expect(rds, copy, f"Restored from snapshot {snapshot}", "Backing up DB instance", "Finished DB Instance backup")
    rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot)
    expect(rds, snapshot, "Deleted manual snapshot", kind="db-snapshot")
    delete(local_aws, copy)
    delete(local_aws, source)


def test_keys_of_ones_own_and_keys_that_are_not_there(local_aws: LocalAws, rds: Any) -> None:
    kms, name = local_aws.client("kms"), unique("keyed")
    key = kms.create_key()["KeyMetadata"]
    alias = f"alias/{name}"
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    made = create(local_aws, name, StorageEncrypted=True, KmsKeyId=alias)
    assert made["KmsKeyId"] == key["Arn"]
    delete(local_aws, name)
    common = {"DBInstanceIdentifier": name, "Engine": "postgres", "DBInstanceClass": "db.t4g.micro"}
    more = {"AllocatedStorage": 20, "MasterUsername": "mlflow", "MasterUserPassword": "long-enough-" + "x" * 12}
    wrong = {"StorageEncrypted": True, "KmsKeyId": "alias/nobody-has-this"}
    assert refused(rds.create_db_instance, **common, **more, **wrong)[0] == "KMSKeyNotAccessibleFault"
    code, _message = refused(rds.create_db_instance, **common, **more, KmsKeyId=alias)
    assert code == "InvalidParameterCombination"


def test_the_latest_restorable_time_goes_on_while_the_server_runs(
    local_aws: LocalAws, rds: Any, new_database: Make
) -> None:
    name = new_database(BackupRetentionPeriod=1)["DBInstanceIdentifier"]

    def latest() -> Any:
        return (describe(local_aws, name) or {}).get("LatestRestorableTime")

    first = latest()
    eventually(lambda: latest() > first, what="a later time")
    rds.stop_db_instance(DBInstanceIdentifier=name)
    wait_for(local_aws, name, "stopped")
    stopped = latest()
    time.sleep(1.1)
    assert latest() == stopped
    rds.start_db_instance(DBInstanceIdentifier=name)
    wait_for(local_aws, name)
    eventually(lambda: latest() > stopped, what="a later time")
    rds.modify_db_instance(DBInstanceIdentifier=name, BackupRetentionPeriod=0, ApplyImmediately=True)
    eventually(lambda: latest() is None, what="no time without backups")
    settled(local_aws, name)
    rds.modify_db_instance(DBInstanceIdentifier=name, BackupRetentionPeriod=1, ApplyImmediately=True)
    eventually(latest, what="a time with new backups")
    expect(
        rds,
        name,
        "Enabled automated backups",
        "DB instance shutdown",
        "DB instance restarted",
        "Backing up DB instance",
        "Finished DB Instance backup",
    )


def test_parameters_of_a_group_are_events(rds: Any) -> None:
    name = unique("group")
    rds.create_db_parameter_group(DBParameterGroupName=name, DBParameterGroupFamily="postgres16", Description="test")
    wanted = {"ParameterName": "work_mem", "ParameterValue": "8192", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=name, Parameters=[wanted])
    message = "Updated parameter work_mem to 8192 with apply method immediate"
    assert told(rds, name, "db-parameter-group") == [("configuration change", message)]
    rds.delete_db_parameter_group(DBParameterGroupName=name)


def test_events_are_asked_for_by_time_and_page(rds: Any) -> None:
    name = unique("paged")
    rds.create_db_parameter_group(DBParameterGroupName=name, DBParameterGroupFamily="postgres16", Description="test")
    for number in range(25):
        wanted = {"ParameterName": "work_mem", "ParameterValue": str(8192 + number), "ApplyMethod": "immediate"}
        rds.modify_db_parameter_group(DBParameterGroupName=name, Parameters=[wanted])
    source = {"SourceIdentifier": name, "SourceType": "db-parameter-group"}
    first = rds.describe_events(**source, MaxRecords=20)
    rest = rds.describe_events(**source, MaxRecords=20, Marker=first["Marker"])
    assert (len(first["Events"]), len(rest["Events"]), rest.get("Marker")) == (20, 5, None)
    last = rest["Events"][-1]["Date"]
    assert not rds.describe_events(**source, StartTime=last + timedelta(hours=1), EndTime=last + timedelta(hours=2))[
        "Events"
    ]
    assert len(rds.describe_events(**source, StartTime=last - timedelta(hours=1))["Events"]) == 25
    assert refused(rds.describe_events, SourceIdentifier=name)[0] == "InvalidParameterCombination"
    assert refused(rds.describe_events, Duration=20161)[0] == "InvalidParameterValue"
    rds.delete_db_parameter_group(DBParameterGroupName=name)


def test_events_are_kept_for_fourteen_days_of_the_local_clock() -> None:
    ctx: Any = SimpleNamespace(clock=SimpleNamespace(real=lambda seconds: seconds / 600), changed=lambda: None)
    events = Events(ctx)
    instance = {"DBInstanceIdentifier": "x", "DBInstanceArn": "arn:aws:rds:us-east-1:1:db:x"}
    events.of_instance(instance, CREATED)
    events.of_instance(instance, CREATED)
    events.records[0]["Date"] -= KEPT_SECONDS / 600 + 1
    events.records[1]["Date"] -= KEPT_SECONDS / 600 - 60
    events.of_instance(instance, CREATED)
    assert len(events.records) == 2


def test_an_instance_that_cannot_run_says_why_and_where_to_read_on(local_aws: LocalAws, rds: Any) -> None:
    name = unique("blocked")
    # Where the instance's data would go, something is in the way.
    obstacle = local_aws.home / "db" / name
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("not a folder", encoding="utf-8")
    create(local_aws, name)
    eventually(lambda: (describe(local_aws, name) or {}).get("DBInstanceStatus") == "failed", what="failed")
    (_category, failed), (category, explained) = told(rds, name)[-2:]
    assert "Begin a point-in-time-restore" in failed
    assert category == "notification"
    assert explained.startswith("The local AWS could not run this DB instance: FileExistsError: ")
    assert f"The whole of it is in {local_aws.home / 'daemon.log'}. local-aws down --wipe" in explained
    assert "make rehearse-wipe" in explained
    assert "\n" not in explained
    assert f"database {name}: failed while creating" in local_aws.log()
    delete(local_aws, name)
    obstacle.unlink()


REFUSED = {
    "create_db_cluster": {"DBClusterIdentifier": "x", "Engine": "postgres"},
    "create_db_cluster_snapshot": {"DBClusterIdentifier": "x", "DBClusterSnapshotIdentifier": "y"},
    "create_db_cluster_parameter_group": {
        "DBClusterParameterGroupName": "x",
        "DBParameterGroupFamily": "aurora-postgresql16",
        "Description": "x",
    },
    "create_db_proxy": {
        "DBProxyName": "x",
        "EngineFamily": "POSTGRESQL",
        "Auth": [],
        "RoleArn": "x" * 20,
        "VpcSubnetIds": [],
    },
    "create_global_cluster": {"GlobalClusterIdentifier": "x"},
}


@pytest.mark.parametrize("operation", REFUSED)
def test_what_does_not_run_here_is_refused(rds: Any, operation: str) -> None:
    code, message = refused(getattr(rds, operation), **REFUSED[operation])
    assert code == "InvalidAction"
    assert message.startswith("The local AWS does not implement rds:")


@pytest.mark.parametrize("kind", ["name", "upper case", "ARN"])
def test_no_read_replica_becomes_a_ghost(local_aws: LocalAws, rds: Any, new_database: Make, kind: str) -> None:
    source = new_database()
    name, replica = source["DBInstanceIdentifier"], unique("replica")
    named = {"name": name, "upper case": name.upper(), "ARN": source["DBInstanceArn"]}[kind]
    code, message = refused(
        rds.create_db_instance_read_replica, DBInstanceIdentifier=replica, SourceDBInstanceIdentifier=named
    )
    assert code == "InvalidParameterCombination"
    assert message == "The local AWS has no read replicas: CreateDBInstanceReadReplica is refused."
    assert describe(local_aws, replica) is None
