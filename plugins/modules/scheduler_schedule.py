#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: scheduler_schedule
short_description: Manage a schedule that starts tasks of Amazon ECS
version_added: 0.1.0
description:
  - Creates, changes and deletes a schedule of EventBridge Scheduler whose target is Amazon ECS.
  - A start and an end date, a key, and what happens after the last time are kept as they are, but not set.
options:
  schedule_name:
    description:
      - Name of the schedule, of up to 64 letters, digits, dots, hyphens and underscores.
    type: str
    required: true
    aliases: [name]
  group_name:
    description:
      - Name of its group, which must exist.
    type: str
    default: default
  state:
    description:
      - V(absent) deletes the schedule. Tasks that it has started go on.
    type: str
    choices: [present, absent]
    default: present
  enabled:
    description:
      - Whether it starts tasks.
    type: bool
    default: true
  description:
    description:
      - What it is for.
    type: str
    default: ''
  schedule_expression:
    description:
      - When, such as V(rate(1 day\)), V(cron(0 3 ? * SUN *\)) or V(at(2030-01-01T00:00:00\)). Required with
        O(state=present).
    type: str
  schedule_expression_timezone:
    description:
      - Time zone of the expression, such as V(Europe/Berlin).
    type: str
    default: UTC
  flexible_time_window_minutes:
    description:
      - Within how many minutes after that time the task may start. V(0) means at once.
    type: int
    default: 0
  target:
    description:
      - What it starts. Required with O(state=present).
    type: dict
    suboptions:
      arn:
        description: ARN of the ECS cluster.
        type: str
        required: true
      role_arn:
        description: ARN of the role that the scheduler assumes. It must trust C(scheduler.amazonaws.com).
        type: str
        required: true
      dead_letter_arn:
        description: ARN of the standard queue of SQS that is sent what could not be started. Empty for none.
        type: str
        default: ''
      input:
        description: JSON of what the task overrides of its definition. Empty for nothing.
        type: str
        default: ''
      maximum_event_age_in_seconds:
        description: For how many seconds it is tried again.
        type: int
        default: 86400
      maximum_retry_attempts:
        description: How often it is tried again.
        type: int
        default: 185
      ecs_parameters:
        description: The task.
        type: dict
        required: true
        suboptions:
          task_definition_arn:
            description: ARN of the task definition.
            type: str
            required: true
          launch_type:
            description: On what it runs.
            type: str
            choices: [EC2, EXTERNAL, FARGATE]
            default: FARGATE
          subnets:
            description: Subnets of the task.
            type: list
            elements: str
            required: true
          security_groups:
            description: Security groups of the task. Empty for that of the VPC.
            type: list
            elements: str
            default: []
          assign_public_ip:
            description: Whether it has a public address.
            type: bool
            default: false
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.scheduler_schedule_group
    description: Manages groups of schedules.
  - module: mlops.mlflow_aws.sqs_queue
    description: Manages queues.
  - name: EventBridge Scheduler user guide
    description: On schedule expressions.
    link: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
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
- name: Start a task each Sunday at three o'clock
  mlops.mlflow_aws.scheduler_schedule:
    schedule_name: tracking-gc
    schedule_expression: cron(0 3 ? * SUN *)
    schedule_expression_timezone: Europe/Berlin
    target:
      arn: arn:aws:ecs:eu-central-1:123456789012:cluster/default
      role_arn: arn:aws:iam::123456789012:role/tracking-scheduler-role
      dead_letter_arn: arn:aws:sqs:eu-central-1:123456789012:tracking-failures
      ecs_parameters:
        task_definition_arn: arn:aws:ecs:eu-central-1:123456789012:task-definition/tracking-gc:1
        subnets: [subnet-0123456789abcdef0]

- name: Delete the schedule
  mlops.mlflow_aws.scheduler_schedule:
    schedule_name: tracking-gc
    state: absent
"""

RETURN = r"""
schedule_arn:
  description: ARN of the schedule.
  returned: success
  type: str
  sample: arn:aws:scheduler:eu-central-1:123456789012:schedule/default/tracking-gc
"""

import typing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._scheduler import schedule

_TASK: dict[str, dict[str, typing.Any]] = {
    "task_definition_arn": {"type": "str", "required": True},
    "launch_type": {"type": "str", "choices": ["EC2", "EXTERNAL", "FARGATE"], "default": "FARGATE"},
    "subnets": {"type": "list", "elements": "str", "required": True},
    "security_groups": {"type": "list", "elements": "str", "default": []},
    "assign_public_ip": {"type": "bool", "default": False},
}
_TARGET: dict[str, dict[str, typing.Any]] = {
    "arn": {"type": "str", "required": True},
    "role_arn": {"type": "str", "required": True},
    "dead_letter_arn": {"type": "str", "default": ""},
    "input": {"type": "str", "default": ""},
    "maximum_event_age_in_seconds": {"type": "int", "default": 86400},
    "maximum_retry_attempts": {"type": "int", "default": 185},
    "ecs_parameters": {"type": "dict", "required": True, "options": _TASK},
}


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    scheduler = make_client(module, "scheduler")
    caller = caller_identity(make_client(module, "sts"))
    name, group = params["schedule_name"], params["group_name"]
    arn = f"arn:{caller.partition}:scheduler:{module.region}:{caller.account_id}:schedule/{group}/{name}"
    if params["state"] == "absent":
        return schedule.ensure_absent(scheduler, arn, (name, group), module.check_mode)
    desired = schedule.DesiredState(arn, name, group, schedule.settings(params))
    return schedule.ensure_present(scheduler, desired, module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "schedule_name": {"type": "str", "required": True, "aliases": ["name"]},
            "group_name": {"type": "str", "default": "default"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "enabled": {"type": "bool", "default": True},
            "description": {"type": "str", "default": ""},
            "schedule_expression": {"type": "str"},
            "schedule_expression_timezone": {"type": "str", "default": "UTC"},
            "flexible_time_window_minutes": {"type": "int", "default": 0},
            "target": {"type": "dict", "options": _TARGET},
        },
        required_if=[("state", "present", ["schedule_expression", "target"])],
        supports_check_mode=True,
    )
    run(module, f"Schedule {module.params['schedule_name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
