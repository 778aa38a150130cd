# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Check all variables of a deployment before the first AWS call."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.arn_scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.arn_scope import scope_violations
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.combinations import bucket_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.combinations import database_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.combinations import login_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.combinations import network_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.combinations import size_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.combinations import task_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.connections import connection_fit
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.connections import connection_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.connections import pool_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.deployment_name import name_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.maintenance import maintenance_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.server import extra_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.specification import options_of
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.specification import type_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.storage import storage_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.uris import root_problems
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.variables import CHECKS

_ROLE = Path(__file__).resolve().parents[3] / "roles" / "mlflow"

# Without them the defaults do not apply: an empty value is a mistake.
_NEVER_EMPTY = ("mlflow_version",)

_COMBINATIONS = (
    *(size_problems, pool_problems, storage_problems, database_problems, bucket_problems, network_problems),
    *(login_problems, task_problems, extra_problems, root_problems, connection_problems),
    maintenance_problems,
)


@cache
def _options() -> dict[str, typing.Any]:
    return options_of(_ROLE)


def rule_violations(inputs: Mapping[str, typing.Any], scope: Scope) -> list[Violation]:
    """Return a violation for each rule beyond types and choices that a deployment's variables break."""
    found: list[Violation] = []
    if "mlflow_name" in inputs:
        found += name_problems(inputs, scope.account_id, scope.region)
    for name, check in CHECKS.items():
        if name in inputs and (name in _NEVER_EMPTY or not empty(inputs[name])):
            found += check(name, inputs[name])
    for rule in _COMBINATIONS:
        found += rule(inputs)
    return found + scope_violations(inputs, scope)


def input_violations(
    inputs: Mapping[str, typing.Any], account_id: str = "", region: str = "", partition: str = ""
) -> list[Violation]:
    """Return a violation for each mistake in a user's variables.

    Args:
        inputs: from the names of variables to their values. Unknown ones are ignored, empty ones count as not
            set.
        account_id: the AWS account, for the length of the bucket's name and for ARNs.
        region: the region, likewise. Without it that length is not checked.
        partition: the partition, for ARNs.
    """
    found = rule_violations(inputs, Scope(partition, region, account_id))
    # A rule's message says more than that a type is wrong.
    rest = {name: value for name, value in inputs.items() if not empty(value)}
    return found + unbroken(type_problems(rest, _options()), found)


def input_warnings(inputs: Mapping[str, typing.Any]) -> list[Violation]:
    """Return warnings about variables that are unusual but may work."""
    warning = connection_fit(inputs)["warning"]
    return [warning] if warning else []


def unbroken(types: list[Violation], rules: list[Violation]) -> list[Violation]:
    """Return the violations of types by variables that break no rule."""
    told = {one.variable for one in rules}
    return [one for one in types if one.variable not in told]
