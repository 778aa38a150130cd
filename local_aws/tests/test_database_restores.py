# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores to a point in time, and what AWS leaves to be set again after a restore.

botocore's texts on RestoreDBInstanceToPointInTime, RestoreDBInstanceFromDBSnapshot, DeleteDBInstance and
DescribeDBInstanceAutomatedBackups.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
from express_support import refused
from running import LocalAws
from running import eventually
from test_core_permissions import User
from test_database_instances import create
from test_database_instances import delete
from test_database_instances import describe
from test_database_instances import error_of
from test_database_instances import open_to_this_machine
from test_database_instances import query
from test_database_instances import wait_for
from test_database_renaming import snapshot_of

Faults = Callable[..., str]
TAGS = [{"Key": "Owner", "Value": "me"}]


@pytest.fixture(scope="module")
def source(local_aws: LocalAws) -> Iterator[dict[str, Any]]:
    """An instance with automated backups, and everything that a restore does not bring back."""
    rds = local_aws.client("rds")
    name = f"source-{uuid.uuid4().hex[:8]}"
    rds.create_db_parameter_group(DBParameterGroupName=name, DBParameterGroupFamily="postgres16", Description="d")
    create(
        local_aws,
        name,
        BackupRetentionPeriod=1,
        CopyTagsToSnapshot=True,
        DBParameterGroupName=name,
        DeletionProtection=True,
        MultiAZ=True,
        Tags=TAGS,
    )
    yield wait_for(local_aws, name)
    remove(local_aws, name)
    rds.delete_db_parameter_group(DBParameterGroupName=name)


def remove(aws: LocalAws, name: str) -> None:
    """Deletes an instance, protected or not."""
    aws.client("rds").modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False)
    delete(aws, name)


def write(aws: LocalAws, instance: dict[str, Any], text: str) -> datetime:
    """Commits a row; the server's time right after."""
    query(aws, instance, f"INSERT INTO written VALUES ('{text}')")
    return query(aws, instance, "SELECT clock_timestamp()")


def rows(aws: LocalAws, instance: dict[str, Any]) -> str:
    """What was written, oldest first."""
    return query(aws, instance, "SELECT string_agg(text, ' ' ORDER BY text) FROM written")


def await_restorable(aws: LocalAws, name: str, moment: datetime) -> None:
    """Waits until an instance can be restored to a moment."""

    def there() -> bool:
        latest = describe(aws, name).get("LatestRestorableTime")
        return latest is not None and latest >= moment

    eventually(there, what=f"{name} to be restorable to {moment}")


def test_a_time_is_restored_to_the_moment_from_living_stopped_and_deleted_instances(
    local_aws: LocalAws, source: dict[str, Any]
) -> None:
    rds, name = local_aws.client("rds"), source["DBInstanceIdentifier"]
    query(local_aws, source, "CREATE TABLE written (text text)")
    first = write(local_aws, source, "1")
    # More than a segment of the write-ahead log, so that some of it is in the archive.
    query(local_aws, source, "CREATE TABLE filler AS SELECT md5(n::text) FROM generate_series(1, 40000) AS n")
    second = write(local_aws, source, "2")
    await_restorable(local_aws, name, second)
    write(local_aws, source, "3")
    settings = open_to_this_machine(local_aws)
    copy = f"{name}-copy"

    made = rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=name, TargetDBInstanceIdentifier=copy, RestoreTime=first, **settings
    )["DBInstance"]
    assert made["DBInstanceStatus"] == "creating"
    restored = wait_for(local_aws, copy)
    assert rows(local_aws, restored) == "1"
    write(local_aws, restored, "other")
    assert rows(local_aws, source) == "1 2 3"
    messages = rds.describe_events(SourceType="db-instance", SourceIdentifier=copy)["Events"]
    assert f"Restored from DB instance {name} to {copy}" in [event["Message"] for event in messages]

    # The copy has backups of its own, which outlive it.
    assert restored["BackupRetentionPeriod"] == 1
    moment = write(local_aws, restored, "own")
    await_restorable(local_aws, copy, moment)
    rds.delete_db_instance(DBInstanceIdentifier=copy, SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    eventually(lambda: describe(local_aws, copy) is None, what=f"{copy} to be gone")
    by_resource = {"DbiResourceId": restored["DbiResourceId"]}
    (kept,) = rds.describe_db_instance_automated_backups(**by_resource)["DBInstanceAutomatedBackups"]
    assert (kept["Status"], kept["DBInstanceIdentifier"]) == ("retained", copy)
    assert kept["RestoreWindow"]["EarliestTime"] <= moment <= kept["RestoreWindow"]["LatestTime"]
    rds.restore_db_instance_to_point_in_time(
        SourceDbiResourceId=restored["DbiResourceId"],
        TargetDBInstanceIdentifier=copy,
        UseLatestRestorableTime=True,
        **settings,
    )
    again = wait_for(local_aws, copy)
    # Its volume is loaded lazily, on order: somebody waits for the first answer.
    held = local_aws.hold("databases:FirstReads", subject=copy)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(rows, local_aws, again)
        local_aws.await_held(held)
        assert not reading.done()
        local_aws.release(held)
        assert reading.result() == "1 other own"
    delete(local_aws, copy)
    rds.delete_db_instance_automated_backup(**by_resource)
    assert error_of(rds.describe_db_instance_automated_backups, **by_resource)[0] == "DBInstanceAutomatedBackupNotFound"
    gone = again["DbiResourceId"]
    assert [path.name for path in (local_aws.home / "backups").glob("*") if gone in path.name] == []


def test_a_restore_sets_nothing_that_is_not_asked_for(local_aws: LocalAws, source: dict[str, Any]) -> None:
    rds, name = local_aws.client("rds"), source["DBInstanceIdentifier"]
    taken = snapshot_of(local_aws, name, f"{name}-shot")
    assert taken["TagList"] == TAGS
    made = rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=f"{name}-new", DBSnapshotIdentifier=taken["DBSnapshotIdentifier"]
    )["DBInstance"]
    default = source["DBSubnetGroup"]["VpcId"]
    (group,) = local_aws.client("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [default]}]
    )["SecurityGroups"]
    assert [item["VpcSecurityGroupId"] for item in made["VpcSecurityGroups"]] == [group["GroupId"]]
    assert [item["DBParameterGroupName"] for item in made["DBParameterGroups"]] == ["default.postgres16"]
    off = ("MultiAZ", "DeletionProtection", "CopyTagsToSnapshot", "PubliclyAccessible")
    assert [made[member] for member in off] == [False] * 4
    # The tags that the instance had then: no new ones were given.
    assert made["TagList"] == TAGS
    assert made["DbiResourceId"] != source["DbiResourceId"]
    wait_for(local_aws, made["DBInstanceIdentifier"])
    rds.delete_db_snapshot(DBSnapshotIdentifier=taken["DBSnapshotIdentifier"])
    delete(local_aws, made["DBInstanceIdentifier"])


def test_restores_that_are_refused(local_aws: LocalAws, source: dict[str, Any], faults: Faults) -> None:
    rds, name = local_aws.client("rds"), source["DBInstanceIdentifier"]
    await_restorable(local_aws, name, describe(local_aws, name)["InstanceCreateTime"])
    window = describe_backup(rds, source)["RestoreWindow"]

    def to_time(**parameters: Any) -> tuple[str, str]:
        target = {"SourceDBInstanceIdentifier": name, "TargetDBInstanceIdentifier": "never"}
        return error_of(rds.restore_db_instance_to_point_in_time, **{**target, **parameters})

    early, late = window["EarliestTime"] - timedelta(seconds=1), window["LatestTime"] + timedelta(days=1)
    for wrong in (early, late):
        code, message = to_time(RestoreTime=wrong)
        assert code == "InvalidParameterValue"
        assert "cannot be restored to" in message
    assert to_time()[0] == "InvalidParameterCombination"
    assert to_time(RestoreTime=early, UseLatestRestorableTime=True)[0] == "InvalidParameterCombination"
    assert to_time(UseLatestRestorableTime=True, SourceDBInstanceIdentifier="nobody")[0] == "DBInstanceNotFound"
    assert to_time(UseLatestRestorableTime=True, DBName="mlflow") == (
        "InvalidParameterValue",
        "DBName must be null when Restoring for this Engine.",
    )
    assert to_time(UseLatestRestorableTime=True, TargetDBInstanceIdentifier=name)[0] == "DBInstanceAlreadyExists"
    assert to_time(UseLatestRestorableTime=True, MultiAZ=True, AvailabilityZone="us-east-1a")[0] == (
        "InvalidParameterCombination"
    )
    faults("databases:Capacity", subject="never")
    assert to_time(UseLatestRestorableTime=True)[0] == "InsufficientDBInstanceCapacity"
    code, _message = error_of(rds.delete_db_instance_automated_backup, DbiResourceId=source["DbiResourceId"])
    assert code == "InvalidDBInstanceAutomatedBackupState"
    assert describe(local_aws, "never") is None


def describe_backup(rds: Any, instance: dict[str, Any]) -> dict[str, Any]:
    """The automated backup of an instance, once there is something to restore."""

    def active() -> Any:
        found = rds.describe_db_instance_automated_backups(DbiResourceId=instance["DbiResourceId"])
        (backup,) = found["DBInstanceAutomatedBackups"]
        return backup if backup["Status"] == "active" else None

    return eventually(active, what="an automated backup")


def test_a_restore_asks_for_permission_on_source_and_target(local_aws: LocalAws, source: dict[str, Any]) -> None:
    user, name = User(local_aws), source["DBInstanceIdentifier"]
    restore = user.client("rds").restore_db_instance_to_point_in_time
    parameters = {"SourceDBInstanceIdentifier": name, "TargetDBInstanceIdentifier": "never"}
    user.may("rds:RestoreDBInstanceToPointInTime", Resource=["arn:aws:rds:*:*:db:never", "arn:aws:rds:*:*:subgrp:*"])
    code, message = refused(restore, **parameters, UseLatestRestorableTime=True)
    assert code == "AccessDenied"
    assert message.startswith("User:")
    assert f":db:{name}" in message


def test_the_quota_of_snapshots(local_aws: LocalAws, source: dict[str, Any], faults: Faults) -> None:
    rds, name = local_aws.client("rds"), source["DBInstanceIdentifier"]
    faults("databases:SnapshotQuota", subject=name, data={"snapshots": 0})
    code, message = error_of(rds.create_db_snapshot, DBInstanceIdentifier=name, DBSnapshotIdentifier="never")
    assert (code, message) == ("SnapshotQuotaExceeded", "Cannot create more than 0 manual snapshots")
    assert describe(local_aws, name)["DBInstanceStatus"] == "available"
    [quota] = rds.describe_account_attributes()["AccountQuotas"]
    assert (quota["AccountQuotaName"], quota["Max"]) == ("ManualSnapshots", 100), "one instance's is the account's"
    faults("databases:SnapshotQuota", data={"snapshots": quota["Used"]})
    [quota] = rds.describe_account_attributes()["AccountQuotas"]
    assert quota["Max"] == quota["Used"]
    user = User(local_aws)
    user.may("rds:DescribeDBSnapshots")
    assert error_of(user.client("rds").describe_account_attributes)[0] == "AccessDenied"
