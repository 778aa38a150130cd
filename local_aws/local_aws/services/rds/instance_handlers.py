# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS's operations on PostgreSQL instances."""

from __future__ import annotations

from typing import Any

from ...context import Context
from ...network.firewall import Firewall
from ...service import ApiError
from ...service import Call
from ...service import Response
from . import capacity
from . import encryption
from . import engine
from . import events
from . import groups
from . import log_exports
from . import modifications
from . import refused
from . import renaming
from . import rules
from . import scram
from .controller import InstanceController
from .engine import Engine
from .events import Events
from .models import Instance
from .models import Record
from .records import Records
from .servers import Servers
from .snapshots import Snapshots
from .store import POSTGRESQL_PORT
from .store import InstanceStore

_SECRET_SHOWN = "****"


class InstanceHandlers:
    """Create, modify, delete, start, stop and reboot."""

    def __init__(
        self,
        *,
        ctx: Context,
        firewall: Firewall,
        store: InstanceStore,
        records: Records,
        servers: Servers,
        snapshots: Snapshots,
        controller: InstanceController,
        events_of_account: Events,
    ) -> None:
        self._ctx = ctx
        self._firewall = firewall
        self._store = store
        self._records = records
        self._servers = servers
        self._snapshots = snapshots
        self._controller = controller
        self._events = events_of_account

    def find(self, call: Call, parameter: str = "DBInstanceIdentifier") -> Instance:
        """The instance that a call names, if the caller may do that with it; raises ApiError."""
        identifier = str(call.params[parameter])
        instance = self._store.get(call.region, identifier)
        if instance is None:
            named = f"arn:aws:rds:{call.region}:{call.account_id}:db:{identifier.lower()}"
            self._ctx.allow(call, f"rds:{call.operation}", named)
            raise ApiError("DBInstanceNotFound", f"DBInstance {identifier} not found.", 404)
        self._ctx.allow(call, f"rds:{call.operation}", instance.record["DBInstanceArn"])
        return instance

    # Create

    async def create(self, call: Call) -> Response:
        """CreateDBInstance."""
        params = call.params
        name, chosen = self._check_create(call)
        await self._linked_role(call)
        key = await encryption.key(self._ctx, call)
        response = await call.passthrough()
        if response.status >= 400:
            return response
        record = self.complete_record(call.region, params["DBInstanceIdentifier"], name)
        record.update(_new_members(params, chosen))
        record["KmsKeyId"] = key
        self.complete_network(call, record)
        return self.begin_creation(call.region, record, call.operation)

    def _check_create(self, call: Call) -> tuple[str, Engine]:
        """The name and the engine of a new instance; raises ApiError."""
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
        if self._records.is_taken(call.region, name):
            raise ApiError("DBInstanceAlreadyExists", "DB instance already exists")
        capacity.check(self._ctx, name)
        return name, chosen

    def complete_network(self, call: Call, record: Record) -> None:
        """The port that rules are made for, and the groups of an instance for which none were named.

        Amazon RDS API reference, CreateDBInstance, VpcSecurityGroupIds: the default group of the subnet group's VPC.
        """
        record["_RulesPort"] = int(call.params.get("Port") or record.get("_RulesPort") or POSTGRESQL_PORT)
        groups.complete_default_subnets(record, call.region, call.account_id)
        if not record.get("VpcSecurityGroups"):
            subnets = [item["SubnetIdentifier"] for item in (record.get("DBSubnetGroup") or {}).get("Subnets", [])]
            default = self._firewall.default_groups(call.region, subnets)
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

    def complete_record(self, region: str, given: str, name: str) -> Record:
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

    def begin_creation(self, region: str, record: Record, operation: str) -> Response:
        """Begins to create the instance of a record; the answer of the operation."""
        instance = self._store.add(region, record)
        response = self._records.instance_response(region, record, operation)
        self._ctx.changed()
        self._controller.create(instance)
        return response

    # Modify, delete

    async def modify(self, call: Call) -> Response:
        """ModifyDBInstance."""
        params = call.params
        instance = self.find(call)
        modifications.check_names(params)
        require(instance, ("available",), "Database instance is not in available state.")
        record = instance.record
        modifications.check_values(record, params)
        groups.check(self._records, instance.region, params, instance.cluster.engine)
        name = renaming.check(self._records, instance.region, record, params)
        exported = log_exports.changed(record, params)
        now, later = modifications.sort_changes(record, params)
        if name:
            later["DBInstanceIdentifier"] = name
        record.update(now)
        self._add_membership_events(record, params)
        groups.change_memberships(record, params)
        _plan(record, params, later)
        if exported is not None:
            record["EnabledCloudwatchLogsExports"] = exported
            self._servers.export_logs(instance)
        response = self._records.instance_response(instance.region, record, call.operation)
        self._ctx.changed()
        if record.get("_Changes") or record.get("_NewVerifier") or record.get("_NewName"):
            self._controller.modify(instance)
        elif params.get("DBParameterGroupName"):
            instance.cluster.configure(self._store.server_parameters(instance))
            instance.cluster.reload()
        return response

    def _add_membership_events(self, record: Record, params: dict[str, Any]) -> None:
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

    async def delete(self, call: Call) -> Response:
        """DeleteDBInstance."""
        instance = self.find(call)
        record = instance.record
        final = _check_delete(instance, call.params)
        if final:
            self._snapshots.create(instance, final, [])
            record["_Final"] = final.lower()
        record["_KeepBackups"] = call.params.get("DeleteAutomatedBackups") is False
        await self._controller.delete(instance)
        return self._records.instance_response(instance.region, record, call.operation)

    # Start, stop, reboot

    async def start(self, call: Call) -> Response:
        """StartDBInstance."""
        instance = self.find(call)
        require(instance, ("stopped",), f"Instance {instance.name} is not stopped, cannot be started.")
        capacity.check(self._ctx, instance.name)
        response = self._in_status(instance, call, "starting")
        self._controller.start_instance(instance)
        return response

    async def stop(self, call: Call) -> Response:
        """StopDBInstance."""
        instance = self.find(call)
        require(instance, ("available",), f"Instance {instance.name} is not in available state.")
        snapshot = call.params.get("DBSnapshotIdentifier")
        if snapshot:
            self._snapshots.create(instance, str(snapshot), [])
        response = self._in_status(instance, call, "stopping")
        self._controller.stop_instance(instance, str(snapshot or "").lower())
        return response

    async def reboot(self, call: Call) -> Response:
        """RebootDBInstance."""
        instance = self.find(call)
        require(instance, ("available",), "Database instance is not in available state.")
        failover = bool(call.params.get("ForceFailover"))
        if failover and not instance.record.get("MultiAZ"):
            raise rules.combination("The ForceFailover parameter can only be used with Multi-AZ instances.")
        response = self._in_status(instance, call, "rebooting")
        self._controller.reboot(instance, failover=failover)
        return response

    def _in_status(self, instance: Instance, call: Call, status: str) -> Response:
        """The answer of an operation that begins with a new status."""
        self._store.set_status(instance, status)
        return self._records.instance_response(instance.region, instance.record, call.operation)


def _new_members(params: dict[str, Any], chosen: Engine) -> Record:
    """What ministack leaves out of the record of a new instance."""
    group = params.get("DBParameterGroupName") or f"default.{chosen.family}"
    given = {member: params[name] for name, (member, _waits) in modifications.MODIFIABLE.items() if name in params}
    return given | {
        "EnabledCloudwatchLogsExports": sorted(params.get("EnableCloudwatchLogsExports") or []),
        "EngineVersion": chosen.version,
        "DBName": params.get("DBName", ""),
        "DBParameterGroups": [{"DBParameterGroupName": group, "ParameterApplyStatus": "in-sync"}],
        "OptionGroupMemberships": [
            {"OptionGroupName": f"default:postgres-{chosen.major}", "Status": "in-sync"},
        ],
        "PendingModifiedValues": {"MasterUserPassword": _SECRET_SHOWN},
        "LicenseModel": "postgresql-license",
        # ministack keeps the IOPS of a new instance, and forgets this.
        "StorageThroughput": int(params.get("StorageThroughput") or 0),
        "_Verifier": scram.verifier(params["MasterUserPassword"]),
    }


def _plan(record: Record, params: dict[str, Any], later: Record) -> None:
    """Writes down what is going to change, and what of it is shown until then."""
    immediately = bool(params.get("ApplyImmediately"))
    if "MasterUserPassword" in params:
        record["_NewVerifier"] = scram.verifier(params["MasterUserPassword"])
    if immediately:
        later = {**modifications.pending_changes(record), **later}
    shown = modifications.pending_changes(record) | later
    if "MasterUserPassword" in params:
        shown["MasterUserPassword"] = _SECRET_SHOWN
    record["PendingModifiedValues"] = shown
    changes = dict(later) if immediately else {}
    new_name = changes.pop("DBInstanceIdentifier", "")
    if new_name:
        record["_NewName"] = new_name
    if changes:
        record["_Changes"] = changes


def _check_delete(instance: Instance, params: dict[str, Any]) -> str | None:
    """The final snapshot that a DeleteDBInstance asks for; raises ApiError."""
    record = instance.record
    skip, final = bool(params.get("SkipFinalSnapshot")), params.get("FinalDBSnapshotIdentifier")
    if record.get("DeletionProtection"):
        raise rules.combination(
            "Cannot delete protected DB Instance, please disable deletion protection and try again."
        )
    if skip and final:
        raise rules.combination("FinalDBSnapshotIdentifier can not be specified when deleting with SkipFinalSnapshot.")
    if not skip and not final:
        raise rules.combination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
    if instance.status == "deleting":
        raise rules.state(f"Instance {instance.name} is already being deleted.")
    if final and instance.status not in ("available", "stopped"):
        raise rules.state(not_available(instance))
    return str(final) if final else None


def require(instance: Instance, statuses: tuple[str, ...], message: str) -> None:
    """Refuses an operation in another status, or while something is being done with the instance."""
    if instance.status not in statuses or (instance.job is not None and not instance.job.done()):
        raise rules.state(message)


def not_available(instance: Instance) -> str:
    return (
        f"Cannot create a snapshot because the database instance {instance.name} "
        "is not currently in the available state."
    )
