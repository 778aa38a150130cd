#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_deployment_power
short_description: Stop an MLflow deployment to save cost, and start it again
version_added: 0.1.0
description:
  - Stopping scales the Express Mode service to zero tasks, waits until none is left, and stops the RDS instance.
    Starting does the same in reverse, and waits until the server runs.
  - All data stay. The load balancer and the storage go on costing.
  - RDS starts a stopped instance by itself after seven days. Stopping again stops it again.
  - A lock, in a tag of the service, keeps other verbs away meanwhile. Another tag says that it was stopped, and how
    many tasks it had.
options:
  database:
    description:
      - Identifier of the RDS instance. Empty if the database is not managed by this collection, which is then left as
        it is.
    type: str
    default: ''
  state:
    description: Whether the deployment should run.
    type: str
    choices: [started, stopped]
    required: true
  start_hint:
    description: What the summary of a stopped deployment names for starting it.
    type: str
    default: 'state: started'
  wait_timeout:
    description: Time limit of each step in seconds.
    type: int
    default: 1800
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_deployment_status
    description: Reads the state of a deployment.
  - module: mlops.mlflow_aws.mlflow_health
    description: Asks the server whether it is ready.
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
  - mlops.mlflow_aws.mlflow_deployment.verb
"""

EXAMPLES = r"""
- name: Stop the deployment over the weekend
  mlops.mlflow_aws.mlflow_deployment_power:
    name: tracking
    database: tracking
    state: stopped

- name: Start it again
  mlops.mlflow_aws.mlflow_deployment_power:
    name: tracking
    database: tracking
    state: started
"""

RETURN = r"""
lines:
  description: What was done for people, in check mode the steps that would be taken.
  returned: success
  type: list
  elements: str
  sample:
    - "'tracking' is started."
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.alarm_actions import AlarmActions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.power import Power
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import plan
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps

VERBS = {"started": "start", "stopped": "stop"}


def _work(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    clients = make_clients(module)
    deployment = target.locate(clients, params["name"], params["cluster"], str(module.region or ""))
    progress = Progress(f"MLflow {params['name']}", hidden=module.no_log_values)
    wait_options = WaitOptions(
        timeout=params["wait_timeout"], delay=max(1, params["wait_delay"]), report=progress.report, beat=progress.beat
    )
    power = Power(clients, deployment, params["database"], wait_options)
    name, wanted = VERBS[params["state"]], {"state": params["state"]}
    lift = params["unlock"]
    identity = Identity(params["name"], name, deployment.who, params["unlock_hint"])
    lock = Lock(clients("ecs"), deployment.arn, identity, alarms=AlarmActions(clients))
    is_needed, left = prepare(lambda resume: power.preflight(name, resume), lock, lift)
    if not is_needed and not left:
        lines = [f"'{params['name']}' is {params['state']} already."]
        return ModuleResult(False, wanted, wanted, {"lines": lines}, [])
    verb = power.verb(name, params["again"])
    if module.check_mode:
        lock.refuse(lift)
        lines, warnings = plan(verb, is_needed, left), []
    else:
        warnings = run_steps(verb, lock, progress, lift)
        lines = power.lines(name, params["start_hint"])
    before = {"state": "started" if name == "stop" else "stopped"} if is_needed else wanted
    return ModuleResult(True, before, wanted, {"lines": lines}, warnings)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "cluster": {"type": "str", "default": "default"},
            "database": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["started", "stopped"], "required": True},
            "again": {"type": "str", "default": "run the same task again"},
            "start_hint": {"type": "str", "default": "state: started"},
            "unlock": {"type": "bool", "default": False},
            "unlock_hint": {"type": "str", "default": "unlock: true"},
            "wait_timeout": {"type": "int", "default": 1800},
            "wait_delay": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    run(module, f"Deployment {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
