# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What CloudWatch counts of a group's invocations.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html
"""

from __future__ import annotations

import time
from collections import deque

from ...clock import Clock

NAMESPACE = "AWS/Scheduler"
ATTEMPTED = "InvocationAttemptCount"
FAILED = "TargetErrorCount"
DROPPED = "InvocationDroppedCount"
DEAD_LETTER = "InvocationsSentToDeadLetterCount"
NO_DEAD_LETTER = "InvocationsFailedToBeSentToDeadLetterCount"
_NAMES = frozenset((ATTEMPTED, FAILED, DROPPED, DEAD_LETTER, NO_DEAD_LETTER))
_MINUTE = 60
_KEPT = 10_000


class SchedulerMetrics:
    """Counts, by group; a minute in which nothing happened has no value."""

    def __init__(self, clock: Clock) -> None:
        self._minute = clock.real(_MINUTE)
        self._events: deque[tuple[float, str, str]] = deque(maxlen=_KEPT)
        self._read_until: dict[tuple[str, str], float] = {}

    def count(self, metric: str, group: str) -> None:
        """Counts one."""
        self._events.append((time.monotonic(), metric, group))

    async def read(self, metric: str, dimensions: dict[str, str], _stat: str, minutes: int) -> list[float | None]:
        """What was counted since it was read last, in the last of so many minutes.

        :raises ValueError: a metric that there is none of here.
        """
        if metric not in _NAMES or set(dimensions) != {"ScheduleGroup"}:
            raise ValueError(f"A metric that is not imitated here: {metric}")
        group, now = dimensions["ScheduleGroup"], time.monotonic()
        begin = self._read_until.get((metric, group), now - minutes * self._minute)
        self._read_until[metric, group] = now
        number = sum(begin < moment <= now and (name, of) == (metric, group) for moment, name, of in self._events)
        return [None] * (minutes - 1) + [float(number) or None]
