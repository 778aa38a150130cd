#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_deployment_lock
short_description: Refuse to change an MLflow deployment that something else works on
version_added: 0.1.0
description:
  - A verb that takes several steps, such as M(mlops.mlflow_aws.mlflow_backup), keeps a lock as a tag of the service.
    This module fails with a sentence if there is one, and says who has it, since when, at which step, and how to lift
    it.
  - Optionally it also refuses a deployment that was stopped, or lifts a lock that a killed run has left.
  - Does nothing if there is no such service.
options:
  lift:
    description:
      - Remove locks instead of failing. What the verb had begun is left as it is.
      - Make sure first that the run is not going on.
    type: bool
    default: false
  hint:
    description: What a message names for lifting a lock.
    type: str
    default: 'lift: true'
  refuse_locked:
    description: Fail if there is a lock. Without it, a lock is only returned.
    type: bool
    default: true
  refuse_stopped:
    description: Fail also if the deployment was stopped.
    type: bool
    default: false
  database:
    description:
      - Identifier of the RDS instance. If O(refuse_stopped) fails, the message says whether RDS has started it since,
        as it does after seven days.
    type: str
    default: ''
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_deployment_status
    description: Reads the state of a deployment.
  - module: mlops.mlflow_aws.mlflow_backup
    description: A verb that has such a lock.
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
  - mlops.mlflow_aws.mlflow_deployment
"""

EXAMPLES = r"""
- name: Go on only if nothing else works on the deployment
  mlops.mlflow_aws.mlflow_deployment_lock:
    name: tracking
    refuse_stopped: true

- name: Lift what a killed run has left
  mlops.mlflow_aws.mlflow_deployment_lock:
    name: tracking
    lift: true
"""

RETURN = r"""
locks:
  description: The locks that were found, and with O(lift) removed.
  returned: success
  type: list
  elements: dict
  sample: []
alarm_prefix:
  description: With what the names of the deployment's alarms begin, empty if it has none.
  returned: success
  type: str
  sample: ''
schedule_group:
  description: Name of the group of the deployment's schedules, empty if it has none.
  returned: success
  type: str
  sample: ''
stopped_since:
  description: When the deployment was stopped, empty if it was not.
  returned: success
  type: str
  sample: ''
"""

from datetime import UTC
from datetime import datetime

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import describe
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target


def _restart(clients: Clients, database: str) -> str:
    """Return that the instance of a stopped deployment runs, empty if it does not or cannot be read."""
    if not database:
        return ""
    try:
        found = describe.find(clients("rds"), database)
    except (AnsibleAWSError, BotoCoreError, ClientError):
        return ""
    if found is None or found["DBInstanceStatus"] in wait.STOPPED:
        return ""
    return (
        f" Its database {database} is {found['DBInstanceStatus']}, and costs: RDS starts an instance by itself after"
        " seven days. If it is to stay stopped, stop it again, with the playbook stop."
    )


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    clients = make_clients(module)
    deployment = target.locate(clients, params["name"], params["cluster"], str(module.region or ""))
    tags = target.tags(target.describe(clients, deployment))
    found = markers.locks(tags)
    if params["refuse_locked"] and not params["lift"]:
        lock.refuse_if_locked(tags, deployment.name, params["hint"], datetime.now(UTC))
    stopped = markers.stopped(tags)
    if stopped and params["refuse_stopped"]:
        restart = _restart(clients, params["database"]) if stopped.verb == markers.STOP else ""
        raise UserError(f"Nothing was changed. {stopped.explain(deployment.name)}{restart}")
    is_lifted = bool(found) and params["lift"]
    if is_lifted and not module.check_mode:
        api.untag(clients("ecs"), deployment.arn, [one.key for one in found])
    shown = [{"run": one.run, "verb": one.verb, "step": one.step, "by": one.who} for one in found]
    since = stopped.since.isoformat() if stopped else ""
    values = {
        "locks": shown,
        "stopped_since": since,
        "alarm_prefix": markers.alarm_prefix(tags),
        "schedule_group": markers.schedule_group(tags),
    }
    return ModuleResult(is_lifted, {"locks": shown}, {"locks": [] if is_lifted else shown}, values, [])


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "cluster": {"type": "str", "default": "default"},
            "lift": {"type": "bool", "default": False},
            "hint": {"type": "str", "default": "lift: true"},
            "refuse_locked": {"type": "bool", "default": True},
            "refuse_stopped": {"type": "bool", "default": False},
            "database": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run(module, f"Deployment {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
