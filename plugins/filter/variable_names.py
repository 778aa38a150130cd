# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(variable_names)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: variable_names
short_description: Name variables as the user of an including role knows them
version_added: 0.1.0
description:
  - It is of use to this collection's roles, whose messages name the variable that the user has set, whichever role that
    variable belongs to.
positional: _input, names
options:
  _input:
    description:
      - The variables of a role, by what they set.
    type: dict
    required: true
  names:
    description:
      - From a variable, or the beginning of its name, to the name or beginning that takes its place. The longest one
        that fits counts.
      - An empty text stands for no variable, and leaves the entry out.
    type: dict
    default: {}
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show by which variables of the including role the size of the task is set
  ansible.builtin.debug:
    msg: "{{ variables | mlops.mlflow_aws.variable_names(names) }}"
  vars:
    variables:
      cpu: ecs_express_cpu
      subnets: ecs_express_subnet_ids
    names:
      ecs_express_: team_
      ecs_express_subnet_ids: company_subnet_ids
"""

RETURN = r"""
_value:
  description: The names by which the user knows the variables, by what they set.
  type: dict
  sample:
    cpu: team_cpu
    subnets: company_subnet_ids
"""

from collections.abc import Mapping
from typing import Any


def variable_names(value: Mapping[str, str], names: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the names by which the user knows the variables."""
    given = names or {}
    found = {}
    for what, variable in value.items():
        start = max((one for one in given if variable.startswith(one)), key=len, default="")
        replacement = given[start] if start else ""
        if not start or replacement:
            found[what] = replacement + variable.removeprefix(start)
    return found


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"variable_names": variable_names}
