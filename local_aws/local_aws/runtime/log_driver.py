# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The awslogs driver: a container's output to CloudWatch Logs, as the execution role.

Express services log in the driver's non-blocking mode with a buffer of 25 MiB: what does not fit is dropped, the
container never waits.
Limits of PutLogEvents (CloudWatch Logs API reference): 10 000 events, 1 048 576 bytes with 26 bytes added per event.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError

from ..service import TrustError

_log = logging.getLogger(__name__)

_MAX_EVENTS = 10_000
_MAX_BYTES = 1_048_576
_OVERHEAD = 26
_MAX_LINE = 262_144 - _OVERHEAD
_BUFFER = 25 * 1024 * 1024
_PERIOD = 0.5
# How often what a container wrote last is tried to be sent.
_LAST_TRIES = 4
_CHUNK = 65536

# (operation, parameters) → output, as the execution role
Caller = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class LogsError(Exception):
    """The log stream cannot be made."""


async def follow(driver: LogDriver | None, output: asyncio.StreamReader) -> None:
    """Reads a container's output to its end, sending on the way; without a driver it is thrown away."""
    if driver is None:
        while await output.read(_CHUNK):
            pass
        return
    sender = asyncio.create_task(driver.send())
    try:
        while True:
            try:
                line = await output.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                driver.write(end.partial)
                break
            except asyncio.LimitOverrunError as overrun:
                line = await output.readexactly(overrun.consumed)
            driver.write(line)
    finally:
        driver.close()
        await sender


class LogDriver:
    """Sends the output of one container.

    :arg caller: makes one call of CloudWatch Logs as the execution role.
    """

    def __init__(self, caller: Caller, group: str, stream: str) -> None:
        self._caller = caller
        self._group = group
        self._stream = stream
        self._events: deque[tuple[int, str]] = deque()
        self._buffered = 0
        self._dropped = 0
        self._closed = asyncio.Event()

    async def open(self) -> None:
        """Makes the stream.

        :raises LogsError: it cannot be made; the message is that of the API.
        """
        try:
            await self._caller("create_log_stream", {"logGroupName": self._group, "logStreamName": self._stream})
        except ClientError as error:
            details = error.response.get("Error", {})
            if details.get("Code") == "ResourceAlreadyExistsException":
                return
            raise LogsError(f"{details.get('Code')}: {details.get('Message')}") from error
        except (BotoCoreError, TrustError) as error:
            raise LogsError(str(error)) from error

    def write(self, line: bytes) -> None:
        """Takes one line of output; never waits."""
        text = line.decode(errors="replace").rstrip("\r\n")
        if not text:
            return
        now = int(time.time() * 1000)
        for start in range(0, len(text), _MAX_LINE // 4):
            part = text[start : start + _MAX_LINE // 4]
            size = len(part.encode()) + _OVERHEAD
            if self._buffered + size > _BUFFER:
                self._dropped += 1
                continue
            self._events.append((now, part))
            self._buffered += size

    def close(self) -> None:
        """No more is written; send() ends as soon as all is sent."""
        self._closed.set()

    async def send(self) -> None:
        """Sends what was written, until close()."""
        tries_left = _LAST_TRIES
        while tries_left:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), _PERIOD)
            # Asked before sending: a container may have ended before this began.
            is_over = self._closed.is_set()
            while self._events:
                if not await self._send_batch():
                    break
            if not is_over:
                continue
            if not self._events:
                return
            tries_left -= 1
            await asyncio.sleep(_PERIOD)

    async def _send_batch(self) -> bool:
        batch: list[tuple[int, str]] = []
        size = 0
        while self._events and len(batch) < _MAX_EVENTS:
            more = len(self._events[0][1].encode()) + _OVERHEAD
            if batch and size + more > _MAX_BYTES:
                break
            batch.append(self._events.popleft())
            size += more
        parameters = {
            "logGroupName": self._group,
            "logStreamName": self._stream,
            "logEvents": [{"timestamp": when, "message": text} for when, text in batch],
        }
        try:
            await self._caller("put_log_events", parameters)
        except (ClientError, BotoCoreError, TrustError) as error:
            # The driver keeps what it could not send as long as its buffer has space, and tries again.
            _log.warning("log stream %s of %s: %s", self._stream, self._group, error)
            self._events.extendleft(reversed(batch))
            return False
        self._buffered -= size
        return True
