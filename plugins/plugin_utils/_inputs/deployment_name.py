# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The deployment's name, and the length of the names derived from it."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import is_true
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation


def name_problems(inputs: Mapping[str, typing.Any], account_id: str, region: str) -> Problems:
    """Check the deployment's name, and the length of every name derived from it."""
    value = inputs["mlflow_name"]
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
        return [
            Violation(
                "mlflow_name",
                f"is {value!r}, but must begin with a lower-case letter, go on with lower-case letters, digits and"
                " single hyphens, and not end with a hyphen",
            )
        ]
    if value == "sg" or value.startswith("sg-"):
        return [
            Violation("mlflow_name", f"is {value!r}; the names of security groups made from it must not begin with sg-")
        ]
    limits = [("IAM role", f"{value}-infrastructure-role", 64, "")]
    if is_true(inputs.get("mlflow_maintenance")):
        limits.append(("IAM role", f"{value}-maintenance-archive-role", 64, ""))
    if empty(inputs.get("mlflow_db_host")):
        limits.append(("RDS instance", value, 63, ""))
    if empty(inputs.get("mlflow_bucket_name")) and region:
        derived = f"{value}-artifacts-{account_id or '0' * 12}-{region}"
        limits.append(("bucket", derived, 63, ", or set mlflow_bucket_name"))
    too_long = [limit for limit in limits if len(limit[1]) > limit[2]]
    if too_long:
        # The strictest limit comes first.
        kind, derived, most, instead = min(too_long, key=lambda limit: limit[2] - len(limit[1]))
        longest = most - (len(derived) - len(value))
        return [
            Violation(
                "mlflow_name",
                f"is {value!r} with {len(value)} characters; the {kind} would be called {derived}, which has"
                f" {len(derived)} where AWS allows {most}",
                f"use at most {longest} characters{instead}",
            )
        ]
    return []
