# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon: one process, one loop, from the restored state to a clean stop. Imports ministack, see launch.py."""

from __future__ import annotations

import asyncio
import asyncio.constants
import concurrent.futures
import contextlib
import json
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any

import hypercorn.asyncio
import hypercorn.config

from . import __version__
from .authority import Authority
from .build import build_services
from .context import Context
from .files import write_atomically
from .http.application import application
from .ministack_adapter import server as ministack
from .persistence import Saver
from .runtime.supervisor import Supervisor
from .settings import Settings

_log = logging.getLogger("local_aws.daemon")
_KEEP_ALIVE = 65
_SSL_SHUTDOWN = 0.5
# Calls of our own API wait for answers in threads, and some answers need a thread in turn. Python's default of a few
# threads per processor is soon full of those that wait, on two processors with six.
_THREADS = 256


async def run(settings: Settings, listener: socket.socket) -> None:
    """Everything between the environment and the end.

    :arg listener: the bound and listening socket of the API.
    """
    asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(_THREADS))
    ministack.use_running_loop()
    processes = Supervisor(settings.home)
    ctx = Context(settings, processes, Authority(settings.home / "ca", settings.home / "ca.pem"))
    services = build_services(ctx)
    saver = Saver(settings.home / "state", services.all)
    saver.restore()
    ctx.on_change, ctx.on_commit = saver.changed, saver.commit
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    closing = asyncio.Event()
    certificate = settings.home / "ca" / "api.pem"
    ctx.authority.write(certificate, ["127.0.0.1", "localhost"])
    server = asyncio.create_task(_serve(application(ctx, services), listener, certificate, closing))
    saving = asyncio.create_task(saver.run())
    started = []
    try:
        for service in services.all:
            await service.start()
            started.append(service)
        _announce(ctx, services.balancer.port)
        await _first(stopping, server)
    finally:
        _log.info("Stopping.")
        for service in reversed(started):
            try:
                await service.stop()
            except Exception:
                _log.exception("The service %s did not stop cleanly.", service.name)
        await processes.stop_all()
        saving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await saving
        await saver.save()
        closing.set()
        await server


async def _first(stopping: asyncio.Event, server: asyncio.Task[None]) -> None:
    """Wait until the daemon is asked to stop, or the server has died (its error is raised)."""
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({waiting, server}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if server.done():
        server.result()


async def _serve(app: object, listener: socket.socket, certificate: Path, closing: asyncio.Event) -> None:
    """HTTPS, as at AWS: a bucket policy that denies plain HTTP must find aws:SecureTransport to be true."""
    config = hypercorn.config.Config()
    config.certfile = config.keyfile = str(certificate)
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = _KEEP_ALIVE
    config.graceful_timeout = 0.3
    config.shutdown_timeout = 2.0
    config.accesslog = None
    config.errorlog = logging.getLogger("local_aws.http")
    # A client with an idle connection does not answer when it ends. asyncio waits 30 seconds for that; hypercorn has no
    # setting for it.
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = _SSL_SHUTDOWN
    asyncio.get_running_loop().set_exception_handler(_unhandled)
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=closing.wait)  # type: ignore[arg-type]


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log uncaught exceptions, except for connections that ended without an answer or with the daemon."""
    error = context.get("exception")
    is_silent_end = isinstance(error, TimeoutError) and "SSL shutdown timed out" in str(error)
    if not is_silent_end and not isinstance(error, asyncio.CancelledError):
        loop.default_exception_handler(context)


def _announce(ctx: Context, balancer_port: int) -> None:
    """Tells ``up`` that everything is ready."""
    settings = ctx.settings
    document = {
        "pid": os.getpid(),
        "endpoint_url": ctx.endpoint_url,
        "region": settings.region,
        "account_id": settings.account_id,
        "version": __version__,
        # What the host names of Express services end in, where they are names.
        "domain": f"ecs.{settings.region}.localhost:{balancer_port}",
    }
    write_atomically(settings.home / "daemon.json", json.dumps(document).encode(), 0o644)
    _log.info("Ready on %s.", ctx.endpoint_url)
