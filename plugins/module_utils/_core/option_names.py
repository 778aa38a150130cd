# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of a module's options in messages. Pure Python, private to the collection."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field


@dataclass(frozen=True)
class OptionNames:
    """The names of a module's options, as the user knows them.

    Attributes:
        variables: from an option to the variable by which the user of a role sets it; other options keep their names.
    """

    variables: Mapping[str, typing.Any] = field(default_factory=dict)

    def of(self, option: str) -> str:
        """Return the name of an option for a message."""
        return str(self.variables.get(option) or option)


OWN_NAMES = OptionNames()
"""For a module that is used alone: each option has its own name."""
