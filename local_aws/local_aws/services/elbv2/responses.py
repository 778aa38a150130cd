# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets as the API shows them."""

from __future__ import annotations

from typing import Any

from .models import Target


def target_health(target: Target) -> dict[str, Any]:
    """The API's TargetHealthDescription."""
    health = {"State": target.state}
    if target.reason:
        health |= {"Reason": target.reason, "Description": target.description}
    return {
        "Target": {"Id": target.id, "Port": target.port},
        "HealthCheckPort": str(target.port),
        "TargetHealth": health,
    }
