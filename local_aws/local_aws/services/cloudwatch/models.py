# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics, what was sampled of them, and the datapoints that alarms make of the samples."""

from __future__ import annotations

import functools
import statistics
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Protocol

from . import metric_math
from .metric_math import Value

MINUTE = 60
# "EvaluationPeriods times Period" of an alarm is a day at most, a week for periods of an hour and more (CloudWatch API
# Reference, PutMetricAlarm).
_KEPT_MINUTES = 7 * 24 * 60
_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Average": statistics.fmean,
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
    "Sum": sum,
}


class Source(Protocol):
    """Where the metrics of a namespace come from."""

    async def read(self, metric: str, dimensions: dict[str, str], stat: str, minutes: int) -> list[Value]:
        """The values of so many complete minutes, oldest first.

        :raises ValueError: a metric that there is none of here.
        """


@dataclass(frozen=True)
class Metric:
    """A metric as an alarm names it.

    :arg dimensions: names and values, sorted.
    """

    region: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    stat: str

    @classmethod
    def of(cls, region: str, stat: dict[str, Any]) -> Metric:
        """That of a MetricStat."""
        described = stat["Metric"]
        dimensions = sorted((item["Name"], item["Value"]) for item in described.get("Dimensions", []))
        return cls(region, described["Namespace"], described["MetricName"], tuple(dimensions), stat["Stat"])

    @property
    def subject(self) -> str:
        """What a fault on metrics is matched against: ``AWS/RDS/CPUUtilization/<instance>``."""
        return "/".join([self.namespace, self.name, *(value for _name, value in self.dimensions)])


class Samples:
    """One value for each AWS minute since a metric is sampled."""

    def __init__(self) -> None:
        self._values: deque[Value] = deque(maxlen=_KEPT_MINUTES)

    def add(self, values: list[Value]) -> None:
        """Adds the values of the next minutes."""
        self._values.extend(values)

    def window(self, minutes: int, back: int, stat: str) -> tuple[bool, Value]:
        """A statistic over so many minutes, ending so many periods of as many minutes ago.

        :returns: whether that time was seen at all, and the value.
        """
        end = len(self._values) - back * minutes
        if end <= 0:
            return False, None
        present = [self._values[index] for index in range(max(0, end - minutes), end)]
        values = [value for value in present if value is not None]
        return True, float(_STATISTICS[stat](values)) if values else None


def metrics_of(alarm: dict[str, Any], region: str) -> Iterator[Metric]:
    """The metrics that an alarm is on."""
    for query in metric_math.queries_of(alarm):
        if "MetricStat" in query:
            yield Metric.of(region, query["MetricStat"])


def _read(region: str, samples: dict[Metric, Samples], back: int, seen: list[bool], stat: dict[str, Any]) -> Value:
    """A metric's value so many periods ago; *seen* gets whether there was one."""
    if stat["Stat"] not in _STATISTICS:
        raise ValueError(f"A statistic that is not imitated here: {stat['Stat']}")
    minutes = max(1, int(stat["Period"]) // MINUTE)
    found, value = samples[Metric.of(region, stat)].window(minutes, back, stat["Stat"])
    seen.append(found)
    return value


def evaluate(alarm: dict[str, Any], region: str, samples: dict[Metric, Samples]) -> str:
    """The state of an alarm now.

    :raises ValueError: metric math or a statistic that is not imitated.
    """
    queries = metric_math.queries_of(alarm)
    points: list[Value] = []
    unseen = 0
    for back in range(int(alarm["EvaluationPeriods"])):
        seen: list[bool] = []
        point = metric_math.datapoint(queries, functools.partial(_read, region, samples, back, seen))
        if any(seen):
            points.append(point)
        else:
            unseen += 1
    return metric_math.state(alarm, points, unseen)
