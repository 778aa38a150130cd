# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of what a benchmark runs, sampled in the background."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter

import psutil

#: The groups of processes, by the name that the local AWS gives them.
GROUPS = {"daemon": "local AWS", "db": "PostgreSQL", "task": "MLflow"}
TOGETHER = "together"
ANSIBLE = "Ansible"
#: The same by resident set size, in which memory that processes share counts once for each of them.
ANSIBLE_RESIDENT = "Ansible (RSS)"

#: Sampling takes at most this share of one core.
_SAMPLING_SHARE = 0.05


class Memory(threading.Thread):
    """Samples the memory of the local AWS's processes, and of those below this one, in the background.

    A process's share (PSS) is counted where the system tells it, else what belongs to it alone (USS).
    """

    def __init__(self, daemon_pid: int) -> None:
        super().__init__(daemon=True)
        self.peaks: Counter[str] = Counter()
        self._daemon_process = psutil.Process(daemon_pid)
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._groups: dict[int, str] = {}

    def run(self) -> None:
        """Sample until stop()."""
        took = 0.0
        while not self._ending.wait(max(1.0, took / _SAMPLING_SHARE)):
            begun = time.monotonic()
            self.sample()
            took = time.monotonic() - begun

    def stop(self) -> dict[str, int]:
        """End it; the peaks."""
        self._ending.set()
        self.join()
        return dict(self.peaks)

    def sample(self) -> None:
        """Sample once, now."""
        with self._lock, contextlib.suppress(psutil.NoSuchProcess):
            now: Counter[str] = Counter()
            now[GROUPS["daemon"]] += footprint(self._daemon_process)
            for shim in self._daemon_process.children():
                now[GROUPS["daemon"]] += footprint(shim)
                group = self._group(shim)
                for process in _below(shim):
                    now[group] += footprint(process)
            for process in _below(psutil.Process()):
                now[ANSIBLE] += footprint(process)
                with contextlib.suppress(psutil.NoSuchProcess):
                    now[ANSIBLE_RESIDENT] += process.memory_info().rss
            for name, size in now.items():
                self.peaks[name] = max(self.peaks[name], size)
            everything = sum(size for name, size in now.items() if name in GROUPS.values())
            self.peaks[TOGETHER] = max(self.peaks[TOGETHER], everything)

    def _group(self, shim: psutil.Process) -> str:
        """What a shim keeps, by the marker in its environment: <home>#<kind>/<name>."""
        if shim.pid not in self._groups:
            try:
                marker = shim.environ().get("LOCAL_AWS_OWNER", "")
            except psutil.Error:
                return GROUPS["daemon"]
            kind = marker.rpartition("#")[2].partition("/")[0]
            self._groups[shim.pid] = GROUPS.get(kind, GROUPS["daemon"])
        return self._groups[shim.pid]


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def footprint(process: psutil.Process) -> int:
    """Bytes of memory of one process; 0 where it has ended."""
    try:
        full = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(full, "pss", full.uss))
