# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(mlflow_server_command)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mlflow_server_command
short_description: Put together the command of an MLflow server on ECS
version_added: 0.1.0
description:
  - It is of use to this collection's roles.
  - The command trusts the database's certificates, installs pinned packages, adds the collection's plugins of
    SQLAlchemy and MLflow, runs the login's commands, and becomes the server.
positional: _input, files
options:
  _input:
    description:
      - The server's settings, as C(vars/main.yml) of the role P(mlops.mlflow_aws.ecs_express#role) lists them.
    type: dict
    required: true
  files:
    description:
      - Folder of the scripts that the task runs.
    type: path
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show the command
  ansible.builtin.debug:
    msg: "{{ settings | mlops.mlflow_aws.mlflow_server_command(files) }}"
  vars:
    files: /usr/share/ansible/collections/ansible_collections/mlops/mlflow_aws/roles/ecs_express/files
    settings:
      service_name: mlflow
      region: eu-central-1
      version: 3.17.2
      bucket: artifacts
      database_host: db.example.com
      database_port: 5432
      database_name: mlflow
      database_username: mlflow
      database_sslmode: verify-full
      database_ca_certificates: ''
      workers: 4
      keep_alive_seconds: 75
      job_execution: true
      artifact_transfers: proxied
      uri_guard: true
      allowed_artifact_locations: []
      allowed_model_sources: []
      db_pool_size: 4
      db_pool_max_overflow: 3
      db_pool_recycle_seconds: 1800
      server_args: []
      extra_args: []
      extra_env: {}
      login_environment: {}
      pip_packages: []
      boot: []
      disable_security_middleware: false
      domain: ecs.eu-central-1.on.aws
      custom_domain: ''
      allowed_hosts: []
      cors_allowed_origins: []
      known_origins: []
      variables:
        database_host: ecs_express_database_host
"""

RETURN = r"""
_value:
  description: The container's command.
  type: list
  elements: str
  sample: [bash, -c, umask 077 && … && exec mlflow server …]
"""

from pathlib import Path
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import server_command


def mlflow_server_command(value: dict[str, Any], files: str) -> list[str]:
    """Return the container's command."""
    return server_command.server_command(value, Path(files))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"mlflow_server_command": mlflow_server_command}
