# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live RDS instance of the tests of restores, and what RDS leaves out of one that it restores."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

OWNER = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "tracking"}
EARLIEST, LATEST = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 23, 7, 50, tzinfo=UTC)


def live_instance() -> dict[str, Any]:
    """The live one, with settings that a restore loses."""
    return {
        "DBInstanceIdentifier": "tracking",
        "DBInstanceArn": "arn:live",
        "DbiResourceId": "db-LIVE",
        "DBInstanceStatus": "available",
        "Engine": "postgres",
        "EngineVersion": "16.9",
        "DBInstanceClass": "db.t4g.micro",
        "AllocatedStorage": 20,
        "MaxAllocatedStorage": 100,
        "StorageType": "gp3",
        "Iops": 3000,
        "StorageThroughput": 125,
        "StorageEncrypted": True,
        "KmsKeyId": "arn:key",
        "MultiAZ": True,
        "PubliclyAccessible": False,
        "DBSubnetGroup": {"DBSubnetGroupName": "tracking"},
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
        "DBParameterGroups": [{"DBParameterGroupName": "tracking-postgres16"}],
        "Endpoint": {"Address": "tracking.example.com", "Port": 5432},
        "DBName": "mlflow",
        "MasterUsername": "mlflow",
        "BackupRetentionPeriod": 7,
        "DeletionProtection": True,
        "AutoMinorVersionUpgrade": True,
        "PreferredBackupWindow": "03:00-03:30",
        "PreferredMaintenanceWindow": "sun:04:00-sun:04:30",
        "CopyTagsToSnapshot": True,
        "PerformanceInsightsEnabled": True,
        "CACertificateIdentifier": "rds-ca-rsa2048-g1",
        "EnabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "LatestRestorableTime": LATEST,
        "PendingModifiedValues": {},
        "TagList": [{"Key": key, "Value": value} for key, value in {**OWNER, "Team": "ml"}.items()],
        "_password": "a-made-up-present-password-0001",
    }


POOR = {
    "DBInstanceStatus": "creating",
    "MultiAZ": False,
    "DeletionProtection": False,
    "CopyTagsToSnapshot": False,
    "PerformanceInsightsEnabled": False,
    "EnabledCloudwatchLogsExports": [],
    "MaxAllocatedStorage": None,
    "PreferredMaintenanceWindow": "mon:01:00-mon:01:30",
    "DBSubnetGroup": {"DBSubnetGroupName": "default"},
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-default", "Status": "active"}],
    "DBParameterGroups": [{"DBParameterGroupName": "default.postgres16"}],
    "TagList": [],
    "_password": "a-made-up-former-password-0002",
}
