# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RDS accepts for a PostgreSQL instance, and its words when it does not (RDS API reference, CreateDBInstance)."""

from __future__ import annotations

import re
from typing import Any

from ...service import ApiError

_NAME = re.compile(r"[a-zA-Z](?:-?[a-zA-Z0-9])*")
_USER = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_DATABASE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED_USERS = {"admin", "rdsadmin", "rds_superuser", "rdsrepladmin", "rdstopmgr", "public", "user", "all", "none"}
_LONGEST_NAME = 63
_LONGEST_SNAPSHOT_NAME = 255
_PASSWORD = range(8, 129)
_FORBIDDEN_IN_PASSWORDS = set('/@" ')
_STORAGE = range(20, 65537)
_RETENTION = range(36)


def invalid(message: str) -> ApiError:
    """InvalidParameterValue."""
    return ApiError("InvalidParameterValue", message)


def combination(message: str) -> ApiError:
    """InvalidParameterCombination."""
    return ApiError("InvalidParameterCombination", message)


def name(value: str, parameter: str) -> str:
    """An identifier as RDS keeps it, in lower case."""
    longest = _LONGEST_SNAPSHOT_NAME if "Snapshot" in parameter else _LONGEST_NAME
    if not _NAME.fullmatch(value) or len(value) > longest:
        raise invalid(
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; "
            "must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two "
            "consecutive hyphens."
        )
    return value.lower()


def password(value: str) -> None:
    """A master password."""
    if len(value) < _PASSWORD.start:
        raise invalid(
            "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters."
        )
    if len(value) >= _PASSWORD.stop:
        raise invalid(
            "The parameter MasterUserPassword is not a valid password because it is longer than 128 characters."
        )
    if any(not " " <= character <= "~" or character in _FORBIDDEN_IN_PASSWORDS for character in value):
        raise invalid(
            "The parameter MasterUserPassword is not a valid password. "
            "Only printable ASCII characters besides '/', '@', '\"', ' ' may be used."
        )


def master(params: dict[str, Any]) -> None:
    """The master user, its password and the first database."""
    if params.get("ManageMasterUserPassword"):
        raise combination("ManageMasterUserPassword is not supported by the local AWS; give MasterUserPassword.")
    user = params.get("MasterUsername", "")
    if not user:
        raise invalid("The parameter MasterUsername must be provided and must not be blank.")
    if not _USER.fullmatch(user) or len(user) > _LONGEST_NAME:
        raise invalid(
            "The parameter MasterUsername is not a valid identifier. Identifiers must begin with a letter; must "
            "contain only ASCII letters, digits, and underscores."
        )
    if user.lower() in _RESERVED_USERS or user.lower().startswith("pg_"):
        raise invalid(f"MasterUsername {user} cannot be used as it is a reserved word used by the engine")
    if "MasterUserPassword" not in params:
        raise invalid("The parameter MasterUserPassword must be provided and must not be blank.")
    password(params["MasterUserPassword"])
    database = params.get("DBName", "")
    if database and (not _DATABASE.fullmatch(database) or len(database) > _LONGEST_NAME):
        raise invalid("DBName must begin with a letter and contain only alphanumeric characters.")


def sizes(params: dict[str, Any]) -> None:
    """Storage and backup retention, where they are given."""
    storage = params.get("AllocatedStorage")
    if storage is not None and storage not in _STORAGE:
        raise combination(
            "Invalid storage size for engine name postgres and storage type "
            f"{params.get('StorageType', 'gp2')}: {storage}"
        )
    retention = params.get("BackupRetentionPeriod")
    if retention is not None and retention not in _RETENTION:
        raise invalid(f"Invalid backup retention period: {retention}. Must be between 0 and 35 days.")


def state(message: str) -> ApiError:
    """InvalidDBInstanceState."""
    return ApiError("InvalidDBInstanceState", message)
