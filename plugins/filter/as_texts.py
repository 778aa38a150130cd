# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that makes text of the members of a list or dictionary."""

from __future__ import annotations

DOCUMENTATION = r"""
name: as_texts
version_added: 0.1.0
short_description: Take a value for a list or dictionary of texts
description:
  - Tags, environment variables and arguments are text. This filter returns them as that, whatever YAML made of them.
  - Numbers and dates become what they were written as, booleans become V(true) or V(false).
  - Null, lists and dictionaries among the members are errors, as no text stands for them.
positional: _input, type
options:
  _input:
    description:
      - The list or dictionary, or text that stands for one, as for P(mlops.mlflow_aws.as_type#filter).
    type: raw
    required: true
  type:
    description: The type.
    type: str
    choices: [list, dict]
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show tags as AWS takes them
  ansible.builtin.debug:
    msg: "{{ {'CostCentre': 4711, 'Shared': true} | mlops.mlflow_aws.as_texts('dict') }}"
"""

RETURN = r"""
_value:
  description: The list or dictionary, of which each member is text.
  type: raw
  sample: {CostCentre: '4711', Shared: 'true'}
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import specification


def as_texts(value: Any, kind: str) -> Any:
    """Return the list or dictionary with its members as text."""
    try:
        return specification.as_texts(value, kind)
    except ValueError as e:
        raise AnsibleFilterError(str(e)) from e


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"as_texts": as_texts}
