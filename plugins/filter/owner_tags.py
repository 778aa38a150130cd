# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(owner_tags)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: owner_tags
short_description: Tell the tags of a deployment by which its resources are recognised
version_added: 0.1.0
description:
  - Returns C(ManagedBy) and C(MlflowName) of a deployment, as M(mlops.mlflow_aws.resource_ownership) takes them.
positional: _input, name
options:
  _input:
    description:
      - Tags of the resources. Where they hold C(ManagedBy) or C(MlflowName), these are returned.
    type: raw
    required: true
  name:
    description:
      - Name of the deployment.
    type: str
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show the tags
  ansible.builtin.debug:
    msg: "{{ {'Team': 'vision'} | mlops.mlflow_aws.owner_tags('mlflow') }}"
"""

RETURN = r"""
_value:
  description: The two tags.
  type: dict
  sample: {ManagedBy: mlops.mlflow_aws, MlflowName: mlflow}
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import specification
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import ownership


def owner_tags(value: Any, name: str) -> dict[str, str]:
    """Return the two tags."""
    try:
        return ownership.owner_tags(specification.as_texts(value, "dict"), name)
    except ValueError as e:
        raise AnsibleFilterError(str(e)) from e


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"owner_tags": owner_tags}
