# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The storage types of RDS for PostgreSQL, and their performance. Pure Python, private to the collection.

Facts: RDS User Guide, "Amazon RDS DB instance storage", its tables for RDS for PostgreSQL:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html; RDS API Reference, CreateDBInstance:
C(io1) and C(io2) need C(Iops), 0.5 to 50 for each GiB; C(StorageThroughput) is for C(gp3) alone.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import whole_number
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation

# gp3 has 3,000 IOPS and 125 MiB/s, and from here on, where RDS uses four volumes, at least 12,000 and 500.
GP3_THRESHOLD = 400
GP3_IOPS = (12_000, 64_000)
GP3_THROUGHPUT = (500, 4_000)
# MiB/s for each IOPS.
GP3_MOST_THROUGHPUT = 0.25

PROVISIONED_STORAGE = 100
PROVISIONED_IOPS = (1_000, 256_000)
# IOPS for each GiB. io2 is Block Express.
PROVISIONED_RATIO = {"io1": (0.5, 50), "io2": (0.5, 1_000)}


@dataclass(frozen=True)
class Storage:
    """The requested storage: GiB, IOPS and MiB per second; 0 leaves the latter two to AWS."""

    kind: str
    size: int
    iops: int = 0
    throughput: int = 0


def storage_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check that RDS offers the storage, before a database is created."""
    if not empty(inputs.get("mlflow_db_host")):
        return []

    def given(name: str, default: int) -> int | None:
        return whole_number(default if empty(inputs.get(name)) else inputs[name])

    kind = "gp3" if empty(inputs.get("mlflow_db_storage_type")) else str(inputs["mlflow_db_storage_type"])
    size, iops = given("mlflow_db_allocated_storage", 20), given("mlflow_db_iops", 0)
    throughput = given("mlflow_db_storage_throughput", 0)
    if size is None or iops is None or throughput is None:
        # Reported already, each by itself.
        return []
    problem = storage_problem(Storage(kind, size, iops, throughput))
    return [problem] if problem else []


def storage_problem(wanted: Storage) -> Violation | None:
    """Return the violation if RDS does not offer the storage."""
    if wanted.kind in PROVISIONED_RATIO:
        return _provisioned_problem(wanted)
    given = [
        name
        for name, value in (("mlflow_db_iops", wanted.iops), ("mlflow_db_storage_throughput", wanted.throughput))
        if value
    ]
    if not given:
        return None
    if wanted.kind != "gp3":
        return Violation(
            given[0],
            f"cannot be set with mlflow_db_storage_type {wanted.kind}",
            "leave it out, or set mlflow_db_storage_type to gp3, io1 or io2",
            subject=" and ".join(given),
        )
    if wanted.size < GP3_THRESHOLD:
        return Violation(
            given[0],
            f"cannot be set with mlflow_db_allocated_storage {wanted.size}, as gp3 has 3000 IOPS and 125 MiB/s below"
            f" {GP3_THRESHOLD} GiB",
            f"set mlflow_db_allocated_storage to {GP3_THRESHOLD} or more, or leave it out",
            subject=" and ".join(given),
        )
    return _gp3_problem(wanted)


def _gp3_problem(wanted: Storage) -> Violation | None:
    if wanted.iops and not GP3_IOPS[0] <= wanted.iops <= GP3_IOPS[1]:
        return Violation("mlflow_db_iops", f"is {wanted.iops}, but gp3 takes {GP3_IOPS[0]} to {GP3_IOPS[1]}")
    if not wanted.throughput:
        return None
    if not GP3_THROUGHPUT[0] <= wanted.throughput <= GP3_THROUGHPUT[1]:
        return Violation(
            "mlflow_db_storage_throughput",
            f"is {wanted.throughput}, but gp3 takes {GP3_THROUGHPUT[0]} to {GP3_THROUGHPUT[1]} MiB/s",
        )
    iops = wanted.iops or GP3_IOPS[0]
    if wanted.throughput > iops * GP3_MOST_THROUGHPUT:
        return Violation(
            "mlflow_db_storage_throughput",
            f"is {wanted.throughput}, but {iops} IOPS allow {int(iops * GP3_MOST_THROUGHPUT)} MiB/s",
            f"set mlflow_db_iops to {int(wanted.throughput / GP3_MOST_THROUGHPUT)} or more",
        )
    return None


def _provisioned_problem(wanted: Storage) -> Violation | None:
    least, most = PROVISIONED_RATIO[wanted.kind]
    lowest = max(PROVISIONED_IOPS[0], int(least * wanted.size))
    highest = min(PROVISIONED_IOPS[1], int(most * wanted.size))
    if wanted.throughput:
        return Violation(
            "mlflow_db_storage_throughput",
            f"cannot be set with mlflow_db_storage_type {wanted.kind}, whose throughput follows from its IOPS",
            "leave it out, or set mlflow_db_storage_type to gp3",
        )
    if wanted.size < PROVISIONED_STORAGE:
        return Violation(
            "mlflow_db_allocated_storage",
            f"is {wanted.size}, but {wanted.kind} begins with {PROVISIONED_STORAGE} GiB",
            f"set it to {PROVISIONED_STORAGE} or more, or mlflow_db_storage_type to gp3",
        )
    if not wanted.iops:
        return Violation(
            "mlflow_db_storage_type",
            f"is {wanted.kind}, which needs mlflow_db_iops: {lowest} to {highest} with {wanted.size} GiB",
        )
    if not lowest <= wanted.iops <= highest:
        return Violation(
            "mlflow_db_iops",
            f"is {wanted.iops}, but {wanted.kind} with {wanted.size} GiB takes {lowest} to {highest}: {least:g} to"
            f" {most} for each GiB, and {PROVISIONED_IOPS[0]} to {PROVISIONED_IOPS[1]}",
        )
    return None
