# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The pinned requirements of MLflow's client, which tests/tools/lock.py writes."""

from __future__ import annotations

from .client_pins import PINS
from .client_pins import VERSIONS


def requirements(version: str) -> str:
    """Return a requirements file of pip with hashes, complete; empty for an unknown version."""
    lines: list[str] = []
    if version not in VERSIONS:
        return ""
    selected = True
    for line in PINS.splitlines():
        word = line.strip()
        if line == word:
            selected = True
            lines.append(word)
        elif word.startswith("for "):
            selected = version in word.split()
            if not selected:
                lines.pop()
        elif selected:
            lines[-1] += f" --hash=sha256:{word}"
    return "".join(f"{line}\n" for line in lines)
