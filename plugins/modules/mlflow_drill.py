#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_drill
short_description: Prove that a backup of an MLflow deployment can be restored
version_added: 0.1.0
description:
  - Restores a backup beside the live RDS instance, checks the copy as M(mlops.mlflow_aws.mlflow_restore) does, starts
    the server itself with it in a task, reads a run, a trace, a version of a model and an artifact through its API, and
    removes all of it.
  - The live server, its database and its name are not touched. A lock, in a tag of the service, keeps other verbs away.
  - Each run makes a new copy. It returns how long a restore takes up to the point at which the server would stop.
options:
  bucket:
    description: Name of the bucket that holds the artifacts.
    type: str
    required: true
  database:
    description: Identifier of the RDS instance.
    type: str
    required: true
  database_name:
    description: Name of the database.
    type: str
    default: mlflow
  master_secret:
    description:
      - Name or ARN of the secret with the master user's password. Needed where the server has logins of its own, see
        M(mlops.mlflow_aws.mlflow_database_logins).
    type: str
    default: ''
  database_username:
    description: User that the server logs in as.
    type: str
    default: mlflow
  backup:
    description: Name of the backup. Empty, with neither O(snapshot) nor O(time), stands for the newest one.
    type: str
    default: ''
  snapshot:
    description: Identifier of a snapshot to restore instead.
    type: str
    default: ''
  time:
    description: Point in time to restore instead, in ISO 8601 and UTC.
    type: str
    default: ''
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_backup
    description: Takes backups.
  - module: mlops.mlflow_aws.mlflow_restore
    description: Restores one.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run makes a copy and removes it.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - mlops.mlflow_aws.actiongroup
  - mlops.mlflow_aws.attributes
  - mlops.mlflow_aws.aws
  - mlops.mlflow_aws.boto3
  - mlops.mlflow_aws.mlflow_deployment
  - mlops.mlflow_aws.mlflow_deployment.verb
"""

EXAMPLES = r"""
- name: Prove once a month that the newest backup can be restored
  mlops.mlflow_aws.mlflow_drill:
    name: tracking
    bucket: tracking-artifacts-123456789012-eu-central-1
    database: tracking
"""

RETURN = r"""
seconds:
  description: How long the drill took, V(none) in check mode.
  returned: success
  type: int
  sample: 1384
server:
  description: What the server showed of the copy through its API. Empty in check mode.
  returned: success
  type: dict
  contains:
    experiments:
      description: Number of experiments.
      returned: always
      type: int
      sample: 12
    registered_models:
      description: Number of registered models.
      returned: always
      type: int
      sample: 3
    run:
      description: ID of the run that was read, empty if there is none.
      returned: always
      type: str
      sample: 0a1b2c3d4e5f60718293a4b5c6d7e8f9
    trace:
      description: ID of the trace that was read, empty if there is none.
      returned: always
      type: str
      sample: tr-0a1b2c3d4e5f60718293a4b5c6d7e8f9
    model_version:
      description: Name and number of the model version that was read, empty if there is none.
      returned: always
      type: str
      sample: churn/7
    artifact:
      description: Run and path of the artifact that was read, empty if none of the newest runs has one.
      returned: always
      type: str
      sample: 0a1b2c3d4e5f60718293a4b5c6d7e8f9/model/MLmodel
    login:
      description: Whether the server asked for a login, and got the administrator's.
      returned: always
      type: bool
      sample: true
    seconds:
      description: Seconds from the start of the server until all was read.
      returned: always
      type: float
      sample: 41.5
lines:
  description: What was shown for people, in check mode the steps that would be taken.
  returned: success
  type: list
  elements: str
  sample:
    - "Drill of 'tracking': backup 'before-upgrade' can be restored, and took 23 min 4 s."
"""

import typing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import drill
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.options import ARGUMENTS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.options import make_tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.options import newest_backup
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.options import source_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.alarm_actions import AlarmActions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import plan
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    progress = Progress(f"Drill of {params['name']}", hidden=module.no_log_values)
    tools = make_tools(module, progress, drill.VERB)
    if not (params["backup"] or params["snapshot"] or params["time"]):
        params["backup"] = newest_backup(tools.store.list(), params["name"])
    source = source_of(params)
    one = drill.Drill(tools, source, params["database"], params["again"])
    identity = Identity(params["name"], drill.VERB, tools.deployment.who, params["unlock_hint"])
    lock = Lock(tools.clients("ecs"), tools.deployment.arn, identity, alarms=AlarmActions(tools.clients))
    is_needed, left = prepare(one.preflight, lock, params["unlock"])
    verb = one.verb()
    if module.check_mode:
        lock.refuse(params["unlock"])
        planned: dict[str, typing.Any] = {"seconds": None, "server": {}, "lines": plan(verb, is_needed, left)}
        return ModuleResult(True, {}, {}, planned, [], has_diff=False)
    warnings = run_steps(verb, lock, progress, lift=params["unlock"])
    values = {"seconds": one.seconds, "server": one.server, "lines": drill.lines(one, params["name"], source)}
    return ModuleResult(True, {}, {}, values, warnings, has_diff=False)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={**ARGUMENTS, "again": {"type": "str", "default": "run the same task again"}},
        supports_check_mode=True,
    )
    run(module, f"Drill of {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
