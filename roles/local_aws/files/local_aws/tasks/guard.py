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
from ..listener import CHUNK
from ..listener import Listener
from .network import Address as TaskAddress


class Guard(Listener):
    """The listener at one task's address."""

    def __init__(self, address: TaskAddress, admits: Callable[[Address, Address], Awaitable[bool]]) -> None:
        super().__init__(admits)
        self._address = address

    async def open(self) -> None:
        """Listens.

        :raises OSError: somebody else has taken the address.
        """
        await self.listen(self._address.ip, self._address.port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes bytes on, both ways."""
        inner, back = await asyncio.open_connection(self._address.inner, self._address.inner_port)
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
