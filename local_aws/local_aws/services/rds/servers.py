# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of an instance with its TLS proxy, its restart after a crash, and the export of its log."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from ...context import Context
from . import backup_copies
from . import events
from . import log_exports
from .events import Events
from .models import Instance
from .store import ADDRESS
from .store import InstanceStore

_log = logging.getLogger(__name__)

_RESTART_PAUSE = 1.0


class Servers:
    """Starts and stops the servers of instances."""

    def __init__(self, ctx: Context, store: InstanceStore, events_of_account: Events) -> None:
        self._ctx = ctx
        self._store = store
        self._events = events_of_account

    async def launch(self, instance: Instance) -> None:
        """Starts server and its TLS proxy, and restarts the server when it crashes."""
        if instance.record.get("BackupRetentionPeriod"):
            backup_copies.make_archive(self._store.backup_folder(instance.record) / "archive")
        await instance.cluster.start()
        self._store.keep_port(instance, await instance.proxy.open(self._store.port(instance)))
        if instance.watcher is None or instance.watcher.done():
            instance.watcher = asyncio.create_task(self._restart_on_crash(instance))
        self.export_logs(instance)

    def export_logs(self, instance: Instance) -> None:
        """Start or stop sending the server's log to CloudWatch Logs, as the record says."""
        wanted = log_exports.is_sent(instance.record)
        running = instance.exporter is not None and not instance.exporter.done()
        if wanted and not running:
            sending = log_exports.send(self._ctx, instance.region, instance.record, instance.cluster.log)
            instance.exporter = asyncio.create_task(sending)
        elif not wanted and instance.exporter is not None:
            instance.exporter.cancel()
            instance.exporter = None

    async def halt(self, instance: Instance) -> None:
        """Stops proxy and server."""
        if instance.exporter is not None:
            instance.exporter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await instance.exporter
            instance.exporter = None
        if instance.watcher is not None:
            instance.watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await instance.watcher
            instance.watcher = None
        await instance.proxy.close()
        await instance.cluster.stop()

    async def _restart_on_crash(self, instance: Instance) -> None:
        """RDS restarts a server that crashed; its data are recovered by PostgreSQL."""
        while True:
            process = instance.cluster.process
            if process is not None:
                code = await process.wait()
                _log.warning("database %s: the server ended with %s and is started again", instance.name, code)
                self._events.of_instance(instance.record, events.RECOVERY_BEGUN)
            try:
                await instance.cluster.start()
                if process is not None:
                    self._events.of_instance(instance.record, events.RESTARTED)
                    self._events.of_instance(instance.record, events.RECOVERY_FINISHED)
            except Exception:
                _log.exception("database %s: cannot be started again", instance.name)
                await asyncio.sleep(_RESTART_PAUSE)

    async def restart(self, instance: Instance) -> None:
        """Restart the server with the present settings. Clients are disconnected, the port stays."""
        await self.halt(instance)
        self._events.of_instance(instance.record, events.SHUT_DOWN)
        await self.resume(instance)
        self._events.of_instance(instance.record, events.RESTARTED)

    async def resume(self, instance: Instance) -> None:
        """Starts a server that is halted, with the present settings, all of which take effect."""
        instance.record.pop("AutomaticRestartTime", None)
        instance.cluster.configure(self._store.server_parameters(instance))
        await self.launch(instance)
        for group in instance.record.get("DBParameterGroups", []):
            group["ParameterApplyStatus"] = "in-sync"

    def show_endpoint(self, instance: Instance) -> None:
        """Tells where the instance is reached, in its record."""
        instance.record["Endpoint"] = {
            "Address": ADDRESS,
            "Port": instance.proxy.port,
            "HostedZoneId": "Z2R2ITUGPM61AM",
        }
