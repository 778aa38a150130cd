#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rds_db_parameter_group
short_description: Manage a parameter group of Amazon RDS
version_added: 0.1.0
description:
  - Creates, changes and deletes a group of database parameters. Parameters that are not named are left alone.
  - Unlike M(amazon.aws.rds_instance_param_group), it shows a diff, announces a parameter that differs in check mode,
    and fails where a parameter cannot be set.
options:
  db_parameter_group_name:
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
  db_parameter_group_family:
    description:
      - Family of the engine's versions, such as V(postgres16), needed with O(state=present). AWS cannot change it.
    type: str
    aliases: [engine]
  description:
    description:
      - Description of the group, needed with O(state=present). AWS cannot change it.
    type: str
  parameters:
    description:
      - Values of parameters by name, as RDS shows them.
    type: dict
    default: {}
    aliases: [params]
  apply_method:
    description:
      - When a changed parameter takes effect. A static one can only wait for the next reboot.
    type: str
    choices: [immediate, pending-reboot]
    default: pending-reboot
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.rds_instance_param_group
    description: Manages parameter groups without a diff.
  - module: mlops.mlflow_aws.rds_postgresql_instance
    description: Manages an instance with such a group.
  - name: Parameter groups for RDS
    description: The user guide.
    link: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_WorkingWithParamGroups.html
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
- name: Encrypted connections only
  mlops.mlflow_aws.rds_db_parameter_group:
    db_parameter_group_name: experiments-postgres16
    db_parameter_group_family: postgres16
    description: Encrypted connections only
    parameters:
      rds.force_ssl: "1"
    tags:
      Project: mlflow

- name: Delete the group
  mlops.mlflow_aws.rds_db_parameter_group:
    db_parameter_group_name: experiments-postgres16
    state: absent
"""

RETURN = r"""
db_parameter_group:
  description: The group, in check mode as it would be.
  returned: when state is V(present)
  type: dict
  contains:
    db_parameter_group_arn:
      description: ARN of the group.
      type: str
      returned: when the group exists
      sample: arn:aws:rds:eu-central-1:123456789012:pg:experiments-postgres16
    db_parameter_group_name:
      description: Name of the group.
      type: str
      returned: always
      sample: experiments-postgres16
    db_parameter_group_family:
      description: Family of the engine's versions.
      type: str
      returned: always
      sample: postgres16
    description:
      description: Description.
      type: str
      returned: always
      sample: Encrypted connections only
    parameters:
      description: The parameters that were named. An empty value stands for the engine's default.
      type: dict
      returned: always
      sample: {rds.force_ssl: '1'}
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
        return groups.remove_parameter_group(rds, params["db_parameter_group_name"], module.check_mode)
    desired = groups.DesiredParameterGroup(
        name=params["db_parameter_group_name"],
        family=params["db_parameter_group_family"],
        description=params["description"],
        parameters={name: str(value) for name, value in params["parameters"].items()},
        apply_method=params["apply_method"],
        tags=groups.Tags(params["tags"], params["purge_tags"]),
    )
    return groups.ensure_parameter_group(rds, desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "db_parameter_group_name": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "db_parameter_group_family": {"type": "str", "aliases": ["engine"]},
            "description": {"type": "str"},
            "parameters": {"type": "dict", "default": {}, "aliases": ["params"]},
            "apply_method": {"type": "str", "choices": ["immediate", "pending-reboot"], "default": "pending-reboot"},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ("db_parameter_group_family", "description"))],
        supports_check_mode=True,
    )
    run(module, f"RDS parameter group {module.params['db_parameter_group_name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
