# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""State on disk, so that nothing depends on a clean stop.

What a call changed is on disk before its response is sent. What changes in the background is saved shortly after.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import math
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Set
from pathlib import Path

from .files import write_atomically
from .ministack_adapter import server
from .service import Service

_log = logging.getLogger("local_aws.persistence")
_RETRY_SECONDS = 5.0
_FOLDER, _FOLDER_OF_MINISTACK = "services", "ministack"


class Saver:
    """Saves the state of ministack and of this package's services; unchanged state is not written again.

    :arg folder: ``home/state``; ministack's files are in ``ministack/`` (its STATE_DIR), the others in ``services/``.
    """

    def __init__(self, folder: Path, services: list[Service]) -> None:
        self._folder = folder
        self._services = services
        self._written: dict[Path, bytes] = {}
        self._loop = asyncio.get_running_loop()
        # When to save what: this package's services (at their own name, ""), and ministack's states.
        self._due: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        # How many commits were ordered so far, how many of them, from the first on, are on disk, what others changed.
        self._ordered = self._committed = 0
        self._uncommitted: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        self._rename_former()
        (folder / _FOLDER).mkdir(exist_ok=True)
        (folder / _FOLDER_OF_MINISTACK).mkdir(exist_ok=True)

    def _rename_former(self) -> None:
        """Rename the folder of earlier versions, which was the only one beside ministack's."""
        if (self._folder / _FOLDER).exists():
            return
        for path in list(self._folder.iterdir()):
            if path.is_dir() and path.name != _FOLDER_OF_MINISTACK:
                path.rename(self._folder / _FOLDER)

    def restore(self) -> None:
        """Restores the state of ministack and of the services."""
        server.load_state()
        for service in self._services:
            path = self._service_file(service)
            if path.exists():
                service.restore(json.loads(path.read_text(encoding="utf-8")))

    def changed(self, delay: float, names: Set[str]) -> None:
        """Orders a save within so many seconds. Callable from any thread.

        :arg names: ministack's states that are saved with those of this package's services, which always are.
        """
        self._loop.call_soon_threadsafe(self._order, delay, names)

    def _order(self, delay: float, names: Set[str]) -> None:
        due = self._loop.time() + delay
        soonest = min(self._due.values(), default=math.inf)
        for name in {"", *names}:
            self._due[name] = min(due, self._due.get(name, math.inf))
        if due < soonest:
            self._wake.set()

    async def run(self) -> None:
        """Saves whenever a save is due; until cancelled."""
        while True:
            soonest = min(self._due.values(), default=math.inf)
            timeout = None if soonest == math.inf else max(0.0, soonest - self._loop.time())
            with contextlib.suppress(TimeoutError):
                # Not wait_for(): before Python 3.12 it loses a cancellation that comes together with the event.
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
                self._wake.clear()
                continue
            names = {name for name, due in self._due.items() if due <= self._loop.time()}
            for name in names:
                del self._due[name]
            async with self._lock:
                with self._retrying(names):
                    await self._save(names)

    async def commit(self, names: set[str]) -> None:
        """Saves what changed, before a response acknowledges it; calls that arrive meanwhile share the next save.

        A state that cannot be saved is logged and saved later: a full disk does not end what runs.

        :arg names: ministack's states that the call changed.
        """
        self._ordered += 1
        number = self._ordered
        self._uncommitted |= names
        async with self._lock:
            if self._committed >= number:
                return
            ordered, names, self._uncommitted = self._ordered, self._uncommitted, set()
            with self._retrying(names):
                await self._save(names)
            self._committed = ordered

    @contextlib.contextmanager
    def _retrying(self, names: set[str]) -> Iterator[None]:
        try:
            yield
        except Exception:
            _log.exception("Saving the state failed; it is tried again in %d seconds.", _RETRY_SECONDS)
            self._order(_RETRY_SECONDS, names)

    async def save(self) -> None:
        """Saves all that changed since the last time."""
        async with self._lock:
            await self._save(server.state_names() | server.state_names("logs"))

    async def _save(self, names: set[str]) -> None:
        """Copies the state here, encodes and writes it in a thread."""
        folder = self._folder / _FOLDER_OF_MINISTACK
        encoders = [(folder / f"{name}.json", encode) for name, encode in server.states(names)]
        for service in self._services:
            content = json.dumps(service.state()).encode()
            encoders.append((self._service_file(service), functools.partial(bytes, content)))
        await asyncio.to_thread(self._write_changed, encoders)

    def _service_file(self, service: Service) -> Path:
        return self._folder / _FOLDER / f"{service.name}.json"

    def _write_changed(self, encoders: list[tuple[Path, Callable[[], bytes]]]) -> None:
        for path, encode in encoders:
            content = encode()
            digest = hashlib.sha256(content).digest()
            if self._written.get(path) != digest:
                write_atomically(path, content)
                self._written[path] = digest
