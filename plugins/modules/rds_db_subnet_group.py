#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rds_db_subnet_group
short_description: Manage a subnet group of Amazon RDS
version_added: 0.1.0
description:
  - Creates, changes and deletes the group of subnets that a database instance lies in.
  - Unlike M(amazon.aws.rds_subnet_group), it shows a diff.
options:
  db_subnet_group_name:
    description:
      - Name of the group. RDS keeps it in lower case.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(absent) deletes the group.
    type: str
    choices: [present, absent]
    default: present
  db_subnet_group_description:
    description:
      - Description of the group, needed with O(state=present).
    type: str
    aliases: [description]
  subnet_ids:
    description:
      - Ids of the subnets, in two availability zones at least. Needed with O(state=present).
    type: list
    elements: str
    aliases: [subnets]
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.rds_subnet_group
    description: Manages subnet groups without a diff.
  - module: mlops.mlflow_aws.rds_postgresql_instance
    description: Manages an instance in such a group.
  - name: Working with a DB instance in a VPC
    description: The user guide, on subnet groups.
    link: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_VPC.WorkingWithRDSInstanceinaVPC.html
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
  - amazon.aws.tags
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
"""

EXAMPLES = r"""
- name: Subnets of the database
  mlops.mlflow_aws.rds_db_subnet_group:
    db_subnet_group_name: experiments
    db_subnet_group_description: Subnets of the database
    subnet_ids: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]
    tags:
      Project: mlflow

- name: Delete the group
  mlops.mlflow_aws.rds_db_subnet_group:
    db_subnet_group_name: experiments
    state: absent
"""

RETURN = r"""
db_subnet_group:
  description: The group, in check mode as it would be.
  returned: when state is V(present)
  type: dict
  contains:
    db_subnet_group_arn:
      description: ARN of the group.
      type: str
      returned: when the group exists
      sample: arn:aws:rds:eu-central-1:123456789012:subgrp:experiments
    db_subnet_group_name:
      description: Name of the group.
      type: str
      returned: always
      sample: experiments
    db_subnet_group_description:
      description: Description.
      type: str
      returned: always
      sample: Subnets of the database
    vpc_id:
      description: Id of the VPC that the subnets belong to.
      type: str
      returned: when the group exists
      sample: vpc-0123456789abcdef0
    subnet_ids:
      description: Ids of the subnets, sorted.
      type: list
      elements: str
      returned: always
      sample: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]
    tags:
      description: Tags.
      type: dict
      returned: always
      sample: {Project: mlflow}
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import groups


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    rds = make_client(module, "rds")
    if params["state"] == "absent":
        return groups.remove_subnet_group(rds, params["db_subnet_group_name"], module.check_mode)
    desired = groups.DesiredSubnetGroup(
        name=params["db_subnet_group_name"],
        description=params["db_subnet_group_description"],
        subnet_ids=params["subnet_ids"],
        tags=groups.Tags(params["tags"], params["purge_tags"]),
    )
    return groups.ensure_subnet_group(rds, desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "db_subnet_group_name": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "db_subnet_group_description": {"type": "str", "aliases": ["description"]},
            "subnet_ids": {"type": "list", "elements": "str", "aliases": ["subnets"]},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ("db_subnet_group_description", "subnet_ids"))],
        supports_check_mode=True,
    )
    run(module, f"RDS subnet group {module.params['db_subnet_group_name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
