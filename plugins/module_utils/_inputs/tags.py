# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags. Pure Python, private to the collection."""

from __future__ import annotations

import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import Problems


def tags(name: str, value: typing.Any) -> Problems:
    """Check tags; two more are added to them, and 50 are allowed."""
    if not isinstance(value, Mapping):
        return [f"{name} is {value!r}, but must be a dictionary."]
    problems = []
    if len(value) > 48:
        problems.append(f"{name} has {len(value)} tags; 48 are allowed, as two are added.")
    for key, one in value.items():
        if str(key).lower().startswith("aws:"):
            problems.append(f"{name} has the key {key!r}; keys that begin with aws: are AWS's own.")
        if len(str(key)) > 128 or len(str(one)) > 256:
            problems.append(f"{name} has a key over 128 or a value over 256 characters at {str(key)[:40]!r}.")
    return problems
