# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runtimes: what an image is on this machine, a virtual environment made once by uv and kept."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shutil
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from uv import find_uv_bin

from ...runtime.supervisor import Supervisor
from .images import CannotPullContainerError
from .images import Recipe
from .images import recipe

_log = logging.getLogger(__name__)

_HOOK = "_local_aws_task_network"
# Written last and atomically: a folder without it is the rest of an aborted build. The folder cannot be built elsewhere
# and renamed, for the scripts of a virtual environment hold its path.
_COMPLETE = "complete.json"
_TAIL = 12
# All that uv gets of the user's variables: how this machine is, and their own settings of uv and pip (index, proxies,
# certificates). No credentials of AWS or of anything else.
_PASSED_ON = {
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "NETRC"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
}
_PASSED_ON_PREFIXES = ("LC_", "UV_", "PIP_")
_SECRET = "UV_PUBLISH_"
# What cannot be imported is the server's to report.
_IMPORT = """
import contextlib, importlib, sys
for name in sys.argv[1:]:
    with contextlib.suppress(Exception):
        importlib.import_module(name)
"""


class Runtimes:
    """The cache of runtimes below one folder; several daemons may share it.

    :arg folder: the cache.
    """

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self._folder = folder
        self._supervisor = supervisor
        self._locks: dict[str, asyncio.Lock] = {}

    async def provide(self, image: str) -> Path:
        """The folder of the runtime for an image, made if it is not there.

        :raises CannotPullContainerError: the image is unknown, or its packages cannot be had.
        """
        wanted = recipe(image)
        target = self._folder / wanted.key
        # An existing runtime is only read, so the cache may belong to another user.
        if await asyncio.to_thread(_is_usable, target):
            return target
        self._folder.mkdir(parents=True, exist_ok=True)
        async with self._locks.setdefault(wanted.key, asyncio.Lock()), self._file_lock(wanted.key):
            if not (target / _COMPLETE).exists():
                await self._build(image, wanted, target)
            await asyncio.to_thread(_install_hook, target)
        return target

    def has(self, image: str) -> bool:
        """Whether the runtime of an image is there already.

        :raises CannotPullContainerError: the image is unknown.
        """
        return (self._folder / recipe(image).key / _COMPLETE).exists()

    @asynccontextmanager
    async def _file_lock(self, key: str) -> AsyncIterator[None]:
        """Between processes; freed by the system if this one dies."""
        with (self._folder / f".{key}.lock").open("w") as stream:
            announced = False
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not announced:
                        _log.info("runtime %s: another process is making it, waiting", key)
                        announced = True
                    await asyncio.sleep(0.5)
            yield

    async def _build(self, image: str, wanted: Recipe, target: Path) -> None:
        _log.info("runtime %s: making it for the image %s", wanted.key, image)
        if target.exists():
            await asyncio.to_thread(shutil.rmtree, target)
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        python = sys.executable if wanted.python in ("", own) else wanted.python
        await self._uv(image, wanted, ["venv", "--quiet", "--no-project", "--python", python, str(target)])
        if wanted.requirements:
            _log.info(
                "runtime %s: installing %s (the first time this downloads a lot)",
                wanted.key,
                " ".join(wanted.requirements),
            )
            interpreter = str(target / "bin" / "python")
            await self._uv(image, wanted, ["pip", "install", "--python", interpreter, *wanted.requirements])
            await self._compile(wanted, interpreter)
        mark = target / f".{_COMPLETE}"
        mark.write_text(json.dumps({"image": image, "requirements": list(wanted.requirements)}))
        mark.replace(target / _COMPLETE)
        _log.info("runtime %s: ready", wanted.key)

    async def _compile(self, wanted: Recipe, interpreter: str) -> None:
        """Leaves the bytecode behind of what the image's program imports.

        A server's workers start at the same time: without bytecode, which uv leaves out, each compiles everything.
        """
        process = await self._supervisor.spawn(
            f"runtime/{wanted.key}",
            [interpreter, "-c", _IMPORT, *wanted.imported],
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            cwd=self._folder / wanted.key,
            stdout=asyncio.subprocess.DEVNULL,
            stop_grace=5,
        )
        try:
            await process.wait()
        except asyncio.CancelledError:
            await process.stop()
            raise

    async def _uv(self, image: str, wanted: Recipe, arguments: list[str]) -> None:
        # What uv keeps stays in our folder.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name.upper() in _PASSED_ON or (name.startswith(_PASSED_ON_PREFIXES) and not name.startswith(_SECRET))
        }
        environment.setdefault("UV_CACHE_DIR", str(self._folder / ".uv"))
        environment.setdefault("UV_PYTHON_INSTALL_DIR", str(self._folder / ".python"))
        environment["UV_NO_PROGRESS"] = "1"
        process = await self._supervisor.spawn(
            f"runtime/{wanted.key}",
            [find_uv_bin(), *arguments],
            env=environment,
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stop_grace=5,
        )
        tail: deque[str] = deque(maxlen=_TAIL)
        try:
            assert process.output is not None
            async for line in process.output:
                text = line.decode(errors="replace").rstrip()
                tail.append(text)
                # The list of packages ("+ name==version") is only noise in a log.
                if not text.startswith(" + "):
                    _log.info("runtime %s: %s", wanted.key, text)
            code = await process.wait()
        except asyncio.CancelledError:
            await process.stop()
            raise
        if code != 0:
            raise _pull_error(image, wanted, list(tail))


def _pull_error(image: str, wanted: Recipe, tail: list[str]) -> CannotPullContainerError:
    text = " ".join(part.strip() for part in tail if part.strip())
    _log.error("runtime %s: cannot be made: %s", wanted.key, text)
    if "no version of" in text or "No interpreter found" in text:
        return CannotPullContainerError(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): "
            f"failed to resolve ref {image}: {image}: not found"
        )
    return CannotPullContainerError(
        f"CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy: {image}: {text[-400:]}"
    )


def _hook_files(target: Path) -> dict[Path, str]:
    """The network hook in its present version, from path to content."""
    packages = next((target / "lib").glob("python3.*/site-packages"))
    source = Path(__file__).with_name("network_hook.py").read_text()
    return {packages / f"{_HOOK}.py": source, packages / f"{_HOOK}.pth": f"import {_HOOK}\n"}


def _is_usable(target: Path) -> bool:
    """Whether a runtime is complete, and holds the present version of the network hook."""
    if not (target / _COMPLETE).exists():
        return False
    return all(path.exists() and path.read_text() == content for path, content in _hook_files(target).items())


def _install_hook(target: Path) -> None:
    """Puts the present version of the network hook into a runtime, whichever version made it."""
    for path, content in _hook_files(target).items():
        if not path.exists() or path.read_text() != content:
            new = path.with_name(f".{path.name}.new")
            new.write_text(content)
            new.replace(path)
