# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that compares a deployment's database connections with what its database accepts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: database_connections
short_description: Compare a deployment's database connections with what its database accepts
version_added: 0.1.0
description:
  - Adds up the database connections that the C(mlflow_*) variables of the role P(mlops.mlflow_aws.mlflow#role) allow,
    and compares the sum with the C(max_connections) of the RDS instance's class, without asking AWS.
positional: _input
options:
  _input:
    description: >-
      The variables, from name to value. C(mlflow_workers), C(mlflow_db_pool_size), C(mlflow_db_pool_max_overflow),
      C(mlflow_job_execution), C(mlflow_db_instance_class) and C(mlflow_db_host) count.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show the sum
  ansible.builtin.debug:
    msg: "{{ settings | mlops.mlflow_aws.database_connections }}"
  vars:
    settings:
      mlflow_workers: 4
      mlflow_db_pool_size: 4
      mlflow_db_pool_max_overflow: 3
      mlflow_job_execution: true
      mlflow_db_instance_class: db.t4g.micro

- name: Assert that the connections fit the database
  ansible.builtin.assert:
    that: (settings | mlops.mlflow_aws.database_connections).problem | length == 0
  vars:
    settings:
      mlflow_workers: 4
      mlflow_db_pool_size: 4
      mlflow_db_pool_max_overflow: 3
      mlflow_job_execution: true
      mlflow_db_instance_class: db.t4g.micro
"""

RETURN = r"""
_value:
  description:
    - The sum as C(needed), and as C(available) what the class accepts at a careful estimate. Each is null where it is
      not known, as the latter is with C(mlflow_db_host).
    - A sentence as C(problem) if the connections do not fit even into the class's nominal memory, or as C(warning) if
      they do not fit into the estimate. Both are empty if they fit.
  type: dict
  sample:
    available: 79
    needed: 78
    problem: ""
    warning: ""
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import connections


def database_connections(value: Any) -> dict[str, Any]:
    """Return the sum, what is available, and a sentence where they do not fit."""
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"database_connections takes a dictionary of variables, not a {type(value).__name__}.")
    found = connections.connection_fit(value)
    return {**found, **{name: str(found[name] or "") for name in ("problem", "warning")}}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"database_connections": database_connections}
