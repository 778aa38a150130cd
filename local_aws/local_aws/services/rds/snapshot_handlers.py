# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS's operations on snapshots."""

from __future__ import annotations

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from . import rules
from .controller import InstanceController
from .instance_handlers import InstanceHandlers
from .instance_handlers import not_available
from .instance_handlers import require
from .records import Records
from .snapshots import Snapshots
from .store import InstanceStore

_COPIED = {"SourceDBSnapshotIdentifier", "TargetDBSnapshotIdentifier", "CopyTags", "Tags", "CopyOptionGroup"}


class SnapshotHandlers:
    """Create, copy and delete."""

    def __init__(
        self,
        ctx: Context,
        instances: InstanceHandlers,
        *,
        store: InstanceStore,
        records: Records,
        snapshots: Snapshots,
        controller: InstanceController,
    ) -> None:
        self._ctx = ctx
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
        require(instance, ("available",), not_available(instance))
        tags = call.params.get("Tags", [])
        record = self._snapshots.create(instance, str(call.params["DBSnapshotIdentifier"]), tags)
        self._store.set_status(instance, "backing-up")
        response = self._records.snapshot_response(call.region, record, call.operation)
        self._controller.begin(instance, self._controller.take_snapshot(instance, record))
        return response

    async def copy(self, call: Call) -> Response:
        """CopyDBSnapshot, in one region."""
        params = call.params
        self._ctx.allow(call, f"rds:{call.operation}")
        given = str(params["SourceDBSnapshotIdentifier"])
        unknown = sorted(set(params) - _COPIED)
        if unknown or (given.startswith("arn:") and given.split(":")[3] != call.region):
            what = f"with {', '.join(unknown)}" if unknown else "from another region"
            raise rules.combination(f"CopyDBSnapshot {what} is not supported by the local AWS.")
        source = self._records.snapshot(call.region, given)
        if source is None or source.get("Engine") != "postgres":
            raise _not_found(given)
        if source["Status"] != "available":
            raise ApiError("InvalidDBSnapshotState", "The DB snapshot is not in the available state.")
        tags = list(params.get("Tags") or [])
        if params.get("CopyTags") and not tags:
            tags = list(source.get("TagList") or [])
        record = self._snapshots.duplicate(call.region, source, str(params["TargetDBSnapshotIdentifier"]), tags)
        response = self._records.snapshot_response(call.region, record, call.operation)
        self._controller.copy_snapshot(call.region, record)
        return response

    async def describe_quota(self, call: Call) -> Response:
        """DescribeAccountAttributes: of RDS's quotas, the one that holds here.

        It is the account's: an order for a single instance is not in it, but met by CreateDBSnapshot.
        """
        used, most = self._snapshots.quota(call.region)
        quotas = [{"AccountQuotaName": "ManualSnapshots", "Used": used, "Max": most}]
        return aws_response({"AccountQuotas": quotas}, "rds", call.operation)

    async def delete(self, call: Call) -> Response:
        """DeleteDBSnapshot."""
        given = str(call.params["DBSnapshotIdentifier"])
        record = self._records.snapshot(call.region, given)
        if record is None:
            self._ctx.allow(call, f"rds:{call.operation}")
            raise _not_found(given)
        if record.get("Engine") != "postgres":
            return await call.passthrough()
        name = record["DBSnapshotIdentifier"]
        folder = self._store.snapshot_folder(call.region, name)
        is_copied = any(item.get("_CopyOf") == name for _region, item in self._records.snapshots())
        if record["Status"] == "creating" or is_copied or self._records.is_source("folder", str(folder)):
            raise ApiError(
                "InvalidDBSnapshotState",
                "Cannot delete the snapshot because it is not currently in the available state.",
            )
        response = await call.passthrough()
        if response.status < 400:
            await self._snapshots.delete_data(call.region, record)
        return response


def _not_found(name: str) -> ApiError:
    return ApiError("DBSnapshotNotFound", f"DBSnapshot {name} not found.", 404)
