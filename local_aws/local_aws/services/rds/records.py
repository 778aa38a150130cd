# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ministack's own records of RDS instances, snapshots and groups, which this service changes in place.

What begins with an underscore is ours and never shown: ``_Port`` of the TLS proxy, ``_RulesPort`` that security groups
name, ``_Verifier`` of the master password (SCRAM, never the password) and ``_NewVerifier`` of the next one,
``_Restore`` what an instance is made from (restore.py), ``_Restored`` whether it was, ``_BackedUp`` the time of its
base backup, ``_KeepBackups`` and ``_DeletedAt`` of an instance whose automated backups outlive it, ``_Changes`` what a
modification will bring, ``_NewName`` the identifier that an instance will have, ``_Final`` the final snapshot,
``_Configuration`` and ``_InstanceTags`` what a snapshot keeps of its instance, ``_CopyOf`` the snapshot that one is
being copied from.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import datetime
from datetime import timedelta

from ...clock import Clock
from ...ministack_adapter import rds
from ...ministack_adapter.scope import everywhere
from ...ministack_adapter.scope import read
from ...ministack_adapter.scope import remove
from ...ministack_adapter.scope import request_scope
from ...ministack_adapter.scope import write
from ...service import Response
from ...service import aws_response
from ...service import parse_response
from . import responses
from . import restore
from .models import Record

_LOG_SECONDS = 300.0

_DEFAULT_GROUP = "default.postgres"


class Records:
    """The records of one account.

    :arg account_id: the account; regions are given with each question.
    :arg clock: AWS's durations.
    """

    def __init__(self, account_id: str, clock: Clock) -> None:
        self._account_id = account_id
        self._clock = clock

    def instance(self, region: str, identifier: str) -> Record | None:
        """An instance by its name, ARN or resource id; only those of PostgreSQL outside clusters are ours."""
        with request_scope(self._account_id, region):
            record = rds.find_instance(identifier) or rds.find_instance(identifier.lower())
        return record if record is not None and is_ours(record) else None

    def is_foreign(self, region: str, identifier: str) -> bool:
        """Whether there is such an instance, and it is not ours."""
        with request_scope(self._account_id, region):
            record = rds.find_instance(identifier) or rds.find_instance(identifier.lower())
        return record is not None and not is_ours(record)

    def is_taken(self, region: str, name: str) -> bool:
        """Whether an identifier is in use, or will be when an instance has been renamed."""
        if self.instance(region, name) is not None or self.is_foreign(region, name):
            return True
        return any(record.get("_NewName") == name for place, record in self.instances() if place == region)

    def is_source(self, member: str, value: str) -> bool:
        """Whether an instance is being made from what its _Restore names so."""
        return any(
            record["DBInstanceStatus"] == "creating" and (record.get("_Restore") or {}).get(member) == value
            for _region, record in self.instances()
        )

    def instances(self) -> Iterator[tuple[str, Record]]:
        """All instances of ours with their regions."""
        for (account_id, region, _name), record in everywhere(rds.instances):
            if account_id == self._account_id and is_ours(record):
                yield region, record

    def put_instance(self, region: str, record: Record) -> None:
        """Adds or replaces an instance."""
        write(rds.instances, self._account_id, region, record["DBInstanceIdentifier"], record)

    def remove_instance(self, region: str, record: Record) -> None:
        """Forgets an instance and its tags."""
        remove(rds.instances, self._account_id, region, record["DBInstanceIdentifier"])
        with request_scope(self._account_id, region):
            rds.tags.pop(record["DBInstanceArn"], None)

    def snapshot(self, region: str, name: str) -> Record | None:
        """A snapshot by its name or ARN."""
        record: Record | None = read(rds.snapshots, self._account_id, region, name.rsplit(":", 1)[-1].lower())
        return record

    def snapshots(self) -> Iterator[tuple[str, Record]]:
        """All snapshots of ours with their regions."""
        for (account_id, region, _name), record in everywhere(rds.snapshots):
            if account_id == self._account_id and record.get("Engine") == "postgres":
                yield region, record

    def new_snapshot(self, region: str, name: str, instance: Record, tags: list[dict[str, str]]) -> Record:
        """A snapshot's record, in the status ``creating``."""
        with request_scope(self._account_id, region):
            record: Record = rds.new_snapshot(name, instance)
            record["TagList"] = list(tags)
            if tags:
                rds.tags[record["DBSnapshotArn"]] = list(tags)
        record.update(Status="creating", PercentProgress=0, Port=5432)
        restore.remember(record, instance)
        return record

    def copy_snapshot(self, region: str, source: Record, name: str, tags: list[dict[str, str]]) -> Record:
        """The record of a snapshot that is a copy of another one, in the status ``creating``."""
        arn = source["DBSnapshotArn"].rpartition(":")[0] + f":{name}"
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        record: Record = {
            **copy.deepcopy(source),
            "DBSnapshotIdentifier": name,
            "DBSnapshotArn": arn,
            "SnapshotCreateTime": now,
            "Status": "creating",
            "PercentProgress": 0,
            "TagList": list(tags),
            "SourceDBSnapshotIdentifier": source["DBSnapshotArn"],
            "_CopyOf": source["DBSnapshotIdentifier"],
        }
        self.put_snapshot(region, record)
        if tags:
            self.set_tags(region, arn, tags)
        return record

    def put_snapshot(self, region: str, record: Record) -> None:
        """Adds or replaces a snapshot."""
        write(rds.snapshots, self._account_id, region, record["DBSnapshotIdentifier"], record)

    def subnet_group(self, region: str, name: str) -> Record | None:
        """A subnet group."""
        record: Record | None = read(rds.subnet_groups, self._account_id, region, name)
        return record

    def show_subnet_group(self, region: str, instance: Record) -> None:
        """Let an instance have its subnet group as that is now: after a restart of the daemon it has one of its own."""
        name = str((instance.get("DBSubnetGroup") or {}).get("DBSubnetGroupName") or "")
        group = self.subnet_group(region, name)
        if group is not None:
            instance["DBSubnetGroup"] = group

    def parameter_group(self, region: str, name: str) -> Record | None:
        """A parameter group; RDS's default groups are there without having been made."""
        record: Record | None = read(rds.parameter_groups, self._account_id, region, name)
        if record is None and name.startswith(_DEFAULT_GROUP):
            family = name.removeprefix("default.")
            return {"DBParameterGroupName": name, "DBParameterGroupFamily": family, "Parameters": {}}
        return record

    def make_default_group(self, region: str, name: str) -> None:
        """Makes the default parameter group of a family, as RDS does when the first instance of the family uses it."""
        if not name.startswith(_DEFAULT_GROUP) or read(rds.parameter_groups, self._account_id, region, name):
            return
        family = name.removeprefix("default.")
        made = {
            "DBParameterGroupName": name,
            "DBParameterGroupFamily": family,
            "Description": f"Default parameter group for {family}",
            "DBParameterGroupArn": f"arn:aws:rds:{region}:{self._account_id}:pg:{name}",
            "Parameters": {},
        }
        write(rds.parameter_groups, self._account_id, region, name, made)

    def parameters(self, region: str, name: str) -> dict[str, str]:
        """What the user set in a parameter group."""
        group = self.parameter_group(region, name) or {}
        values = {}
        for parameter, value in group.get("Parameters", {}).items():
            values[parameter] = str(value.get("ParameterValue", "")) if isinstance(value, dict) else str(value)
        return values

    def set_tags(self, region: str, arn: str, tags: list[dict[str, str]]) -> None:
        """The tags of a new resource."""
        with request_scope(self._account_id, region):
            rds.tags[arn] = list(tags)

    def show_restorable(self, record: Record) -> None:
        """Lets LatestRestorableTime go on: RDS uploads the transaction logs every five minutes.

        Amazon RDS User Guide, "Restoring a DB instance to a specified time". A stopped instance has no new logs, and
        one without automated backups cannot be restored to a time at all.
        """
        has_backup = record.get("BackupRetentionPeriod") and record.get("_BackedUp")
        if not has_backup or record["DBInstanceStatus"] == "creating":
            record["LatestRestorableTime"] = ""
        elif record["DBInstanceStatus"] != "stopped" or not record.get("LatestRestorableTime"):
            moment = self._clock.now() - timedelta(seconds=self._clock.real(_LOG_SECONDS))
            moment = max(moment, datetime.fromisoformat(record["_BackedUp"]))
            record["LatestRestorableTime"] = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def instance_response(self, region: str, record: Record, operation: str) -> Response:
        """The answer of an operation that returns one instance."""
        self.show_restorable(record)
        with request_scope(self._account_id, region):
            answer = rds.show_instance(operation, record)
        output = parse_response(Response(*answer), "rds", operation)
        responses.patch_instance(output["DBInstance"], record)
        return aws_response(output, "rds", operation)

    def snapshot_response(self, region: str, record: Record, operation: str) -> Response:
        """The answer of an operation that returns one snapshot."""
        with request_scope(self._account_id, region):
            answer = rds.show_snapshot(operation, record)
        output = parse_response(Response(*answer), "rds", operation)
        responses.patch_snapshot(output["DBSnapshot"], record)
        return aws_response(output, "rds", operation)


def is_ours(record: Record) -> bool:
    """Whether an instance is run here."""
    return record.get("Engine") == "postgres" and not record.get("DBClusterIdentifier")
