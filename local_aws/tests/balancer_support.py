# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server behind the balancer that tells what reached it."""

from __future__ import annotations

import asyncio

from aiohttp import web

NEXT: web.AppKey[asyncio.Queue[None]] = web.AppKey("next", asyncio.Queue)


async def _echo(request: web.Request) -> web.Response:
    headers = dict(request.headers.items())
    return web.json_response({"path": request.raw_path, "method": request.method, "headers": headers})


async def _count(request: web.Request) -> web.Response:
    total = 0
    async for chunk in request.content.iter_any():
        total += len(chunk)
    return web.json_response({"bytes": total, "length": request.headers.get("Content-Length")})


async def _stream(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for number in range(3):
        await answer.write(f"data: {number}\n\n".encode())
        await request.app[NEXT].get()
    return answer


async def _broken(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b"half")
    assert request.transport is not None
    request.transport.abort()
    return answer


async def _socket(request: web.Request) -> web.WebSocketResponse:
    answer = web.WebSocketResponse(protocols=["chat"])
    await answer.prepare(request)
    async for message in answer:
        await answer.send_str(f"{request.headers['X-Forwarded-Proto']} {message.data}")
    return answer


async def _redirect(_request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})


async def _health(_request: web.Request) -> web.Response:
    return web.Response(text="OK")


async def upstream() -> web.AppRunner:
    """Starts the server on a free port of 127.0.0.1."""
    app = web.Application(client_max_size=2**30)
    app[NEXT] = asyncio.Queue()
    app.router.add_get("/health", _health)
    app.router.add_post("/count", _count)
    app.router.add_get("/stream", _stream)
    app.router.add_get("/broken", _broken)
    app.router.add_get("/socket", _socket)
    app.router.add_get("/redirect", _redirect)
    app.router.add_route("*", "/{rest:.*}", _echo)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner
