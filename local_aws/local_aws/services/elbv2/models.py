# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Target groups: who is in them, whether they are healthy, how requests are shared out, what was answered.

Health states, reason codes and descriptions are those of ELB's DescribeTargetHealth (API reference, TargetHealth).
"""

from __future__ import annotations

import ssl
from collections import Counter
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol

from aiohttp import web

from ...network.firewall import Peer


@dataclass
class Target:
    """One registered task.

    :arg id: the task's address.
    :arg port: the container port, as the API shows it.
    :arg real_port: the port to connect to.
    :arg source: what the load balancer is for the target's security groups; None: they are not asked.
    :ivar ordered: monotonic time since when its health is made up on order (no slow machine is to blame); else 0.
    :ivar answered: monotonic time of the first answer, with any status; 0 before.
    :ivar heard: monotonic time of the last answer, with any status; 0 before.
    :ivar since: monotonic time of the last change of state.
    """

    id: str
    port: int
    real_port: int
    source: Peer | None = None
    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    description: str = "Target registration is in progress"
    successes: int = 0
    failures: int = 0
    ordered: float = 0.0
    answered: float = 0.0
    heard: float = 0.0
    since: float = 0.0


@dataclass
class TargetGroup:
    """A target group and its health check.

    :arg interval: AWS seconds between two checks.
    :arg timeout: real seconds until a check fails; processes are not faster than they are.
    :arg codes: the status codes that count as healthy, as ELB's Matcher writes them ("200", "200,302", "200-299").
    """

    arn: str
    path: str = "/"
    interval: float = 30
    timeout: float = 5
    healthy: int = 5
    unhealthy: int = 2
    codes: str = "200"
    targets: dict[str, Target] = field(default_factory=dict)
    _turn: int = 0

    def pick(self) -> Target | None:
        """The next healthy target, round robin; None when there is none."""
        ready = [target for target in self.targets.values() if target.state == "healthy"]
        if not ready:
            return None
        self._turn += 1
        return ready[self._turn % len(ready)]

    def settings(self) -> dict[str, Any]:
        """What must be remembered over a restart; targets come back with their tasks."""
        names = ("arn", "path", "interval", "timeout", "healthy", "unhealthy", "codes")
        return {name: getattr(self, name) for name in names}

    def observe(self, target: Target, status: int | None, now: float) -> bool:
        """Takes one health check's result into the target's state.

        :arg status: the HTTP status; 0 for a time-out, None when no connection or no answer came.
        :returns: whether the state changed.
        """
        before = target.state
        if status:
            target.answered = target.answered or now
            target.heard = now
        if status and matches(self.codes, status):
            target.successes += 1
            target.failures = 0
            if target.successes >= self.healthy:
                target.state, target.reason, target.description = "healthy", "", ""
            elif target.state == "initial":
                target.reason, target.description = "Elb.InitialHealthChecking", "Initial health checks in progress"
        else:
            target.failures += 1
            target.successes = 0
            if target.failures >= self.unhealthy:
                target.state = "unhealthy"
                target.reason, target.description = _failure(status)
        if target.state != before:
            target.since = now
        return target.state != before


def _failure(status: int | None) -> tuple[str, str]:
    """ELB's reason code and description of a failed check."""
    if status is None:
        return "Target.FailedHealthChecks", "Health checks failed"
    if status == 0:
        return "Target.Timeout", "Request timed out"
    return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"


def matches(codes: str, status: int) -> bool:
    """Whether a status is one of a Matcher's codes.

    >>> matches("200,300-302", 301)
    True
    """
    for part in codes.split(","):
        low, _unused, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


class Weights:
    """Shares requests among target groups in exact proportion (smooth weighted round robin).

    A real balancer draws lots; here 5 % is five of any hundred requests, so that a rehearsal gives the same result
    twice.
    """

    def __init__(self, weights: dict[str, float]) -> None:
        self.weights = dict(weights)
        self._credit: dict[str, float] = dict.fromkeys(weights, 0.0)

    def next(self) -> str | None:
        """The target group of the next request; None when all weights are 0."""
        total = sum(self.weights.values())
        if total <= 0:
            return None
        for arn, weight in self.weights.items():
            self._credit[arn] += weight
        chosen = max(self.weights, key=lambda arn: self._credit[arn])
        self._credit[chosen] -= total
        return chosen


class Answers:
    """Counts of responses per target group and period, as CloudWatch's one-minute metrics of a balancer.

    :arg period: real seconds of one period (AWS's minute, scaled).
    """

    KEEP = 30
    OWN = 0
    """Where answers of the balancer itself are counted, which no HTTPCode_Target metric knows."""

    def __init__(self, period: float) -> None:
        self.period = period
        self._periods: dict[tuple[str, int], Counter[int]] = {}

    def add(self, arn: str, status: int, now: float, *, own: bool = False) -> None:
        """Counts one response by the hundreds of its status; ``own``: the balancer's, not the target's."""
        number = int(now / self.period)
        self._periods.setdefault((arn, number), Counter())[self.OWN if own else status // 100] += 1
        if len(self._periods) > 4 * self.KEEP:
            for key in [key for key in self._periods if key[1] < number - self.KEEP]:
                del self._periods[key]

    def last(self, arn: str, now: float, periods: int) -> list[Counter[int] | None]:
        """The counts of the last complete periods, oldest first; None: no request at all."""
        current = int(now / self.period)
        return [self._periods.get((arn, number)) for number in range(current - periods, current)]

    def shown(self) -> dict[str, dict[str, dict[str, int]]]:
        """All that is remembered: per target group and period, answers by the hundreds of their status."""
        result: dict[str, dict[str, dict[str, int]]] = {}
        for (arn, number), counts in sorted(self._periods.items()):
            named = {"balancer" if hundreds == self.OWN else f"{hundreds}xx": n for hundreds, n in counts.items()}
            result.setdefault(arn, {})[str(number)] = named
        return result

    def forget(self, arn: str) -> None:
        """Drops the counts of a target group that is gone."""
        for key in [key for key in self._periods if key[0] == arn]:
            del self._periods[key]


@dataclass
class Route:
    """How one service is reached.

    :arg key: the service's ARN.
    :arg hosts: the names that lead to it on the common port; the first is AWS's own.
    :arg port: the port of this service alone.
    :arg secure: whether its certificate has been issued: until then TLS fails.
    :arg weights: traffic per target group; empty: 503.
    """

    key: str
    hosts: list[str]
    port: int
    secure: bool = False
    weights: Weights = field(default_factory=lambda: Weights({}))
    context: ssl.SSLContext | None = None
    runner: web.ServerRunner | None = None


class TaskNetwork(Protocol):
    """What a load balancer asks about the tasks that are its targets."""

    def reach(self, ip: str, port: int, source: Peer) -> tuple[str, int] | None:
        """Host and port of a task's program; None: its security groups do not admit the source."""

    def group_at(self, ip: str) -> str:
        """The group of the task at an address, ``service:<name>``; empty: there is none."""
