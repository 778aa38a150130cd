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
- name: Show how the server verifies its database
  ansible.builtin.debug:
    msg: "{{ answers | mlops.mlflow_aws.database_findings }}"
  vars:
    answers:
      name: tracking
      existing_host: ''
      sslmode: ''
      ca_path: ''
      ca_in_image: true
      subnet_ids:
        - subnet-0123456789abcdef0
      partition: aws
      region: eu-central-1
      request_timeout: 30
      instances: []
      bundle: {}
"""

RETURN = r"""
_value:
  description: What is known, and what is wrong.
  type: dict
  sample:
    sslmode: verify-full
    bundle_url: https://truststore.pki.rds.amazonaws.com/eu-central-1/eu-central-1-bundle.pem
    fetches: false
    certificates: []
    violations: []
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import as_data
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import database


def database_findings(value: dict[str, Any]) -> dict[str, Any]:
    """Return what is known, and what is wrong."""
    return as_data(database.findings(value))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"database_findings": database_findings}
