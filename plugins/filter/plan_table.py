# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plans of several deployments as a table."""

from __future__ import annotations

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan import table

DOCUMENTATION = r"""
name: plan_table
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
version_added: 0.1.0
short_description: Lay out the plans of several deployments as a table
description:
  - Takes what M(mlops.mlflow_aws.mlflow_deployment_plan) returned for each of them.
options:
  _input:
    description: The plans.
    type: list
    elements: dict
    required: true
seealso:
  - module: mlops.mlflow_aws.mlflow_deployment_plan
    description: Makes one plan.
"""

EXAMPLES = r"""
- name: Show the plan of a deployment in a line
  ansible.builtin.debug:
    msg: "{{ [plan] | mlops.mlflow_aws.plan_table }}"
  vars:
    plan:
      name: vision
      changes: true
      create: 0
      change: 1
      replace: 0
      delete: 0
      cost: {before: {monthly_usd: 85.09}, after: {monthly_usd: 98.07}}
      duration: {least_minutes: 9, most_minutes: 15}
      downtime: []
"""

RETURN = r"""
_value:
  description: The lines of the table, the first of which are the headings.
  type: list
  elements: str
  sample:
    - NAME    CREATE  CHANGE  REPLACE  DELETE  COST A MONTH     DURATION               DOWNTIME
    - vision  0       1       0        0       $85.09 → $98.07  about 9 to 15 minutes  no
"""


class FilterModule:
    """Ansible's filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"plan_table": table}
