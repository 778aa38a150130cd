# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Progress lines of a module that waits.

A module cannot talk to the user before it ends. So the action plugin of the same name gives the module a file, in an
environment variable; the module appends lines, the action plugin shows them. Without that file (another machine,
``async``, ``no_log``) all of this does nothing.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.parameters import remove_values

FILE_VARIABLE = "MLOPS_MLFLOW_AWS_PROGRESS_FILE"
# How many times faster than in AWS everything happens; set by the provider of such an endpoint.
SPEED_VARIABLE = "MLOPS_MLFLOW_AWS_SPEED"
_LONGEST = 400


@dataclass(frozen=True)
class ExpectedDuration:
    """How long something usually takes.

    Args:
        least, most: minutes of AWS's own work.
        fixed: seconds that do not depend on AWS, such as the start of a server.
    """

    least: float = 0
    most: float = 0
    fixed: float = 0

    def __str__(self) -> str:
        """Return it for the user, on this endpoint; empty if it is not known."""
        if not self.most:
            return f"usually up to {_rough(self.fixed)}" if self.fixed else ""
        speed = _speed()
        if speed != 1:
            return f"here usually up to {_rough(self.most * 60 / speed + self.fixed)}"
        least = f"{self.least:g} to" if self.least else "up to"
        return f"at AWS usually {least} {self.most:g} minutes"


def _speed() -> float:
    try:
        speed = float(os.environ.get(SPEED_VARIABLE, "1"))
    except ValueError:
        return 1
    return speed if speed > 0 else 1


def _rough(seconds: float) -> str:
    """Return seconds in words: 40 seconds, 2 minutes."""
    if seconds <= 90:
        return f"{max(10, math.ceil(seconds / 10) * 10)} seconds"
    return f"{math.ceil(seconds / 60)} minutes"


class Progress:
    """Report changes, each line once, with the time since the start.

    Args:
        subject: what is waited for, such as "RDS instance mlflow"; begins each line.
        expected_duration: how long it usually takes; can be set later.
        hidden: values that must not be shown; read again for each line.
        path: the file; by default that of the environment variable.
        clock: in seconds.
    """

    def __init__(
        self,
        subject: str,
        expected_duration: ExpectedDuration | None = None,
        hidden: AbstractSet[str] = frozenset(),
        path: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.subject = subject
        self.expected_duration = expected_duration or ExpectedDuration()
        self._hidden = hidden
        self._path = os.environ.get(FILE_VARIABLE, "") if path is None else path
        self._clock = clock
        self._begin = clock()
        self._said = ""
        # What a run does now and then as long as it waits, such as to say that its lock is in use.
        self.heartbeat: Callable[[], None] | None = None

    def beat(self) -> None:
        """Do what is to be done now and then during a wait; called at each poll, whatever there is to show."""
        if self.heartbeat is not None:
            self.heartbeat()

    def report(self, line: str) -> None:
        """Show a line, unless it repeats the last one. Never raises."""
        if not self._path or line == self._said:
            return
        self._said = line
        parts = {
            "subject": self.subject,
            "line": " ".join(line.split())[:_LONGEST],
            "usual": str(self.expected_duration),
        }
        shown: dict[str, Any] = remove_values(parts, self._hidden)
        shown["elapsed"] = round(self._clock() - self._begin, 1)
        try:
            # Not created anew: if the action plugin is gone, so is its file.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
            with os.fdopen(descriptor, "ab") as file:
                file.write(f"{json.dumps(shown)}\n".encode())
        except OSError:
            # Another user or another machine: no action plugin reads it.
            self._path = ""


def duration(seconds: float) -> str:
    """Return minutes and seconds, as 3:07."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    return f"{minutes}:{rest:02d}"
