# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passes requests on to a target and answers back, without holding either in memory."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from . import addresses

log = logging.getLogger(__name__)

CONNECT = 10.0
"""Real seconds until a connection to a target is given up; fixed by ELB."""

IDLE = 60.0
"""Real seconds without a byte in either direction until a request is given up; ELB's idle_timeout.timeout_seconds."""

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; Python has it from 3.13 on
_NO_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_TITLES = {
    404: "404 Not Found",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


class OwnAnswer(web.Response):
    """An answer of the balancer itself, which no target gave."""


def own_answer(status: int) -> OwnAnswer:
    """An answer of the balancer itself, worded as ELB words it."""
    title = _TITLES[status]
    head = f"<head><title>{title}</title></head>"
    body = f"<html>\r\n{head}\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>"
    return OwnAnswer(status=status, text=body, content_type="text/html", headers={"Server": "awselb/2.0"})


def forwarded_headers(request: web.BaseRequest, port: int) -> CIMultiDict[str]:
    """The client's headers without the hop-by-hop ones, with those that ELB adds (ELB guide, "HTTP headers")."""
    dropped = _HOP_BY_HOP | {name.strip().lower() for name in request.headers.get("Connection", "").split(",")}
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        if name.lower() not in dropped and name.lower() != "expect":
            headers.add(name, value)
    client = addresses.public(request.remote or "127.0.0.1")
    earlier = headers.get("X-Forwarded-For")
    headers["X-Forwarded-For"] = f"{earlier}, {client}" if earlier else client
    headers["X-Forwarded-Proto"] = "https"
    headers["X-Forwarded-Port"] = str(port)
    headers.setdefault("X-Amzn-Trace-Id", f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}")
    return headers


def _from_balancer(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for a connection to a target, from the address that stands for a load balancer."""
    family, kind, protocol, _unused, _unused_too = address
    made = socket.socket(family, kind, protocol)
    if family == socket.AF_INET:
        if sys.platform == "linux":
            # The port is chosen with the target, so that there are as many for each target (ip(7)).
            made.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        made.bind((addresses.BALANCER, 0))
    return made


@dataclass
class _Progress:
    """How far an exchange has come: the answer, once its headers may be out."""

    answer: web.StreamResponse | None = None

    def broken(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Breaks the connection if an answer has begun: the only honest end of half a body; None when none has."""
        if self.answer is not None and request.transport is not None:
            request.transport.abort()
        return self.answer


class HttpProxy:
    """Forwards to targets over plain HTTP; one connection per request, so that none is stale."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The client session, made on first use inside the loop."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=_from_balancer),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_NO_AUTO_HEADERS,
                max_line_size=65536,
                max_field_size=65536,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Closes all connections to targets."""
        if self._session is not None:
            await self._session.close()

    async def probe(self, url: str, timeout: float) -> int | None:
        """One health check: the status, 0 for a time-out, None when there was no answer."""
        headers = {"User-Agent": "ELB-HealthChecker/2.0", "Accept-Encoding": "gzip, compressed"}
        try:
            limit = aiohttp.ClientTimeout(total=timeout)
            async with self.session.get(
                URL(url, encoded=True), headers=headers, timeout=limit, allow_redirects=False
            ) as answer:
                return answer.status
        except TimeoutError:
            return 0
        except (aiohttp.ClientError, OSError):
            return None

    async def forward(self, request: web.BaseRequest, address: str, port: int) -> web.StreamResponse:
        """Sends the request to a target and its answer to the client.

        :arg address: host:port of the target.
        :arg port: the port that the client connected to.
        """
        url = URL(f"http://{address}{request.raw_path}", encoded=True)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request, url, port)
        progress = _Progress()
        try:
            async with asyncio.timeout(IDLE) as idle:
                return await self._exchange(request, url, forwarded_headers(request, port), idle, progress)
        except TimeoutError:
            return progress.broken(request) or own_answer(504)
        except (aiohttp.ClientError, OSError) as error:
            log.info("%s %s: %s", request.method, url, error)
            return progress.broken(request) or own_answer(502)

    async def _exchange(
        self, request: web.BaseRequest, url: URL, headers: CIMultiDict[str], idle: asyncio.Timeout, progress: _Progress
    ) -> web.StreamResponse:
        loop = asyncio.get_running_loop()

        def alive() -> None:
            idle.reschedule(loop.time() + IDLE)

        async def body() -> AsyncIterator[bytes]:
            async for chunk in request.content.iter_any():
                alive()
                yield chunk

        data = body() if request.body_exists else None
        async with self.session.request(
            request.method, url, headers=headers, data=data, allow_redirects=False
        ) as upstream:
            alive()
            answer = web.StreamResponse(status=upstream.status, reason=upstream.reason)
            for name, value in upstream.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    answer.headers.add(name, value)
            progress.answer = answer
            await answer.prepare(request)
            async for chunk in upstream.content.iter_any():
                alive()
                await answer.write(chunk)
            await answer.write_eof()
            return answer

    async def _websocket(self, request: web.BaseRequest, url: URL, port: int) -> web.StreamResponse:
        headers = forwarded_headers(request, port)
        for name in [name for name in headers if name.lower().startswith("sec-websocket")]:
            del headers[name]
        offered = [
            part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if part.strip()
        ]
        try:
            upstream = await self.session.ws_connect(
                url, headers=headers, protocols=offered, autoping=False, max_msg_size=0
            )
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        except (aiohttp.ClientError, OSError):
            return own_answer(502)
        chosen = [upstream.protocol] if upstream.protocol else []
        client = web.WebSocketResponse(protocols=chosen, autoping=False, max_msg_size=0)
        await client.prepare(request)
        pumps = [asyncio.ensure_future(_pump(client, upstream)), asyncio.ensure_future(_pump(upstream, client))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await upstream.close()
            await client.close()
        return client


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    """Copies messages until one side closes."""
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type is aiohttp.WSMsgType.PING:
            await sink.ping(message.data)
        elif message.type is aiohttp.WSMsgType.PONG:
            await sink.pong(message.data)
    await sink.close(code=source.close_code or 1000)
