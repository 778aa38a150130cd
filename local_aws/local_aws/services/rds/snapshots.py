# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: their records, and the copies of an instance's data that they are."""

from __future__ import annotations

import asyncio
import shutil

from ...context import Context
from ...service import ApiError
from . import backup_copies
from . import events
from . import rules
from .events import Events
from .models import Instance
from .models import Record
from .records import Records
from .store import InstanceStore

_SECONDS = 180.0
# Manual DB instance snapshots in a region (Amazon RDS User Guide, "Quotas and constraints for Amazon RDS").
_QUOTA = 100


class Snapshots:
    """The snapshots of the account."""

    def __init__(self, ctx: Context, store: InstanceStore, records: Records, events_of_account: Events) -> None:
        self._ctx = ctx
        self._store = store
        self._records = records
        self._events = events_of_account

    def create(self, instance: Instance, given: str, tags: list[dict[str, str]]) -> Record:
        """A snapshot's record; its data follow."""
        name = rules.name(given, "DBSnapshotIdentifier")
        self._check_free(instance.region, name)
        self._check_quota(instance.region, instance.name)
        copied = instance.record.get("TagList", []) if instance.record.get("CopyTagsToSnapshot") else []
        own = {tag["Key"] for tag in tags}
        tags = [*(tag for tag in copied if tag["Key"] not in own), *tags]
        record = self._records.new_snapshot(instance.region, name, instance.record, tags)
        self._events.of_snapshot(record, events.SNAPSHOT_BEGUN)
        self._events.of_instance(instance.record, events.BACKUP_BEGUN)
        return record

    def duplicate(self, region: str, source: Record, given: str, tags: list[dict[str, str]]) -> Record:
        """The record of a copy of a snapshot; its data follow."""
        name = rules.name(given, "TargetDBSnapshotIdentifier")
        self._check_free(region, name)
        self._check_quota(region, source["DBInstanceIdentifier"])
        record = self._records.copy_snapshot(region, source, name, tags)
        self._events.of_snapshot(record, events.SNAPSHOT_BEGUN)
        return record

    async def fill_duplicate(self, region: str, record: Record) -> None:
        """Fills a copy with the data of its source."""
        source = self._store.snapshot_folder(region, record["_CopyOf"])
        folder = self._store.snapshot_folder(region, record["DBSnapshotIdentifier"])
        try:
            await asyncio.to_thread(shutil.rmtree, folder, True)
            await asyncio.to_thread(shutil.copytree, source, folder, symlinks=True)
            await self._ctx.clock.sleep(_SECONDS)
        except Exception:
            record["Status"] = "failed"
            raise
        finally:
            self._ctx.changed()
        record.update(Status="available", PercentProgress=100)
        del record["_CopyOf"]
        self._events.of_snapshot(record, events.SNAPSHOT_CREATED)

    def _check_free(self, region: str, name: str) -> None:
        if self._records.snapshot(region, name) is not None:
            raise ApiError(
                "DBSnapshotAlreadyExists",
                f"Cannot create the snapshot because a snapshot with the identifier {name} already exists.",
            )

    def _check_quota(self, region: str, instance: str) -> None:
        """Refuses one manual snapshot too many; raises ApiError."""
        used, most = self.quota(region, instance)
        if used >= most:
            raise ApiError("SnapshotQuotaExceeded", f"Cannot create more than {most} manual snapshots")

    def quota(self, region: str, instance: str = "") -> tuple[int, int]:
        """How many manual snapshots there are in a region, and how many there may be."""
        fault = self._ctx.faults.standing("databases:SnapshotQuota", instance, "snapshots")
        most = int(fault.data["snapshots"]) if fault is not None else _QUOTA
        return sum(place == region for place, _snapshot in self._records.snapshots()), most

    async def copy(self, instance: Instance, name: str) -> None:
        """Fills a snapshot with the data as they are now."""
        record = self._records.snapshot(instance.region, name)
        if record is None:
            return
        waiting = asyncio.create_task(self._ctx.clock.sleep(_SECONDS))
        try:
            folder = self._store.snapshot_folder(instance.region, name)
            await asyncio.to_thread(shutil.rmtree, folder, True)
            await backup_copies.copy(instance.cluster, folder)
            await waiting
        except Exception:
            record["Status"] = "failed"
            raise
        finally:
            waiting.cancel()
            self._ctx.changed()
        record.update(Status="available", PercentProgress=100)
        self._events.of_instance(instance.record, events.BACKUP_FINISHED)
        self._events.of_snapshot(record, events.SNAPSHOT_CREATED)

    def fail_unfinished(self, instance: Instance, final: str | None) -> None:
        """What was being copied when the instance was deleted will never be complete."""
        for region, snapshot in self._records.snapshots():
            mine = region == instance.region and snapshot["DBInstanceIdentifier"] == instance.name
            if mine and snapshot["Status"] == "creating" and snapshot["DBSnapshotIdentifier"] != final:
                snapshot["Status"] = "failed"

    async def delete_data(self, region: str, record: Record) -> None:
        """Deletes a snapshot's data."""
        folder = self._store.snapshot_folder(region, record["DBSnapshotIdentifier"])
        await asyncio.to_thread(shutil.rmtree, folder, True)
        self._events.of_snapshot(record, events.SNAPSHOT_DELETED)
