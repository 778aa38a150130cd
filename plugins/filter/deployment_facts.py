# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(deployment_facts)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_facts
short_description: Return the facts that the roles keep of a deployment
version_added: 0.1.0
description:
  - It is of use to this collection's roles, where a deployment is as it was left, so that they need not run.
positional: _input, settings
options:
  _input:
    description: The resources, as RV(mlops.mlflow_aws.mlflow_deployment_state#module:resources) has them.
    type: dict
    required: true
  settings:
    description:
      - Variables of the deployment, as C(vars/main.yml) of the role P(mlops.mlflow_aws.mlflow#role) lists them.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show the facts
  ansible.builtin.debug:
    msg: "{{ resources | mlops.mlflow_aws.deployment_facts(settings) }}"
  vars:
    settings:
      bucket: tracking-artifacts
      partition: aws
      region: eu-central-1
      existing_host: ''
      existing_secret_arn: ''
      port: 5432
      sslmode: ''
      ca_path: ''
      ca_in_image: false
    resources:
      service:
        service_arn: arn:aws:ecs:eu-central-1:123456789012:service/default/tracking
        ingress_paths:
          - endpoint: tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
      task_definition:
        environment: {}
      iam_role_task:
        arn: arn:aws:iam::123456789012:role/tracking-task-role
      iam_role_execution:
        arn: arn:aws:iam::123456789012:role/tracking-execution-role
      iam_role_infrastructure:
        arn: arn:aws:iam::123456789012:role/tracking-infrastructure-role
      security_group_service:
        group_id: sg-0123456789abcdef0
      secret_server:
        arn: arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/server-AbCdEf
      secret_database:
        arn: arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-AbCdEf
      database:
        endpoint:
          address: tracking.abcdefghijkl.eu-central-1.rds.amazonaws.com
          port: 5432
      network:
        database_subnets: []
        route_tables: []
        subnets:
          - subnet_id: subnet-0123456789abcdef0
            vpc_id: vpc-0123456789abcdef0
            availability_zone: eu-central-1a
"""

RETURN = r"""
_value:
  description: The facts by their names, and C(auth_known) for the role P(mlops.mlflow_aws.auth#role).
  type: dict
  sample:
    auth_known:
      login: ''
      server: arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/server-AbCdEf
      subnets:
        - availability_zone: eu-central-1a
          subnet_id: subnet-0123456789abcdef0
          vpc_id: vpc-0123456789abcdef0
    bucket_arn: arn:aws:s3:::tracking-artifacts
    bucket_id: tracking-artifacts
    bucket_uri: s3://tracking-artifacts/
    ecs_express_service_arn: arn:aws:ecs:eu-central-1:123456789012:service/default/tracking
    ecs_express_url: https://tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
    iam_execution_role_arn: arn:aws:iam::123456789012:role/tracking-execution-role
    iam_infrastructure_role_arn: arn:aws:iam::123456789012:role/tracking-infrastructure-role
    iam_task_role_arn: arn:aws:iam::123456789012:role/tracking-task-role
    network_availability_zones: [eu-central-1a]
    network_database_security_group_id: sg-00000000000000000
    network_database_subnets: [subnet-0123456789abcdef0]
    network_public: false
    network_service_security_group_id: sg-0123456789abcdef0
    network_subnets: [subnet-0123456789abcdef0]
    network_vpc_id: vpc-0123456789abcdef0
    rds_ca_certificates: ''
    rds_effective_sslmode: verify-full
    rds_endpoint: tracking.abcdefghijkl.eu-central-1.rds.amazonaws.com
    rds_endpoint_port: 5432
    rds_login_secret_arn: ''
    rds_secret_arn: arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-AbCdEf
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import recalled


def deployment_facts(value: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the facts by their names."""
    return recalled.facts(value, settings)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"deployment_facts": deployment_facts}
