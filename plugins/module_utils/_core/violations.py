# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Violations of input rules, as data. Pure Python, private to the collection."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace


@dataclass(frozen=True)
class Violation:
    """A rule that an input breaks. ``str()`` is the one place where this becomes a sentence.

    Attributes:
        variable: name of the variable or option.
        reason: what is wrong, the rest of a sentence that begins with the subject, without its full stop.
        remedy: what to do instead.
        subject: the beginning of the sentence if that is not the variable, such as ``tags['Owner']``.
    """

    variable: str
    reason: str
    remedy: str = ""
    subject: str = ""

    def __str__(self) -> str:
        sentence = f"{self.subject or self.variable} {self.reason}" + (f": {self.remedy}" if self.remedy else "")
        return sentence if sentence.endswith("?") else f"{sentence}."

    def named(self, names: Mapping[str, str]) -> Violation:
        """Return the violation with variables renamed, by a mapping from old names to new ones."""

        def other(text: str) -> str:
            return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), text)

        return Violation(
            names.get(self.variable, self.variable), other(self.reason), other(self.remedy), other(self.subject)
        )


def within(variable: str, found: Iterable[Violation]) -> list[Violation]:
    """Attribute violations of members to the variable that holds the members."""
    return [replace(one, variable=variable, subject=one.subject or one.variable) for one in found]


def sentences(found: Iterable[Violation]) -> str:
    """Return violations as text, one sentence each."""
    return " ".join(str(one) for one in found)


def as_data(findings: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return findings with the violations in their lists as dictionaries, which a filter can return to a role."""
    return {
        key: [asdict(one) if isinstance(one, Violation) else one for one in value] if isinstance(value, list) else value
        for key, value in findings.items()
    }
