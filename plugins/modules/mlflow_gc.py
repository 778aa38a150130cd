#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_gc
short_description: Delete for good what users of an MLflow deployment have deleted
version_added: 0.1.0
description:
  - What users delete in MLflow is only hidden. This module lists the runs, logged models and experiments that were
    deleted long enough ago, with the storage that their artifacts take, or deletes all of it for good.
  - A task of the server's own image does it, with its roles and in its network. It chooses what C(mlflow gc) chooses.
    Unlike C(mlflow gc) it goes on if something cannot be deleted, and keeps what a registered model version refers to.
  - The server goes on serving. A lock, in a tag of the service, keeps other verbs away meanwhile.
options:
  older_than:
    description: How long ago something must have been deleted, in days, hours, minutes and seconds, such as V(1d12h).
    type: str
    default: 30d
  delete:
    description: Whether to delete it, which cannot be undone. Otherwise it is listed.
    type: bool
    default: false
  backup_retention_days:
    description:
      - For how many days the database can be restored to any time. What was deleted in these days is not deleted for
        good, as a restored database would have runs without artifacts then.
    type: int
    default: 0
  option_hint:
    description: How a message says that an option is set, with C({name}) and C({value}) in their places.
    type: str
    default: '{name}: {value}'
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
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_backup
    description: Takes a backup first.
  - module: mlops.mlflow_aws.mlflow_deployment_status
    description: Tells how much storage the bucket uses.
attributes:
  check_mode:
    support: partial
    details:
      - With O(delete), a change is predicted always, as only a task can tell whether there is anything to delete.
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.mlflow_deployment
  - mlops.mlflow_aws.mlflow_deployment.data
  - mlops.mlflow_aws.mlflow_deployment.verb
"""

EXAMPLES = r"""
- name: List what was deleted more than 30 days ago
  mlops.mlflow_aws.mlflow_gc:
    name: tracking
    bucket: tracking-artifacts-123456789012-eu-central-1
    database: tracking

- name: Delete it for good
  mlops.mlflow_aws.mlflow_gc:
    name: tracking
    bucket: tracking-artifacts-123456789012-eu-central-1
    database: tracking
    delete: true
"""

RETURN = r"""
found:
  description: Numbers of what was deleted long enough ago. Empty in check mode.
  returned: success
  type: dict
  contains: &numbers
    runs:
      description: Number of runs.
      returned: always
      type: int
      sample: 42
    logged_models:
      description: Number of logged models.
      returned: always
      type: int
      sample: 3
    experiments:
      description: Number of experiments.
      returned: always
      type: int
      sample: 1
kept:
  description: Numbers of what is kept, because registered model versions refer to it. Empty in check mode.
  returned: success
  type: dict
  contains: *numbers
deleted:
  description: Numbers of what was deleted for good. Empty in check mode.
  returned: success
  type: dict
  contains: *numbers
objects:
  description: Number of objects in the bucket that belong to RV(found), V(0) in check mode.
  returned: success
  type: int
  sample: 512
bytes:
  description: Size of these objects, V(0) in check mode.
  returned: success
  type: int
  sample: 7340032
lines:
  description: What was found or deleted for people, in check mode the steps that would be taken.
  returned: success
  type: list
  elements: str
  sample:
    - "'tracking': there is nothing to delete for good."
"""

import typing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc import collection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import plan
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps

ARGUMENT_SPEC: dict[str, dict[str, typing.Any]] = {
    "name": {"type": "str", "required": True},
    "cluster": {"type": "str", "default": "default"},
    "bucket": {"type": "str", "required": True},
    "older_than": {"type": "str", "default": "30d"},
    "delete": {"type": "bool", "default": False},
    "backup_retention_days": {"type": "int", "default": 0},
    "option_hint": {"type": "str", "default": "{name}: {value}"},
    "database": {"type": "str", "default": ""},
    "database_host": {"type": "str", "default": ""},
    "database_port": {"type": "int", "default": 5432},
    "database_name": {"type": "str", "default": "mlflow"},
    "database_username": {"type": "str", "default": "mlflow"},
    "again": {"type": "str", "default": "run the same task again"},
    "unlock": {"type": "bool", "default": False},
    "unlock_hint": {"type": "str", "default": "unlock: true"},
    "wait_timeout": {"type": "int", "default": 3600},
    "wait_delay": {"type": "int", "default": 10},
}
_UNKNOWN: dict[str, typing.Any] = {"found": {}, "kept": {}, "deleted": {}, "objects": 0, "bytes": 0}


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    hints = Hints(params["again"], params["option_hint"])
    age = collection.parse_age(params["older_than"], params["backup_retention_days"], hints)
    clients, region = make_clients(module), str(module.region or "")
    deployment = target.locate(clients, params["name"], params["cluster"], region)
    progress = Progress(f"Garbage collection of {params['name']}", hidden=module.no_log_values)
    wait_options = WaitOptions(
        timeout=params["wait_timeout"], delay=max(1, params["wait_delay"]), report=progress.report, beat=progress.beat
    )
    request = collection.Request(
        older_than=age,
        delete=params["delete"],
        bucket=params["bucket"],
        instance=params["database"],
        database=Database(
            params["database_host"], params["database_port"], params["database_name"], params["database_username"]
        ),
        region=region,
        account_id=caller_identity(clients("sts")).account_id,
    )
    one = collection.Collection(clients, deployment, request, wait_options)
    lock = Lock(
        clients("ecs"),
        deployment.arn,
        Identity(params["name"], collection.VERB, deployment.who, params["unlock_hint"]),
    )
    is_needed, left = prepare(one.preflight, lock, params["unlock"])
    verb = one.verb(hints.command("delete", "true") if params["delete"] else params["again"])
    if module.check_mode:
        lock.refuse(params["unlock"])
        planned = {**_UNKNOWN, "lines": plan(verb, is_needed, left)}
        return ModuleResult(params["delete"], {}, {}, planned, [], has_diff=False)
    warnings = run_steps(verb, lock, progress, lift=params["unlock"])
    shown = collection.lines(one.report, params["name"], delete=params["delete"], hints=hints)
    values = {**{name: one.report[name] for name in _UNKNOWN}, "lines": shown}
    changed = any(one.report["deleted"].values())
    return ModuleResult(changed, {}, {}, values, warnings, has_diff=False)


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run(module, f"Garbage collection of {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
