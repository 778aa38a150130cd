# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""How the user of a verb sets what its messages ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hints:
    """The command of a verb, and how its options are set.

    Attributes:
        again: the command of the verb.
        option: how one of its options is set, with `{name}` and `{value}`.
    """

    again: str
    option: str = "{name}: {value}"

    def set(self, name: str, value: str) -> str:
        """Return how an option is set."""
        return self.option.format(name=name, value=value)

    def command(self, name: str, value: str) -> str:
        """Return the whole command with an option."""
        return f"{self.again} {self.set(name, value)}"
