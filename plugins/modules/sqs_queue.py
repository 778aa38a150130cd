#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: sqs_queue
short_description: Manage a standard queue of SQS
version_added: 0.1.0
description:
  - Creates, changes and deletes a standard queue with its retention and its tags.
  - The principals of the account need no policy of the queue, so this module leaves it alone.
options:
  queue_name:
    description:
      - Name of the queue, of letters, digits, hyphens and underscores.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(absent) deletes the queue with its messages. SQS makes no new one of its name in the following 60 seconds.
    type: str
    choices: [present, absent]
    default: present
  message_retention_period:
    description:
      - Seconds for which a message is kept, from V(60) to V(1209600), which are 14 days.
      - Without it, that of an existing queue is left alone, and a new one keeps messages for four days.
    type: int
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.scheduler_schedule
    description: Manages schedules, which send to a queue what they could not start.
  - name: Amazon SQS developer guide
    description: On queues.
    link: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/welcome.html
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
- name: Queue that keeps messages for two weeks
  mlops.mlflow_aws.sqs_queue:
    queue_name: tracking-failures
    message_retention_period: 1209600
    tags:
      Project: mlflow

- name: Delete the queue
  mlops.mlflow_aws.sqs_queue:
    queue_name: tracking-failures
    state: absent
"""

RETURN = r"""
queue_arn:
  description: ARN of the queue.
  returned: success
  type: str
  sample: arn:aws:sqs:eu-central-1:123456789012:tracking-failures
queue_url:
  description: URL of the queue, empty if there is none yet.
  returned: success
  type: str
  sample: https://sqs.eu-central-1.amazonaws.com/123456789012/tracking-failures
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._sqs import queue


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    sqs = make_client(module, "sqs")
    caller = caller_identity(make_client(module, "sts"))
    name = params["queue_name"]
    arn = f"arn:{caller.partition}:sqs:{module.region}:{caller.account_id}:{name}"
    if params["state"] == "absent":
        return queue.ensure_absent(sqs, arn, name, module.check_mode)
    desired = queue.DesiredState(
        arn=arn,
        name=name,
        retention=params["message_retention_period"],
        tags=params["tags"],
        purge_tags=params["purge_tags"],
    )
    return queue.ensure_present(sqs, desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "queue_name": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "message_retention_period": {"type": "int"},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run(module, f"Queue {module.params['queue_name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
