# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Python scripts and texts for a task's command line."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from pathlib import Path


def script(path: Path, indented: bool = False) -> str:
    """Return a script without comment lines, as the size of a task definition is limited.

    Args:
        path: the script.
        indented: whether indented comments are removed, too.
    """
    return re.sub(r"(?m)^ *#.*\n" if indented else r"(?m)^#.*\n", "", path.read_text(encoding="utf-8").rstrip())


def requirements(path: Path) -> list[str]:
    """Return the packages that a file of requirements lists, each with its hashes."""
    return re.findall(r"(?m)^[^#\s].*$", path.read_text(encoding="utf-8"))


def certificates(text: str) -> list[str]:
    """Return the PEM certificates of a text, and nothing else, as a file may contain keys."""
    return re.findall("-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----", text)


def variable(settings: Mapping[str, typing.Any], name: str) -> str:
    """Return the name of the variable by which the user sets a member of the settings, for a message."""
    return str((settings.get("variables") or {}).get(name, name))
