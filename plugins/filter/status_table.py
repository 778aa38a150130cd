# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several deployments as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import show_amount

DOCUMENTATION = r"""
name: status_table
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
version_added: 0.1.0
short_description: Lay out the states of several deployments as a table
description:
  - Takes what M(mlops.mlflow_aws.mlflow_deployment_status) returned for each of them.
options:
  _input:
    description: The states. Those of hosts that failed, which have no name, are left out.
    type: list
    elements: dict
    required: true
seealso:
  - module: mlops.mlflow_aws.mlflow_deployment_status
    description: Reads one state.
"""

EXAMPLES = r"""
- name: Show two deployments
  ansible.builtin.debug:
    msg: "{{ states | mlops.mlflow_aws.status_table }}"
  vars:
    states:
      - name: vision
        state: running
        url: https://vi.example.org
        service: {version: 3.17.2}
        problems: []
        drift: {found: 'no'}
        cost: {monthly_usd: 85.09}
      - {name: speech, state: absent, url: '', service: {version: ''}, problems: []}
"""

RETURN = r"""
_value:
  description: The lines of the table, the first of which are the headings.
  type: list
  elements: str
  sample:
    - NAME    STATE    VERSION  PROBLEMS  DRIFT    COST A MONTH  URL
    - vision  running  3.17.2   0         no       $85.09        https://vi.example.org
    - speech  absent   -        0         unknown  unknown       -
"""

_HEADINGS = ("NAME", "STATE", "VERSION", "PROBLEMS", "DRIFT", "COST A MONTH", "URL")


def status_table(states: Iterable[dict[str, Any]]) -> list[str]:
    """Return the lines of the table."""
    rows = [_HEADINGS, *(_row(one) for one in states if one.get("name"))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(state: dict[str, Any]) -> tuple[str, ...]:
    version = state["service"]["version"] or "-"
    found, problems = (str(state["state"]), version), str(len(state["problems"]))
    drift = (state.get("drift") or {}).get("found", "unknown")
    amount = (state.get("cost") or {}).get("monthly_usd")
    cost = "unknown" if amount is None else show_amount(amount)
    return str(state["name"]), *found, problems, drift, cost, state["url"] or "-"


class FilterModule:
    """Ansible's filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"status_table": status_table}
