# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a snapshot keeps of its instance, and what an instance that is restored from it gets.

botocore's text on RestoreDBInstanceFromDBSnapshot: "most of the source's original configuration, including the default
security group and DB parameter group", and on its BackupRetentionPeriod and PreferredBackupWindow: "Default: Uses
existing setting".
"""

from __future__ import annotations

from typing import Any

from .models import Record

KEPT = (
    "AllocatedStorage",
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "DBInstanceClass",
    "IAMDatabaseAuthenticationEnabled",
    "Iops",
    "KmsKeyId",
    "MaxAllocatedStorage",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "StorageEncrypted",
    "StorageThroughput",
    "StorageType",
)
# Where a parameter of a restore and the member of the record have other names.
_MEMBERS = {"EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled"}
_PARAMETERS = (
    "AllocatedStorage",
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DeletionProtection",
    "EnableIAMDatabaseAuthentication",
    "Iops",
    "PreferredBackupWindow",
    "StorageThroughput",
    "StorageType",
)


def remember(snapshot: Record, instance: Record) -> None:
    """Completes a snapshot's record: ministack leaves out network, key and backups."""
    network = (instance.get("DBSubnetGroup") or {}).get("VpcId")
    snapshot["_Configuration"] = {name: instance[name] for name in KEPT if instance.get(name) not in (None, "")}
    snapshot["Port"] = int(instance.get("_RulesPort") or snapshot["Port"])
    snapshot["KmsKeyId"] = instance.get("KmsKeyId") or ""
    if network:
        snapshot["VpcId"] = network


def fill(record: Record, snapshot: Record, params: dict[str, Any]) -> None:
    """Gives a restored instance the snapshot's configuration, and what the request says otherwise."""
    record.update(snapshot.get("_Configuration") or {})
    for parameter in _PARAMETERS:
        if params.get(parameter) is not None:
            record[_MEMBERS.get(parameter, parameter)] = params[parameter]
