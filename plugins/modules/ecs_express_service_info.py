#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_express_service_info
short_description: Describe Amazon ECS Express Mode services, and explain what is wrong with them
version_added: 0.1.0
description:
  - Finds one or all Express Mode services of a cluster.
  - Services that are not of Express Mode, or that are already deleted, are left out. A cluster or a name that does
    not exist gives an empty list.
  - Which tool made a service does not matter. If all services are asked for, one that may not be described is there
    with its name, ARN and status only, and a warning says why.
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
options:
  service_name:
    description: Name of the service. Without it all Express Mode services of the cluster are described.
    type: str
    aliases: [name]
  cluster:
    description: Name or ARN of the cluster.
    type: str
    default: default
  explain:
    description:
      - Also find out how the newest deployment is doing, and why it fails if it does, with events, tasks, target
        health, the last lines of the container's log, and the likely cause with its remedy.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
seealso:
  - module: mlops.mlflow_aws.ecs_express_service
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.actiongroup
"""

EXAMPLES = r"""
- name: All Express Mode services of the cluster "default"
  mlops.mlflow_aws.ecs_express_service_info:
  register: express

- name: Their URLs
  ansible.builtin.debug:
    msg: "{{ express.services | items2dict(key_name='service_name', value_name='url') }}"

- name: Why does this one not start?
  mlops.mlflow_aws.ecs_express_service_info:
    service_name: tracking
    explain: true
  register: tracking

- name: The explanation
  ansible.builtin.debug:
    msg: "{{ tracking.services[0].explanation.text.splitlines() }}"
"""

RETURN = r"""
services:
  description: The services, by name.
  returned: always
  type: list
  elements: dict
  contains:
    service_name:
      description: The service's name.
      type: str
      sample: tracking
    service_arn:
      description: The service's ARN.
      type: str
      sample: arn:aws:ecs:eu-central-1:123456789012:service/default/tracking
    cluster:
      description: The name of its cluster.
      type: str
      sample: default
    status:
      description: C(status_code), either C(ACTIVE) or C(DRAINING), and C(status_reason). It says nothing about
        readiness.
      type: dict
      sample: {status_code: ACTIVE, status_reason: null}
    url:
      description: The service's URL, an empty string as long as ECS has not told its endpoint.
      type: str
      sample: https://tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
    endpoint:
      description: The host name in the URL.
      type: str
      sample: tr-f52a79071fe149e0ac99448fc11e8496.ecs.eu-central-1.on.aws
    infrastructure_role_arn:
      description: The role with which ECS makes the service's resources.
      type: str
      sample: arn:aws:iam::123456789012:role/tracking-infrastructure-role
    primary_container:
      description:
        - The container, C(environment) and C(secrets) as dictionaries. Values of the environment that look like
          secrets are hidden.
      type: dict
      sample: {image: "python:3.13-slim", container_port: 5000, environment: {GREETING: hello}}
    active_configurations:
      description: All configurations that serve at present, two during an update, with their C(ingress_paths).
      type: list
      elements: dict
    tags:
      description: The tags, without those of AWS.
      type: dict
      sample: {team: research}
    deployment:
      description: The newest deployment, see the return value of M(mlops.mlflow_aws.ecs_express_service). Empty if
        none.
      type: dict
      sample: {status: SUCCESSFUL}
    managed_resources:
      description: What ECS made for the service, each with C(kind), C(arn), C(status) and C(status_reason).
      returned: with O(explain=true)
      type: list
      elements: dict
    explanation:
      description:
        - How the newest deployment is doing, in parts as M(mlops.mlflow_aws.ecs_express_service) returns them, and
          as C(text).
      returned: with O(explain=true)
      type: dict
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import info
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import module as express_module

ARGUMENT_SPEC: dict[str, Any] = {
    "service_name": {"type": "str", "aliases": ["name"]},
    "cluster": {"type": "str", "default": "default"},
    "explain": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    warnings: list[str] = []
    try:
        services = info.describe(
            express_module.clients(module),
            cluster=params["cluster"] or "default",
            name=params["service_name"],
            explanations=params["explain"],
            warnings=warnings,
        )
    except AnsibleAWSError as e:
        express_module.fail(module, e)
    express_module.tell(warnings)
    module.exit_json(changed=False, services=services)


if __name__ == "__main__":
    main()
