# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many processors a process tree keeps busy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psutil


class Meter:
    """Compares the CPU time of a process tree with what it was before."""

    def __init__(self) -> None:
        self._before: dict[int, float] = {}
        self._at = 0.0
        self._last: float | None = None

    def cores(self, pids: Iterable[int], now: float) -> float | None:
        """Processors kept busy since the last time, 1.0 for one; None the first time.

        :arg now: monotonic seconds.
        """
        times = {}
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                spent = psutil.Process(pid).cpu_times()
                times[pid] = spent.user + spent.system
        if self._at and now > self._at:
            # What a process spent before it was first seen is its whole life: it began since.
            grown = sum(max(0.0, spent - self._before.get(pid, 0.0)) for pid, spent in times.items())
            self._last = grown / (now - self._at)
        self._before, self._at = times, now
        return self._last
