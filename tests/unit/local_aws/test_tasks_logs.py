# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log driver: what a container wrote reaches CloudWatch Logs, however short its life."""

from __future__ import annotations

import asyncio
from typing import Any

from local_aws.tasks import logs


def sent(output: bytes, *, ended: bool) -> list[str]:
    """The messages that were sent for some output.

    :arg ended: whether the container had ended before anybody read its output.
    """
    messages: list[str] = []

    async def call(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        assert operation == "put_log_events"
        messages.extend(event["message"] for event in parameters["logEvents"])
        return {}

    async def work() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(output)
        if ended:
            reader.feed_eof()
        following = asyncio.create_task(logs.follow(logs.LogDriver(call, "group", "stream"), reader))
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
