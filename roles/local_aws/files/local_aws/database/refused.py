# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of RDS for what does not run here. ministack would keep a record that nothing stands behind."""

from __future__ import annotations

from typing import NoReturn

from . import rules

OPERATIONS = {
    "CreateDBCluster": "DB clusters",
    "CreateDBClusterParameterGroup": "DB clusters",
    "CreateDBClusterSnapshot": "DB clusters",
    "CreateDBInstanceReadReplica": "read replicas",
    "CreateDBProxy": "RDS proxies",
    "CreateDBProxyEndpoint": "RDS proxies",
    "CreateGlobalCluster": "global clusters",
    "EnableHttpEndpoint": "Data API",
    "RegisterDBProxyTargets": "RDS proxies",
}
"""The operation, and what it would make."""


def refuse(operation: str, what: str) -> NoReturn:
    """Raises ApiError."""
    raise rules.combination(f"The local AWS has no {what}: {operation} is refused.")
