# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is deleted for good that the database can still be restored to."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.deployment import input_violations
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.maintenance import maintenance_problems

GIVEN: dict[str, Any] = {
    "mlflow_maintenance": True,
    "mlflow_maintenance_gc": True,
    "mlflow_maintenance_gc_older_than": "30d",
    "mlflow_db_backup_retention_days": 7,
    "mlflow_bucket_noncurrent_days": 0,
    "mlflow_version": "3.17.2",
}


def problems(**changes: Any) -> list[str]:
    return [str(one) for one in maintenance_problems({**GIVEN, **changes})]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mlflow_maintenance_gc_older_than": "7d"},
        {"mlflow_maintenance_gc_older_than": "168h"},
        {"mlflow_bucket_noncurrent_days": 7},
        {"mlflow_maintenance": False, "mlflow_maintenance_gc_older_than": "1d"},
        {"mlflow_maintenance_gc": "false", "mlflow_maintenance_gc_older_than": "1d"},
        {"mlflow_maintenance_gc_older_than": "1d", "mlflow_db_host": "db.example.com"},
        {"mlflow_maintenance_archive": True},
        {"mlflow_maintenance_archive": True, "mlflow_version": "latest"},
        {"mlflow_version": "3.10.0"},
    ],
)
def test_what_is_right(changes: dict[str, Any]) -> None:
    assert problems(**changes) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mlflow_maintenance_gc_older_than": "6d23h"},
            "mlflow_maintenance_gc_older_than is 6d23h, which is less than",
        ),
        ({"mlflow_bucket_noncurrent_days": 6}, "mlflow_bucket_noncurrent_days is 6, which is less than the 7 days"),
        ({"mlflow_maintenance_archive": True, "mlflow_version": "3.10.0"}, "mlflow_maintenance_archive is true, but"),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    [found] = problems(**changes)
    assert message in found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mlflow_maintenance_gc_schedule", "daily"),
        ("mlflow_maintenance_gc_schedule", "rate(0 days)"),
        ("mlflow_maintenance_gc_schedule", "cron(0 3 * * *)"),
        ("mlflow_maintenance_gc_older_than", "month"),
        ("mlflow_maintenance_timezone", "../UTC"),
    ],
)
def test_values_that_mean_nothing(name: str, value: str) -> None:
    assert any(one.variable == name for one in input_violations({name: value}))


def test_the_names_of_the_roles_leave_less_for_the_deployments_own() -> None:
    name = "a" * 42
    bucket = {"mlflow_name": name, "mlflow_bucket_name": "one-bucket"}
    assert not input_violations(bucket)
    [found] = input_violations({**bucket, "mlflow_maintenance": True})
    assert "use at most 39 characters" in str(found)
