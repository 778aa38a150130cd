#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: scheduler_schedule_group
short_description: Manage a group of schedules of EventBridge Scheduler
version_added: 0.1.0
description:
  - Creates a group of schedules, changes its tags, and deletes it with its schedules.
  - CloudWatch counts invocations by group, and the trust policy of a schedule's role may name the group.
options:
  schedule_group_name:
    description:
      - Name of the group, of up to 64 letters, digits, dots, hyphens and underscores.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(absent) deletes the group with all of its schedules, and waits until it is gone.
    type: str
    choices: [present, absent]
    default: present
  wait_timeout:
    description:
      - Time limit in seconds for the end of a group that is being deleted.
    type: int
    default: 600
  wait_delay:
    description:
      - Polling interval in seconds.
    type: int
    default: 5
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.scheduler_schedule
    description: Manages the schedules of a group.
  - name: EventBridge Scheduler user guide
    description: On groups of schedules.
    link: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-group.html
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
- name: Group of schedules
  mlops.mlflow_aws.scheduler_schedule_group:
    schedule_group_name: tracking
    tags:
      Project: mlflow

- name: Delete the group with its schedules
  mlops.mlflow_aws.scheduler_schedule_group:
    schedule_group_name: tracking
    state: absent
"""

RETURN = r"""
schedule_group_arn:
  description: ARN of the group.
  returned: success
  type: str
  sample: arn:aws:scheduler:eu-central-1:123456789012:schedule-group/tracking
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._scheduler import group


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    scheduler = make_client(module, "scheduler")
    caller = caller_identity(make_client(module, "sts"))
    name = params["schedule_group_name"]
    options = WaitOptions(timeout=params["wait_timeout"], delay=max(1, params["wait_delay"]))
    if params["state"] == "absent":
        outcome = group.ensure_absent(scheduler, name, options, module.check_mode)
    else:
        outcome = group.ensure_present(
            scheduler, name, (params["tags"], params["purge_tags"]), options, module.check_mode
        )
    arn = f"arn:{caller.partition}:scheduler:{module.region}:{caller.account_id}:schedule-group/{name}"
    outcome.values["schedule_group_arn"] = arn
    return outcome


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "schedule_group_name": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wait_timeout": {"type": "int", "default": 600},
            "wait_delay": {"type": "int", "default": 5},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run(module, f"Schedule group {module.params['schedule_group_name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
