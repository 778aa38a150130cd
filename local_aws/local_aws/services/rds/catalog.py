# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RDS offers for PostgreSQL here: the versions that are installed, the classes that are known."""

from __future__ import annotations

from typing import Any

from ...service import Call
from ...service import Response
from ...service import aws_response
from . import engine


async def engine_versions(call: Call) -> Response:
    """DescribeDBEngineVersions for postgres."""
    params = call.params
    wanted = str(params.get("EngineVersion") or "")
    found = [
        {
            "Engine": "postgres",
            "EngineVersion": item.version,
            "MajorEngineVersion": item.major,
            "DBParameterGroupFamily": item.family,
            "DBEngineDescription": "PostgreSQL",
            "DBEngineVersionDescription": f"PostgreSQL {item.version}",
            "ValidUpgradeTarget": [],
            "ExportableLogTypes": ["iam-db-auth-error", "postgresql", "upgrade"],
            "SupportsLogExportsToCloudwatchLogs": True,
            "SupportsReadReplica": False,
            "Status": "available",
            "SupportsParallelQuery": False,
            "SupportsGlobalDatabases": False,
            "SupportsBabelfish": False,
            "SupportsCertificateRotationWithoutRestart": True,
            "SupportedCACertificateIdentifiers": ["rds-ca-rsa2048-g1"],
        }
        for item in engine.engines().values()
        if wanted in ("", item.major, item.version) and params.get("DBParameterGroupFamily") in (None, item.family)
    ]
    if params.get("DefaultOnly"):
        default = engine.find("").version
        found = [item for item in found if wanted or item["EngineVersion"] == default]
    return aws_response({"DBEngineVersions": found}, "rds", call.operation)


async def orderable_options(call: Call) -> Response:
    """DescribeOrderableDBInstanceOptions for postgres."""
    params = call.params
    wanted = str(params.get("EngineVersion") or "")
    versions = [engine.find(wanted)] if wanted else list(engine.engines().values())
    options: list[dict[str, Any]] = [
        {
            "Engine": "postgres",
            "EngineVersion": item.version,
            "DBInstanceClass": name,
            "LicenseModel": "postgresql-license",
            "AvailabilityZones": [{"Name": f"{call.region}{letter}"} for letter in "abc"],
            "MultiAZCapable": True,
            "ReadReplicaCapable": False,
            "Vpc": True,
            "SupportsStorageEncryption": True,
            "StorageType": storage,
            "SupportsIops": False,
            "SupportsStorageAutoscaling": True,
            "MinStorageSize": 20,
            "MaxStorageSize": 65536,
            "SupportedNetworkTypes": ["IPV4"],
        }
        for item in versions
        for name in engine.CLASSES
        for storage in ("gp2", "gp3")
        if params.get("DBInstanceClass") in (None, name)
    ]
    return aws_response({"OrderableDBInstanceOptions": options}, "rds", call.operation)
