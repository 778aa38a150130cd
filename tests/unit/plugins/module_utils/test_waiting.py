# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The polling loop that all waits share."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from botocore.exceptions import EndpointConnectionError

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import OUTAGE_SECONDS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions

OUTAGE = EndpointConnectionError(endpoint_url="https://rds.example.com")
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "No."}}, "DescribeDBInstances")
THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "Slower."}}, "DescribeDBInstances")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def make_waiter(timeout: float, delay: float) -> tuple[Waiter, Clock]:
    clock = Clock()
    return Waiter(timeout, delay, sleep=clock.sleep, clock=lambda: clock.now), clock


def fail(error: Exception) -> str:
    raise error


def test_the_last_poll_is_when_the_time_is_up() -> None:
    waiter, clock = make_waiter(25, 10)
    assert list(waiter.polls()) == [0, 1, 2, 3]
    assert clock.now == 25


def test_without_a_time_limit_there_is_one_poll() -> None:
    waiter, clock = make_waiter(0, 10)
    assert list(waiter.polls()) == [0]
    assert clock.now == 0


def test_progress_has_a_line_for_each_change() -> None:
    waiter, clock = make_waiter(1, 1)
    shown: list[str] = []
    waiter.note = shown.append
    waiter.start()
    for line in ("a b", "a b", "c", "a b"):
        waiter.report(line, "meaning")
        clock.now += 5
    assert waiter.progress == ["0s a b", "10s c", "15s a b"]
    assert shown == ["a b - meaning", "c - meaning", "a b - meaning"]


@pytest.mark.parametrize("error", [OUTAGE, THROTTLED, UserError("Failed to read", exception=OUTAGE)])
def test_an_outage_is_tolerated_and_reported(error: Exception) -> None:
    waiter, _clock = make_waiter(60, 10)
    assert waiter.tolerate_outage(lambda: fail(error), "unknown") == "unknown"
    assert waiter.progress[0].startswith("0s AWS is unreachable")
    with pytest.raises(type(error)):
        waiter.raise_outage()
    assert waiter.tolerate_outage(lambda: "found", "unknown") == "found"
    waiter.raise_outage()


@pytest.mark.parametrize("error", [DENIED, UserError("The instance is gone.")])
def test_another_error_is_raised_at_once(error: Exception) -> None:
    waiter, _clock = make_waiter(60, 10)
    with pytest.raises(type(error)):
        waiter.tolerate_outage(lambda: fail(error), "unknown")


def test_an_outage_that_lasts_is_raised_and_one_that_ends_starts_anew() -> None:
    waiter, clock = make_waiter(3600, 10)
    waiter.tolerate_outage(lambda: fail(OUTAGE), "unknown")
    clock.now += OUTAGE_SECONDS - 1
    waiter.tolerate_outage(lambda: fail(OUTAGE), "unknown")
    waiter.tolerate_outage(lambda: "found", "unknown")
    clock.now += 1
    waiter.tolerate_outage(lambda: fail(OUTAGE), "unknown")
    clock.now += OUTAGE_SECONDS
    with pytest.raises(EndpointConnectionError):
        waiter.tolerate_outage(lambda: fail(OUTAGE), "unknown")


def test_a_wait_within_another_is_no_longer_and_no_slower() -> None:
    waiter, clock = make_waiter(60, 10)
    inner = waiter.within(30, 20)
    assert (inner.timeout, inner.delay) == (30, 10)
    assert list(inner.polls()) == [0, 1, 2, 3]
    assert clock.now == 30
    assert waiter.within(300, 2).timeout == 60


def test_options_make_waiters_that_report() -> None:
    shown: list[str] = []
    options = WaitOptions(timeout=60, delay=5, report=shown.append)
    waiter = options.waiter()
    waiter.report("creating")
    assert (waiter.timeout, waiter.delay, shown) == (60, 5, ["creating"])
