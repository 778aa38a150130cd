# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Target groups, weights and answers as plain objects."""

from __future__ import annotations

from collections import Counter

import pytest

from local_aws.services.elbv2 import TargetGroup
from local_aws.services.elbv2 import Weights
from local_aws.services.elbv2.models import Target
from local_aws.services.elbv2.models import matches

BLUE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/blue/1"


GREEN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/green/1"


def test_target_is_healthy_after_five_successes_and_not_before() -> None:
    group, target = TargetGroup(BLUE), Target("10.0.0.1", 80, 80)
    states = []
    for _check in range(5):
        group.observe(target, 200, 0)
        states.append(target.state)
    assert states == ["initial"] * 4 + ["healthy"]
    assert target.reason == ""


def test_healthy_target_is_unhealthy_after_two_failures_and_needs_five_successes_again() -> None:
    group, target = TargetGroup(BLUE), Target("10.0.0.1", 80, 80, state="healthy", successes=5)
    group.observe(target, 500, 0)
    assert target.state == "healthy"
    assert group.observe(target, 500, 7) is True
    assert (target.state, target.reason) == ("unhealthy", "Target.ResponseCodeMismatch")
    assert target.description == "Health checks failed with these codes: [500]"
    for _check in range(4):
        group.observe(target, 200, 8)
    assert target.state == "unhealthy"
    group.observe(target, 200, 9)
    assert target.state == "healthy"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(None, "Target.FailedHealthChecks"), (0, "Target.Timeout"), (404, "Target.ResponseCodeMismatch")],
)
def test_reason_of_a_failed_check(status: int | None, reason: str) -> None:
    group, target = TargetGroup(BLUE), Target("10.0.0.1", 80, 80)
    group.observe(target, status, 3)
    group.observe(target, status, 4)
    assert (target.state, target.reason) == ("unhealthy", reason)
    assert target.answered == (3 if status == 404 else 0)


def test_one_success_between_failures_resets_both_counters() -> None:
    group, target = TargetGroup(BLUE), Target("10.0.0.1", 80, 80)
    for status in (200, 200, 200, 200, 500, 200, 500, 200):
        group.observe(target, status, 0)
    assert target.state == "initial"


def test_matcher_takes_lists_and_ranges() -> None:
    assert matches("200,300-302", 301)
    assert not matches("200,300-302", 303)


def test_only_healthy_targets_are_picked_in_turn() -> None:
    group = TargetGroup(BLUE)
    for number, state in enumerate(["healthy", "unhealthy", "healthy", "initial"]):
        group.targets[f"10.0.0.{number}"] = Target(f"10.0.0.{number}", 80, 80, state=state)
    picked = Counter(target.id for target in (group.pick() for _request in range(10)) if target)
    assert picked == {"10.0.0.0": 5, "10.0.0.2": 5}
    assert TargetGroup(GREEN).pick() is None


def test_weights_give_exactly_five_percent() -> None:
    weights = Weights({BLUE: 95, GREEN: 5})
    assert Counter(weights.next() for _request in range(100)) == {BLUE: 95, GREEN: 5}


def test_weights_without_any_weight_give_nothing() -> None:
    assert Weights({}).next() is None
    assert Weights({BLUE: 0}).next() is None
