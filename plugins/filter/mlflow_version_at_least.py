# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that compares versions of MLflow."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mlflow_version_at_least
short_description: Compare two versions of MLflow
version_added: 0.1.0
description:
  - Whether a version is another one or newer. Both need three numbers.
positional: _input, minimum
options:
  _input:
    description: The version.
    type: str
    required: true
  minimum:
    description: The other one.
    type: str
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show whether the server streams artifacts
  ansible.builtin.debug:
    msg: "{{ '3.17.2' | mlops.mlflow_aws.mlflow_version_at_least('3.15.2') }}"
"""

RETURN = r"""
_value:
  description: Whether it is.
  type: bool
  sample: true
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs import mlflow


def mlflow_version_at_least(value: Any, minimum: str) -> bool:
    """Whether a version is another one or newer."""
    try:
        return mlflow.version_at_least(value, minimum)
    except ValueError as e:
        raise AnsibleFilterError(f"mlflow_version_at_least: {e}") from e


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"mlflow_version_at_least": mlflow_version_at_least}
