# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy in front of a database: security groups, TLS on a TCP port, and rds.force_ssl.

PostgreSQL's wire protocol ("Message Flow" and "SSL Session Encryption" in its manual): a client may ask for GSSAPI
encryption and for TLS before it sends its startup message; a cancel request is a connection of its own. After the
startup message bytes pass through.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import struct
from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass

from ...network.firewall import Address
from ...network.listener import CHUNK
from ...network.listener import Listener
from .cluster import Cluster
from .programs import ClusterError

_log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_CANCEL = 80877102
_SSL = 80877103
_GSS = 80877104
_PROTOCOL_3 = 3
# ReadyForQuery of an idle session, which ends the login (PostgreSQL's manual, "Message Formats").
_READY = b"Z\x00\x00\x00\x05I"
_LONGEST_STARTUP = 10_000
_NEGOTIATION_TIMEOUT = 60.0

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class TlsProxy(Listener):
    """One listener on a fixed loopback port.

    :arg context: the server's certificate.
    :arg force_ssl: asked for each connection.
    :arg cut: asked for each connection; true drops it without a word, as a network that is down.
    :arg admits: asked for each connection, with both of its ends; false leaves it without an answer.
    :arg load: awaited before the answer to each query, as a volume is whose blocks are still loaded from S3.
    """

    def __init__(
        self,
        cluster: Cluster,
        context: ssl.SSLContext,
        *,
        force_ssl: Callable[[], bool],
        cut: Callable[[], bool],
        admits: Callable[[Address, Address], Awaitable[bool]],
        load: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(admits)
        self._load = load
        self._cluster = cluster
        self._context = context
        self._force_ssl = force_ssl
        self._cut = cut
        self.port = 0

    async def open(self, port: int) -> int:
        """Listens; on the port that is asked for if it is free, else on another one.

        :returns: the port.
        """
        try:
            self.port = await self.listen(_HOST, port)
        except OSError:
            _log.warning("database %s: port %s is in use, another one is taken", self._cluster.key, port)
            self.port = await self.listen(_HOST, 0)
        return self.port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Negotiates TLS as RDS does, then passes bytes on, both ways."""
        if self._cut():
            return
        async with asyncio.timeout(_NEGOTIATION_TIMEOUT):
            first = await self._negotiate(reader, writer)
        if first is None:
            return
        try:
            back = await self._cluster.connect()
        except OSError:
            await _refuse(writer, "57P03", "the database system is starting up")
            return
        except ClusterError:
            return
        try:
            back[1].write(first)
            await back[1].drain()
            await _join((reader, writer), back, self._load)
        finally:
            back[1].close()

    async def _negotiate(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        """Up to the client's startup message or cancel request, which is returned; None: refused."""
        encrypted = False
        while True:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            if not 8 <= length <= _LONGEST_STARTUP:
                return None
            body = await reader.readexactly(length - 8)
            if code == _GSS:
                writer.write(b"N")
                await writer.drain()
            elif code == _SSL and not encrypted:
                writer.write(b"S")
                await writer.start_tls(self._context)
                # Python 3.11 leaves the reader on the plain transport, where its flow control has no effect.
                reader._transport = writer.transport  # type: ignore[attr-defined]
                encrypted = True
            elif code == _CANCEL:
                return head + body
            elif code >> 16 == _PROTOCOL_3:
                if not encrypted and self._force_ssl():
                    await _refuse(writer, "28000", _not_encrypted(body))
                    return None
                return head + body
            else:
                await _refuse(writer, "0A000", f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}")
                return None


def _not_encrypted(body: bytes) -> str:
    """PostgreSQL's words for a connection that no line of pg_hba.conf lets in: with rds.force_ssl all are hostssl."""
    fields = body.split(b"\0")
    startup = {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in zip(fields[::2], fields[1::2], strict=False)
    }
    user = startup.get("user", "")
    database = startup.get("database") or user
    return f'no pg_hba.conf entry for host "{_HOST}", user "{user}", database "{database}", no encryption'


async def _refuse(writer: asyncio.StreamWriter, code: str, message: str) -> None:
    fields = {"S": "FATAL", "V": "FATAL", "C": code, "M": message}
    body = b"".join(name.encode() + value.encode() + b"\0" for name, value in fields.items()) + b"\0"
    writer.write(b"E" + struct.pack("!I", len(body) + 4) + body)
    await writer.drain()


@dataclass
class _Dialogue:
    """What a connection is at.

    :ivar ready: whether the client is logged in.
    :ivar asked: whether it has sent something that the server has not answered.
    """

    ready: bool = False
    asked: bool = False


async def _join(client: _Streams, server: _Streams, load: Callable[[], Awaitable[None]]) -> None:
    """Passes bytes both ways until one side ends."""
    dialogue = _Dialogue()

    async def on_request(_data: bytes) -> None:
        dialogue.asked = True

    async def on_answer(data: bytes) -> None:
        if dialogue.ready and dialogue.asked:
            await load()
        dialogue.asked = False
        dialogue.ready = dialogue.ready or data.endswith(_READY)

    pumps = [
        asyncio.create_task(_pump(client[0], server[1], on_request)),
        asyncio.create_task(_pump(server[0], client[1], on_answer)),
    ]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: Callable[[bytes], Awaitable[None]]
) -> None:
    while True:
        data = await reader.read(CHUNK)
        if not data:
            # What was said last must still arrive: the server's last error, the client's "terminate".
            with contextlib.suppress(OSError):
                await writer.drain()
            return
        await before(data)
        writer.write(data)
        await writer.drain()
