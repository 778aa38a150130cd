# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(database_findings)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: database_findings
short_description: Tell how an MLflow server verifies its database
version_added: 0.1.0
description:
  - It is of use to this collection's roles.
  - Returns what is known, and C(violations) for the option O(mlops.mlflow_aws.role_variables#module:violations).
positional: _input
options:
  _input:
    description:
      - Variables and answers of AWS, as C(vars/main.yml) of the role P(mlops.mlflow_aws.rds#role) lists them.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ (answers | mlops.mlflow_aws.database_findings).violations }}"
"""

RETURN = r"""
_value:
  description: What is known, and what is wrong.
  type: dict
  sample: {sslmode: verify-full, fetches: true, violations: []}
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import database


def database_findings(value: dict[str, Any]) -> dict[str, Any]:
    """Return what is known, and what is wrong."""
    found = database.findings(value)
    listed = ("violations", "warnings")
    return {key: [asdict(item) for item in one] if key in listed else one for key, one in found.items()}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"database_findings": database_findings}
