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
  vars:
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
  description: The environment variables.
  type: dict
  sample:
    AWS_DEFAULT_REGION: eu-central-1
    PGSSLMODE: verify-full
    PGCONNECT_TIMEOUT: '5'
    UVICORN_TIMEOUT_WORKER_HEALTHCHECK: '60'
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'true'
    MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD: 'false'
    MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD: 'false'
    MLFLOW_SQLALCHEMYSTORE_POOL_SIZE: '4'
    MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW: '3'
    MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE: '1800'
    MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX: ^(?:(?:(?:mlflow-artifacts|runs|models):/…
    ARTIFACT_LOCATIONS_VARIABLE: allowed_artifact_locations
    MLFLOW_SERVER_ALLOWED_HOSTS: ml-*.ecs.eu-central-1.on.aws,localhost:*,127.0.0.1:*
    MLFLOW_SERVER_CORS_ALLOWED_ORIGINS: https://ml-*.ecs.eu-central-1.on.aws
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
