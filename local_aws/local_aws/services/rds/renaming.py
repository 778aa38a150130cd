# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DB instance gets another identifier, and with it another endpoint.

Amazon RDS User Guide, "Renaming a DB instance": the old DNS name is deleted immediately, the new one becomes effective
in about ten minutes, until when the instance is not available; it reboots, and keeps its tags and snapshots.
"""

from __future__ import annotations

from typing import Any

from ...context import Context
from ...service import ApiError
from . import events
from . import rules
from .events import Events
from .models import Instance
from .models import Record
from .records import Records
from .servers import Servers
from .store import InstanceStore

_SHUT_DOWN_SECONDS, _NEW_NAME_SECONDS = 60.0, 600.0


def check(records: Records, region: str, record: Record, params: dict[str, Any]) -> str:
    """The new identifier that a ModifyDBInstance asks for, or an earlier one did; empty: none, or the one that it has.

    :raises ApiError: it cannot be one, or another instance has it.
    """
    waiting = record["PendingModifiedValues"].get("DBInstanceIdentifier") if params.get("ApplyImmediately") else None
    given = params.get("NewDBInstanceIdentifier", waiting)
    if given is None:
        return ""
    name = rules.name(str(given), "NewDBInstanceIdentifier")
    if name == record["DBInstanceIdentifier"]:
        return ""
    if records.is_taken(region, name):
        raise ApiError("DBInstanceAlreadyExists", "DB instance already exists")
    return name


class Renaming:
    """Renames instances."""

    def __init__(self, ctx: Context, store: InstanceStore, servers: Servers, events_of_account: Events) -> None:
        self._ctx = ctx
        self._store = store
        self._servers = servers
        self._events = events_of_account

    async def rename(self, instance: Instance) -> None:
        """Gives an instance the identifier that its record has under _NewName, or goes on after that."""
        record = instance.record
        self._store.set_status(instance, "renaming")
        await self._servers.halt(instance)
        record["Endpoint"] = {}
        if record.get("_NewName"):
            await self._ctx.clock.sleep(_SHUT_DOWN_SECONDS)
            self._events.of_instance(record, events.SHUT_DOWN)
            self._store.rename(instance, record["_NewName"])
            del record["_NewName"]
            record["PendingModifiedValues"].pop("DBInstanceIdentifier", None)
            self._ctx.changed()
        await self._ctx.clock.sleep(_NEW_NAME_SECONDS - _SHUT_DOWN_SECONDS)
        await self._servers.resume(instance)
        self._servers.show_endpoint(instance)
        self._store.set_status(instance, "available")
