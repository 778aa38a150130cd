# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a PostgreSQL instance, and their names in the RDS API. Private to the collection.

Facts: botocore's model of RDS; RDS API Reference, CreateDBInstance and ModifyDBInstance.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OWN_NAMES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OptionNames


@dataclass(frozen=True)
class Setting:
    """The names of an option in the RDS API."""

    create: str
    modify: str | None
    shown: str
    pending: bool = False


# An immutable option has no name in ModifyDBInstance.
SETTINGS: dict[str, Setting] = {
    "engine_version": Setting("EngineVersion", "EngineVersion", "EngineVersion", pending=True),
    "db_instance_class": Setting("DBInstanceClass", "DBInstanceClass", "DBInstanceClass", pending=True),
    "allocated_storage": Setting("AllocatedStorage", "AllocatedStorage", "AllocatedStorage", pending=True),
    "max_allocated_storage": Setting("MaxAllocatedStorage", "MaxAllocatedStorage", "MaxAllocatedStorage"),
    "storage_type": Setting("StorageType", "StorageType", "StorageType", pending=True),
    "iops": Setting("Iops", "Iops", "Iops", pending=True),
    "storage_throughput": Setting("StorageThroughput", "StorageThroughput", "StorageThroughput", pending=True),
    "storage_encrypted": Setting("StorageEncrypted", None, "StorageEncrypted"),
    "kms_key_id": Setting("KmsKeyId", None, "KmsKeyId"),
    "multi_az": Setting("MultiAZ", "MultiAZ", "MultiAZ", pending=True),
    "publicly_accessible": Setting("PubliclyAccessible", "PubliclyAccessible", "PubliclyAccessible"),
    "db_subnet_group_name": Setting("DBSubnetGroupName", None, "DBSubnetGroup"),
    "vpc_security_group_ids": Setting("VpcSecurityGroupIds", "VpcSecurityGroupIds", "VpcSecurityGroups"),
    "db_parameter_group_name": Setting("DBParameterGroupName", "DBParameterGroupName", "DBParameterGroups"),
    "port": Setting("Port", "DBPortNumber", "Endpoint", pending=True),
    "db_name": Setting("DBName", None, "DBName"),
    "master_username": Setting("MasterUsername", None, "MasterUsername"),
    "backup_retention_period": Setting(
        "BackupRetentionPeriod", "BackupRetentionPeriod", "BackupRetentionPeriod", pending=True
    ),
    "deletion_protection": Setting("DeletionProtection", "DeletionProtection", "DeletionProtection"),
    "auto_minor_version_upgrade": Setting(
        "AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"
    ),
    "preferred_backup_window": Setting("PreferredBackupWindow", "PreferredBackupWindow", "PreferredBackupWindow"),
    "preferred_maintenance_window": Setting(
        "PreferredMaintenanceWindow", "PreferredMaintenanceWindow", "PreferredMaintenanceWindow"
    ),
    "copy_tags_to_snapshot": Setting("CopyTagsToSnapshot", "CopyTagsToSnapshot", "CopyTagsToSnapshot"),
    "enable_performance_insights": Setting(
        "EnablePerformanceInsights", "EnablePerformanceInsights", "PerformanceInsightsEnabled"
    ),
    "performance_insights_retention_period": Setting(
        "PerformanceInsightsRetentionPeriod",
        "PerformanceInsightsRetentionPeriod",
        "PerformanceInsightsRetentionPeriod",
    ),
    "performance_insights_kms_key_id": Setting(
        "PerformanceInsightsKMSKeyId", "PerformanceInsightsKMSKeyId", "PerformanceInsightsKMSKeyId"
    ),
    "ca_certificate_identifier": Setting(
        "CACertificateIdentifier", "CACertificateIdentifier", "CACertificateIdentifier", pending=True
    ),
    "enable_cloudwatch_logs_exports": Setting(
        "EnableCloudwatchLogsExports", "CloudwatchLogsExportConfiguration", "EnabledCloudwatchLogsExports"
    ),
}


@dataclass(frozen=True)
class DesiredState:
    """The user's request.

    Attributes:
        name: identifier of the instance.
        settings: options of SETTINGS that were given.
        secret_arn: secret that holds the master password.
        secret_key: its member.
        option_names: of the module, for messages.
    """

    name: str
    settings: dict[str, typing.Any] = field(default_factory=dict)
    secret_arn: str | None = None
    secret_key: str = "password"
    tags: dict[str, str] | None = None
    purge_tags: bool = True
    apply_immediately: bool = False
    allow_major_version_upgrade: bool = False
    option_names: OptionNames = OWN_NAMES


def effective(instance: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the settings, with pending modifications applied."""
    pending = instance.get("PendingModifiedValues", {})
    found: dict[str, typing.Any] = {}
    for option, setting in SETTINGS.items():
        value = instance.get(setting.shown)
        if setting.pending and pending.get(setting.create) is not None:
            value = pending[setting.create]
        elif option == "db_subnet_group_name":
            value = (value or {}).get("DBSubnetGroupName")
        elif option == "port":
            value = (value or {}).get("Port")
        elif option == "vpc_security_group_ids":
            value = sorted(g["VpcSecurityGroupId"] for g in value or [] if g.get("Status") != "removing")
        elif option == "db_parameter_group_name":
            value = value[0]["DBParameterGroupName"] if value else None
        elif option == "enable_cloudwatch_logs_exports":
            value = _exported(value or [], pending.get("PendingCloudwatchLogsExports") or {})
        found[option] = value
    return found


def _exported(present: list[str], pending: dict[str, list[str]]) -> list[str]:
    """Return the exported logs, with pending changes applied."""
    gone = pending.get("LogTypesToDisable") or []
    return sorted({*present, *(pending.get("LogTypesToEnable") or [])} - set(gone))


def given(settings: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return {key: value for key, value in settings.items() if value is not None}
