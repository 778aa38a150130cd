# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that takes a variable for what an argument specification says."""

from __future__ import annotations

DOCUMENTATION = r"""
name: as_type
version_added: 0.1.0
short_description: Take a value for one of a type
description:
  - C(-e name=value) on the command line gives text, whatever the value is meant to be. This filter returns what is
    meant.
  - Ansible checks a role's variables against its argument specification, and converts none of them.
positional: _input, type
options:
  _input:
    description:
      - The value.
      - A list may be given as JSON or with commas between its members, a dictionary as JSON or as C(name=value) with
        commas between.
      - Empty text is an empty list or dictionary.
    type: raw
    required: true
  type:
    description: The type.
    type: str
    choices: [bool, int, float, list, dict, str, path]
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Two subnets
  ansible.builtin.debug:
    msg: "{{ '[\"subnet-1\", \"subnet-2\"]' | mlops.mlflow_aws.as_type('list') | length }}"
"""

RETURN = r"""
_value:
  description: The value as one of the type.
  type: raw
  sample: 2
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import specification


def as_type(value: Any, kind: str) -> Any:
    """Return the value as one of the type."""
    if problem := specification.type_problem("The value", value, {"type": kind}):
        raise AnsibleFilterError(str(problem))
    return specification.as_type(value, kind)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"as_type": as_type}
