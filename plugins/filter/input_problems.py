# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that looks for mistakes in a user's variables."""

from __future__ import annotations

DOCUMENTATION = r"""
name: input_problems
short_description: Look for mistakes in the variables of a deployment
version_added: 0.1.0
description:
  - Checks the C(mlflow_*) variables of the role P(mlops.mlflow_aws.mlflow#role) without asking AWS.
positional: _input
options:
  _input:
    description: The variables, from name to value. Unknown ones are not looked at, empty ones count as left out.
    type: dict
    required: true
  account_id:
    description: The AWS account, for the length of names that hold it, and for ARNs.
    type: str
    default: ""
  region:
    description: The region, for the length of names that hold it, and for ARNs. Without it that is not checked.
    type: str
    default: ""
  partition:
    description: The partition, for ARNs. Without it that is not checked.
    type: str
    default: ""
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: There are no mistakes
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join(' ') }}"
  vars:
    problems: "{{ {'mlflow_name': 'mlflow', 'mlflow_version': '3.17.2'} | mlops.mlflow_aws.input_problems }}"

- name: Show the mistakes
  ansible.builtin.debug:
    msg: "{{ {'mlflow_name': 'MLflow!', 'mlflow_version': 'latest'} | mlops.mlflow_aws.input_problems }}"
"""

RETURN = r"""
_value:
  description: A sentence for each mistake, with the variable's name, what is wrong and what would be right.
  type: list
  elements: str
  sample:
    - mlflow_name is 'MLflow!', but must begin with a lower-case letter, go on with lower-case letters,
      digits and single hyphens, and not end with a hyphen.
    - 'mlflow_version is ''latest'': what that means changes by itself, and a newer server may change the
      database for good; write all three numbers in quotes, such as ''3.17.2''.'
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import deployment


def input_problems(value: Any, account_id: str = "", region: str = "", partition: str = "") -> list[str]:
    """Return a sentence for each mistake."""
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"input_problems takes a dictionary of variables, not a {type(value).__name__}.")
    place = {"account_id": account_id, "region": region, "partition": partition}
    found = deployment.input_violations(value, **{name: str(one or "") for name, one in place.items()})
    return [str(one) for one in found]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"input_problems": input_problems}
