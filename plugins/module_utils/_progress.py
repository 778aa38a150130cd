# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Lines of progress from a module that waits, for whoever watches.

A module cannot talk to the user before it ends. So the action plugin of the same name tells the module a file, by an
environment variable; the module appends lines, the action plugin shows them. Without that file (another machine,
``async``, ``no_log``) all of this does nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from ansible.module_utils.common.parameters import remove_values

FILE_VARIABLE = "MLOPS_MLFLOW_AWS_PROGRESS_FILE"
_LONGEST = 400


class Progress:
    """Says what changed, each line once, with the time since the begin.

    Args:
        subject: what is waited for, the first word of each line.
        usual: how long it usually takes, such as "6 to 25 minutes"; can be set later.
        hidden: values that must not be shown; looked at anew for each line.
        path: the file; by default that of the environment variable.
        clock: in seconds.
    """

    def __init__(
        self,
        subject: str,
        usual: str = "",
        hidden: AbstractSet[str] = frozenset(),
        path: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.subject = subject
        self.usual = usual
        self._hidden = hidden
        self._path = os.environ.get(FILE_VARIABLE, "") if path is None else path
        self._clock = clock
        self._begin = clock()
        self._said = ""

    def say(self, line: str) -> None:
        """Show a line, unless it is the one that was shown last. Never raises."""
        if not self._path or line == self._said:
            return
        self._said = line
        usual = f" (at AWS usually {self.usual})" if self.usual else ""
        text = f"{self.subject} {duration(self._clock() - self._begin)}{usual}: {line}"
        shown: Any = remove_values(" ".join(text.split())[:_LONGEST], self._hidden)
        try:
            # Not made anew: if the one who watches is gone, so is its file.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
            with os.fdopen(descriptor, "ab") as file:
                file.write(f"{shown}\n".encode())
        except OSError:
            # Another user or another machine: nobody watches.
            self._path = ""


def duration(seconds: float) -> str:
    """Minutes and seconds, as 3:07."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    return f"{minutes}:{rest:02d}"
