# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parent of one process: ends it when the daemon ends, however that happens.

Runs as a script of its own (``python -I -S shim.py``), on the standard library alone: it starts in milliseconds.
Standard input is the pipe from the daemon: first line the order (JSON), then commands; its end: the daemon is gone.
Standard output is the pipe to the daemon: one JSON object a line: {"pid"}, {"error", "message"}, {"exit"}.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any

# include/uapi/linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

# How long a process may take to end when no supervisor is left to wait for it.
ORPHAN_GRACE = 30.0
# How often, and how many seconds apart, what a process left behind is hunted after it has ended. Not for how long: a
# machine that stands still for a while must not end the hunt.
SWEEP_TURNS = 500
SWEEP_PAUSE = 0.01


def prctl(option: int, value: int) -> None:
    """Linux's prctl(2); elsewhere nothing: there the group is still killed, only strays are not."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


class Shim:
    """Starts, watches and ends one process."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.pid = 0
        self.exit_code: int | None = None
        self.kill_at: float | None = None

    def start(self) -> None:
        """Starts the process; raises OSError with its own errno when it cannot be executed."""
        failed, report = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become(parent)
            except OSError as error:
                filename = os.fsdecode(error.filename) if error.filename is not None else None
                os.write(report, json.dumps([error.errno, error.strerror, filename]).encode())
            finally:
                os._exit(127)
        os.close(report)
        if self.order["output"] is not None:
            os.close(self.order["output"])
        answer = b"".join(iter(lambda: os.read(failed, 4096), b""))
        os.close(failed)
        if answer:
            os.waitpid(self.pid, 0)
            raise OSError(*json.loads(answer))

    def _become(self, parent: int) -> None:
        """Set up session, streams, user and folder in the child, and execute the program."""
        order = self.order
        os.setsid()
        output = order["output"]
        if output is None:
            output = os.open(order["file"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if order["user"] is not None:
            os.setgroups([])
            os.setgid(order["group"])
            os.setuid(order["user"])
        # After setuid, which would clear it: killing the shim kills the process.
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)
        os.chdir(order["cwd"])
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.execvpe(order["argv"][0], order["argv"], order["env"])

    def stop(self, grace: float) -> None:
        """The stop signal to the process itself, as a container's first process gets it; SIGKILL later."""
        self.signal(self.order["stop_signal"])
        kill_at = time.monotonic() + grace
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)

    def signal(self, number: int) -> None:
        """One signal to the process; nothing when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def reap(self) -> None:
        """Collects ended children, strays that were handed up to us included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.exit_code = os.waitstatus_to_exitcode(status)

    def sweep(self) -> None:
        """Kills whatever the process left behind: its group, and every child handed up to us."""
        for _turn in range(SWEEP_TURNS):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            for pid in _children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self.reap()
            try:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            time.sleep(SWEEP_PAUSE)


def _children() -> list[int]:
    """The pids of our children, where the kernel tells (Linux)."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as stream:
            return [int(pid) for pid in stream.read().split()]
    except OSError:
        return []


def _tell(message: dict[str, Any]) -> None:
    """Report one line to the daemon, if it is still there."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(message).encode() + b"\n")


def _execute(shim: Shim, line: bytes) -> None:
    """Execute one command of the daemon."""
    command = json.loads(line)
    if "stop" in command:
        shim.stop(command["stop"])
    if "signal" in command:
        shim.signal(command["signal"])


def _watch(shim: Shim, buffer: bytes, wakeup: int) -> None:
    """Wait until the process has ended, executing the daemon's commands."""
    sources = [0, wakeup]
    shim.reap()
    while shim.exit_code is None:
        timeout = None if shim.kill_at is None else max(0.0, shim.kill_at - time.monotonic())
        ready = select.select(sources, [], [], timeout)[0]
        if wakeup in ready and signal.SIGTERM in os.read(wakeup, 512):
            shim.stop(min(shim.order["stop_grace"], ORPHAN_GRACE))
        if 0 in ready:
            chunk = os.read(0, 65536)
            if not chunk:
                sources = [wakeup]
                shim.stop(min(shim.order["stop_grace"], ORPHAN_GRACE))
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                _execute(shim, line)
        shim.reap()
        if shim.kill_at is not None and time.monotonic() >= shim.kill_at:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(shim.pid, signal.SIGKILL)
            shim.signal(signal.SIGKILL)
            shim.kill_at = time.monotonic() + 1.0


def main() -> int:
    """Read the order, start the process, and stay until it has ended."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wakeup, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_unused: None)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    buffer = b""
    while b"\n" not in buffer:
        chunk = os.read(0, 65536)
        if not chunk:
            return 1
        buffer += chunk
    line, _unused, buffer = buffer.partition(b"\n")
    shim = Shim(json.loads(line))
    try:
        shim.start()
    except OSError as error:
        _tell({"error": error.errno, "message": error.strerror, "filename": error.filename})
        return 1
    _tell({"pid": shim.pid})
    _watch(shim, buffer, wakeup)
    shim.sweep()
    _tell({"exit": shim.exit_code})
    return 0


if __name__ == "__main__":
    sys.exit(main())
