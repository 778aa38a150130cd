# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the database and of its owner. Pure Python, private to the collection."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation

# "Can't be a reserved word for the chosen database engine" (botocore's model of rds, CreateDBInstance, MasterUsername
# and DBName). PostgreSQL's reserved words: documentation of PostgreSQL 16, appendix C.
RESERVED_WORDS = frozenset(
    re.split(
        r"\s+",
        """all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
        collation column concurrently constraint create cross current_catalog current_date current_role
        current_schema current_time current_timestamp current_user default deferrable desc distinct do
        else end except false fetch for foreign freeze from full grant group having ilike in initially
        inner intersect into is isnull join lateral leading left like limit localtime localtimestamp
        natural not notnull null offset on only or order outer overlaps placing primary references
        returning right select session_user similar some symmetric system_user table tablesample then to
        trailing true union unique user using variadic verbose when where window with""",
    )
)
# Names that RDS for PostgreSQL reserves, and the databases that every PostgreSQL has.
_RDS_USERS = frozenset({"admin", "rdsadmin", "rdsrepladmin"})
_RDS_DATABASES = frozenset({"rdsadmin", "template0", "template1"})


def username(name: str, value: typing.Any) -> Problems:
    """Check the name of the database's owner."""
    right = "up to 63 letters, digits and underscores that begin with a letter, and not admin or rdsadmin"
    return _name_problems(name, value, r"[A-Za-z][A-Za-z0-9_]{0,62}", right, _RDS_USERS)


def database_name(name: str, value: typing.Any) -> Problems:
    """Check the name of the database."""
    right = "up to 63 letters, digits and underscores that begin with a letter or underscore"
    return _name_problems(name, value, r"[A-Za-z_][A-Za-z0-9_]{0,62}", right, _RDS_DATABASES)


def _name_problems(name: str, value: typing.Any, pattern: str, right: str, taken: frozenset[str]) -> Problems:
    if not isinstance(value, str) or not re.fullmatch(pattern, value) or value in taken:
        return [Violation(name, f"is {shown(value)}, but must be {right}")]
    return []


def reserved_problems(inputs: Mapping[str, typing.Any], host: str, *names: str) -> Problems:
    """Check that RDS accepts the names for a new instance.

    Args:
        inputs: from the names of variables to their values.
        host: the variable with an existing database's address. If it is set, its creator has chosen the names.
        names: the variables that name the database and its owner.
    """
    if not empty(inputs.get(host)):
        return []
    given = {name: inputs.get(name) for name in names}
    return [
        Violation(name, f"is {value!r}, a word that PostgreSQL keeps for itself", "take another name")
        for name, value in given.items()
        if isinstance(value, str) and value.lower() in RESERVED_WORDS
    ]
