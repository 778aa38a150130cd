# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one polling loop: bounded, and able to survive an outage of AWS. Private to the collection."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import TypeVar

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_transient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OWN_NAMES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OptionNames

T = TypeVar("T")

# How long AWS may be unreachable in the middle of a wait, in seconds: the operation continues meanwhile.
OUTAGE_SECONDS = 300.0


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _clock() -> float:
    return time.monotonic()


def _no_beat() -> None:
    """Do nothing at a poll."""


@dataclass(frozen=True)
class WaitOptions:
    """How to wait.

    Attributes:
        wait: whether to.
        timeout: time limit in seconds.
        delay: polling interval in seconds.
        report: gets each line of progress.
        option_names: of the module, for messages.
        beat: called at each poll.
    """

    wait: bool = True
    timeout: float = 1800
    delay: float = 15
    report: Callable[[str], None] = lambda _line: None
    option_names: OptionNames = OWN_NAMES
    beat: Callable[[], None] = _no_beat

    def waiter(self) -> Waiter:
        """Return a new wait with these options."""
        option = self.option_names.of("wait_timeout")
        return Waiter(self.timeout, self.delay, note=self.report, timeout_option=option, beat=self.beat)


@dataclass
class Waiter:
    """A bounded wait; all times in seconds.

    Attributes:
        timeout: time limit.
        delay: polling interval.
        sleep, clock, wall: pause, monotonic time and time of day; tests pass their own.
        progress: the lines that were reported, each with the seconds since the start.
        note: gets each line as it comes.
        timeout_option: name of the option that sets the time limit, for messages.
        beat: called at each poll.
    """

    timeout: float
    delay: float
    sleep: Callable[[float], None] = _sleep
    clock: Callable[[], float] = _clock
    progress: list[str] = field(default_factory=list)
    note: Callable[[str], None] | None = None
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    timeout_option: str = "wait_timeout"
    beat: Callable[[], None] = _no_beat
    _start: float | None = None
    _unreachable_since: float | None = None
    _outage: Exception | None = None

    def start(self) -> None:
        """Start the time limit, if it has not started yet; the first poll does so too."""
        if self._start is None:
            self._start = self.clock()

    def within(self, timeout: float, delay: float) -> Waiter:
        """Return a new wait, no longer and no slower than this one, with the same clock."""
        times = min(timeout, self.timeout), min(delay, self.delay)
        return Waiter(*times, self.sleep, self.clock, wall=self.wall, beat=self.beat)

    @property
    def elapsed(self) -> float:
        return 0.0 if self._start is None else self.clock() - self._start

    def polls(self) -> Iterator[int]:
        """Yield a number for each poll: one at once, one after each interval, the last when the time is up."""
        self.start()
        number = 0
        while True:
            self.beat()
            yield number
            number += 1
            left = self.timeout - self.elapsed
            if left <= 0:
                return
            self.sleep(min(self.delay, left))

    def tolerate_outage(self, read: Callable[[], T], otherwise: T) -> T:
        """Return what *read* returns, or *otherwise* while AWS cannot be reached, for up to five minutes.

        Raises:
            AnsibleAWSError, BotoCoreError, ClientError: any other error, or the outage lasts.
        """
        try:
            found = read()
        except (AnsibleAWSError, BotoCoreError, ClientError) as e:
            self._unreachable_since = self.clock() if self._unreachable_since is None else self._unreachable_since
            if not is_transient(e) or self.clock() - self._unreachable_since >= OUTAGE_SECONDS:
                raise
            self.report(f"AWS is unreachable, still waiting ({e})")
            self._outage = e
            return otherwise
        self._unreachable_since = self._outage = None
        return found

    def raise_outage(self) -> None:
        """Raise the error of the last poll, if it could not reach AWS."""
        if self._outage:
            raise self._outage

    def report(self, line: str, meaning: str = "") -> None:
        """Record a line of progress, unless it repeats the last one; *meaning* explains it to the user."""
        if self.progress and self.progress[-1].split(" ", 1)[-1] == line:
            return
        self.progress.append(f"{int(self.elapsed)}s {line}")
        if self.note:
            self.note(f"{line} - {meaning}" if meaning else line)
