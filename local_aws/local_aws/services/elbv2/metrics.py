# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of target groups: what was answered, and how many targets are healthy.

Elastic Load Balancing, "CloudWatch metrics for your Application Load Balancer".
"""

from __future__ import annotations

import time
from collections import Counter

from .controller import Balancer
from .models import TargetGroup

NAMESPACE = "AWS/ApplicationELB"
_TARGET_CODES = {f"HTTPCode_Target_{hundreds}XX_Count": hundreds for hundreds in (2, 3, 4, 5)}
_STATES = {"HealthyHostCount": "healthy", "UnHealthyHostCount": "unhealthy"}


def suffix(arn: str) -> str:
    """What CloudWatch's dimensions have of an ARN: ``app/name/id``, ``targetgroup/name/id``."""
    last = arn.rsplit(":", 1)[-1]
    return last.removeprefix("loadbalancer/")


def measure(metric: str, counts: Counter[int] | None, targets: int) -> float | None:
    """Return a metric of a target group for one minute; None where nothing was reported.

    :arg counts: answers by the hundreds of their status, 0 for those of the balancer itself.
    :arg targets: how many targets there are to share the requests.
    :raises ValueError: another metric than those of requests and of targets' answers.
    """
    if metric in _TARGET_CODES:
        return None if counts is None else float(counts[_TARGET_CODES[metric]])
    if metric in ("RequestCount", "RequestCountPerTarget"):
        if counts is None:
            return None
        return sum(counts.values()) / (max(1, targets) if metric == "RequestCountPerTarget" else 1)
    raise ValueError(f"A metric that is not imitated here: {metric}")


class TargetGroupMetrics:
    """The metrics of target groups."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer

    async def read(self, metric: str, dimensions: dict[str, str], _stat: str, minutes: int) -> list[float | None]:
        """The values of the last complete minutes, oldest first.

        :raises ValueError: a metric that there is none of here.
        """
        groups = {suffix(arn): group for arn, group in self._balancer.groups.items()}
        group = groups.get(dimensions.get("TargetGroup", ""))
        if metric in _STATES:
            return [_hosts(group, _STATES[metric])] * minutes
        if group is None:
            measure(metric, None, 0)
            return [None] * minutes
        counted = self._balancer.answers.last(group.arn, time.monotonic(), minutes)
        return [measure(metric, counts, len(group.targets)) for counts in counted]


def _hosts(group: TargetGroup | None, state: str) -> float | None:
    """How many targets have a state. "Reported if there are registered targets"."""
    if group is None or not group.targets:
        return None
    return float(sum(1 for target in group.targets.values() if target.state == state))
