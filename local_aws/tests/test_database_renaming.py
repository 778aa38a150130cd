# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ModifyDBInstance with NewDBInstanceIdentifier.

Amazon RDS User Guide, "Renaming a DB instance": the old DNS name is deleted immediately, the new one becomes effective
in about ten minutes, until when the instance is not available; tags and snapshots stay. "Renaming to replace an
existing DB instance": whoever gets the former name is reached where the former owner was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
from running import LocalAws
from running import eventually
from test_database_instances import connect
from test_database_instances import create
from test_database_instances import delete
from test_database_instances import describe
from test_database_instances import error_of
from test_database_instances import query
from test_database_instances import wait_for

Make = Callable[..., dict[str, Any]]


def snapshot_of(aws: LocalAws, name: str, snapshot: str) -> dict[str, Any]:
    """Takes a snapshot, and waits for it and its instance."""
    rds = aws.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot)

    def done() -> Any:
        (found,) = rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot)["DBSnapshots"]
        return found if found["Status"] == "available" else None

    found = eventually(done, what=f"the snapshot {snapshot}")
    wait_for(aws, name)
    return found


def test_an_instance_is_replaced_by_renaming_two(local_aws: LocalAws) -> None:
    rds = local_aws.client("rds")
    tags = [{"Key": "Owner", "Value": "me"}]
    create(local_aws, "live", Tags=tags)
    create(local_aws, "next")
    live, following = wait_for(local_aws, "live"), wait_for(local_aws, "next")
    query(local_aws, live, "CREATE TABLE kept AS SELECT 'live' AS name")
    query(local_aws, following, "CREATE TABLE kept AS SELECT 'next' AS name")
    snapshot = snapshot_of(local_aws, "live", "of-live")

    code, _message = error_of(
        rds.modify_db_instance, DBInstanceIdentifier="next", NewDBInstanceIdentifier="LIVE", ApplyImmediately=True
    )
    assert code == "DBInstanceAlreadyExists"
    later = rds.modify_db_instance(DBInstanceIdentifier="live", NewDBInstanceIdentifier="Former")["DBInstance"]
    assert later["PendingModifiedValues"] == {"DBInstanceIdentifier": "former"}
    assert describe(local_aws, "live")["DBInstanceStatus"] == "available"

    # The change that waits is made with the next one that does not.
    rds.modify_db_instance(DBInstanceIdentifier="live", ApplyImmediately=True)
    assert error_of(lambda: create(local_aws, "former"))[0] == "DBInstanceAlreadyExists"
    eventually(lambda: not accepts(local_aws, live), what="the end of the old name")
    former = wait_until_named(local_aws, "former")
    assert describe(local_aws, "live") is None
    assert former["DbiResourceId"] == live["DbiResourceId"]
    assert former["DBInstanceArn"] == live["DBInstanceArn"].replace(":live", ":former")
    assert former["Endpoint"] != live["Endpoint"]
    assert former["PendingModifiedValues"] == {}
    assert former["TagList"] == tags
    assert rds.list_tags_for_resource(ResourceName=former["DBInstanceArn"])["TagList"] == tags
    assert query(local_aws, former, "SELECT name FROM kept") == "live"
    (kept,) = rds.describe_db_snapshots(DBSnapshotIdentifier="of-live")["DBSnapshots"]
    assert (kept["DBInstanceIdentifier"], kept["DBSnapshotArn"]) == ("live", snapshot["DBSnapshotArn"])

    rds.modify_db_instance(DBInstanceIdentifier="next", NewDBInstanceIdentifier="live", ApplyImmediately=True)
    replaced = wait_until_named(local_aws, "live")
    assert replaced["Endpoint"] == live["Endpoint"]
    assert query(local_aws, replaced, "SELECT name FROM kept") == "next"
    assert query(local_aws, former, "SELECT name FROM kept") == "live"
    for name in ("live", "former"):
        delete(local_aws, name)
    rds.delete_db_snapshot(DBSnapshotIdentifier="of-live")


def accepts(aws: LocalAws, instance: dict[str, Any]) -> bool:
    """Whether an endpoint takes connections."""
    try:
        connect(aws, instance).close()
    except psycopg2.OperationalError:
        return False
    return True


def wait_until_named(aws: LocalAws, name: str) -> dict[str, Any]:
    """Waits until an instance is available under a name."""

    def reached() -> Any:
        instance = describe(aws, name)
        return instance if instance and instance["DBInstanceStatus"] == "available" else None

    return eventually(reached, what=f"the new name {name}")
