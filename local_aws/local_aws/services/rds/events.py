# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS's events of instances, snapshots and parameter groups.

Ids, categories and texts: Amazon RDS User Guide, "Amazon RDS event categories and event messages". They are kept for 14
days (botocore's text on DescribeEvents), by the local AWS's clock; what a request says about times is meant as it is.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from . import rules

KEPT_SECONDS = 14 * 24 * 3600
_MINUTES = range(14 * 24 * 60 + 1)
_PAGE = range(20, 101)
_USUAL_MINUTES = 60


@dataclass(frozen=True)
class Kind:
    """One kind of event.

    :arg number: RDS's id, as EventBridge and SNS have it.
    :arg message: may have fields in braces.
    """

    number: str
    category: str
    message: str


CREATED = Kind("RDS-EVENT-0005", "creation", "DB instance created")
DELETED = Kind("RDS-EVENT-0003", "deletion", "DB instance deleted")
RESTORED = Kind("RDS-EVENT-0043", "restoration", "Restored from snapshot {snapshot}")
RESTORED_TO_TIME = Kind("RDS-EVENT-0019", "restoration", "Restored from DB instance {source} to {target}")
SHUT_DOWN = Kind("RDS-EVENT-0004", "availability", "DB instance shutdown")
RESTARTED = Kind("RDS-EVENT-0006", "availability", "DB instance restarted")
STOPPED = Kind("RDS-EVENT-0087", "notification", "DB instance stopped")
STARTED = Kind("RDS-EVENT-0088", "notification", "DB instance started")
STOPPED_TOO_LONG = Kind(
    "RDS-EVENT-0154",
    "notification",
    "DB instance is being started due to it exceeding the maximum allowed time being stopped.",
)
BACKUP_BEGUN = Kind("RDS-EVENT-0001", "backup", "Backing up DB instance")
BACKUP_FINISHED = Kind("RDS-EVENT-0002", "backup", "Finished DB Instance backup")
FAILOVER_BEGUN = Kind("RDS-EVENT-0013", "failover", "Multi-AZ instance failover started")
FAILOVER_FINISHED = Kind("RDS-EVENT-0049", "failover", "Multi-AZ instance failover completed")
RECOVERY_BEGUN = Kind(
    "RDS-EVENT-0020",
    "recovery",
    "Recovery of the DB instance has started. Recovery time will vary with the amount of data to be recovered.",
)
RECOVERY_FINISHED = Kind("RDS-EVENT-0021", "recovery", "Recovery of the DB instance is complete")
FAILED = Kind(
    "RDS-EVENT-0031",
    "failure",
    "The DB instance has failed due to an incompatible configuration or an underlying storage issue. Begin a "
    "point-in-time-restore for the DB instance.",
)
# Not RDS's: what a rehearser needs to know when RDS would only say that the instance has failed.
LOCAL_FAILURE = Kind(
    "local-aws",
    "notification",
    "The local AWS could not run this DB instance: {reason}. The whole of it is in {log}. local-aws down --wipe (for a "
    "rehearsal: make rehearse-wipe) deletes all that there is and starts afresh.",
)
PASSWORD_RESET = Kind("RDS-EVENT-0016", "configuration change", "Reset master credentials")
GROUP_USED = Kind("RDS-EVENT-0011", "configuration change", "Updated to use DBParameterGroup {group}")
GROUP_ADDED = Kind("RDS-EVENT-0009", "configuration change", "Added DB instance to security group {group}")
GROUP_REMOVED = Kind("RDS-EVENT-0010", "configuration change", "Removed DB instance from security group {group}")
BACKUPS_ON = Kind("RDS-EVENT-0032", "configuration change", "Enabled automated backups")
BACKUPS_OFF = Kind("RDS-EVENT-0028", "configuration change", "Disabled automated backups")
PARAMETER_SET = Kind(
    "RDS-EVENT-0037", "configuration change", "Updated parameter {parameter} to {value} with apply method {method}"
)
SNAPSHOT_BEGUN = Kind("RDS-EVENT-0040", "creation", "Creating manual snapshot")
SNAPSHOT_CREATED = Kind("RDS-EVENT-0042", "creation", "Manual snapshot created")
SNAPSHOT_DELETED = Kind("RDS-EVENT-0041", "deletion", "Deleted manual snapshot")

# Members of an instance's record whose change takes time: at the beginning, at the end.
_CHANGES = {
    "DBInstanceClass": (
        Kind("RDS-EVENT-0012", "configuration change", "Applying modification to database instance class"),
        Kind("RDS-EVENT-0014", "configuration change", "Finished applying modification to DB instance class"),
    ),
    "AllocatedStorage": (
        Kind("RDS-EVENT-0018", "configuration change", "Applying modification to allocated storage"),
        Kind("RDS-EVENT-0017", "configuration change", "Finished applying modification to allocated storage"),
    ),
    "MultiAZ": (
        Kind("RDS-EVENT-0024", "configuration change", "Applying modification to convert to a Multi-AZ DB Instance"),
        Kind(
            "RDS-EVENT-0025",
            "configuration change",
            "Finished applying modification to convert to a Multi-AZ DB Instance",
        ),
    ),
    "SingleAZ": (
        Kind("RDS-EVENT-0030", "configuration change", "Applying modification to convert to a standard DB Instance"),
        Kind(
            "RDS-EVENT-0029",
            "configuration change",
            "Finished applying modification to convert to a standard DB Instance",
        ),
    ),
}


class Events:
    """The events of one account."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.records: list[dict[str, Any]] = []

    def of_instance(self, instance: dict[str, Any], kind: Kind, **fields: Any) -> None:
        """Something happened to an instance."""
        self._add("db-instance", instance["DBInstanceIdentifier"], instance["DBInstanceArn"], kind, fields)

    def of_failure(self, instance: dict[str, Any], error: Exception) -> None:
        """An instance failed for a reason of this machine's: RDS's event, and one in the local AWS's own words."""
        self.of_instance(instance, FAILED)
        first_line = next(iter(str(error).splitlines()), "")
        reason = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
        log = self._ctx.settings.home / "daemon.log"
        self.of_instance(instance, LOCAL_FAILURE, reason=reason.rstrip(". "), log=log)

    def of_snapshot(self, snapshot: dict[str, Any], kind: Kind, **fields: Any) -> None:
        """Something happened to a snapshot."""
        self._add("db-snapshot", snapshot["DBSnapshotIdentifier"], snapshot["DBSnapshotArn"], kind, fields)

    def of_group(self, name: str, arn: str, kind: Kind, **fields: Any) -> None:
        """Something happened to a parameter group."""
        self._add("db-parameter-group", name, arn, kind, fields)

    def of_changes(self, instance: dict[str, Any], changes: dict[str, Any], *, finished: bool) -> None:
        """Modifications of an instance begin, or are carried out."""
        for member, value in changes.items():
            name = "SingleAZ" if member == "MultiAZ" and not value else member
            if name in _CHANGES:
                self.of_instance(instance, _CHANGES[name][finished])

    def of_retention(self, instance: dict[str, Any], before: int, after: int) -> None:
        """Automated backups were switched on or off."""
        if bool(before) != bool(after):
            self.of_instance(instance, BACKUPS_ON if after else BACKUPS_OFF)

    def _add(self, source_type: str, name: str, arn: str, kind: Kind, fields: dict[str, Any]) -> None:
        self._forget()
        self.records.append(
            {
                "id": str(uuid.uuid4()),
                "number": kind.number,
                "SourceIdentifier": name,
                "SourceType": source_type,
                "SourceArn": arn,
                "Message": kind.message.format(**fields),
                "EventCategories": [kind.category],
                "Date": time.time(),
            }
        )
        self._ctx.changed()

    def _forget(self) -> None:
        oldest = time.time() - self._ctx.clock.real(KEPT_SECONDS)
        self.records = [item for item in self.records if item["Date"] >= oldest]

    async def describe(self, call: Call) -> Response:
        """DescribeEvents."""
        self._ctx.allow(call, "rds:DescribeEvents")
        params = call.params
        _check(params)
        self._forget()
        now = time.time()
        end = params["EndTime"].timestamp() if params.get("EndTime") else now
        minutes = int(params.get("Duration") or _USUAL_MINUTES)
        begin = params["StartTime"].timestamp() if params.get("StartTime") else end - 60 * minutes
        if params.get("StartTime") and params.get("Duration") and not params.get("EndTime"):
            end = begin + 60 * minutes
        if begin > end:
            raise rules.combination("The start time must be before the end time.")
        wanted = set(params.get("EventCategories") or [])
        found = [
            item
            for item in self.records
            if item["SourceArn"].split(":")[3] == call.region
            and begin <= item["Date"] <= end
            and params.get("SourceType") in (None, item["SourceType"])
            and params.get("SourceIdentifier") in (None, item["SourceIdentifier"])
            and (not wanted or wanted & set(item["EventCategories"]))
        ]
        return aws_response(_page(found, params), "rds", call.operation)


def _check(params: dict[str, Any]) -> None:
    if params.get("SourceIdentifier") and not params.get("SourceType"):
        raise rules.combination("The parameter SourceType must be provided with SourceIdentifier.")
    if params.get("Duration") is not None and params["Duration"] not in _MINUTES:
        raise rules.invalid(f"Duration must be between 0 and {_MINUTES.stop - 1} minutes, which are 14 days.")
    if params.get("MaxRecords") is not None and params["MaxRecords"] not in _PAGE:
        raise rules.invalid("Invalid value for max records. Must be between 20 and 100")


def _page(found: list[dict[str, Any]], params: dict[str, Any]) -> dict[str, Any]:
    """One page; the marker is the id of its last event."""
    if params.get("Marker"):
        places = [number for number, item in enumerate(found) if item["id"] == params["Marker"]]
        if not places:
            raise ApiError("InvalidParameterValue", "The marker is not valid.")
        found = found[places[0] + 1 :]
    size = int(params.get("MaxRecords") or _PAGE.stop - 1)
    shown = [
        {name: value for name, value in item.items() if name not in ("id", "number")}
        | {"Date": datetime.fromtimestamp(item["Date"], UTC)}
        for item in found[:size]
    ]
    output: dict[str, Any] = {"Events": shown}
    return output | ({"Marker": found[size - 1]["id"]} if len(found) > size else {})
