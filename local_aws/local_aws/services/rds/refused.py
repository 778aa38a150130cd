# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of RDS on our own instances for what does not run here; coverage.toml names what else is refused."""

from __future__ import annotations

from typing import NoReturn

from . import rules

OPERATIONS = {"CreateDBInstanceReadReplica": "read replicas"}
"""The operation, and what it would make."""


def refuse(operation: str, what: str) -> NoReturn:
    """Raises ApiError."""
    raise rules.combination(f"The local AWS has no {what}: {operation} is refused.")
