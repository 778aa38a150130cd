# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on with instances in the background: created, started, changed, stopped, deleted; one thing at a time."""

from __future__ import annotations

import asyncio
import functools
import logging
import shutil
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from ...context import Context
from . import backup_copies
from . import events
from .automated_backups import AutomatedBackups
from .events import Events
from .models import Instance
from .models import Record
from .modifications import pending_changes
from .records import Records
from .renaming import Renaming
from .servers import Servers
from .snapshots import Snapshots
from .stop_start import StopStart
from .store import InstanceStore

_log = logging.getLogger(__name__)

_CREATE, _DELETE, _MODIFY = 360.0, 180.0, 60.0
# RDS shows a modification as pending for some seconds before it begins.
_NOTICE = 10.0
_RESTART_TIMEOUT = 20.0


class InstanceController:
    """Carries out what the API has promised."""

    def __init__(
        self,
        *,
        ctx: Context,
        store: InstanceStore,
        records: Records,
        servers: Servers,
        snapshots: Snapshots,
        backups: AutomatedBackups,
        events_of_account: Events,
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._records = records
        self._servers = servers
        self._snapshots = snapshots
        self._backups = backups
        self._events = events_of_account
        self._stop_start = StopStart(ctx, store, servers, snapshots, events_of_account)
        self._renaming = Renaming(ctx, store, servers, events_of_account)
        self._jobs: set[asyncio.Task[None]] = set()

    async def resume(self) -> None:
        """Takes up each instance where the last daemon left it."""
        for region, record in list(self._records.instances()):
            self._resume(self._store.add(region, record))
        for region, record in list(self._records.snapshots()):
            if record["Status"] == "creating":
                await self._resume_snapshot(region, record)
        # Who starts the local AWS again finds the databases as they were, if they are that quick.
        back = [instance.job for instance in self._store.all() if instance.job and instance.status == "starting"]
        if back:
            await asyncio.wait(back, timeout=_RESTART_TIMEOUT)

    async def stop(self) -> None:
        """Stops all clusters cleanly; their status stays."""
        for job in list(self._jobs):
            job.cancel()
        if self._jobs:
            await asyncio.wait(list(self._jobs))
        await asyncio.gather(*(self._servers.halt(instance) for instance in self._store.all()))

    def begin(self, instance: Instance, work: Coroutine[Any, Any, None], failed: str = "failed") -> None:
        """Does something with an instance in the background; if it fails, the instance shows it."""

        async def job() -> None:
            try:
                await work
            except Exception as error:
                _log.exception("database %s: failed while %s", instance.name, instance.status)
                self._store.set_status(instance, failed)
                self._events.of_failure(instance.record, error)
            finally:
                instance.job = None

        instance.job = self._in_background(job())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    def _resume(self, instance: Instance) -> None:
        """Goes on from the status in which the last daemon left an instance."""
        if instance.status == "creating":
            self.begin(instance, self._create(instance))
        elif instance.status == "deleting":
            self.begin(instance, self._delete(instance))
        elif instance.status in ("stopping", "stopped"):
            self._stop_start.mark_stopped(instance)
            self._in_background(self._start_when_due(instance))
        elif instance.status == "renaming":
            self.begin(instance, self._renaming.rename(instance))
        elif instance.status != "failed":
            self._store.set_status(instance, "starting")
            self.begin(instance, self._come_back(instance))

    async def _come_back(self, instance: Instance) -> None:
        await self._servers.resume(instance)
        self._servers.show_endpoint(instance)
        await self._backups.follow_retention(instance)
        await self._apply_changes(instance)
        if instance.record.get("_NewName"):
            await self._renaming.rename(instance)
        else:
            self._store.set_status(instance, "available")

    # Create, delete

    def create(self, instance: Instance) -> None:
        """Begins to create an instance, from what its record's _Restore names if there is that."""
        self.begin(instance, self._create(instance))

    async def _create(self, instance: Instance) -> None:
        record = instance.record
        waiting = asyncio.create_task(self._ctx.clock.sleep(_CREATE))
        restored = record.get("_Restore")
        try:
            await self._make_cluster(instance)
            await self._backups.follow_retention(instance)
            await self._servers.launch(instance)
            if not restored:
                await instance.cluster.create_master(
                    record["MasterUsername"], record["_Verifier"], record.get("DBName", "")
                )
            await waiting
        finally:
            waiting.cancel()
        fault = self._ctx.faults.consume("databases:Create", str(record["DBInstanceIdentifier"]))
        if fault is not None:
            await self._ctx.faults.wait(fault, self._ctx.clock.real(fault.delay))
        record["PendingModifiedValues"] = {}
        record.pop("_Restore", None)
        self._servers.show_endpoint(instance)
        self._store.set_status(instance, "available")
        if not restored:
            self._events.of_instance(record, events.CREATED)
        else:
            kind = events.RESTORED_TO_TIME if restored.get("until") else events.RESTORED
            self._events.of_instance(record, kind, **restored["event"])
        self._backups.tell(record)

    async def _make_cluster(self, instance: Instance) -> None:
        """Makes a new instance's cluster, from what its record names; may be repeated."""
        cluster, settings = instance.cluster, self._store.server_parameters(instance)
        source = instance.record.get("_Restore")
        if not source:
            await cluster.create(settings)
        elif not source.get("until"):
            await cluster.create_from(Path(source["folder"]), settings)
        else:
            base = Path(source["folder"])
            present = [one for one in self._store.all() if one.record["DbiResourceId"] == source["resource"]]
            data = present[0].cluster.data if present else base / "data"
            replay = functools.partial(backup_copies.prepare_recovery, cluster, base.parent / "archive", data)
            await cluster.create_from(base, settings, replay)
            await backup_copies.recover(cluster, settings, datetime.fromisoformat(source["until"]))

    async def delete(self, instance: Instance) -> None:
        """Begins to delete an instance; what is being done with it is given up."""
        if instance.job is not None:
            instance.job.cancel()
            await asyncio.wait([instance.job])
            self._snapshots.fail_unfinished(instance, instance.record.get("_Final"))
        self._store.set_status(instance, "deleting")
        self.begin(instance, self._delete(instance))

    async def _delete(self, instance: Instance) -> None:
        final = instance.record.get("_Final")
        snapshot = self._records.snapshot(instance.region, final) if final else None
        if snapshot is not None and snapshot["Status"] != "available":
            await self._snapshots.copy(instance, str(final))
        await self._servers.halt(instance)
        await self._backups.outlive(instance)
        await self._ctx.clock.sleep(_DELETE)
        await asyncio.to_thread(shutil.rmtree, instance.cluster.folder, True)
        self._store.remove(instance)
        self._events.of_instance(instance.record, events.DELETED)
        _log.info("database %s: deleted", instance.name)
        self._ctx.changed()

    # Modify

    def modify(self, instance: Instance) -> None:
        """Begins to apply the changes that its record has under _Changes, _NewVerifier and _NewName."""
        self.begin(instance, self._modify(instance))

    async def _modify(self, instance: Instance) -> None:
        """A modification that takes time."""
        await self._ctx.clock.sleep(_NOTICE)
        record = instance.record
        if record.get("_Changes") or record.get("_NewVerifier"):
            only_password = not record.get("_Changes")
            self._events.of_changes(record, record.get("_Changes") or {}, finished=False)
            self._store.set_status(instance, "resetting-master-credentials" if only_password else "modifying")
            await self._ctx.clock.sleep(_MODIFY)
            await self._apply_changes(instance)
        if record.get("_NewName"):
            await self._renaming.rename(instance)
        else:
            self._store.set_status(instance, "available")

    async def _apply_changes(self, instance: Instance) -> None:
        """Does what was promised by _Changes and _NewVerifier; nothing if there is nothing."""
        record = instance.record
        pending = pending_changes(record)
        if record.get("_NewVerifier"):
            await instance.cluster.set_verifier(record["MasterUsername"], record["_NewVerifier"])
            record["_Verifier"] = record.pop("_NewVerifier")
            self._events.of_instance(record, events.PASSWORD_RESET)
        changes = record.get("_Changes")
        if changes:
            archived = bool(record["BackupRetentionPeriod"])
            if "BackupRetentionPeriod" in changes:
                self._events.of_retention(record, record["BackupRetentionPeriod"], changes["BackupRetentionPeriod"])
            record.update(changes)
            pending = {name: value for name, value in pending.items() if name not in changes}
            # Amazon RDS User Guide, "Backup retention period": an outage occurs when it changes from or to 0.
            if "DBInstanceClass" in changes or bool(record["BackupRetentionPeriod"]) != archived:
                await self._servers.restart(instance)
            await self._backups.follow_retention(instance)
            record.pop("_Changes")
            self._events.of_changes(record, changes, finished=True)
        record["PendingModifiedValues"] = pending

    # Start, stop, reboot

    def start_instance(self, instance: Instance) -> None:
        """Begins to start a stopped instance."""
        self.begin(instance, self._stop_start.start(instance))

    def stop_instance(self, instance: Instance, snapshot: str) -> None:
        """Begins to stop an instance.

        :arg snapshot: the snapshot to take before; empty: none.
        """
        self.begin(instance, self._stop(instance, snapshot))

    async def _stop(self, instance: Instance, snapshot: str) -> None:
        await self._stop_start.stop(instance, snapshot)
        self._in_background(self._start_when_due(instance))

    async def _start_when_due(self, instance: Instance) -> None:
        if await self._stop_start.wait_until_due(instance):
            self.start_instance(instance)

    def reboot(self, instance: Instance, *, failover: bool) -> None:
        """Begins to reboot an instance."""
        self.begin(instance, self._stop_start.reboot(instance, failover=failover))

    # Snapshots

    async def take_snapshot(self, instance: Instance, record: Record) -> None:
        """Fills a snapshot; its failure is not the instance's."""
        try:
            await self._snapshots.copy(instance, record["DBSnapshotIdentifier"])
        except Exception:
            _log.exception("database %s: the snapshot %s failed", instance.name, record["DBSnapshotIdentifier"])
        self._store.set_status(instance, "available")

    def copy_snapshot(self, region: str, record: Record) -> None:
        """Begins to fill a copy of a snapshot."""
        self._in_background(self._copy_snapshot(region, record))

    async def _copy_snapshot(self, region: str, record: Record) -> None:
        try:
            await self._snapshots.fill_duplicate(region, record)
        except Exception:
            _log.exception("the snapshot %s could not be copied", record["DBSnapshotIdentifier"])

    async def _resume_snapshot(self, region: str, record: Record) -> None:
        """A snapshot that was cut off is taken again, or has failed where its instance is gone."""
        instance = self._store.get(region, record["DBInstanceIdentifier"])
        if record.get("_CopyOf"):
            self.copy_snapshot(region, record)
        elif instance is None:
            record["Status"] = "failed"
        elif instance.status != "deleting":
            self._in_background(self._copy_when_ready(instance, record["DBSnapshotIdentifier"]))

    async def _copy_when_ready(self, instance: Instance, name: str) -> None:
        if instance.job is not None:
            await asyncio.wait([instance.job])
        try:
            await self._snapshots.copy(instance, name)
        except Exception:
            _log.exception("database %s: the snapshot %s failed", instance.name, name)
