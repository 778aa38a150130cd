# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS's operations on PostgreSQL instances, their snapshots and groups."""

from __future__ import annotations

import copy
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

from ...context import Context
from ...network.firewall import Firewall
from ...service import Call
from ...service import Response
from . import catalog
from . import descriptions
from . import events
from . import groups
from . import refused
from .automated_backups import AutomatedBackups
from .backup_handlers import BackupHandlers
from .controller import InstanceController
from .events import Events
from .instance_handlers import InstanceHandlers
from .metrics import InstanceMetrics
from .records import Records
from .restore_handlers import RestoreHandlers
from .servers import Servers
from .snapshot_handlers import SnapshotHandlers
from .snapshots import Snapshots
from .store import InstanceStore


class Databases:
    """RDS for PostgreSQL."""

    name = "databases"

    def __init__(self, ctx: Context, firewall: Firewall) -> None:
        self._ctx = ctx
        self._records = Records(ctx.settings.account_id, ctx.clock)
        self._events = Events(ctx)
        self._store = InstanceStore(ctx, firewall, self._records)
        self.metrics = InstanceMetrics(ctx, self._store)
        servers = Servers(ctx, self._store, self._events)
        snapshots = Snapshots(ctx, self._store, self._records, self._events)
        self._backups = AutomatedBackups(ctx, self._store, self._records, self._events)
        self._controller = InstanceController(
            ctx=ctx,
            store=self._store,
            records=self._records,
            servers=servers,
            snapshots=snapshots,
            backups=self._backups,
            events_of_account=self._events,
        )
        self._instances = InstanceHandlers(
            ctx=ctx,
            firewall=firewall,
            store=self._store,
            records=self._records,
            servers=servers,
            snapshots=snapshots,
            controller=self._controller,
            events_of_account=self._events,
        )
        self._snapshots = SnapshotHandlers(
            ctx,
            self._instances,
            store=self._store,
            records=self._records,
            snapshots=snapshots,
            controller=self._controller,
        )
        self._restores = RestoreHandlers(ctx, self._instances, self._store, self._records, self._backups)
        self._backup_handlers = BackupHandlers(ctx, self._backups)
        self._restored: dict[str, Any] = {}
        self._handlers = self._operations()

    def _operations(self) -> dict[str, Callable[[Call], Awaitable[Response]]]:
        return {
            "CreateDBInstance": self._instances.create,
            "DescribeDBInstances": lambda call: descriptions.describe_instances(self._records, call),
            "ModifyDBInstance": self._instances.modify,
            "DeleteDBInstance": self._instances.delete,
            "StartDBInstance": self._instances.start,
            "StopDBInstance": self._instances.stop,
            "RebootDBInstance": self._instances.reboot,
            "CreateDBSnapshot": self._snapshots.create,
            "CopyDBSnapshot": self._snapshots.copy,
            "DeleteDBSnapshot": self._snapshots.delete,
            "RestoreDBInstanceFromDBSnapshot": self._restores.from_snapshot,
            "RestoreDBInstanceToPointInTime": self._restores.to_point_in_time,
            "DescribeDBInstanceAutomatedBackups": self._backup_handlers.describe,
            "DeleteDBInstanceAutomatedBackup": self._backup_handlers.delete,
            "DescribeDBSnapshots": lambda call: descriptions.describe_snapshots(self._records, call),
            "DescribeAccountAttributes": self._snapshots.describe_quota,
            "DescribeEvents": self._events.describe,
            **dict.fromkeys(refused.OPERATIONS, self._refuse),
            "DescribeDBEngineVersions": self._catalog(catalog.engine_versions),
            "DescribeOrderableDBInstanceOptions": self._catalog(catalog.orderable_options),
            "DeleteDBSubnetGroup": lambda call: groups.delete_subnet_group(self._records, call),
            "ModifyDBSubnetGroup": lambda call: groups.modify_subnet_group(self._records, call),
            "DeleteDBParameterGroup": lambda call: groups.delete_parameter_group(self._records, call),
            "ModifyDBParameterGroup": self._modify_parameters,
            "ResetDBParameterGroup": self._modify_parameters,
        }

    def owns(self, call: Call) -> bool:
        """RDS's operations on instances, snapshots and groups, where PostgreSQL may be meant."""
        if call.service != "rds" or call.operation not in self._handlers:
            return False
        if call.operation in ("CreateDBInstance", "DescribeDBEngineVersions", "DescribeOrderableDBInstanceOptions"):
            in_cluster = call.operation == "CreateDBInstance" and bool(call.params.get("DBClusterIdentifier"))
            return in_cluster or str(call.params.get("Engine") or "postgres") == "postgres"
        if call.operation == "RestoreDBInstanceFromDBSnapshot":
            snapshot = self._records.snapshot(call.region, str(call.params.get("DBSnapshotIdentifier") or ""))
            return snapshot is None or snapshot.get("Engine") == "postgres"
        always = ("DescribeAccountAttributes", "DescribeDBInstances", "DescribeEvents", *refused.OPERATIONS)
        kinds = ("Snapshot", "Group", "AutomatedBackup", "ToPointInTime")
        if any(kind in call.operation for kind in kinds) or call.operation in always:
            return True
        # One that is not there is missed here, in RDS's words.
        key = str(call.params.get("DBInstanceIdentifier") or "")
        return not self._records.is_foreign(call.region, key)

    async def handle(self, call: Call) -> Response:
        """The answer to one of them."""
        return await self._handlers[call.operation](call)

    async def start(self) -> None:
        """Takes up each instance where the last daemon left it."""
        for region, record in self._restored.get("instances", []):
            self._records.put_instance(region, record)
        for region, record in self._restored.get("snapshots", []):
            self._records.put_snapshot(region, record)
        await self._controller.resume()

    async def stop(self) -> None:
        """Stops all clusters cleanly; their status stays."""
        await self._controller.stop()

    def state(self) -> dict[str, Any]:
        """The records as they are; ministack's own copy forgets which instances are stopped."""
        return {
            "instances": [[region, copy.deepcopy(record)] for region, record in self._records.instances()],
            "snapshots": [[region, copy.deepcopy(record)] for region, record in self._records.snapshots()],
            "events": copy.deepcopy(self._events.records),
            "ports": dict(self._store.ports),
            "retained": [[region, copy.deepcopy(record)] for region, record in self._backups.retained],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Keeps the state until start()."""
        self._restored = state
        self._events.records = state.get("events", [])
        self._store.ports = state.get("ports", {})
        self._backups.retained = [(one[0], one[1]) for one in state.get("retained", [])]

    def _catalog(self, answer: Callable[[Call], Awaitable[Response]]) -> Callable[[Call], Awaitable[Response]]:
        """An answer about RDS itself, for callers who may ask."""

        async def handler(call: Call) -> Response:
            self._ctx.allow(call, f"rds:{call.operation}")
            return await answer(call)

        return handler

    async def _refuse(self, call: Call) -> Response:
        """What would be a record of something that does not run."""
        self._ctx.allow(call, f"rds:{call.operation}")
        refused.refuse(call.operation, refused.OPERATIONS[call.operation])

    # Parameter groups

    async def _modify_parameters(self, call: Call) -> Response:
        name = str(call.params["DBParameterGroupName"])
        groups.refuse_default(name, "modified")
        static = groups.check_parameters(self._records, call)
        response = await call.passthrough()
        if response.status >= 400:
            return response
        arn = f"arn:aws:rds:{call.region}:{call.account_id}:pg:{name}"
        for item in call.params.get("Parameters") or []:
            value, method = item.get("ParameterValue", "default"), item.get("ApplyMethod", "")
            fields = {"parameter": item.get("ParameterName"), "value": value, "method": method}
            self._events.of_group(name, arn, events.PARAMETER_SET, **fields)
        for instance in self._store.all():
            for group in instance.record.get("DBParameterGroups", []):
                if (
                    instance.region == call.region
                    and group["DBParameterGroupName"] == name
                    and instance.cluster.exists()
                ):
                    instance.cluster.configure(self._store.server_parameters(instance))
                    instance.cluster.reload()
                    if static:
                        group["ParameterApplyStatus"] = "pending-reboot"
        self._ctx.changed()
        return response
