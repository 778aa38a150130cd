# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of docs/security.md that says for each check of scanners what it would find."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness import ROOT

# What the answer of a row may be, besides the variable that makes the check pass.
BY_DEFAULT = "by default"
NEVER = ("Express Mode", "RDS", "accepted")


@dataclass(frozen=True)
class Row:
    """One check of the table.

    :ivar answer: by default, Express Mode, RDS, accepted, or the name of a variable.
    """

    subject: str
    check: str
    answer: str


def rows() -> list[Row]:
    """The table of docs/security.md."""
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    table = text.partition("<!-- scanners: begin -->")[2].partition("<!-- scanners: end -->")[0]
    found = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 5 or cells[0] in ("resource", "---"):
            continue
        subject, _asked, checks, answer, _reason = cells
        found += [Row(subject, check, answer.strip("`")) for check in re.findall(r"`(\w+)`", checks)]
    return found
