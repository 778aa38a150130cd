# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(retained_resources)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: retained_resources
short_description: Report what is left after a deployment was destroyed
version_added: 0.1.0
description:
  - It is of use to this collection's roles.
  - Says of each thing that is left why, and how to delete it.
positional: _input
options:
  _input:
    description:
      - Variables and answers of AWS, as C(tasks/report_retained.yml) of P(mlops.mlflow_aws.mlflow#role) lists them.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show what is left
  ansible.builtin.debug:
    msg: "{{ answers | mlops.mlflow_aws.retained_resources }}"
"""

RETURN = r"""
_value:
  description: The report, a line for each thing.
  type: list
  elements: str
  sample:
    - "The deployment 'mlflow' is gone from account 123456789012, region eu-central-1. Left there:"
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import retained


def retained_resources(value: dict[str, Any]) -> list[str]:
    """Return the report."""
    return retained.report(value)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"retained_resources": retained_resources}
