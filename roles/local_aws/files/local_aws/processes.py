# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that cannot outlive the daemon: each one runs under a keeper."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path


class Process:
    """A running (or ended) process.

    :ivar name: unique in this daemon.
    :ivar pid: of the process itself, not of its keeper.
    :ivar output: its stdout and stderr, merged, where spawn() was given ``asyncio.subprocess.PIPE``; else None.
    :ivar returncode: None while it runs; else the exit code, negative for a signal.
    """

    name: str
    pid: int
    output: asyncio.StreamReader | None
    returncode: int | None

    async def wait(self) -> int:
        """Waits for the end; any number of waiters. The exit code; negative: the signal that killed it."""
        raise NotImplementedError

    async def stop(self, grace: float | None = None) -> int:
        """Sends the stop signal, then SIGKILL to the whole group after the grace.

        :arg grace: real seconds; default the one given to spawn().
        :returns: the exit code, as wait().
        """
        raise NotImplementedError

    def signal(self, number: int) -> None:
        """Sends one signal to the process itself; no error when it has ended."""
        raise NotImplementedError


class Processes:
    """All processes of this daemon."""

    async def spawn(
        self,
        name: str,
        argv: list[str],
        *,
        env: dict[str, str],
        cwd: Path,
        stdout: int | Path,
        user: int | None = None,
        stop_signal: int = signal.SIGTERM,
        stop_grace: float = 30,
    ) -> Process:
        """Starts a process in a session of its own, below a keeper.

        The keeper stops the whole group when the daemon dies; when the keeper dies, the daemon kills what is left
        (found by the environment variable LOCAL_AWS_OWNER=<home>#<name>). What the process leaves behind when it ends is killed.

        :arg name: unique among running processes, e.g. ``task/<id>``, ``db/<instance>``.
        :arg env: its whole environment (nothing is inherited) besides the marker variable. Never visible on a command line.
        :arg stdout: ``asyncio.subprocess.PIPE``, ``DEVNULL``, or a file to append to; stderr goes the same way.
        :arg user: run as this user id (and its group), where the daemon runs as root.
        :arg stop_grace: real seconds between stop_signal and SIGKILL.
        :raises OSError: the program cannot be started (not found, no permission, no such cwd).
        """
        raise NotImplementedError
