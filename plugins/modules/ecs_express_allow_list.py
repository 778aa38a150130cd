#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_express_allow_list
short_description: Say from which networks an Amazon ECS Express Mode service may be called
version_added: 0.1.0
description:
  - Adds the source addresses to the service's own rule of the load balancer's listener. Who comes from elsewhere gets
    the listener's default answer, 404, as for a host name that does not exist.
  - Express Mode itself has no such setting, and the load balancer with its security group belongs to all Express
    services of the VPC. The listener rule is the service's alone. Updates of the service leave the addresses there.
  - The addresses are those that connect to the load balancer, not those in C(X-Forwarded-For).
  - A new service is open to all until its rule has been changed. To create one that never is, give
    O(mlops.mlflow_aws.ecs_express_service#module:allowed_cidrs) instead.
  - The load balancer still answers every client, if only with 404. Elastic Load Balancing recommends security groups
    for blocking clients; here they would be those of all services.
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
options:
  service_name:
    description: Name of the service.
    type: str
    required: true
    aliases: [name]
  cluster:
    description: Name or ARN of the cluster.
    type: str
    default: default
  cidrs:
    description:
      - The networks, in CIDR notation. An empty list admits all networks.
      - Elastic Load Balancing allows five values in a rule, and the service's host name is one of them, so there may be
        four networks, one less for each further host name.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: mlops.mlflow_aws.ecs_express_service
    description: Makes the service.
  - module: mlops.mlflow_aws.ecs_express_service_info
    description: Returns its URL.
  - name: Listener rules of Application Load Balancers
    description: What the rule is, and how many values it may hold.
    link: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.actiongroup
"""

EXAMPLES = r"""
- name: The office and the VPN alone
  mlops.mlflow_aws.ecs_express_allow_list:
    service_name: tracking
    cidrs:
      - 198.51.100.0/24
      - 203.0.113.7/32

- name: Admit all networks
  mlops.mlflow_aws.ecs_express_allow_list:
    service_name: tracking
    cidrs: []
"""

RETURN = r"""
cidrs:
  description: The networks that are admitted, sorted. An empty list means all networks.
  returned: success
  type: list
  elements: str
  sample: [198.51.100.0/24, 203.0.113.7/32]
rule_arn:
  description: ARN of the listener rule. An empty string in check mode if the service is not there.
  returned: success
  type: str
  sample: >-
    arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/ecs-express-gateway-
    alb-8339e89f/nhsgdzlh706jr2vx/7blv2hvoe7kvu8tf/3yc9fttimlevdo88
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import allow_list
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import module as express_module
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError

ARGUMENT_SPEC: dict[str, Any] = {
    "service_name": {"type": "str", "required": True, "aliases": ["name"]},
    "cluster": {"type": "str", "default": "default"},
    "cidrs": {"type": "list", "elements": "str", "required": True},
}


def _work(module: AnsibleAWSModule) -> dict[str, Any]:
    name, cluster = module.params["service_name"], module.params["cluster"] or "default"
    cidrs = allow_list.networks(module.params["cidrs"])
    clients = make_clients(module)
    arn = allow_list.rule_arn(clients("ecs"), cluster=cluster, name=name)
    if arn is None and not module.check_mode:
        raise EcsExpressError(
            f"There is no active Express Mode service {name!r} in cluster {cluster!r}: create it first, or check "
            "service_name, cluster and region."
        )
    before: list[str] = []
    changed = bool(cidrs)
    if arn is not None:
        before, changed = allow_list.ensure(clients("elbv2"), arn, cidrs, check_mode=module.check_mode)
    return {
        "changed": changed,
        "cidrs": cidrs,
        "rule_arn": arn or "",
        "diff": {"before": {"cidrs": before}, "after": {"cidrs": cidrs}},
    }


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = _work(module)
    except AnsibleAWSError as e:
        express_module.fail(module, e)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
