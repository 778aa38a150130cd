# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARNs and names among a user's inputs. Pure Python, private to the collection."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.arns import arn_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Check
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.bucket_names import bucket_name_problem


def arn(service: str, resource: str) -> Check:
    """Return the check of an ARN."""

    def check(name: str, value: typing.Any) -> Problems:
        problem = arn_problem(value, service, resource)
        return [Violation(name, problem)] if problem else []

    return check


def bucket_name(name: str, value: typing.Any) -> Problems:
    """Check the name of a bucket."""
    problem = bucket_name_problem(value) if isinstance(value, str) else "is not a string"
    return [Violation(name, f"is {value!r}; the name of a bucket {problem}")] if problem else []
