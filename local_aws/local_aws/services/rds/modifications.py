# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ModifyDBInstance changes, at once or later. Pure functions."""

from __future__ import annotations

from typing import Any

from . import engine
from . import rules
from .models import Record

# What ModifyDBInstance changes: parameter → (member of the record, whether it waits for the maintenance window).
MODIFIABLE = {
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
    "NewDBInstanceIdentifier",
}


def check_names(params: dict[str, Any]) -> None:
    """Refuses parameters that are not known here; raises ApiError."""
    unknown = [name for name in params if name not in _HANDLED and name not in MODIFIABLE]
    if unknown:
        raise rules.combination(
            f"ModifyDBInstance with {', '.join(sorted(unknown))} is not supported by the local AWS."
        )


def check_values(record: Record, params: dict[str, Any]) -> None:
    """Refuses changes that RDS refuses; raises ApiError. EngineVersion becomes the whole version."""
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


def sort_changes(record: Record, params: dict[str, Any]) -> tuple[Record, Record]:
    """What changes at once, and what waits."""
    now: Record = {}
    later: Record = {}
    for parameter, (member, waits) in MODIFIABLE.items():
        if parameter in params and record.get(member) != params[parameter]:
            (later if waits else now)[member] = params[parameter]
    return now, later


def pending_changes(record: Record) -> Record:
    """What waits, without the password."""
    return {
        name: value for name, value in record.get("PendingModifiedValues", {}).items() if name != "MasterUserPassword"
    }
