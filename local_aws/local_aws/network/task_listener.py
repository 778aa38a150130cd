# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listener at a task's address: it checks the task's security groups, then forwards to the task's program.

The balancer does not come this way. It is part of this program, asks the same groups for its own, and goes straight to
the program (see TaskController.reach), so that requests are not copied twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from collections.abc import Callable

from . import addresses
from .firewall import Address
from .firewall import Peer
from .listener import CHUNK
from .listener import Listener
from .task_address import Address as TaskAddress


class TaskListener(Listener):
    """The listener at one task's address.

    :arg asks: who a client is, told by both ends of its connection; None: the task's security groups do not admit it.
    """

    def __init__(self, address: TaskAddress, asks: Callable[[Address, Address], Awaitable[Peer | None]]) -> None:
        super().__init__(self._admits_peer)
        self._address = address
        self._identify = asks
        self._admitted: dict[Address, str] = {}

    async def open(self) -> None:
        """Listens.

        :raises OSError: the address is in use.
        """
        await self.listen(self._address.ip, self._address.port)

    async def _admits_peer(self, client: Address, server: Address) -> bool:
        peer = await self._identify(client, server)
        if peer is not None:
            self._admitted[client] = addresses.TASK if peer.task else addresses.OUTSIDE
        return peer is not None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes bytes on, both ways."""
        source = self._admitted.pop(writer.get_extra_info("peername")[:2], addresses.OUTSIDE)
        inner, back = await asyncio.open_connection(
            self._address.inner, self._address.inner_port, local_addr=(source, 0)
        )
        try:
            await asyncio.gather(_pass_on(reader, back), _pass_on(inner, writer))
        finally:
            back.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies one direction, and its end."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
