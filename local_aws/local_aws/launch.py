# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into the daemon: its lock, its socket and its environment, before ministack is imported."""

from __future__ import annotations

import asyncio
import dataclasses
import fcntl
import logging
import os
import socket
import time
from pathlib import Path
from typing import IO

from . import environment
from . import plain_paths
from .files import make_home
from .files import make_private_folders
from .settings import Settings
from .settings import SettingsError
from .settings import load

_log = logging.getLogger("local_aws.launch")
_BACKLOG = 256
_LOCK_PAUSE = 0.1


def hold_lock(path: Path) -> IO[str] | None:
    """The lock that a daemon holds as long as it lives, whatever kills it; None where another one holds it."""
    stream = open(path, "a", encoding="utf-8")  # noqa: SIM115 - held until the process ends
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except OSError:
            if is_locked(path):
                stream.close()
                return None
            # A command that asks is_locked() just now shares it for a moment, however long that is on this machine.
            time.sleep(_LOCK_PAUSE)


def is_locked(path: Path) -> bool:
    """Whether a daemon holds its lock. Any number of commands may ask at the same time."""
    if not path.exists():
        return False
    with open(path, encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def serve(home: Path) -> int:
    """Runs in the foreground until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger("local_aws").setLevel(logging.INFO)
    make_home(home)
    make_private_folders(home)
    lock = hold_lock(home / "daemon.lock")
    if lock is None:
        _log.error("Another daemon runs on %s already.", home)
        return 1
    (home / "daemon.pid").write_text(f"{os.getpid()}\n", encoding="ascii")
    listener, settings = _listen(load(home))
    environment.prepare(settings)
    # Only now: ministack reads its environment when it is imported.
    from .daemon import run  # noqa: PLC0415

    try:
        with plain_paths.provide(settings) as plain:
            asyncio.run(run(plain, listener))
    except SettingsError as error:
        _log.error("%s", error)
        return 1
    finally:
        for name in ("daemon.json", "daemon.pid"):
            (home / name).unlink(missing_ok=True)
        lock.close()
    return 0


def _listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """The API's socket: the port that was asked for, else the one that this home had, else a free one."""
    remembered = settings.home / "state" / "port"
    wanted = settings.port
    if not wanted and remembered.exists():
        wanted = int(remembered.read_text(encoding="ascii"))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", wanted))
    except OSError:
        if settings.port:
            raise
        listener.bind(("127.0.0.1", 0))
    listener.listen(_BACKLOG)
    port = listener.getsockname()[1]
    remembered.write_text(str(port), encoding="ascii")
    return listener, dataclasses.replace(settings, port=port)
