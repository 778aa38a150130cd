# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances and snapshots as RDS shows them: ministack's answers, corrected. Pure functions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .models import Record


def patch_instance(shape: dict[str, Any], record: Record) -> None:
    """Makes what ministack shows of an instance what RDS shows: no endpoint before there is one, no empty strings."""
    if not record.get("Endpoint"):
        shape.pop("Endpoint", None)
    if not record.get("LatestRestorableTime"):
        shape.pop("LatestRestorableTime", None)
    if record.get("AutomaticRestartTime"):
        shape["AutomaticRestartTime"] = datetime.fromisoformat(record["AutomaticRestartTime"])
    shape["EnabledCloudwatchLogsExports"] = list(record.get("EnabledCloudwatchLogsExports") or [])
    for name in [name for name, value in shape.items() if value == ""]:
        del shape[name]


def patch_snapshot(shape: dict[str, Any], record: Record) -> None:
    """Makes what ministack shows of a snapshot what RDS shows."""
    configuration = record.get("_Configuration") or {}
    for name in ("BackupRetentionPeriod", "PreferredBackupWindow", "Iops", "StorageThroughput"):
        if configuration.get(name):
            shape[name] = configuration[name]
    if record.get("SourceDBSnapshotIdentifier"):
        shape["SourceDBSnapshotIdentifier"] = record["SourceDBSnapshotIdentifier"]
    for name in [name for name, value in shape.items() if value == ""]:
        del shape[name]
