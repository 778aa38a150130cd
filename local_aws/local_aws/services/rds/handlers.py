# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS's operations on PostgreSQL instances and their snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import shutil
import uuid
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from ...network.firewall import Address
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import parse_response
from . import catalog
from . import encryption
from . import engine
from . import events
from . import groups
from . import log_exports
from . import refused
from . import restored
from . import rules
from . import scram
from .cluster import Cluster
from .events import Events
from .records import Record
from .records import Records
from .records import describe_instances
from .records import describe_snapshots
from .tls_proxy import TlsProxy

if TYPE_CHECKING:
    from ...context import Context

_log = logging.getLogger(__name__)

ADDRESS = "localhost"
_CREATE, _DELETE, _MODIFY, _START, _STOP, _SNAPSHOT, _REBOOT = 360.0, 180.0, 60.0, 300.0, 180.0, 180.0, 60.0
# RDS shows a modification as pending for some seconds before it begins.
_NOTICE = 10.0
_SUPERVISE_PAUSE = 1.0
_POSTGRESQL_PORT = 5432
_RESTART_TIMEOUT = 20.0
_SECRET_SHOWN = "****"

# What ModifyDBInstance changes: parameter → (member of the record, whether it waits for the maintenance window).
_MODIFIABLE = {
    "DBInstanceClass": ("DBInstanceClass", True),
    "AllocatedStorage": ("AllocatedStorage", True),
    "MultiAZ": ("MultiAZ", True),
    "EngineVersion": ("EngineVersion", True),
    "StorageType": ("StorageType", True),
    "Iops": ("Iops", True),
    "StorageThroughput": ("StorageThroughput", True),
    "BackupRetentionPeriod": ("BackupRetentionPeriod", True),
    "CACertificateIdentifier": ("CACertificateIdentifier", False),
    "PreferredBackupWindow": ("PreferredBackupWindow", False),
    "PreferredMaintenanceWindow": ("PreferredMaintenanceWindow", False),
    "PubliclyAccessible": ("PubliclyAccessible", False),
    "DeletionProtection": ("DeletionProtection", False),
    "MaxAllocatedStorage": ("MaxAllocatedStorage", False),
    "MonitoringInterval": ("MonitoringInterval", False),
    "MonitoringRoleArn": ("MonitoringRoleArn", False),
    "CopyTagsToSnapshot": ("CopyTagsToSnapshot", False),
    "AutoMinorVersionUpgrade": ("AutoMinorVersionUpgrade", False),
    "EnablePerformanceInsights": ("PerformanceInsightsEnabled", False),
    "PerformanceInsightsRetentionPeriod": ("PerformanceInsightsRetentionPeriod", False),
    "EnableIAMDatabaseAuthentication": ("IAMDatabaseAuthenticationEnabled", False),
}
# Parameters of ModifyDBInstance that say how, or are handled by themselves.
_HANDLED = {
    "DBInstanceIdentifier",
    "ApplyImmediately",
    "AllowMajorVersionUpgrade",
    "MasterUserPassword",
    "VpcSecurityGroupIds",
    "DBParameterGroupName",
    "CertificateRotationRestart",
    "CloudwatchLogsExportConfiguration",
}


@dataclass
class Instance:
    """What runs for one record.

    :ivar job: what is being done with it; one thing at a time.
    """

    region: str
    record: Record
    cluster: Cluster
    proxy: TlsProxy
    job: asyncio.Task[None] | None = None
    supervisor: asyncio.Task[None] | None = None
    exporter: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The identifier."""
        return str(self.record["DBInstanceIdentifier"])

    @property
    def status(self) -> str:
        """DBInstanceStatus."""
        return str(self.record["DBInstanceStatus"])


class Databases:
    """RDS for PostgreSQL."""

    name = "databases"

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._records = Records(ctx.settings.account_id, ctx.clock)
        self._events = Events(ctx)
        self._instances: dict[tuple[str, str], Instance] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._restored: dict[str, Any] = {}
        groups.complete_families()
        self._handlers: dict[str, Callable[[Call], Awaitable[Response]]] = {
            "CreateDBInstance": self._create,
            "DescribeDBInstances": lambda call: describe_instances(self._records, call),
            "ModifyDBInstance": self._modify,
            "DeleteDBInstance": self._delete,
            "StartDBInstance": self._start_instance,
            "StopDBInstance": self._stop_instance,
            "RebootDBInstance": self._reboot,
            "CreateDBSnapshot": self._create_snapshot,
            "DeleteDBSnapshot": self._delete_snapshot,
            "RestoreDBInstanceFromDBSnapshot": self._restore,
            "DescribeDBSnapshots": lambda call: describe_snapshots(self._records, call),
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

    # Room

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
        always = ("DescribeDBInstances", "DescribeEvents", *refused.OPERATIONS)
        if "Snapshot" in call.operation or "Group" in call.operation or call.operation in always:
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
        for region, record in list(self._records.instances()):
            self._resume(self._adopt(region, record))
        for region, record in list(self._records.snapshots()):
            if record["Status"] == "creating":
                await self._resume_snapshot(region, record)
        # Who starts the local AWS again finds the databases as they were, if they are that quick.
        back = [instance.job for instance in self._instances.values() if instance.job and instance.status == "starting"]
        if back:
            await asyncio.wait(back, timeout=_RESTART_TIMEOUT)

    async def stop(self) -> None:
        """Stops all clusters cleanly; their status stays."""
        for job in list(self._jobs):
            job.cancel()
        if self._jobs:
            await asyncio.wait(list(self._jobs))
        await asyncio.gather(*(self._halt(instance) for instance in self._instances.values()))

    def state(self) -> dict[str, Any]:
        """The records as they are; ministack's own copy forgets which instances are stopped."""
        return {
            "instances": [[region, copy.deepcopy(record)] for region, record in self._records.instances()],
            "snapshots": [[region, copy.deepcopy(record)] for region, record in self._records.snapshots()],
            "events": copy.deepcopy(self._events.records),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Keeps the state until start()."""
        self._restored = state
        self._events.records = state.get("events", [])

    def _catalog(self, answer: Callable[[Call], Awaitable[Response]]) -> Callable[[Call], Awaitable[Response]]:
        """An answer about RDS itself, for callers who may ask."""

        async def handler(call: Call) -> Response:
            self._ctx.allow(call, f"rds:{call.operation}")
            return await answer(call)

        return handler

    # Instances

    def _adopt(self, region: str, record: Record) -> Instance:
        """The running side of a record."""
        for group in record.get("DBParameterGroups", []):
            self._records.make_default_group(region, group["DBParameterGroupName"])
        name = record["DBInstanceIdentifier"]
        key = name if region == self._ctx.settings.region else f"{region}.{name}"
        cluster = Cluster(
            key,
            self._ctx.settings.home / "db" / key,
            engine.find(record["EngineVersion"]),
            self._ctx.supervisor,
        )
        context = self._ctx.rds_authority.server_context([ADDRESS, "127.0.0.1"])
        proxy = TlsProxy(
            cluster,
            context,
            lambda: self._force_ssl(region, record),
            # A fault that was ordered: the database is gone, subject: the instance.
            lambda: self._ctx.faults.consume("databases:Connect", name) is not None,
            lambda client, server: self._admits(region, record, client, server),
        )
        instance = Instance(region, record, cluster, proxy)
        self._instances[(region, name)] = instance
        return instance

    def _force_ssl(self, region: str, record: Record) -> bool:
        """rds.force_ssl; 1 by default since PostgreSQL 15 (Amazon RDS User Guide, "Requiring an SSL connection")."""
        for group in record.get("DBParameterGroups", []):
            value = self._records.parameters(region, group["DBParameterGroupName"]).get("rds.force_ssl", "1")
            return value not in ("0", "off", "false")
        return True

    async def _admits(self, region: str, record: Record, client: Address, server: Address) -> bool:
        """Whether the security groups let a connection in, and the internet is let in at all."""
        firewall = self._ctx.firewall
        peer = await firewall.peer(client, server)
        if not peer.task and not record.get("PubliclyAccessible"):
            allowed = False
        else:
            given = [group["VpcSecurityGroupId"] for group in record.get("VpcSecurityGroups", [])]
            allowed = firewall.admits(region, given, int(record.get("_RulesPort") or _POSTGRESQL_PORT), peer)
        if not allowed:
            _log.info(
                "database %s: no security group admits %s",
                record["DBInstanceIdentifier"],
                peer.task or f"{client[0]}, which is no task",
            )
        return allowed

    def _find(self, call: Call, parameter: str = "DBInstanceIdentifier") -> Instance:
        identifier = str(call.params[parameter])
        record = self._records.instance(call.region, identifier)
        instance = self._instances.get((call.region, record["DBInstanceIdentifier"])) if record else None
        if instance is None:
            named = f"arn:aws:rds:{call.region}:{call.account_id}:db:{identifier.lower()}"
            self._ctx.allow(call, f"rds:{call.operation}", named)
            raise ApiError("DBInstanceNotFound", f"DBInstance {identifier} not found.", 404)
        self._ctx.allow(call, f"rds:{call.operation}", instance.record["DBInstanceArn"])
        return instance

    def _settings(self, instance: Instance) -> dict[str, str]:
        """The server's parameters: what the class gives, then what the user set."""
        record = instance.record
        settings = {"max_connections": str(engine.max_connections(record["DBInstanceClass"]))}
        for group in record.get("DBParameterGroups", []):
            values = self._records.parameters(instance.region, group["DBParameterGroupName"])
            settings.update({name: value for name, value in values.items() if groups.applies(name, value)})
        return settings

    def _set_status(self, instance: Instance, status: str) -> None:
        instance.record["DBInstanceStatus"] = status
        _log.info("database %s: %s", instance.name, status)
        self._ctx.changed()

    def _begin(self, instance: Instance, work: Coroutine[Any, Any, None], failed: str = "failed") -> None:
        """Does something with an instance in the background; if it fails, the instance shows it."""

        async def job() -> None:
            try:
                await work
            except Exception:
                _log.exception("database %s: failed while %s", instance.name, instance.status)
                self._set_status(instance, failed)
                self._events.of_instance(instance.record, events.FAILED)
            finally:
                instance.job = None

        instance.job = self._background(job())

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    def _require(self, instance: Instance, statuses: tuple[str, ...], message: str) -> None:
        if instance.status not in statuses or (instance.job is not None and not instance.job.done()):
            raise rules.state(message)

    # Running

    async def _launch(self, instance: Instance) -> None:
        """Starts server and its TLS proxy, and restarts the server when it crashes."""
        await instance.cluster.start()
        port = await instance.proxy.open(int(instance.record.get("_Port") or 0))
        instance.record["_Port"] = port
        if instance.supervisor is None or instance.supervisor.done():
            instance.supervisor = asyncio.create_task(self._supervise(instance))
        self._export_logs(instance)

    def _export_logs(self, instance: Instance) -> None:
        """Sends the server's log to CloudWatch Logs, or no longer, as the record says."""
        wanted = log_exports.is_sent(instance.record)
        running = instance.exporter is not None and not instance.exporter.done()
        if wanted and not running:
            sending = log_exports.send(self._ctx, instance.region, instance.record, instance.cluster.log)
            instance.exporter = asyncio.create_task(sending)
        elif not wanted and instance.exporter is not None:
            instance.exporter.cancel()
            instance.exporter = None

    async def _halt(self, instance: Instance) -> None:
        """Stops proxy and server."""
        if instance.exporter is not None:
            instance.exporter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await instance.exporter
            instance.exporter = None
        if instance.supervisor is not None:
            instance.supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await instance.supervisor
            instance.supervisor = None
        await instance.proxy.close()
        await instance.cluster.stop()

    async def _supervise(self, instance: Instance) -> None:
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
                await asyncio.sleep(_SUPERVISE_PAUSE)

    def _show_endpoint(self, instance: Instance) -> None:
        instance.record["Endpoint"] = {
            "Address": ADDRESS,
            "Port": instance.proxy.port,
            "HostedZoneId": "Z2R2ITUGPM61AM",
        }

    def _resume(self, instance: Instance) -> None:
        """Goes on from the status in which the last daemon left an instance."""
        if instance.status == "creating":
            self._begin(instance, self._make(instance))
        elif instance.status == "deleting":
            self._begin(instance, self._unmake(instance))
        elif instance.status in ("stopping", "stopped"):
            self._set_status(instance, "stopped")
        elif instance.status != "failed":
            self._set_status(instance, "starting")
            self._begin(instance, self._come_back(instance))

    async def _come_back(self, instance: Instance) -> None:
        instance.cluster.configure(self._settings(instance))
        await self._launch(instance)
        self._show_endpoint(instance)
        await self._apply_changes(instance)
        self._set_status(instance, "available")

    # Create

    async def _create(self, call: Call) -> Response:
        params = call.params
        name = rules.name(str(params["DBInstanceIdentifier"]), "DBInstanceIdentifier")
        if params.get("DBClusterIdentifier"):
            refused.refuse("CreateDBInstance", "DB clusters")
        if params.get("AllocatedStorage") is None:
            raise rules.invalid("The parameter AllocatedStorage must be provided and must not be blank.")
        rules.sizes(params)
        rules.master(params)
        log_exports.check(params.get("EnableCloudwatchLogsExports") or [])
        chosen = engine.find(str(params.get("EngineVersion") or ""))
        engine.memory_gib(str(params["DBInstanceClass"]))
        groups.check(self._records, call.region, params, chosen)
        if self._records.instance(call.region, name) is not None:
            raise ApiError("DBInstanceAlreadyExists", "DB instance already exists")
        await self._linked_role(call)
        key = await encryption.key(self._ctx, call)
        response = await call.passthrough()
        if response.status >= 400:
            return response
        record = self._take(call.region, params["DBInstanceIdentifier"], name)
        group = params.get("DBParameterGroupName") or f"default.{chosen.family}"
        record.update({member: params[name] for name, (member, _waits) in _MODIFIABLE.items() if name in params})
        record.update(
            KmsKeyId=key,
            EnabledCloudwatchLogsExports=sorted(params.get("EnableCloudwatchLogsExports") or []),
            EngineVersion=chosen.version,
            DBName=params.get("DBName", ""),
            DBParameterGroups=[{"DBParameterGroupName": group, "ParameterApplyStatus": "in-sync"}],
            OptionGroupMemberships=[
                {"OptionGroupName": f"default:postgres-{chosen.major}", "Status": "in-sync"},
            ],
            PendingModifiedValues={"MasterUserPassword": _SECRET_SHOWN},
            LicenseModel="postgresql-license",
            # ministack keeps the IOPS of a new instance, and forgets this.
            StorageThroughput=int(params.get("StorageThroughput") or 0),
            _Verifier=scram.verifier(params["MasterUserPassword"]),
        )
        self._complete_network(call, record)
        return self._begin_creation(call.region, record, call.operation)

    def _complete_network(self, call: Call, record: Record) -> None:
        """The port that rules are made for, and the groups of an instance for which none were named.

        Amazon RDS API reference, CreateDBInstance, VpcSecurityGroupIds: the default group of the subnet group's VPC.
        """
        record["_RulesPort"] = int(call.params.get("Port") or record.get("_RulesPort") or _POSTGRESQL_PORT)
        groups.complete_default_subnets(record, call.region, call.account_id)
        if not record.get("VpcSecurityGroups"):
            subnets = [item["SubnetIdentifier"] for item in (record.get("DBSubnetGroup") or {}).get("Subnets", [])]
            default = self._ctx.firewall.default_groups(call.region, subnets)
            record["VpcSecurityGroups"] = [{"VpcSecurityGroupId": name, "Status": "active"} for name in default]

    async def _linked_role(self, call: Call) -> None:
        """RDS's service-linked role, made with the first instance.

        The message: Amazon RDS User Guide, "Using service-linked roles for Amazon RDS".
        """
        self._ctx.allow(call, f"rds:{call.operation}", self._new_arn(call))
        try:
            await self._ctx.linked_role(call, "rds.amazonaws.com")
        except ApiError as error:
            raise rules.invalid(
                "Unable to create the resource. Verify that you have permission to create service linked role. "
                "Otherwise wait and try again later."
            ) from error

    @staticmethod
    def _new_arn(call: Call) -> str:
        return f"arn:aws:rds:{call.region}:{call.account_id}:db:{call.params['DBInstanceIdentifier']}"

    def _take(self, region: str, given: str, name: str) -> Record:
        """The record that ministack just made, without what it must not keep."""
        record = self._records.instance(region, given)
        if record is None:
            raise RuntimeError(f"ministack made no record of {given}")
        if given != name:
            self._records.remove_instance(region, record)
            arn = str(record["DBInstanceArn"])
            record.update(DBInstanceIdentifier=name, DBInstanceArn=arn.removesuffix(given) + name)
            self._records.set_tags(region, record["DBInstanceArn"], record.get("TagList", []))
            self._records.put_instance(region, record)
        for secret in ("_MasterUserPassword", "_HostPort"):
            record.pop(secret, None)
        record.update(DBInstanceStatus="creating", Endpoint={})
        return record

    def _begin_creation(self, region: str, record: Record, operation: str) -> Response:
        instance = self._adopt(region, record)
        response = self._records.instance_response(region, record, operation)
        self._ctx.changed()
        self._begin(instance, self._make(instance))
        return response

    async def _make(self, instance: Instance) -> None:
        record = instance.record
        waiting = asyncio.create_task(self._ctx.clock.sleep(_CREATE))
        try:
            source = record.get("_Source")
            if source:
                await instance.cluster.create_from(Path(source), self._settings(instance))
            else:
                await instance.cluster.create(self._settings(instance))
            await self._launch(instance)
            if not source:
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
        record.pop("_Source", None)
        self._show_endpoint(instance)
        self._set_status(instance, "available")
        if source:
            self._events.of_instance(record, events.RESTORED, snapshot=Path(source).name.rpartition(".")[2])
        else:
            self._events.of_instance(record, events.CREATED)

    # Modify

    async def _modify(self, call: Call) -> Response:
        params = call.params
        instance = self._find(call)
        unknown = [name for name in params if name not in _HANDLED and name not in _MODIFIABLE]
        if unknown:
            raise rules.combination(
                f"ModifyDBInstance with {', '.join(sorted(unknown))} is not supported by the local AWS."
            )
        self._require(instance, ("available",), "Database instance is not in available state.")
        self._check_changes(instance, params)
        record = instance.record
        exported = log_exports.changed(record, params)
        now, later = self._sort_changes(record, params)
        record.update(now)
        self._tell_memberships(record, params)
        groups.change_memberships(record, params)
        immediately = bool(params.get("ApplyImmediately"))
        if "MasterUserPassword" in params:
            record["_NewVerifier"] = scram.verifier(params["MasterUserPassword"])
        if immediately:
            later = {**_pending(record), **later}
        shown = _pending(record) | later
        if "MasterUserPassword" in params:
            shown["MasterUserPassword"] = _SECRET_SHOWN
        record["PendingModifiedValues"] = shown
        if immediately and later:
            record["_Changes"] = later
        if exported is not None:
            record["EnabledCloudwatchLogsExports"] = exported
            self._export_logs(instance)
        response = self._records.instance_response(instance.region, record, call.operation)
        self._ctx.changed()
        if record.get("_Changes") or record.get("_NewVerifier"):
            self._begin(instance, self._carry_out(instance))
        elif params.get("DBParameterGroupName"):
            instance.cluster.configure(self._settings(instance))
            instance.cluster.reload()
        return response

    def _check_changes(self, instance: Instance, params: dict[str, Any]) -> None:
        record = instance.record
        rules.sizes(params)
        if "MasterUserPassword" in params:
            rules.password(params["MasterUserPassword"])
        if "DBInstanceClass" in params:
            engine.memory_gib(params["DBInstanceClass"])
        if params.get("AllocatedStorage", record["AllocatedStorage"]) < record["AllocatedStorage"]:
            raise rules.invalid("Invalid storage size for engine name postgres: storage cannot be reduced.")
        if "EngineVersion" in params:
            chosen = engine.find(params["EngineVersion"])
            if chosen.version != record["EngineVersion"]:
                if not params.get("AllowMajorVersionUpgrade"):
                    raise rules.combination(
                        "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
                    )
                raise rules.combination(f"Cannot upgrade postgres from {record['EngineVersion']} to {chosen.version}")
            params["EngineVersion"] = chosen.version
        groups.check(self._records, instance.region, params, instance.cluster.engine)

    @staticmethod
    def _sort_changes(record: Record, params: dict[str, Any]) -> tuple[Record, Record]:
        """What changes at once, and what waits."""
        now: Record = {}
        later: Record = {}
        for parameter, (member, waits) in _MODIFIABLE.items():
            if parameter in params and record.get(member) != params[parameter]:
                (later if waits else now)[member] = params[parameter]
        return now, later

    async def _carry_out(self, instance: Instance) -> None:
        """A modification that takes time."""
        await self._ctx.clock.sleep(_NOTICE)
        only_password = not instance.record.get("_Changes")
        self._events.of_changes(instance.record, instance.record.get("_Changes") or {}, finished=False)
        self._set_status(instance, "resetting-master-credentials" if only_password else "modifying")
        await self._ctx.clock.sleep(_MODIFY)
        await self._apply_changes(instance)
        self._set_status(instance, "available")

    async def _apply_changes(self, instance: Instance) -> None:
        """Does what was promised by _Changes and _NewVerifier; nothing if there is nothing."""
        record = instance.record
        pending = _pending(record)
        if record.get("_NewVerifier"):
            await instance.cluster.set_verifier(record["MasterUsername"], record["_NewVerifier"])
            record["_Verifier"] = record.pop("_NewVerifier")
            self._events.of_instance(record, events.PASSWORD_RESET)
        changes = record.get("_Changes")
        if changes:
            if "BackupRetentionPeriod" in changes:
                self._events.of_retention(record, record["BackupRetentionPeriod"], changes["BackupRetentionPeriod"])
            record.update(changes)
            pending = {name: value for name, value in pending.items() if name not in changes}
            if "DBInstanceClass" in changes:
                await self._restart(instance)
            record.pop("_Changes")
            self._events.of_changes(record, changes, finished=True)
        record["PendingModifiedValues"] = pending

    def _tell_memberships(self, record: Record, params: dict[str, Any]) -> None:
        """Events of groups that a modification changes."""
        name, present = params.get("DBParameterGroupName"), record.get("DBParameterGroups", [])
        if name and [group["DBParameterGroupName"] for group in present] != [name]:
            self._events.of_instance(record, events.GROUP_USED, group=name)
        if "VpcSecurityGroupIds" in params:
            before = {group["VpcSecurityGroupId"] for group in record.get("VpcSecurityGroups", [])}
            after = set(params["VpcSecurityGroupIds"])
            for group in sorted(after - before):
                self._events.of_instance(record, events.GROUP_ADDED, group=group)
            for group in sorted(before - after):
                self._events.of_instance(record, events.GROUP_REMOVED, group=group)

    async def _restart(self, instance: Instance) -> None:
        """A restart with the settings as they are now; clients are disconnected, the port stays."""
        await self._halt(instance)
        self._events.of_instance(instance.record, events.SHUT_DOWN)
        instance.cluster.configure(self._settings(instance))
        await self._launch(instance)
        self._events.of_instance(instance.record, events.RESTARTED)
        for group in instance.record.get("DBParameterGroups", []):
            group["ParameterApplyStatus"] = "in-sync"

    # Start, stop, reboot

    async def _start_instance(self, call: Call) -> Response:
        instance = self._find(call)
        self._require(instance, ("stopped",), f"Instance {instance.name} is not stopped, cannot be started.")

        async def work() -> None:
            waiting = asyncio.create_task(self._ctx.clock.sleep(_START))
            try:
                instance.cluster.configure(self._settings(instance))
                await self._launch(instance)
                await waiting
            finally:
                waiting.cancel()
            self._show_endpoint(instance)
            self._set_status(instance, "available")
            self._events.of_instance(instance.record, events.STARTED)

        return self._do(instance, call, "starting", work())

    async def _stop_instance(self, call: Call) -> Response:
        instance = self._find(call)
        self._require(instance, ("available",), f"Instance {instance.name} is not in available state.")
        snapshot = call.params.get("DBSnapshotIdentifier")
        if snapshot:
            self._new_snapshot(instance, str(snapshot), [])

        async def work() -> None:
            if snapshot:
                await self._copy(instance, str(snapshot).lower())
            await self._halt(instance)
            await self._ctx.clock.sleep(_STOP)
            self._set_status(instance, "stopped")
            self._events.of_instance(instance.record, events.STOPPED)

        return self._do(instance, call, "stopping", work())

    async def _reboot(self, call: Call) -> Response:
        instance = self._find(call)
        self._require(instance, ("available",), "Database instance is not in available state.")
        if call.params.get("ForceFailover") and not instance.record.get("MultiAZ"):
            raise rules.combination("The ForceFailover parameter can only be used with Multi-AZ instances.")

        failover = bool(call.params.get("ForceFailover"))

        async def work() -> None:
            if failover:
                self._events.of_instance(instance.record, events.FAILOVER_BEGUN)
            await self._restart(instance)
            await self._ctx.clock.sleep(_REBOOT)
            if failover:
                self._events.of_instance(instance.record, events.FAILOVER_FINISHED)
            self._set_status(instance, "available")

        return self._do(instance, call, "rebooting", work())

    def _do(self, instance: Instance, call: Call, status: str, work: Coroutine[Any, Any, None]) -> Response:
        self._set_status(instance, status)
        response = self._records.instance_response(instance.region, instance.record, call.operation)
        self._begin(instance, work)
        return response

    # Delete

    async def _delete(self, call: Call) -> Response:
        instance = self._find(call)
        record, params = instance.record, call.params
        skip, final = bool(params.get("SkipFinalSnapshot")), params.get("FinalDBSnapshotIdentifier")
        if record.get("DeletionProtection"):
            raise rules.combination(
                "Cannot delete protected DB Instance, please disable deletion protection and try again."
            )
        if skip and final:
            raise rules.combination(
                "FinalDBSnapshotIdentifier can not be specified when deleting with SkipFinalSnapshot."
            )
        if not skip and not final:
            raise rules.combination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
        if instance.status == "deleting":
            raise rules.state(f"Instance {instance.name} is already being deleted.")
        if final and instance.status not in ("available", "stopped"):
            raise rules.state(_not_available(instance))
        if final:
            self._new_snapshot(
                instance, str(final), record.get("TagList", []) if record.get("CopyTagsToSnapshot") else []
            )
            record["_Final"] = str(final).lower()
        if instance.job is not None:
            instance.job.cancel()
            await asyncio.wait([instance.job])
            self._fail_snapshots(instance, record.get("_Final"))
        return self._do(instance, call, "deleting", self._unmake(instance))

    def _fail_snapshots(self, instance: Instance, final: str | None) -> None:
        """What was being copied when the instance was deleted will never be complete."""
        for region, snapshot in self._records.snapshots():
            mine = region == instance.region and snapshot["DBInstanceIdentifier"] == instance.name
            if mine and snapshot["Status"] == "creating" and snapshot["DBSnapshotIdentifier"] != final:
                snapshot["Status"] = "failed"

    async def _unmake(self, instance: Instance) -> None:
        final = instance.record.get("_Final")
        snapshot = self._records.snapshot(instance.region, final) if final else None
        if snapshot is not None and snapshot["Status"] != "available":
            await self._copy(instance, str(final))
        await self._halt(instance)
        await self._ctx.clock.sleep(_DELETE)
        await asyncio.to_thread(shutil.rmtree, instance.cluster.folder, True)
        self._instances.pop((instance.region, instance.name), None)
        self._records.remove_instance(instance.region, instance.record)
        self._events.of_instance(instance.record, events.DELETED)
        _log.info("database %s: deleted", instance.name)
        self._ctx.changed()

    # Snapshots

    def _snapshot_folder(self, region: str, name: str) -> Path:
        key = name if region == self._ctx.settings.region else f"{region}.{name}"
        return self._ctx.settings.home / "snapshots" / key

    def _new_snapshot(self, instance: Instance, given: str, tags: list[dict[str, str]]) -> Record:
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

    async def _copy(self, instance: Instance, name: str) -> None:
        """Fills a snapshot with the data as they are now."""
        record = self._records.snapshot(instance.region, name)
        if record is None:
            return
        waiting = asyncio.create_task(self._ctx.clock.sleep(_SNAPSHOT))
        try:
            folder = self._snapshot_folder(instance.region, name)
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

    async def _create_snapshot(self, call: Call) -> Response:
        identifier = str(call.params["DBInstanceIdentifier"])
        if self._records.instance(call.region, identifier) is None:
            return await call.passthrough()
        instance = self._find(call)
        self._require(
            instance,
            ("available", "stopped"),
            _not_available(instance),
        )
        tags = call.params.get("Tags", [])
        record = self._new_snapshot(instance, str(call.params["DBSnapshotIdentifier"]), tags)
        before = instance.status
        self._set_status(instance, "backing-up" if before == "available" else before)

        async def work() -> None:
            try:
                await self._copy(instance, record["DBSnapshotIdentifier"])
            except Exception:
                _log.exception("database %s: the snapshot %s failed", instance.name, record["DBSnapshotIdentifier"])
            self._set_status(instance, before)

        response = self._records.snapshot_response(call.region, record, call.operation)
        self._begin(instance, work())
        return response

    async def _delete_snapshot(self, call: Call) -> Response:
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
            folder = self._snapshot_folder(call.region, record["DBSnapshotIdentifier"])
            await asyncio.to_thread(shutil.rmtree, folder, True)
            self._events.of_snapshot(record, events.SNAPSHOT_DELETED)
        return response

    async def _resume_snapshot(self, region: str, record: Record) -> None:
        """A snapshot that was cut off is taken again, or has failed where its instance is gone."""
        instance = self._instances.get((region, record["DBInstanceIdentifier"]))
        if instance is None:
            record["Status"] = "failed"
        elif instance.status != "deleting":
            self._background(self._copy_when_ready(instance, record["DBSnapshotIdentifier"]))

    async def _copy_when_ready(self, instance: Instance, name: str) -> None:
        if instance.job is not None:
            await asyncio.wait([instance.job])
        try:
            await self._copy(instance, name)
        except Exception:
            _log.exception("database %s: the snapshot %s failed", instance.name, name)

    async def _restore(self, call: Call) -> Response:
        params = call.params
        name = rules.name(str(params["DBInstanceIdentifier"]), "DBInstanceIdentifier")
        given = str(params.get("DBSnapshotIdentifier") or "")
        snapshot = self._records.snapshot(call.region, given)
        if snapshot is None:
            raise ApiError("DBSnapshotNotFound", f"DBSnapshot {given} not found.", 404)
        if snapshot["Status"] != "available":
            raise ApiError("InvalidDBSnapshotState", "The DB snapshot is not in the available state.")
        folder = self._snapshot_folder(call.region, snapshot["DBSnapshotIdentifier"])
        chosen = engine.find(snapshot["EngineVersion"])
        if params.get("DBInstanceClass"):
            engine.memory_gib(params["DBInstanceClass"])
        groups.check(self._records, call.region, params, chosen)
        if self._records.instance(call.region, name) is not None:
            raise ApiError("DBInstanceAlreadyExists", "DB instance already exists")
        response = await call.passthrough()
        if "Error" in parse_response(response, "rds", call.operation):
            return response
        record = self._take(call.region, params["DBInstanceIdentifier"], name)
        restored.fill(record, snapshot, params)
        record["_RulesPort"] = snapshot["Port"]
        groups.fill_restored(self._records, call.region, record, params, chosen)
        record.update(_Source=str(folder), LicenseModel="postgresql-license", DbiResourceId=_resource_id())
        self._complete_network(call, record)
        return self._begin_creation(call.region, record, call.operation)

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
        for instance in self._instances.values():
            for group in instance.record.get("DBParameterGroups", []):
                if (
                    instance.region == call.region
                    and group["DBParameterGroupName"] == name
                    and instance.cluster.exists()
                ):
                    instance.cluster.configure(self._settings(instance))
                    instance.cluster.reload()
                    if static:
                        group["ParameterApplyStatus"] = "pending-reboot"
        self._ctx.changed()
        return response


def _pending(record: Record) -> Record:
    """What waits, without the password."""
    return {
        name: value for name, value in record.get("PendingModifiedValues", {}).items() if name != "MasterUserPassword"
    }


def _not_available(instance: Instance) -> str:
    return (
        f"Cannot create a snapshot because the database instance {instance.name} "
        "is not currently in the available state."
    )


def _resource_id() -> str:
    return f"db-{uuid.uuid4().hex[:26].upper()}"
