#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: logs_log_group
short_description: Manage a log group of CloudWatch Logs
version_added: 0.1.0
description:
  - Creates, changes and deletes a log group with its retention, its KMS key and its tags.
  - Unlike M(amazon.aws.cloudwatchlogs_log_group), it shows a diff, and never deletes an existing group to create it
    again.
options:
  log_group_name:
    description:
      - Name of the log group.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(absent) deletes the log group with everything that is in it.
    type: str
    choices: [present, absent]
    default: present
  retention_in_days:
    description:
      - After so many days log events expire, one of the numbers that CloudWatch Logs takes. V(0) keeps them for ever.
      - Without it, the retention of an existing group is left alone, and a new one keeps everything.
    type: int
    aliases: [retention]
  kms_key_id:
    description:
      - ARN of the KMS key that encrypts the log events. An empty string takes the key away. Without it, it is left
        alone.
    type: str
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: amazon.aws.cloudwatchlogs_log_group
    description: Manages log groups without a diff.
  - module: mlops.mlflow_aws.ecs_express_service
    description: Runs a service that writes to a log group.
  - name: Working with log groups and log streams
    description: The user guide.
    link: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html
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
- name: Log group that forgets after a month
  mlops.mlflow_aws.logs_log_group:
    log_group_name: /ecs/default/mlflow
    retention_in_days: 30
    tags:
      Project: mlflow

- name: Delete the log group and everything in it
  mlops.mlflow_aws.logs_log_group:
    log_group_name: /ecs/default/mlflow
    state: absent
"""

RETURN = r"""
log_group:
  description: The log group, in check mode as it would be.
  returned: when state is V(present)
  type: dict
  contains:
    arn:
      description: ARN of the log group, without C(:*) at its end.
      type: str
      returned: always
      sample: arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/default/mlflow
    log_group_name:
      description: Name of the log group.
      type: str
      returned: always
      sample: /ecs/default/mlflow
    retention_in_days:
      description: After how many days log events expire; V(0) means never.
      type: int
      returned: always
      sample: 30
    kms_key_id:
      description: ARN of the KMS key, or an empty string.
      type: str
      returned: always
      sample: ''
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
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._logs import log_group


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    logs = make_client(module, "logs")
    if params["state"] == "absent":
        return log_group.ensure_absent(logs, params["log_group_name"], module.check_mode)
    desired = log_group.DesiredState(
        name=params["log_group_name"],
        retention_in_days=params["retention_in_days"],
        kms_key_id=params["kms_key_id"],
        tags=params["tags"],
        purge_tags=params["purge_tags"],
    )
    return log_group.ensure_present(logs, make_client(module, "sts"), desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "log_group_name": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "retention_in_days": {"type": "int", "aliases": ["retention"]},
            "kms_key_id": {"type": "str"},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run(module, f"Log group {module.params['log_group_name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
