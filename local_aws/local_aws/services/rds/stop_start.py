# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances are stopped, started and rebooted.

A stopped instance starts by itself after seven days (botocore's text on StopDBInstance), with an event of its own
(Amazon RDS User Guide, "Amazon RDS event categories and event messages", RDS-EVENT-0154).
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from datetime import timedelta

from ...context import Context
from . import events
from .events import Events
from .models import Instance
from .servers import Servers
from .snapshots import Snapshots
from .store import InstanceStore

_START, _STOP, _REBOOT = 300.0, 180.0, 60.0
_LONGEST_STOP = 7 * 24 * 3600.0


class StopStart:
    """Stops, starts and reboots instances."""

    def __init__(
        self, ctx: Context, store: InstanceStore, servers: Servers, snapshots: Snapshots, events_of_account: Events
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._servers = servers
        self._snapshots = snapshots
        self._events = events_of_account

    async def start(self, instance: Instance) -> None:
        """Starts a stopped instance."""
        waiting = asyncio.create_task(self._ctx.clock.sleep(_START))
        try:
            await self._servers.resume(instance)
            await waiting
        finally:
            waiting.cancel()
        self._servers.show_endpoint(instance)
        self._store.set_status(instance, "available")
        self._events.of_instance(instance.record, events.STARTED)

    async def stop(self, instance: Instance, snapshot: str) -> None:
        """Stops an instance.

        :arg snapshot: the snapshot to take before; empty: none.
        """
        if snapshot:
            await self._snapshots.copy(instance, snapshot)
        await self._servers.halt(instance)
        await self._ctx.clock.sleep(_STOP)
        self.mark_stopped(instance)
        self._events.of_instance(instance.record, events.STOPPED)

    def mark_stopped(self, instance: Instance) -> None:
        """Says that an instance is stopped, and until when."""
        restart = self._ctx.clock.now() + timedelta(seconds=self._ctx.clock.real(_LONGEST_STOP))
        instance.record.setdefault("AutomaticRestartTime", restart.isoformat())
        self._store.set_status(instance, "stopped")

    async def wait_until_due(self, instance: Instance) -> bool:
        """Waits until a stopped instance is to start by itself; false: it was started or deleted in the meantime."""
        due = instance.record["AutomaticRestartTime"]
        left = datetime.fromisoformat(due) - self._ctx.clock.now()
        await asyncio.sleep(max(0.0, left.total_seconds()))
        is_due = instance.status == "stopped" and instance.record.get("AutomaticRestartTime") == due
        if is_due:
            self._store.set_status(instance, "starting")
            self._events.of_instance(instance.record, events.STOPPED_TOO_LONG)
        return is_due

    async def reboot(self, instance: Instance, *, failover: bool) -> None:
        """Reboots an instance."""
        if failover:
            self._events.of_instance(instance.record, events.FAILOVER_BEGUN)
        await self._servers.restart(instance)
        await self._ctx.clock.sleep(_REBOOT)
        if failover:
            self._events.of_instance(instance.record, events.FAILOVER_FINISHED)
        self._store.set_status(instance, "available")
