# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a task's processes use, counted as a control group counts what cannot be given back."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

from . import shim

_PAGE = os.sysconf("SC_PAGE_SIZE") // 1024


def tree(pid: int) -> list[int]:
    """The process, what it started, and what its children left behind (their shim adopts those)."""
    try:
        parent = psutil.Process(pid).parent()
        # Only a shim's children are all of this task; the parent of a process started otherwise has others.
        if parent is not None and shim.__file__ in parent.cmdline():
            return descendants(parent.pid)
        return [pid, *descendants(pid)]
    except psutil.Error:
        return []


def descendants(pid: int) -> list[int]:
    """All that a process started, directly or not."""
    found, waiting = [], [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    """The children of a process, from its own entries in /proc.

    psutil reads the entries of all processes of the machine instead, which was a quarter of a busy daemon's CPU time.
    The kernel has them since 3.5, unless it was built without CONFIG_PROC_CHILDREN (proc(5)).
    """
    folder = Path(f"/proc/{pid}/task")
    try:
        texts = [(folder / thread / "children").read_text() for thread in os.listdir(folder)]
    except OSError:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
        return []
    return [int(child) for text in texts for child in text.split()]


def used(pid: int, limit: int) -> int:
    """Anonymous and shared memory of a process tree in MiB; file pages, which can be dropped, do not count.

    :arg limit: MiB that matter. Below them a quick upper bound is good enough: the exact figure makes the kernel walk
        all pages of all processes, and pages that forked workers share count only there as one.
    """
    members = tree(pid)
    bound = sum(_at_most(member) for member in members) // 1024
    return bound if bound <= limit else sum(_of(member) for member in members) // 1024


def _at_most(pid: int) -> int:
    """KiB: resident pages less those of files."""
    try:
        resident, shared = (int(field) for field in Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    except (OSError, ValueError):
        return _without_proc(pid)
    return (resident - shared) * _PAGE


def _of(pid: int) -> int:
    """KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _without_proc(pid)
    wanted = ("Pss_Anon:", "Pss_Shmem:")
    values = [int(line.split()[1]) for line in lines if line.startswith(wanted)]
    return sum(values)


def _without_proc(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss) // 1024
    except psutil.Error:
        return 0
