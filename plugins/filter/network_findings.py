# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter C(network_findings)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: network_findings
short_description: Tell what the answers of EC2 say about the subnets of a deployment
version_added: 0.1.0
description:
  - It is of use to this collection's roles.
  - Returns what is known, and C(violations) for the option O(mlops.mlflow_aws.role_variables#module:violations).
positional: _input
options:
  _input:
    description:
      - Variables and answers of AWS, as C(vars/main.yml) of the role P(mlops.mlflow_aws.network#role) lists them.
    type: dict
    required: true
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
"""

EXAMPLES = r"""
- name: Show the deployment's subnets
  ansible.builtin.debug:
    msg: "{{ answers | mlops.mlflow_aws.network_findings }}"
  vars:
    answers:
      subnet_ids:
        - subnet-0123456789abcdef0
        - subnet-0123456789abcdef1
      database_subnet_ids: []
      ingress: auto
      admitted: []
      container_port: 5000
      subnets:
        - subnet_id: subnet-0123456789abcdef0
          vpc_id: vpc-0123456789abcdef0
          availability_zone: eu-central-1a
          available_ip_address_count: 250
          cidr_block: 172.31.0.0/24
        - subnet_id: subnet-0123456789abcdef1
          vpc_id: vpc-0123456789abcdef0
          availability_zone: eu-central-1b
          available_ip_address_count: 250
          cidr_block: 172.31.1.0/24
      default_vpcs: []
      service_groups: []
      route_tables:
        - vpc_id: vpc-0123456789abcdef0
          associations:
            - main: true
          routes:
            - destination_cidr_block: 0.0.0.0/0
              gateway_id: igw-0123456789abcdef0
      database_subnets: []
"""

RETURN = r"""
_value:
  description: What is known, and what is wrong.
  type: dict
  sample:
    vpc_id: vpc-0123456789abcdef0
    subnets:
      - subnet-0123456789abcdef0
      - subnet-0123456789abcdef1
    database_subnets:
      - subnet-0123456789abcdef0
      - subnet-0123456789abcdef1
    availability_zones:
      - eu-central-1a
      - eu-central-1b
    public: true
    nearly_full: []
    violations: []
    warnings: []
"""

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import as_data
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import network


def network_findings(value: dict[str, Any]) -> dict[str, Any]:
    """Return what is known, and what is wrong."""
    return as_data(network.findings(value))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"network_findings": network_findings}
