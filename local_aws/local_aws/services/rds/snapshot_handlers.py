# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS's operations on snapshots, and instances restored from them."""

from __future__ import annotations

import uuid

from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import parse_response
from . import engine
from . import groups
from . import restored
from . import rules
from .controller import InstanceController
from .instance_handlers import InstanceHandlers
from .instance_handlers import not_available
from .instance_handlers import require
from .records import Records
from .snapshots import Snapshots
from .store import InstanceStore


class SnapshotHandlers:
    """Create, delete and restore."""

    def __init__(
        self,
        instances: InstanceHandlers,
        store: InstanceStore,
        records: Records,
        snapshots: Snapshots,
        controller: InstanceController,
    ) -> None:
        self._instances = instances
        self._store = store
        self._records = records
        self._snapshots = snapshots
        self._controller = controller

    async def create(self, call: Call) -> Response:
        """CreateDBSnapshot."""
        identifier = str(call.params["DBInstanceIdentifier"])
        if self._records.instance(call.region, identifier) is None:
            return await call.passthrough()
        instance = self._instances.find(call)
        require(
            instance,
            ("available", "stopped"),
            not_available(instance),
        )
        tags = call.params.get("Tags", [])
        record = self._snapshots.create(instance, str(call.params["DBSnapshotIdentifier"]), tags)
        before = instance.status
        self._controller.set_status(instance, "backing-up" if before == "available" else before)
        response = self._records.snapshot_response(call.region, record, call.operation)
        self._controller.begin(instance, self._controller.take_snapshot(instance, record, before))
        return response

    async def delete(self, call: Call) -> Response:
        """DeleteDBSnapshot."""
        record = self._records.snapshot(call.region, str(call.params["DBSnapshotIdentifier"]))
        if record is None or record.get("Engine") != "postgres":
            return await call.passthrough()
        if record["Status"] == "creating":
            raise ApiError(
                "InvalidDBSnapshotState",
                "Cannot delete the snapshot because it is not currently in the available state.",
            )
        response = await call.passthrough()
        if response.status < 400:
            await self._snapshots.delete_data(call.region, record)
        return response

    async def restore(self, call: Call) -> Response:
        """RestoreDBInstanceFromDBSnapshot."""
        params = call.params
        name = rules.name(str(params["DBInstanceIdentifier"]), "DBInstanceIdentifier")
        given = str(params.get("DBSnapshotIdentifier") or "")
        snapshot = self._records.snapshot(call.region, given)
        if snapshot is None:
            raise ApiError("DBSnapshotNotFound", f"DBSnapshot {given} not found.", 404)
        if snapshot["Status"] != "available":
            raise ApiError("InvalidDBSnapshotState", "The DB snapshot is not in the available state.")
        folder = self._store.snapshot_folder(call.region, snapshot["DBSnapshotIdentifier"])
        chosen = engine.find(snapshot["EngineVersion"])
        if params.get("DBInstanceClass"):
            engine.memory_gib(params["DBInstanceClass"])
        groups.check(self._records, call.region, params, chosen)
        if self._records.instance(call.region, name) is not None:
            raise ApiError("DBInstanceAlreadyExists", "DB instance already exists")
        response = await call.passthrough()
        if "Error" in parse_response(response, "rds", call.operation):
            return response
        record = self._instances.complete_record(call.region, params["DBInstanceIdentifier"], name)
        restored.fill(record, snapshot, params)
        record["_RulesPort"] = snapshot["Port"]
        groups.fill_restored(self._records, call.region, record, params, chosen)
        record.update(_Source=str(folder), LicenseModel="postgresql-license", DbiResourceId=_resource_id())
        self._instances.complete_network(call, record)
        return self._instances.begin_creation(call.region, record, call.operation)


def _resource_id() -> str:
    return f"db-{uuid.uuid4().hex[:26].upper()}"
