# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Which process works on a deployment, so that a run that was killed is told from one that goes on.

That can be said on the machine alone that it runs on. Elsewhere only time tells.
"""

from __future__ import annotations

import functools
import hashlib
import os
import socket
import uuid
from pathlib import Path


def own_process() -> str:
    """Return this process as MACHINE.PID.START."""
    return f"{machine()}.{os.getpid()}.{_start(os.getpid())}"


def is_here(process: str) -> bool:
    """Return whether a process is one of this machine."""
    return process.partition(".")[0] == machine()


def has_ended(process: str) -> bool:
    """Return whether a process of this machine is certainly gone."""
    parts = process.split(".")
    if len(parts) != 3 or not parts[1].isdecimal() or not is_here(process):
        return False
    pid = int(parts[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        # It belongs to another user.
        return _is_other(pid, parts[2])
    return _is_other(pid, parts[2])


def _is_other(pid: int, start: str) -> bool:
    """Return whether another process has got the id since, or the process is a zombie."""
    return (bool(start) and _start(pid) not in ("", start)) or _state(pid) == "Z"


@functools.cache
def machine() -> str:
    """Return an id of this machine, and of the container if this is one: process ids are the container's own."""
    parts = [socket.gethostname(), str(uuid.getnode())]
    try:
        parts = [socket.gethostname(), Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()]
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        # No Linux, where there are no containers of this kind either.
        pass
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]


def _start(pid: int) -> str:
    """Return when a process started, in ticks since the machine did; empty if the system does not tell."""
    fields = _status(pid)
    return fields[19] if len(fields) > 19 else ""


def _state(pid: int) -> str:
    return (_status(pid) or [""])[0]


def _status(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the command, from the state on (man 5 proc_pid_stat)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
