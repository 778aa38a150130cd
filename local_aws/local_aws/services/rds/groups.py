# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnet and parameter groups as far as instances are concerned."""

from __future__ import annotations

from typing import Any

from ...ministack_adapter import ec2
from ...ministack_adapter.scope import request_scope
from ...service import ApiError
from ...service import Call
from ...service import Response
from ..security_groups.dependents import subnets_of
from . import engine
from .engine import Engine
from .models import Record
from .records import Records
from .rules import combination
from .rules import invalid

# Of RDS's parameters these are not PostgreSQL's, or name libraries that this PostgreSQL does not have.
_NOT_OURS = ("rds.", "shared_preload_libraries", "apg_", "pgaudit.", "pg_stat_statements.", "auto_explain.", "cron.")


def applies(name: str, value: str) -> bool:
    """Whether a parameter of a group goes to the server as it is; formulas of the instance class do not."""
    return not name.startswith(_NOT_OURS) and "{" not in value and value != ""


def check(records: Records, region: str, params: dict[str, Any], chosen: Engine) -> None:
    """The groups that a call names: there, and of the right family.

    :raises ApiError: RDS's refusal.
    """
    name = params.get("DBSubnetGroupName")
    if name and name != "default" and records.subnet_group(region, name) is None:
        raise ApiError("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)
    name = params.get("DBParameterGroupName")
    if not name:
        return
    group = records.parameter_group(region, name)
    if group is None:
        raise ApiError("DBParameterGroupNotFound", f"DBParameterGroup not found: {name}", 404)
    family = group.get("DBParameterGroupFamily")
    if family != chosen.family:
        raise combination(
            f"The parameter group {name} with DBParameterGroupFamily {family} can't be used for this instance. "
            f"Please use a parameter group with DBParameterGroupFamily {chosen.family}."
        )


def change_memberships(record: Record, params: dict[str, Any]) -> None:
    """Security groups and parameter group of a ModifyDBInstance; a new parameter group waits for a reboot."""
    if "VpcSecurityGroupIds" in params:
        record["VpcSecurityGroups"] = [
            {"VpcSecurityGroupId": group, "Status": "active"} for group in params["VpcSecurityGroupIds"]
        ]
    name = params.get("DBParameterGroupName")
    present = [group["DBParameterGroupName"] for group in record.get("DBParameterGroups", [])]
    if name and present != [name]:
        record["DBParameterGroups"] = [{"DBParameterGroupName": name, "ParameterApplyStatus": "pending-reboot"}]


def fill_restored(records: Records, region: str, record: Record, params: dict[str, Any], chosen: Engine) -> None:
    """The groups of an instance that is being restored: the default ones, where none are named."""
    name = params.get("DBSubnetGroupName")
    if name and records.subnet_group(region, name):
        record["DBSubnetGroup"] = records.subnet_group(region, name)
    group = params.get("DBParameterGroupName") or f"default.{chosen.family}"
    record["DBParameterGroups"] = [{"DBParameterGroupName": group, "ParameterApplyStatus": "in-sync"}]
    if "VpcSecurityGroupIds" in params:
        change_memberships(record, {"VpcSecurityGroupIds": params["VpcSecurityGroupIds"]})
    records.set_tags(region, record["DBInstanceArn"], record["TagList"])


def complete_default_subnets(record: Record, region: str, account_id: str) -> None:
    """The subnet group of an instance for which none was named: ``default``, with the subnets of the default VPC.

    Amazon RDS User Guide, "Working with DB subnet groups".
    """
    group = record.get("DBSubnetGroup") or {}
    if group.get("DBSubnetGroupName", "default") != "default" or group.get("Subnets"):
        return
    with request_scope(account_id, region):
        vpc = next((name for name, item in ec2.vpcs.items() if item.get("IsDefault")), "")
        subnets = [item for item in ec2.subnets.values() if item["VpcId"] == vpc]
    record["DBSubnetGroup"] = {
        **group,
        "DBSubnetGroupName": "default",
        "DBSubnetGroupDescription": "default",
        "SubnetGroupStatus": "Complete",
        "VpcId": vpc,
        "Subnets": [
            {
                "SubnetIdentifier": item["SubnetId"],
                "SubnetAvailabilityZone": {"Name": item["AvailabilityZone"]},
                "SubnetStatus": "Active",
            }
            for item in subnets
        ],
    }


def check_parameters(records: Records, call: Call) -> bool:
    """The parameters of ModifyDBParameterGroup, for the families that run here.

    :returns: whether any of them takes effect only after a reboot.
    :raises ApiError: RDS's refusal.
    """
    group = records.parameter_group(call.region, str(call.params["DBParameterGroupName"]))
    major = str((group or {}).get("DBParameterGroupFamily", "")).removeprefix("postgres")
    server = engine.engines().get(major)
    if server is None:
        return False
    static = False
    for parameter in call.params.get("Parameters", []):
        name = str(parameter.get("ParameterName", ""))
        if name.startswith(_NOT_OURS):
            continue
        if name not in server.parameters:
            raise invalid(f"Could not find parameter with name: {name}")
        if name in server.static_parameters:
            static = True
            if parameter.get("ApplyMethod") == "immediate":
                raise combination(f"cannot use immediate apply method for static parameter {name}")
    return static


def refuse_default(name: str, what: str) -> None:
    """RDS's default groups can be neither changed nor deleted (Amazon RDS User Guide, "DB parameter groups")."""
    if name.startswith("default."):
        raise ApiError("InvalidDBParameterGroupState", f"Default DBParameterGroup cannot be {what}: {name}")


async def delete_subnet_group(records: Records, call: Call) -> Response:
    """Refused while an instance uses it."""
    name = call.params["DBSubnetGroupName"]
    for region, record in records.instances():
        if region == call.region and (record.get("DBSubnetGroup") or {}).get("DBSubnetGroupName") == name:
            raise ApiError(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{name}' because at least one database instance: "
                f"{record['DBInstanceIdentifier']} is still using it.",
            )
    return await call.passthrough()


async def modify_subnet_group(records: Records, call: Call) -> Response:
    """Refused where an instance is in a subnet that would leave the group."""
    name = call.params["DBSubnetGroupName"]
    kept = call.params.get("SubnetIds") or []
    for region, record in records.instances():
        if region != call.region or (record.get("DBSubnetGroup") or {}).get("DBSubnetGroupName") != name:
            continue
        lost = [subnet for subnet in subnets_of(record) if subnet not in kept]
        if kept and lost:
            raise ApiError(
                "SubnetAlreadyInUse", f"Some of the subnets to be deleted are currently in use: {', '.join(lost)}"
            )
    return await call.passthrough()


async def delete_parameter_group(records: Records, call: Call) -> Response:
    """Refused while an instance uses it, and always for the default groups."""
    name = call.params["DBParameterGroupName"]
    refuse_default(str(name), "deleted")
    for region, record in records.instances():
        used = [group["DBParameterGroupName"] for group in record.get("DBParameterGroups", [])]
        if region == call.region and name in used:
            raise ApiError(
                "InvalidDBParameterGroupState",
                f"One or more database instances are still members of this parameter group {name}, "
                "so the group cannot be deleted",
            )
    return await call.passthrough()
