# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A listening TCP port behind security groups, which ends its connections when it is closed."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable
from collections.abc import Callable

from .firewall import Address
from .firewall import hold

CHUNK = 65536


class Listener(abc.ABC):
    """Listens at one address, and serves the connections that the security groups admit.

    :arg admits: asked for each connection, with both of its ends; false leaves it without an answer.
    """

    def __init__(self, admits: Callable[[Address, Address], Awaitable[bool]]) -> None:
        self._admits = admits
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._connections)

    async def listen(self, host: str, port: int) -> int:
        """Listens, if it does not already.

        :arg port: 0 for any that is free.
        :returns: the port.
        :raises OSError: the address is in use.
        """
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

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
            if await self._admits(writer.get_extra_info("peername"), writer.get_extra_info("sockname")):
                await self.serve(reader, writer)
            else:
                await hold(reader)
        except (OSError, EOFError):
            # The other side went away. OSError covers time-outs and TLS.
            pass
        except asyncio.CancelledError:
            # Only close() cancels; the server's own bookkeeping takes a cancelled handler for an error.
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    @abc.abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One admitted connection, until it ends; it is closed afterwards."""
