# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log driver: what a container wrote reaches CloudWatch Logs, however short its life."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from local_aws.runtime import log_driver
from local_aws.service import TrustError

TIME_OUT = ConnectTimeoutError(endpoint_url="https://logs")


def sent(output: bytes, *, ended: bool, refusals: int = 0, refusal: Exception = TIME_OUT) -> list[str]:
    """The messages that were sent for some output.

    :arg ended: whether the container had ended before anybody read its output.
    :arg refusals: how many calls fail first.
    :arg refusal: how they fail.
    """
    messages: list[str] = []
    failing = [refusal] * refusals

    async def call(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        assert operation == "put_log_events"
        if failing:
            raise failing.pop()
        messages.extend(event["message"] for event in parameters["logEvents"])
        return {}

    async def work() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(output)
        if ended:
            reader.feed_eof()
        following = asyncio.create_task(log_driver.follow(log_driver.LogDriver(call, "group", "stream"), reader))
        if not ended:
            await asyncio.sleep(0)
            reader.feed_eof()
        await following

    asyncio.run(work())
    return messages


def test_what_a_container_wrote_before_it_was_listened_to_is_sent() -> None:
    assert sent(b"one\ntwo\n", ended=True) == ["one", "two"]


def test_the_last_line_needs_no_end() -> None:
    assert sent(b"one\ntwo", ended=False) == ["one", "two"]


@pytest.mark.parametrize("refusal", [TIME_OUT, TrustError("The role does not exist.")], ids=["time-out", "no role"])
def test_the_end_of_the_output_survives_a_call_that_fails(refusal: Exception) -> None:
    assert sent(b"one\ntwo\n", ended=True, refusals=1, refusal=refusal) == ["one", "two"]


def test_an_output_that_cannot_be_sent_does_not_hold_up_the_task_for_ever() -> None:
    assert sent(b"one\n", ended=True, refusals=1000) == []
