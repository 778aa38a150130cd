# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a snapshot keeps of its instance, and what an instance that is restored from it gets.

botocore's text on RestoreDBInstanceFromDBSnapshot: "most of the source's original configuration, including the default
security group and DB parameter group", and on its BackupRetentionPeriod and PreferredBackupWindow: "Default: Uses
existing setting"; on RestoreDBInstanceToPointInTime: "with the default security group, the default subnet group, and
the default DB parameter group. By default, the new DB instance is created as a single-AZ deployment". On tags: Amazon
RDS User Guide, "Copying tags to DB snapshots".

A record's ``_Restore`` says what the instance is made from: ``folder`` of the snapshot or base backup, ``event`` that
tells of it, and for a restore to a time ``resource``, the DbiResourceId of the source, and ``until``.
"""

from __future__ import annotations

import uuid
from datetime import UTC
from datetime import datetime
from typing import Any

from . import engine
from . import log_exports
from . import rules
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
    "AvailabilityZone",
    "BackupRetentionPeriod",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DeletionProtection",
    "EnableIAMDatabaseAuthentication",
    "Iops",
    "MaxAllocatedStorage",
    "MultiAZ",
    "PreferredBackupWindow",
    "PubliclyAccessible",
    "StorageThroughput",
    "StorageType",
)
# Parameters that say what is restored, or are handled by themselves, or change nothing for PostgreSQL.
_HANDLED = {
    "BackupTarget",
    "DBInstanceIdentifier",
    "DBParameterGroupName",
    "DBSnapshotIdentifier",
    "DBSubnetGroupName",
    "EnableCloudwatchLogsExports",
    "Engine",
    "EngineLifecycleSupport",
    "LicenseModel",
    "NetworkType",
    "OptionGroupName",
    "Port",
    "RestoreTime",
    "SourceDBInstanceAutomatedBackupsArn",
    "SourceDBInstanceIdentifier",
    "SourceDbiResourceId",
    "Tags",
    "TargetDBInstanceIdentifier",
    "UseDefaultProcessorFeatures",
    "UseLatestRestorableTime",
    "VpcSecurityGroupIds",
}


def check(operation: str, params: dict[str, Any]) -> None:
    """Refuses what RDS refuses for PostgreSQL, and what is not known here; raises ApiError."""
    if params.get("DBName"):
        raise rules.invalid("DBName must be null when Restoring for this Engine.")
    if params.get("MultiAZ") and params.get("AvailabilityZone"):
        raise rules.combination("Requesting a specific availability zone is not valid for Multi-AZ instances.")
    unknown = sorted(set(params) - set(_PARAMETERS) - _HANDLED)
    if unknown:
        raise rules.combination(f"{operation} with {', '.join(unknown)} is not supported by the local AWS.")
    rules.sizes(params)
    log_exports.check(params.get("EnableCloudwatchLogsExports") or [])
    if params.get("DBInstanceClass"):
        engine.memory_gib(params["DBInstanceClass"])


def remember(snapshot: Record, instance: Record) -> None:
    """Completes a snapshot's record: ministack leaves out network, key and backups."""
    network = (instance.get("DBSubnetGroup") or {}).get("VpcId")
    snapshot["_Configuration"] = configuration(instance)
    snapshot["_InstanceTags"] = list(instance.get("TagList") or [])
    snapshot["Port"] = int(instance.get("_RulesPort") or snapshot["Port"])
    snapshot["KmsKeyId"] = instance.get("KmsKeyId") or ""
    if network:
        snapshot["VpcId"] = network


def configuration(instance: Record) -> Record:
    """What a copy of an instance has of its original."""
    return {name: instance[name] for name in KEPT if instance.get(name) not in (None, "")}


def new_record(arn: str, source: Record, kept: Record, params: dict[str, Any]) -> Record:
    """The record of an instance that is being restored, as poor as AWS makes it.

    :arg arn: its ARN.
    :arg source: the snapshot or the instance that it is restored from.
    :arg kept: the source's configuration.
    """
    region, version = arn.split(":")[3], source["EngineVersion"]
    record: Record = {
        "DBInstanceIdentifier": arn.rpartition(":")[2],
        "DBInstanceArn": arn,
        "DBInstanceStatus": "creating",
        "DbiResourceId": f"db-{uuid.uuid4().hex[:26].upper()}",
        "InstanceCreateTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "Engine": "postgres",
        "EngineVersion": version,
        "LicenseModel": "postgresql-license",
        "MasterUsername": source["MasterUsername"],
        "DBName": source.get("DBName", ""),
        "DBInstanceClass": source["DBInstanceClass"],
        "AllocatedStorage": source["AllocatedStorage"],
        "Endpoint": {},
        "AvailabilityZone": f"{region}a",
        "DBSecurityGroups": [],
        "VpcSecurityGroups": [],
        "DBSubnetGroup": {"DBSubnetGroupName": "default", "SubnetGroupStatus": "Complete", "Subnets": []},
        "OptionGroupMemberships": [
            {"OptionGroupName": f"default:postgres-{version.partition('.')[0]}", "Status": "in-sync"},
        ],
        "CACertificateIdentifier": "rds-ca-rsa2048-g1",
        "CertificateDetails": {"CAIdentifier": "rds-ca-rsa2048-g1", "ValidTill": "2061-01-01T00:00:00Z"},
        "PendingModifiedValues": {},
        "MultiAZ": False,
        "PubliclyAccessible": False,
        "DeletionProtection": False,
        "CopyTagsToSnapshot": False,
        "PerformanceInsightsEnabled": False,
        "MonitoringInterval": 0,
        "ReadReplicaDBInstanceIdentifiers": [],
        "TagList": list(params.get("Tags") or []),
        "EnabledCloudwatchLogsExports": sorted(params.get("EnableCloudwatchLogsExports") or []),
        "_Restored": True,
        "_RulesPort": int(params.get("Port") or source.get("_RulesPort") or source["Port"]),
    }
    record.update(kept)
    for parameter in _PARAMETERS:
        if params.get(parameter) is not None:
            record[_MEMBERS.get(parameter, parameter)] = params[parameter]
    return record
