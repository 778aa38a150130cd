#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: iam_service_linked_role
short_description: Make sure that the service-linked roles of AWS services exist
version_added: 0.1.0
description:
  - Creates the service-linked role of one or more AWS services where it is missing.
  - AWS creates such roles by itself on first use of a service, but that first use often fails, as the role is not
    effective yet. This is why ECS and its load balancer should find theirs.
  - The roles belong to the account and may serve others, so this module does not delete them.
options:
  aws_service_name:
    description:
      - Names of the services, such as V(ecs.amazonaws.com), V(elasticloadbalancing.amazonaws.com) or
        V(ecs.application-autoscaling.amazonaws.com).
    type: list
    elements: str
    required: true
  state:
    description:
      - The roles must be there.
    type: str
    choices: [present]
    default: present
  wait_timeout:
    description:
      - How long to wait until IAM lists a new role, in seconds.
    type: int
    default: 60
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.iam_service_role
    description: Makes a role of your own that a service assumes.
  - name: Service-linked roles
    description: What they are, and which services have them.
    link: https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
"""

EXAMPLES = r"""
- name: Roles that ECS Express Mode needs
  mlops.mlflow_aws.iam_service_linked_role:
    aws_service_name:
      - ecs.amazonaws.com
      - elasticloadbalancing.amazonaws.com
      - ecs.application-autoscaling.amazonaws.com
"""

RETURN = r"""
iam_roles:
  description: One entry per service, in the order of O(aws_service_name).
  returned: success
  type: list
  elements: dict
  contains:
    arn:
      description: ARN of the role.
      type: str
      returned: when the role exists, or in check mode when its name is known beforehand
      sample: arn:aws:iam::123456789012:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS
    name:
      description: Name of the role.
      type: str
      returned: when the role exists, or in check mode when its name is known beforehand
      sample: AWSServiceRoleForECS
    path:
      description: Path of the role.
      type: str
      returned: always
      sample: /aws-service-role/ecs.amazonaws.com/
    aws_service_name:
      description: The service.
      type: str
      returned: always
      sample: ecs.amazonaws.com
    role_id:
      description: Unique id.
      type: str
      returned: when the role exists
      sample: AROAADD4AD8BD4054B6F8
    create_date:
      description: When the role was created.
      type: str
      returned: when the role exists
      sample: '2026-11-23T07:55:19+00:00'
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam import service_linked_roles


def _work(module: AnsibleAWSModule) -> ModuleResult:
    iam = make_client(module, "iam")
    sts = make_client(module, "sts")
    total = ModuleResult(False, {}, {}, {"iam_roles": []}, [])
    for service in dict.fromkeys(module.params["aws_service_name"]):
        one = service_linked_roles.ensure_present(
            iam, sts, service, timeout=module.params["wait_timeout"], check_mode=module.check_mode
        )
        total.changed = total.changed or one.changed
        total.before[service] = one.before
        total.after[service] = one.after
        total.values["iam_roles"].append(one.values["iam_role"])
    return total


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "aws_service_name": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present"], "default": "present"},
            "wait_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    subject = f"Service-linked role of {', '.join(module.params['aws_service_name'])}"
    run(module, subject, lambda: _work(module))


if __name__ == "__main__":
    main()
