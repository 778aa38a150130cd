# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: their records, and the copies of an instance's data that they are."""

from __future__ import annotations

import asyncio
import shutil

from ...context import Context
from ...service import ApiError
from . import events
from . import rules
from .events import Events
from .models import Instance
from .models import Record
from .records import Records
from .store import InstanceStore

_SECONDS = 180.0


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
        if self._records.snapshot(instance.region, name) is not None:
            raise ApiError(
                "DBSnapshotAlreadyExists",
                f"Cannot create the snapshot because a snapshot with the identifier {name} already exists.",
            )
        record = self._records.new_snapshot(instance.region, name, instance.record, tags)
        self._events.of_snapshot(record, events.SNAPSHOT_BEGUN)
        self._events.of_instance(instance.record, events.BACKUP_BEGUN)
        return record

    async def copy(self, instance: Instance, name: str) -> None:
        """Fills a snapshot with the data as they are now."""
        record = self._records.snapshot(instance.region, name)
        if record is None:
            return
        waiting = asyncio.create_task(self._ctx.clock.sleep(_SECONDS))
        try:
            folder = self._store.snapshot_folder(instance.region, name)
            await asyncio.to_thread(shutil.rmtree, folder, True)
            await instance.cluster.backup(folder)
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
