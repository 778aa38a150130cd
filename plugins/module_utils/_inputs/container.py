# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's container: its environment and its secrets. Pure Python, private to the collection."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.arns import arn
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import Problems


def environment(name: str, value: typing.Any) -> Problems:
    """Check environment variables."""
    if not isinstance(value, Mapping):
        return [f"{name} is {value!r}, but must be a dictionary from names to values."]
    bad = [str(key) for key in value if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(key))]
    return [f"{name} has the name {key!r}; use letters, digits and underscores." for key in bad]


def secrets(name: str, value: typing.Any) -> Problems:
    """Check environment variables that come from secrets."""
    problems = environment(name, value)
    if not isinstance(value, Mapping):
        return problems
    for key, source in value.items():
        service = "ssm" if isinstance(source, str) and ":ssm:" in source else "secretsmanager"
        kind = "parameter" if service == "ssm" else "secret"
        problems += arn(service, kind)(f"{name}[{key!r}]", source)
    return problems
