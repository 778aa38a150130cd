# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Automated backups: a base backup of an instance, and the write-ahead log since then.

Amazon RDS User Guide, "Introduction to backups": an instance has them while its retention period is not 0. Here there
is one base backup, taken when they are switched on; later ones would only make a recovery shorter.

Folder: ``backups/<DbiResourceId>/base`` as Cluster.create_from() takes it, ``…/archive`` the archived segments.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import datetime
from datetime import timedelta
from pathlib import Path

from ...context import Context
from . import backup_copies
from . import events
from .events import Events
from .models import Instance
from .models import Record
from .records import Records
from .store import InstanceStore

_DAY = 24 * 3600.0
_POLL_SECONDS = 0.2


class AutomatedBackups:
    """The automated backups of instances, and those that were kept when an instance was deleted.

    :ivar retained: the records of deleted instances with their regions; ``_DeletedAt`` is when.
    """

    def __init__(self, ctx: Context, store: InstanceStore, records: Records, events_of_account: Events) -> None:
        self._ctx = ctx
        self._store = store
        self._records = records
        self._events = events_of_account
        self.retained: list[tuple[str, Record]] = []

    def base(self, record: Record) -> Path:
        """The base backup of an instance."""
        return self._store.backup_folder(record) / "base"

    async def follow_retention(self, instance: Instance) -> None:
        """Takes the base backup of an instance that is to have one and has none; deletes that of one that is not."""
        record = instance.record
        if not record.get("BackupRetentionPeriod"):
            await self.delete(record)
        elif not record.get("_BackedUp") or not self.base(record).exists():
            await backup_copies.copy(instance.cluster, self.base(record))
            # What is committed from here on can be restored, to the moment.
            record["_BackedUp"] = self._ctx.clock.now().isoformat(timespec="milliseconds")
            if record["DBInstanceStatus"] != "creating":
                self.tell(record)

    def tell(self, record: Record) -> None:
        """Adds the events of the base backup, which RDS takes after it has created an instance."""
        if record.get("_BackedUp"):
            self._events.of_instance(record, events.BACKUP_BEGUN)
            self._events.of_instance(record, events.BACKUP_FINISHED)

    async def delete(self, record: Record) -> None:
        """Deletes the automated backups of an instance, once no instance is being made from them."""
        while self._records.is_source("resource", record["DbiResourceId"]):
            await asyncio.sleep(_POLL_SECONDS)
        record.pop("_BackedUp", None)
        await asyncio.to_thread(shutil.rmtree, self._store.backup_folder(record), True)
        self.retained = [item for item in self.retained if item[1] is not record]
        self._ctx.changed()

    async def outlive(self, instance: Instance) -> None:
        """Keeps or deletes the automated backups of an instance that has been stopped to be deleted."""
        record = instance.record
        if not record.get("_KeepBackups") or not self.restorable(record):
            await self.delete(record)
            return
        archive = self._store.backup_folder(record) / "archive"
        await asyncio.to_thread(backup_copies.take_segments, instance.cluster.data, archive)
        kept = {**record, "_DeletedAt": self._ctx.clock.now().isoformat()}
        self.retained.append((instance.region, kept))

    def restorable(self, record: Record) -> tuple[datetime, datetime] | None:
        """The earliest and the latest time that an instance can be restored to; None: it cannot."""
        if "_DeletedAt" not in record:
            self._records.show_restorable(record)
        latest = record.get("LatestRestorableTime")
        if not latest or not record.get("_BackedUp"):
            return None
        window = timedelta(seconds=self._ctx.clock.real(record["BackupRetentionPeriod"] * _DAY))
        earliest = max(datetime.fromisoformat(record["_BackedUp"]), self._ctx.clock.now() - window)
        return (earliest, datetime.fromisoformat(latest)) if earliest <= datetime.fromisoformat(latest) else None

    def arn(self, record: Record) -> str:
        """The ARN of an instance's automated backups."""
        prefix = record["DBInstanceArn"].rpartition(":db:")[0]
        return f"{prefix}:auto-backup:ab-{record['DbiResourceId'].removeprefix('db-').lower()}"

    async def of_region(self, region: str) -> list[Record]:
        """The records of all instances in a region that have automated backups, the deleted ones among them."""
        await self._forget()
        present = [record for place, record in self._records.instances() if place == region]
        return [record for record in present if record.get("BackupRetentionPeriod")] + list(self._kept(region))

    def _kept(self, region: str) -> Iterator[Record]:
        return (record for place, record in self.retained if place == region)

    async def _forget(self) -> None:
        """Deletes what was kept longer than its retention period."""
        for _region, record in list(self.retained):
            kept = timedelta(seconds=self._ctx.clock.real(record["BackupRetentionPeriod"] * _DAY))
            if datetime.fromisoformat(record["_DeletedAt"]) + kept < self._ctx.clock.now():
                await self.delete(record)
