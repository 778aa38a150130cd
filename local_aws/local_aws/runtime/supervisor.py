# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that cannot outlive the daemon: each one runs under a shim."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from . import shim as shim_script

#: The environment variable by which a process of ours is known: ``<home>#<name>``.
MARKER = "LOCAL_AWS_OWNER"

_log = logging.getLogger("local_aws.supervisor")


class Process:
    """A running (or ended) process.

    :ivar name: unique in this daemon.
    :ivar pid: of the process itself, not of its shim.
    :ivar output: its stdout and stderr, merged, where spawn() was given ``asyncio.subprocess.PIPE``; else None.
    :ivar returncode: None while it runs; else the exit code, negative for a signal.
    """

    def __init__(self, name: str, shim: subprocess.Popen[bytes], control: int, stop_grace: float) -> None:
        self.name = name
        self.pid = 0
        self.output: asyncio.StreamReader | None = None
        self.returncode: int | None = None
        self.shim_pid = shim.pid
        self._shim = shim
        self._control: int | None = control
        self._stop_grace = stop_grace
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """Waits for the end; any number of waiters. The exit code; negative: the signal that killed it."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def stop(self, grace: float | None = None) -> int:
        """Sends the stop signal, then SIGKILL to the whole group after the grace.

        :arg grace: real seconds; default the one given to spawn().
        :returns: the exit code, as wait().
        """
        self._command({"stop": self._stop_grace if grace is None else grace})
        return await self.wait()

    def signal(self, number: int) -> None:
        """Sends one signal to the process itself; no error when it has ended."""
        self._command({"signal": int(number)})

    def _command(self, command: dict[str, Any]) -> None:
        if self._control is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._control, json.dumps(command).encode() + b"\n")

    def _end(self, returncode: int) -> None:
        self.returncode = returncode
        if self._control is not None:
            os.close(self._control)
            self._control = None
        self._ended.set()


class Supervisor:
    """All processes of this daemon.

    :arg home: the home folder, part of the marker by which our processes are known.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.running: dict[str, Process] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        # When a shim is killed, its process is handed up to us rather than to init.
        shim_script.prctl(shim_script.PR_SET_CHILD_SUBREAPER, 1)

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
        """Starts a process in a session of its own, below a shim.

        The shim stops the whole group when the daemon dies; when the shim dies, the daemon kills what is left
        (found by the environment variable LOCAL_AWS_OWNER=<home>#<name>). What the process leaves behind when it
        ends is killed.

        :arg name: unique among running processes, e.g. ``task/<id>``, ``db/<instance>``.
        :arg argv: the program and its arguments; a bare name is looked up in ``env["PATH"]``.
        :arg env: its whole environment (nothing is inherited) besides the marker variable. Never on a command line.
        :arg stdout: ``asyncio.subprocess.PIPE``, ``DEVNULL``, or a file to append to; stderr goes the same way.
            A piped output must be read, or the process stalls.
        :arg user: run as this user id (and its group), where the daemon runs as root.
        :arg stop_grace: real seconds between stop_signal and SIGKILL.
        :raises OSError: the program cannot be started (not found, no permission, no such cwd).
        :raises ValueError: a process of that name is running.
        """
        if name in self.running:
            raise ValueError(f"A process called {name} is running already (pid {self.running[name].pid}).")
        read_end, write_end = os.pipe() if stdout == asyncio.subprocess.PIPE else (None, None)
        order = {
            "argv": argv,
            "env": {**env, MARKER: f"{self.home}#{name}"},
            "cwd": str(cwd),
            "output": write_end,
            "file": os.devnull if isinstance(stdout, int) else str(stdout),
            "user": user,
            "group": None if user is None else pwd.getpwuid(user).pw_gid,
            "stop_signal": int(stop_signal),
            "stop_grace": stop_grace,
        }
        # Once begun, it is brought to its end: an unknown process would run as long as the daemon.
        starting = asyncio.create_task(self._start(name, order, read_end))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _until_done(starting)
            if not starting.cancelled() and starting.exception() is None:
                await _until_done(asyncio.create_task(starting.result().stop(0)))
            raise

    async def _start(self, name: str, order: dict[str, Any], read_end: int | None) -> Process:
        """Start a shim with an order, and wait until its process runs.

        :arg read_end: of the pipe that the order's output is the other end of, if it is one.
        """
        marker = order["env"][MARKER]
        write_end = order["output"]
        try:
            process, status = await asyncio.to_thread(_start_shim, name, order, marker)
        except BaseException:
            if read_end is not None:
                os.close(read_end)
            raise
        finally:
            if write_end is not None:
                os.close(write_end)
        self.running[name] = process
        reader = await _reader(status)
        try:
            answer = json.loads(await reader.readline() or b"{}")
            if "pid" not in answer:
                number = answer.get("error", errno.EIO)
                raise OSError(
                    number, answer.get("message", "its shim died"), answer.get("filename") or order["argv"][0]
                )
        except BaseException:
            if read_end is not None:
                os.close(read_end)
            del self.running[name]
            process._end(127)
            await asyncio.to_thread(process._shim.wait)
            raise
        process.pid = answer["pid"]
        if read_end is not None:
            process.output = await _reader(read_end)
        watcher = asyncio.create_task(self._watch(process, reader, marker))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return process

    async def _watch(self, process: Process, reader: asyncio.StreamReader, marker: str) -> None:
        """Wait until the shim reports the end of the process, or is gone itself."""
        answer = json.loads(await reader.readline() or b"{}")
        if "exit" not in answer:
            _log.warning("The shim of %s (pid %d) is gone; killing what it kept.", process.name, process.pid)
            await asyncio.to_thread(_kill_remaining, process.pid, marker)
        await asyncio.to_thread(process._shim.wait)
        self.running.pop(process.name, None)
        process._end(answer.get("exit", -signal.SIGKILL))

    async def stop_all(self, grace: float = 5) -> None:
        """Stops every process that a service left running."""
        await asyncio.gather(*(process.stop(grace) for process in list(self.running.values())))
        await asyncio.gather(*self._watchers)


async def _until_done(work: asyncio.Task[Any]) -> None:
    """Wait for a task, even while being cancelled."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([work])


def _start_shim(name: str, order: dict[str, Any], marker: str) -> tuple[Process, int]:
    """Start a shim and send it its order. Returns the process and the pipe on which the shim reports."""
    control_read, control = os.pipe()
    status, status_write = os.pipe()
    try:
        shim = subprocess.Popen(
            [sys.executable, "-I", "-S", shim_script.__file__],
            stdin=control_read,
            stdout=status_write,
            pass_fds=() if order["output"] is None else (order["output"],),
            env={MARKER: marker},
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        os.close(control)
        os.close(status)
        raise
    finally:
        os.close(control_read)
        os.close(status_write)
    remaining = json.dumps(order).encode() + b"\n"
    while remaining:
        remaining = remaining[os.write(control, remaining) :]
    return Process(name, shim, control, order["stop_grace"]), status


async def _reader(descriptor: int) -> asyncio.StreamReader:
    """A pipe's read end as a stream."""
    reader = asyncio.StreamReader(limit=2**20)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


def _kill_remaining(session: int, marker: str) -> None:
    """Kills and reaps the processes of one session or marker, handed up to this process by a dead shim."""
    ours: set[int] = {session}
    for _turn in range(shim_script.SWEEP_TURNS):
        alive = False
        for process in psutil.Process().children(recursive=True):
            if process.pid in ours or _session_of(process.pid) == session or _marker_of(process) == marker:
                alive = True
                ours.add(process.pid)
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        for pid in ours:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if not alive:
            return
        time.sleep(shim_script.SWEEP_PAUSE)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _marker_of(process: psutil.Process) -> str | None:
    """The marker of a process; None where it has none, has ended, or belongs to another user."""
    try:
        marker: str | None = process.environ().get(MARKER)
        return marker
    except (psutil.Error, OSError):
        return None


def owned(home: Path) -> list[psutil.Process]:
    """All processes that carry this home's marker, this one excepted."""
    return [
        process
        for process in psutil.process_iter()
        # A home may have this sign in its path, a name has not.
        if process.pid != os.getpid() and (_marker_of(process) or "").rpartition("#")[0] == str(home)
    ]


def sweep(home: Path, timeout: float = shim_script.ORPHAN_GRACE + 2) -> int:
    """End what a daemon that is gone left behind. Its shims are ending already, so they get time first.

    :arg timeout: real seconds until SIGKILL.
    :returns: how many processes had to be killed.
    """
    deadline = time.monotonic() + timeout
    left = owned(home)
    while left and time.monotonic() < deadline and _is_ending(left):
        time.sleep(0.05)
        left = owned(home)
    killed: set[int] = set()
    while left:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
                killed.add(process.pid)
        # Not until they are reaped: that is up to their parent, which may be an init that reaps nothing.
        time.sleep(0.05)
        left = owned(home)
    return len(killed)


def _is_ending(processes: Iterable[psutil.Process]) -> bool:
    """Whether a shim is among them: without one, nothing ends the others."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if shim_script.__file__ in process.cmdline():
                return True
    return False
