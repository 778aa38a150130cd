# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Rules about what is done on a schedule. Pure Python, private to the collection.

Whatever the database can still be restored to must find its artifacts: for so many days nothing is deleted for good,
and the older versions of objects stay.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import is_true
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import whole_number
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs import mlflow

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
#: The first version of MLflow whose traces are archived here; older ones have not been tried.
FIRST_WITH_ARCHIVE = "3.17.2"


def maintenance_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check what is deleted on a schedule, and whether the server's MLflow can do what is asked for."""
    if not is_true(inputs.get("mlflow_maintenance")):
        return []
    return [*_retention_problems(inputs), *_version_problems(inputs)]


def _retention_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    days = whole_number(inputs.get("mlflow_db_backup_retention_days"))
    if days is None or not empty(inputs.get("mlflow_db_host")):
        return []
    problems: Problems = []
    reason = f"less than the {days} days for which the database can be restored to any time"
    age = str(inputs.get("mlflow_maintenance_gc_older_than") or "")
    if age and is_true(inputs.get("mlflow_maintenance_gc", True)) and _seconds(age) < days * _SECONDS["d"]:
        remedy = f"a restored one would have runs without artifacts, so use {days}d or more"
        problems.append(Violation("mlflow_maintenance_gc_older_than", f"is {age}, which is {reason}", remedy))
    kept = whole_number(inputs.get("mlflow_bucket_noncurrent_days"))
    if kept is not None and 0 < kept < days:
        remedy = f"the artifacts of a restored one could not be brought back, so use {days} or more, or 0"
        problems.append(Violation("mlflow_bucket_noncurrent_days", f"is {kept}, which is {reason}", remedy))
    return problems


def _version_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    version = str(inputs.get("mlflow_version") or "")
    if not version or not is_true(inputs.get("mlflow_maintenance_archive")) or _archives(version):
        return []
    return [
        Violation(
            "mlflow_maintenance_archive",
            f"is true, but mlflow_version is {version}",
            f"traces are archived from {FIRST_WITH_ARCHIVE} on",
        )
    ]


def _archives(version: str) -> bool:
    try:
        return mlflow.version_at_least(version, FIRST_WITH_ARCHIVE)
    except ValueError:
        # What is no version is a mistake of its own.
        return True


def _seconds(age: str) -> int:
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([dhms])", age))
