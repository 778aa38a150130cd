# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS's operations on automated backups."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from . import paging
from . import rules
from .automated_backups import AutomatedBackups
from .models import Record

_SHOWN = (
    "AllocatedStorage",
    "AvailabilityZone",
    "BackupRetentionPeriod",
    "DBInstanceArn",
    "DBInstanceIdentifier",
    "DbiResourceId",
    "Engine",
    "EngineVersion",
    "IAMDatabaseAuthenticationEnabled",
    "Iops",
    "KmsKeyId",
    "LicenseModel",
    "MasterUsername",
    "PreferredBackupWindow",
    "StorageThroughput",
    "StorageType",
    "TagList",
)
_FILTERS = {"status": "Status", "db-instance-id": "DBInstanceIdentifier", "dbi-resource-id": "DbiResourceId"}


class BackupHandlers:
    """DescribeDBInstanceAutomatedBackups and DeleteDBInstanceAutomatedBackup."""

    def __init__(self, ctx: Context, backups: AutomatedBackups) -> None:
        self._ctx = ctx
        self._backups = backups

    async def describe(self, call: Call) -> Response:
        """DescribeDBInstanceAutomatedBackups."""
        self._ctx.allow(call, f"rds:{call.operation}")
        params = call.params
        found = [self._shape(record) for record in await self._backups.of_region(call.region)]
        for parameter, member in (
            ("DbiResourceId", "DbiResourceId"),
            ("DBInstanceIdentifier", "DBInstanceIdentifier"),
            ("DBInstanceAutomatedBackupsArn", "DBInstanceAutomatedBackupsArn"),
        ):
            if params.get(parameter):
                found = [item for item in found if item[member].lower() == str(params[parameter]).lower()]
                if not found:
                    raise _not_found(str(params[parameter]))
        found = paging.filtered(found, params, _FILTERS)
        output = paging.page("DBInstanceAutomatedBackups", found, params, "DbiResourceId")
        return aws_response(output, "rds", call.operation)

    async def delete(self, call: Call) -> Response:
        """DeleteDBInstanceAutomatedBackup, of a deleted instance alone."""
        params = call.params
        wanted = [str(params.get("DbiResourceId") or "").lower(), params.get("DBInstanceAutomatedBackupsArn")]
        for record in await self._backups.of_region(call.region):
            if record["DbiResourceId"].lower() != wanted[0] and self._backups.arn(record) != wanted[1]:
                continue
            self._ctx.allow(call, f"rds:{call.operation}", self._backups.arn(record))
            if "_DeletedAt" not in record:
                name = record["DBInstanceIdentifier"]
                raise ApiError(
                    "InvalidDBInstanceAutomatedBackupState",
                    f"The automated backups of the DB instance {name} cannot be deleted while the instance exists.",
                )
            shape = self._shape(record) | {"Status": "deleting"}
            await self._backups.delete(record)
            return aws_response({"DBInstanceAutomatedBackup": shape}, "rds", call.operation)
        self._ctx.allow(call, f"rds:{call.operation}")
        if not any(wanted):
            raise rules.combination("Either DbiResourceId or DBInstanceAutomatedBackupsArn must be specified.")
        raise _not_found(str(params.get("DbiResourceId") or wanted[1]))

    def _shape(self, record: Record) -> dict[str, Any]:
        window = self._backups.restorable(record)
        status = "retained" if "_DeletedAt" in record else "active" if window else "creating"
        shape = {name: record[name] for name in _SHOWN if record.get(name) not in (None, "")}
        shape |= {
            "DBInstanceAutomatedBackupsArn": self._backups.arn(record),
            "Region": record["DBInstanceArn"].split(":")[3],
            "Status": status,
            "Port": int(record.get("_RulesPort") or 0),
            "Encrypted": bool(record.get("StorageEncrypted")),
            "InstanceCreateTime": datetime.fromisoformat(record["InstanceCreateTime"]),
            "BackupTarget": "region",
            "VpcId": (record.get("DBSubnetGroup") or {}).get("VpcId") or "",
        }
        return shape | ({"RestoreWindow": {"EarliestTime": window[0], "LatestTime": window[1]}} if window else {})


def _not_found(name: str) -> ApiError:
    return ApiError("DBInstanceAutomatedBackupNotFound", f"DBInstanceAutomatedBackup {name} not found.", 404)
