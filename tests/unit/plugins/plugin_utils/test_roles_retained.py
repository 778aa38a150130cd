# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of what is left after a deployment was destroyed."""

from __future__ import annotations

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.filter.retained_resources import retained_resources

ANSWERS: dict[str, Any] = {
    "name": "vision",
    "context": {"account_id": "123456789012", "region": "eu-central-1"},
    "cluster": "default",
    "check_mode": False,
    "own_database": True,
    "foreign_instance": False,
    "final_snapshot": "",
    "snapshots": [],
    "other_region": "",
    "bucket": "vision-artifacts",
    "bucket_kept": True,
    "bucket_adopted": False,
    "buckets": [],
    "log_group": "/ecs/default/vision",
    "log_groups": [],
    "logs_deleted": False,
    "log_retention_days": 30,
}


def report(**given: Any) -> list[str]:
    return retained_resources({**ANSWERS, **given})


def about(lines: list[str], begin: str) -> list[str]:
    """The lines that begin like that."""
    return [line for line in lines if line.startswith(begin)]


def test_nothing_left_is_said_to_be_odd() -> None:
    lines = report()
    assert lines[0] == "The deployment 'vision' is gone from account 123456789012, region eu-central-1. Left there:"
    assert lines[1].startswith("No bucket, snapshot or log group of that name.")
    assert about(lines, "Secrets vision/database and vision/database-login") and about(
        lines, "Secrets vision/server and vision/login"
    )
    assert not about(lines, "Bucket") and not about(lines, "Log group")


def test_each_thing_that_is_left_says_why_and_how_to_delete_it() -> None:
    snapshots = [
        {"db_snapshot_identifier": "vision-final-1", "snapshot_type": "manual"},
        {"db_snapshot_identifier": "rds:vision-1", "snapshot_type": "automated"},
    ]
    groups = [{"log_group_name": "/ecs/default/vision"}, {"log_group_name": "/ecs/default/vision-2"}]
    lines = report(
        snapshots=snapshots,
        final_snapshot="vision-final-2",
        buckets=[{"name": "vision-artifacts"}],
        log_groups=groups,
        foreign_instance=True,
        other_region="us-east-1",
    )
    assert not about(lines, "No bucket")
    assert "mlflow_confirm_data_loss=vision" in about(lines, "Bucket vision-artifacts")[0]
    [snapshot] = about(lines, "Database snapshot vision-final-1, vision-final-2:")
    assert snapshot.endswith("--db-snapshot-identifier vision-final-2")
    assert about(lines, "Log group /ecs/default/vision: it expires by itself after 30 days.")
    assert about(lines, "RDS instance vision:") and about(lines, "IAM roles of that name: they are those of")


def test_what_a_run_would_delete_is_not_left() -> None:
    there = {"buckets": [{"name": "vision-artifacts"}], "log_groups": [{"log_group_name": "/ecs/default/vision"}]}
    lines = report(check_mode=True, bucket_kept=False, logs_deleted=True, **there)
    assert "would be gone" in lines[0]
    assert not about(lines, "Bucket") and not about(lines, "Log group")


def test_what_was_there_before_is_not_the_deployments() -> None:
    lines = report(own_database=False, bucket_adopted=True, buckets=[{"name": "vision-artifacts"}], snapshots=[])
    assert about(lines, "Bucket vision-artifacts, with the artifacts: it existed before (mlflow_bucket_adopt).")
    assert not about(lines, "Secret vision/database") and not about(lines, "RDS instance")


def test_backups_are_named_and_not_offered_for_deletion() -> None:
    snapshots = [
        {"db_snapshot_identifier": name, "snapshot_type": "manual"} for name in ("vision-final-1", "vision-backup-noon")
    ]
    lines = report(snapshots=snapshots, buckets=[{"name": "vision-artifacts"}])
    [snapshot] = about(lines, "Database snapshot")
    assert "vision-final-1" in snapshot and "noon" not in snapshot
    [backups] = about(lines, "Backups noon: they outlive a deployment.")
    assert backups.endswith("mlops.mlflow_aws.backups -e mlflow_name=vision")
    [backups] = about(report(snapshots=snapshots, bucket_kept=False), "Backups noon")
    assert "in the bucket is not" in backups
