# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who shows the status without the variable that asks for alarms is not told that they were deleted by hand."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.record import Inputs
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.record import Record
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.state import State

MAINTAINED = {"schedules": "e", "iam_role_gc": "f"}
APPLIED = Record(
    Inputs(), "2026-11-30T12:00:00Z", {"alarms": "a", "bucket": "b", "dashboard": "c", "topic": "d", **MAINTAINED}
)


def changed(scope: Scope) -> list[str]:
    """What differs from the record, where nothing is there any more."""
    return State(Answers(), {}, APPLIED, Inputs(), {}, scope.unwatched).changed_by_hand


def test_only_what_was_asked_for_can_have_changed() -> None:
    names = ("tracking", "default", "123456789012", "eu-central-1", "aws", "tracking-artifacts")
    assert changed(Scope(*names)) == ["bucket"]
    assert changed(Scope(*names, schedule_group="mlflow-tracking")) == ["bucket", "iam_role_gc", "schedules"]
    watched = Scope(*names, alarm_prefix="mlflow.tracking/", dashboard="mlflow-tracking", topic="mlflow-tracking")
    assert changed(watched) == ["alarms", "bucket", "dashboard", "topic"]
