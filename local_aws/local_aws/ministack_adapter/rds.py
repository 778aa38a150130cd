# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ministack's records of RDS, how it shows them, and a parameter that its families lack."""

from __future__ import annotations

from typing import Any

from ministack.services import rds

from .hooks import Answer
from .hooks import Hooks
from .patch import Patch
from .patch import Target

Record = dict[str, Any]

# Stores of accounts and regions (see scope.py).
instances = rds._instances
parameter_groups = rds._param_groups
snapshots = rds._snapshots
subnet_groups = rds._subnet_groups
tags = rds._tags


def find_instance(identifier: str) -> Record | None:
    """An instance of the caller's account and region, by its name, ARN or resource id."""
    found: Record | None = rds._resolve_instance(identifier)
    return found


def new_snapshot(name: str, instance: Record) -> Record:
    """Makes the record of a snapshot."""
    made: Record = rds._create_snapshot_internal(name, instance)
    return made


def show_instance(operation: str, record: Record) -> Answer:
    """ministack's answer of an operation that returns one instance."""
    return _lower(rds._single_instance_response(f"{operation}Response", f"{operation}Result", record))


def show_snapshot(operation: str, record: Record) -> Answer:
    """ministack's answer of an operation that returns one snapshot."""
    inner = f"<{operation}Result><DBSnapshot>{rds._snapshot_xml(record)}</DBSnapshot></{operation}Result>"
    return _lower(rds._xml(200, f"{operation}Response", inner))


def _lower(answer: Answer) -> Answer:
    status, headers, body = answer
    return status, {name.lower(): value for name, value in headers.items()}, body


def _complete_families(_hooks: Hooks) -> None:
    listed = rds._default_parameters_for_family

    def complete(family: str) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = listed(family)
        major = family.removeprefix("postgres")
        if major.isdigit() and all(parameter["name"] != "rds.force_ssl" for parameter in parameters):
            parameters.append(
                {
                    "name": "rds.force_ssl",
                    "default": "1" if int(major) >= 15 else "0",
                    "description": "Force SSL connections.",
                    "apply_type": "dynamic",
                    "data_type": "boolean",
                    "modifiable": True,
                }
            )
        return parameters

    rds._default_parameters_for_family = complete


COMPLETE_FAMILIES = Patch(
    name="complete_families",
    reason="DescribeDBParameters of ministack leaves out rds.force_ssl, which is 1 by default since PostgreSQL 15.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html",
    targets=(
        Target("services.rds", "_default_parameters_for_family", "family"),
        Target("services.rds", "_resolve_instance", "db_id"),
        Target("services.rds", "_create_snapshot_internal", "snap_id instance"),
        Target("services.rds", "_single_instance_response", "root_tag result_tag instance"),
        Target("services.rds", "_snapshot_xml", "s"),
        Target("services.rds", "_xml", "status root_tag inner"),
    ),
    apply=_complete_families,
)
