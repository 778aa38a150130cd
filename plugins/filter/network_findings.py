# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(network_findings)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: network_findings
short_description: Tell what the answers of EC2 say about the subnets of a deployment
version_added: 0.1.0
description:
  - It is of use to this collection's roles.
  - Returns what is known, and C(violations) for the option O(mlops.mlflow_aws.role_variables#module:violations).
positional: _input
options:
  _input:
    description:
      - Variables and answers of AWS, as C(vars/main.yml) of the role P(mlops.mlflow_aws.network#role) lists them.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ (answers | mlops.mlflow_aws.network_findings).violations }}"
"""

RETURN = r"""
_value:
  description: What is known, and what is wrong.
  type: dict
  sample: {public: true, subnets: [subnet-1, subnet-2], violations: []}
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import network


def network_findings(value: dict[str, Any]) -> dict[str, Any]:
    """Return what is known, and what is wrong."""
    found = network.findings(value)
    listed = ("violations", "warnings")
    return {key: [asdict(item) for item in one] if key in listed else one for key, one in found.items()}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"network_findings": network_findings}
