# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Custom metrics: what PutMetricData brought in."""

from __future__ import annotations

import time

from ...clock import Clock
from ...ministack_adapter import cloudwatch
from .models import MINUTE
from .models import Metric


class CustomMetrics:
    """The metrics of namespaces that are not AWS's, as ministack keeps them."""

    def __init__(self, clock: Clock) -> None:
        self._minute = clock.real(MINUTE)
        self._read_until: dict[Metric, float] = {}

    def read(self, metric: Metric, minutes: int) -> list[float | None]:
        """The values of the last minutes: what came in since the last time, by the real clock."""
        now = time.time()
        begin = self._read_until.get(metric, now - minutes * self._minute)
        self._read_until[metric] = now
        found: list[float | None] = [None] * minutes
        for moment, value in cloudwatch.datapoints(metric.region, metric.namespace, metric.name, metric.dimensions):
            if not begin < moment <= now:
                continue
            index = max(0, minutes - 1 - int((now - moment) / self._minute))
            before = found[index]
            found[index] = value if before is None else _join(metric.stat, before, value)
        return found


def _join(stat: str, before: float, value: float) -> float:
    if stat in ("Sum", "SampleCount"):
        return before + value
    return min(before, value) if stat == "Minimum" else max(before, value)
