# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the tests of verbs: the tags of one service, and a schedule by which runs take turns."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions

ARN = "arn:aws:ecs:eu-central-1:123456789012:service/default/tracking"


class Turns:
    """Lets threads go on one call at a time, in a given order.

    Args:
        schedule: which of those that wait goes on, as an index, call by call; after its end they take turns.
    """

    def __init__(self, schedule: list[int]) -> None:
        self._schedule = itertools.chain(schedule, itertools.cycle((0, 1)))
        self._condition = threading.Condition()
        self._waiting: list[str] = []
        self._running = 0
        self._next = ""

    def thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Return a thread that takes part; nobody goes on before all of them wait."""
        with self._condition:
            self._running += 1
        return threading.Thread(name=name, target=self._work, args=(work,))

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._condition:
                self._running -= 1
                self._choose()

    def take(self) -> None:
        """Wait for one's turn."""
        name = threading.current_thread().name
        with self._condition:
            self._waiting.append(name)
            self._choose()
            self._condition.wait_for(lambda: self._next == name)
            self._next = ""

    def _choose(self) -> None:
        """Let somebody go on, if all wait."""
        if self._next or not self._waiting or len(self._waiting) < self._running:
            return
        ordered = sorted(self._waiting)
        self._next = ordered[next(self._schedule) % len(ordered)]
        self._waiting.remove(self._next)
        self._condition.notify_all()


class TaggedService:
    """ECS with one service, of which only the tags count."""

    def __init__(self, turns: Turns | None = None) -> None:
        self.tags: dict[str, str] = {}
        self.most_tags = 0
        self.writes: list[str] = []
        self._take = turns.take if turns else lambda: None

    def describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> Any:
        assert include == ["TAGS"]
        self._take()
        tags = [{"key": key, "value": value} for key, value in self.tags.items()]
        return {"service": {"serviceArn": serviceArn, "status": {"statusCode": "ACTIVE"}, "tags": tags}}

    def tag_resource(self, resourceArn: str, tags: list[dict[str, str]]) -> None:
        self._take()
        self.writes.append("tag")
        self.set_tags({item["key"]: item["value"] for item in tags})

    def set_tags(self, new: dict[str, str]) -> None:
        """Set tags as ECS does: up to 50, with values of up to 256 characters."""
        assert len({*self.tags, *new}) <= 50 and all(len(value) <= 256 for value in new.values())
        self.tags.update(new)
        self.most_tags = max(self.most_tags, len(self.tags))

    def untag_resource(self, resourceArn: str, tagKeys: list[str]) -> None:
        self._take()
        self.writes.append("untag")
        for key in tagKeys:
            self.tags.pop(key, None)


def no_waiting() -> Callable[..., Waiter]:
    """Return what makes waiters whose time passes when they sleep."""
    clock = _Clock()
    return functools.partial(Waiter, sleep=clock.sleep, clock=clock.read)


class Unhurried(WaitOptions):
    """Waits whose time passes when they sleep, so that no machine is too slow for them."""

    def waiter(self) -> Waiter:
        """Return a new wait."""
        return no_waiting()(self.timeout, self.delay, note=self.report)


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def read(self) -> float:
        return self.now


def schedules(length: int) -> Iterator[list[int]]:
    """Yield every order in which two runs can take turns."""
    for number in range(2**length):
        yield [(number >> place) & 1 for place in range(length)]
