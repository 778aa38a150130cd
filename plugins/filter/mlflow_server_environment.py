# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(mlflow_server_environment)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mlflow_server_environment
short_description: Put together the environment of an MLflow server on ECS
version_added: 0.1.0
description:
  - It is of use to this collection's roles.
  - The environment holds no secret. Variables of the user's own take the place of those of the roles.
positional: _input
options:
  _input:
    description:
      - The server's settings, as C(vars/main.yml) of the role P(mlops.mlflow_aws.ecs_express#role) lists them.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show the environment
  ansible.builtin.debug:
    msg: "{{ settings | mlops.mlflow_aws.mlflow_server_environment }}"
"""

RETURN = r"""
_value:
  description: The environment variables.
  type: dict
  sample: {AWS_DEFAULT_REGION: eu-central-1, PGSSLMODE: verify-full}
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import server_environment


def mlflow_server_environment(value: dict[str, Any]) -> dict[str, str]:
    """Return the environment variables."""
    return server_environment.server_environment(value)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"mlflow_server_environment": mlflow_server_environment}
