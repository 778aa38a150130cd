# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The check of everything that the user of a deployment sets, before AWS is asked for anything."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.connections import connection_fit
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.connections import connection_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.connections import pool_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.deployment_name import name_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.place import Place
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.place import place_violations
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.server import extra_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.specification import options_of
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.specification import type_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.storage import storage_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.together import bucket_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.together import database_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.together import login_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.together import network_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.together import size_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.together import task_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.uris import root_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.variables import CHECKS

_ROLE = Path(__file__).resolve().parents[3] / "roles" / "mlflow"

# Without them the defaults do not apply: an empty value is a mistake.
_NEVER_EMPTY = ("mlflow_version",)

_TOGETHER = (
    *(size_problems, pool_problems, storage_problems, database_problems, bucket_problems, network_problems),
    *(login_problems, task_problems, extra_problems, root_problems, connection_problems),
)


@cache
def _options() -> dict[str, typing.Any]:
    return options_of(_ROLE)


def rule_violations(inputs: Mapping[str, typing.Any], place: Place) -> list[Violation]:
    """Return a violation for each rule beyond types and choices that a deployment's variables break."""
    found: list[Violation] = []
    if "mlflow_name" in inputs:
        found += name_problems(inputs, place.account_id, place.region)
    for name, check in CHECKS.items():
        if name in inputs and (name in _NEVER_EMPTY or not empty(inputs[name])):
            found += check(name, inputs[name])
    for rule in _TOGETHER:
        found += rule(inputs)
    return found + place_violations(inputs, place)


def input_violations(
    inputs: Mapping[str, typing.Any], account_id: str = "", region: str = "", partition: str = ""
) -> list[Violation]:
    """Return a violation for each mistake in a user's variables.

    Args:
        inputs: from the names of variables to their values. Unknown ones are not looked at, empty ones count as left
            out.
        account_id: the AWS account, for the length of the bucket's name and what ARNs name.
        region: the region, likewise. Without it that length is not checked.
        partition: the partition, for what ARNs name.
    """
    found = rule_violations(inputs, Place(partition, region, account_id))
    # A rule says more than that a type is wrong.
    rest = {name: value for name, value in inputs.items() if not empty(value)}
    return found + unbroken(type_problems(rest, _options()), found)


def input_warnings(inputs: Mapping[str, typing.Any]) -> list[Violation]:
    """Return what is odd about a deployment's variables, and may still work."""
    warning = connection_fit(inputs)["warning"]
    return [warning] if warning else []


def unbroken(types: list[Violation], rules: list[Violation]) -> list[Violation]:
    """Return the violations of types by variables that break no rule."""
    told = {one.variable for one in rules}
    return [one for one in types if one.variable not in told]
