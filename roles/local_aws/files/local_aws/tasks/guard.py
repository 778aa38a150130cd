# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands at a task's address: asks the task's security groups, then passes bytes to where its program listens.

The balancer does not come this way. It is part of this program, asks the same groups for its own, and goes straight to
the program (see TaskRunner.reach), so that requests are not copied twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from collections.abc import Callable

from ..firewall import Address
from ..firewall import hold
from .network import Address as TaskAddress

_CHUNK = 65536


class Guard:
    """The listener at one task's address.

    :arg admits: asked for each connection, with both of its ends; false leaves it without an answer.
    """

    def __init__(self, address: TaskAddress, admits: Callable[[Address, Address], Awaitable[bool]]) -> None:
        self._address = address
        self._admits = admits
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listens.

        :raises OSError: somebody else has taken the address.
        """
        self._server = await asyncio.start_server(self._accept, self._address.ip, self._address.port)

    async def close(self) -> None:
        """Stops listening and ends all connections."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for connection in list(self._connections):
            connection.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            # Only close() cancels; the server's own bookkeeping takes a cancelled handler for an error.
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._admits(writer.get_extra_info("peername"), writer.get_extra_info("sockname")):
            await hold(reader)
            return
        inner, back = await asyncio.open_connection(self._address.inner, self._address.inner_port)
        try:
            await asyncio.gather(_pass_on(reader, back), _pass_on(inner, writer))
        finally:
            back.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies one direction, and its end."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
