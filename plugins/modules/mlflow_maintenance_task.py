#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_maintenance_task
short_description: Manage the task definition of what is done to an MLflow deployment on a schedule
version_added: 0.1.0
description:
  - Registers a task definition with the image, the network and the database's password of the server, and a role of its
    own, if the newest one of its family is not the same. Older ones are deregistered.
  - The task does what O(job) says. With settings that have not run before it only lists, and leaves what it has found
    in the bucket. What fails is sent to a queue.
options:
  job:
    description:
      - V(gc) deletes for good what users have deleted, as M(mlops.mlflow_aws.mlflow_gc) does.
      - V(archive) moves the spans of old traces from the database into the bucket, where the server finds them.
    type: str
    choices: [archive, gc]
    required: true
  state:
    description:
      - V(absent) deregisters all task definitions of the family.
    type: str
    choices: [present, absent]
    default: present
  older_than:
    description:
      - How long ago something must have been deleted, or how old a trace must be, in days, hours, minutes and seconds,
        such as V(1d12h).
    type: str
    default: 30d
  backup_retention_days:
    description:
      - For how many days the database can be restored to any time. O(older_than) must not be shorter with O(job=gc).
    type: int
    default: 0
  bucket:
    description:
      - Name of the bucket that holds the artifacts. Required with O(state=present).
    type: str
  task_role_arn:
    description:
      - ARN of the role of the task. Required with O(state=present).
    type: str
  queue_url:
    description:
      - URL of the queue that is sent what fails. Required with O(state=present).
    type: str
  database:
    description: Identifier of the RDS instance. Empty if the database is not managed by this collection.
    type: str
    default: ''
  database_host:
    description: Host of the database, if O(database) is empty.
    type: str
    default: ''
  database_port:
    description: Port of the database, if O(database) is empty.
    type: int
    default: 5432
  database_name:
    description: Name of the database.
    type: str
    default: mlflow
  database_username:
    description: User that the server logs in as.
    type: str
    default: mlflow
  option_hint:
    description: How a message says that an option is set, with C({name}) and C({value}) in their places.
    type: str
    default: '{name}: {value}'
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.scheduler_schedule
    description: Starts the task.
  - module: mlops.mlflow_aws.mlflow_gc
    description: Does the same by hand.
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
  - mlops.mlflow_aws.mlflow_deployment
"""

EXAMPLES = r"""
- name: Task that deletes for good what users have deleted
  mlops.mlflow_aws.mlflow_maintenance_task:
    name: tracking
    job: gc
    bucket: tracking-artifacts-123456789012-eu-central-1
    database: tracking
    task_role_arn: arn:aws:iam::123456789012:role/tracking-maintenance-role
    queue_url: https://sqs.eu-central-1.amazonaws.com/123456789012/mlflow-tracking-maintenance

- name: Deregister it
  mlops.mlflow_aws.mlflow_maintenance_task:
    name: tracking
    job: gc
    state: absent
"""

RETURN = r"""
task_definition_arn:
  description: ARN of the task definition, empty if there is none.
  returned: success
  type: str
  sample: arn:aws:ecs:eu-central-1:123456789012:task-definition/tracking-maintenance-gc:1
cluster_arn:
  description: ARN of the cluster.
  returned: success
  type: str
  sample: arn:aws:ecs:eu-central-1:123456789012:cluster/default
subnets:
  description: Subnets of the server, and so of the task.
  returned: success
  type: list
  elements: str
  sample: [subnet-0123456789abcdef0]
security_groups:
  description: Security groups of the server, and so of the task.
  returned: success
  type: list
  elements: str
  sample: [sg-0123456789abcdef0]
assign_public_ip:
  description: Whether the server, and so the task, has a public address.
  returned: success
  type: bool
  sample: false
"""

import typing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc import collection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._maintenance import definition
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._maintenance import registration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints

ARGUMENT_SPEC: dict[str, dict[str, typing.Any]] = {
    "name": {"type": "str", "required": True},
    "cluster": {"type": "str", "default": "default"},
    "job": {"type": "str", "choices": ["archive", "gc"], "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "older_than": {"type": "str", "default": "30d"},
    "backup_retention_days": {"type": "int", "default": 0},
    "bucket": {"type": "str"},
    "task_role_arn": {"type": "str"},
    "queue_url": {"type": "str"},
    "database": {"type": "str", "default": ""},
    "database_host": {"type": "str", "default": ""},
    "database_port": {"type": "int", "default": 5432},
    "database_name": {"type": "str", "default": "mlflow"},
    "database_username": {"type": "str", "default": "mlflow"},
    "option_hint": {"type": "str", "default": "{name}: {value}"},
    "tags": {"type": "dict", "aliases": ["resource_tags"]},
    "purge_tags": {"type": "bool", "default": True},
}


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    clients, region = make_clients(module), str(module.region or "")
    deployment = target.locate(clients, params["name"], params["cluster"], region)
    if params["state"] == "absent":
        return registration.ensure_absent(clients, deployment, params["job"], module.check_mode)
    days = params["backup_retention_days"] if params["job"] == "gc" else 0
    database = Database(
        params["database_host"], params["database_port"], params["database_name"], params["database_username"]
    )
    job = definition.Job(
        name=params["job"],
        age=collection.parse_age(params["older_than"], days, Hints("", params["option_hint"])),
        deployment=deployment,
        bucket=params["bucket"],
        database=database,
        task_role=params["task_role_arn"],
        queue_url=params["queue_url"],
        region=region,
        tags=params["tags"],
        purge_tags=params["purge_tags"],
    )
    return registration.ensure_present(clients, job, params["database"], module.check_mode)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=ARGUMENT_SPEC,
        required_if=[("state", "present", ["bucket", "task_role_arn", "queue_url"])],
        supports_check_mode=True,
    )
    run(module, f"Maintenance of {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
