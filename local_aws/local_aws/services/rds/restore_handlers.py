# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS's operations that make an instance from a snapshot, or from what another one was at a time."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import Response
from . import capacity
from . import engine
from . import groups
from . import restore
from . import rules
from .automated_backups import AutomatedBackups
from .instance_handlers import InstanceHandlers
from .models import Record
from .records import Records
from .store import InstanceStore


class RestoreHandlers:
    """RestoreDBInstanceFromDBSnapshot and RestoreDBInstanceToPointInTime."""

    def __init__(
        self,
        ctx: Context,
        instances: InstanceHandlers,
        store: InstanceStore,
        records: Records,
        backups: AutomatedBackups,
    ) -> None:
        self._ctx = ctx
        self._instances = instances
        self._store = store
        self._records = records
        self._backups = backups

    async def from_snapshot(self, call: Call) -> Response:
        """RestoreDBInstanceFromDBSnapshot."""
        params = call.params
        self._ctx.allow(call, f"rds:{call.operation}")
        given = str(params.get("DBSnapshotIdentifier") or "")
        snapshot = self._records.snapshot(call.region, given)
        if snapshot is None:
            raise ApiError("DBSnapshotNotFound", f"DBSnapshot {given} not found.", 404)
        if snapshot["Status"] != "available":
            raise ApiError("InvalidDBSnapshotState", "The DB snapshot is not in the available state.")
        folder = self._store.snapshot_folder(call.region, snapshot["DBSnapshotIdentifier"])
        source = {"folder": str(folder), "event": {"snapshot": snapshot["DBSnapshotIdentifier"]}}
        if not params.get("Tags"):
            params["Tags"] = snapshot.get("_InstanceTags") or []
        name = str(params["DBInstanceIdentifier"])
        return self._begin(call, name, snapshot, snapshot.get("_Configuration") or {}, source)

    async def to_point_in_time(self, call: Call) -> Response:
        """RestoreDBInstanceToPointInTime."""
        self._ctx.allow(call, f"rds:{call.operation}")
        source = await self._source(call)
        until = self._time(call.params, source)
        target = str(call.params["TargetDBInstanceIdentifier"])
        made_from = {
            "folder": str(self._backups.base(source)),
            "event": {"source": source["DBInstanceIdentifier"], "target": target.lower()},
            "resource": source["DbiResourceId"],
            "until": until.isoformat(),
        }
        return self._begin(call, target, source, restore.configuration(source), made_from)

    async def _source(self, call: Call) -> Record:
        """The instance whose automated backups are restored, which may be deleted by now; raises ApiError."""
        params = call.params
        name, resource = params.get("SourceDBInstanceIdentifier"), params.get("SourceDbiResourceId")
        arn = params.get("SourceDBInstanceAutomatedBackupsArn")
        if len([given for given in (name, resource, arn) if given]) != 1:
            one = "SourceDBInstanceIdentifier, SourceDbiResourceId and SourceDBInstanceAutomatedBackupsArn"
            raise rules.combination(f"Exactly one of {one} must be specified.")
        if name:
            record = self._records.instance(call.region, str(name))
            if record is None:
                raise ApiError("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
            return record
        for record in await self._backups.of_region(call.region):
            if record["DbiResourceId"].lower() == str(resource).lower() or self._backups.arn(record) == arn:
                return record
        raise ApiError(
            "DBInstanceAutomatedBackupNotFound", f"DBInstanceAutomatedBackup {resource or arn} not found.", 404
        )

    def _time(self, params: dict[str, Any], source: Record) -> datetime:
        """The time that is asked for; raises ApiError."""
        wanted: datetime | None = params.get("RestoreTime")
        latest = bool(params.get("UseLatestRestorableTime"))
        if bool(wanted) == latest:
            raise rules.combination("Either RestoreTime or UseLatestRestorableTime must be specified, and not both.")
        name = source["DBInstanceIdentifier"]
        window = self._backups.restorable(source)
        if window is None:
            raise ApiError(
                "PointInTimeRestoreNotEnabled",
                f"Point in time restore is not enabled for DBInstance {name}: it has no automated backups.",
            )
        if wanted is None:
            return window[1]
        time = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
        if not window[0] <= time <= window[1]:
            raise rules.invalid(
                f"The specified instance cannot be restored to {_shown(time)}: its earliest restorable time is "
                f"{_shown(window[0])}, its latest {_shown(window[1])}."
            )
        return time

    def _begin(self, call: Call, given: str, source: Record, kept: Record, made_from: Record) -> Response:
        """Makes the record of the new instance, and begins to create it."""
        params, region = call.params, call.region
        parameter = "TargetDBInstanceIdentifier" if "TargetDBInstanceIdentifier" in params else "DBInstanceIdentifier"
        name = rules.name(given, parameter)
        restore.check(call.operation, params)
        chosen = engine.find(source["EngineVersion"])
        groups.check(self._records, region, params, chosen)
        if self._records.is_taken(region, name):
            raise ApiError("DBInstanceAlreadyExists", "DB instance already exists")
        capacity.check(self._ctx, name)
        arn = f"arn:aws:rds:{region}:{call.account_id}:db:{name}"
        record = restore.new_record(arn, source, kept, params)
        record["_Restore"] = made_from
        self._records.put_instance(region, record)
        groups.fill_restored(self._records, region, record, params, chosen)
        self._instances.complete_network(call, record)
        return self._instances.begin_creation(region, record, call.operation)


def _shown(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
