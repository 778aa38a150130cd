#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_database_logins
short_description: Give an MLflow server logins of its own in its database, and rotate them
version_added: 0.1.0
description:
  - A server that logs in to its RDS instance as the master user cannot get another password without downtime. With this
    module it gets two logins that are used in turn, both members of a role that owns the tables and has no login.
  - With O(state=rotated) the login whose turn is next gets a new password, a task logs in with it, the secret gets a
    new version, the server is deployed with it, and when all tasks that know the former login are gone, its password is
    taken. No request fails meanwhile. A run that was cut off is completed by the next one.
  - A task of the server's own image works on the database, with the server's roles and in its network, as the master
    user. No password is on a command line, or in a log of PostgreSQL.
options:
  state:
    description:
      - With V(present), the logins exist, and the secret has one of them. A server that uses them already is left
        alone.
      - With V(rotated), another login with a new password takes the place of the server's.
      - With V(master_rotated), the master user gets a new password.
    type: str
    choices: [present, rotated, master_rotated]
    default: present
  database:
    description: Identifier of the RDS instance.
    type: str
    required: true
  database_name:
    description: Name of the database.
    type: str
    default: mlflow
  secret:
    description:
      - Name or ARN of the secret with the server's login, a JSON object with C(username) and C(password). A missing
        C(username) is filled in.
    type: str
    required: true
  master_secret:
    description: Name or ARN of the secret with the master user's password.
    type: str
    required: true
  server:
    description: What a task is run with as long as there is no service yet, with O(state=present).
    type: dict
    suboptions:
      image:
        description: Image of the server.
        type: str
        required: true
      execution_role_arn:
        description: Execution role of the server, which may read both secrets.
        type: str
        required: true
      task_role_arn:
        description: Task role of the server.
        type: str
        required: true
      subnets:
        description: Subnets of the server.
        type: list
        elements: str
        required: true
      security_groups:
        description: Security groups of the server.
        type: list
        elements: str
        required: true
      public:
        description: Whether the tasks of the server have public addresses.
        type: bool
        default: false
      log_group:
        description: Log group of the server. Empty for no log.
        type: str
        default: ''
      environment:
        description: Plain variables of the server, of which those are taken that the way to the database needs.
        type: dict
        default: {}
  logins_hint:
    description: What a message tells the user to set where the server has no logins of its own yet.
    type: str
    default: 'state: present'
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.secretsmanager_secret
    description: Makes the secrets.
  - module: mlops.mlflow_aws.rds_postgresql_instance
    description: Makes the instance.
  - module: mlops.mlflow_aws.ecs_express_service
    description: Runs the server.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A rotation always makes a new password, unless it completes one that was cut off.
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
- name: Give a server logins of its own
  mlops.mlflow_aws.mlflow_database_logins:
    name: tracking
    database: tracking
    secret: tracking/database-login
    master_secret: tracking/database

- name: Give the server another login, with a new password
  mlops.mlflow_aws.mlflow_database_logins:
    name: tracking
    state: rotated
    database: tracking
    secret: tracking/database-login
    master_secret: tracking/database
"""

RETURN = r"""
login:
  description: The user that the server logs in as from now on. Empty unless it got another one.
  returned: success
  type: str
  sample: mlflow_b
lines:
  description: What was done for people, in check mode the steps that would be taken.
  returned: success
  type: list
  elements: str
  sample:
    - "The server 'tracking' logs in to its database as mlflow_b, with a new password; that of mlflow_a was taken."
"""

import typing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_secret import LoginSecret
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import LoginTasks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.master_rotation import MasterRotation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.preparation import Preparation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.preparation import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.rotation import Rotation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.alarm_actions import AlarmActions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import plan
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps

ARGUMENT_SPEC: dict[str, dict[str, typing.Any]] = {
    "name": {"type": "str", "required": True},
    "cluster": {"type": "str", "default": "default"},
    "state": {"type": "str", "choices": ["present", "rotated", "master_rotated"], "default": "present"},
    "database": {"type": "str", "required": True},
    "database_name": {"type": "str", "default": "mlflow"},
    "secret": {"type": "str", "required": True, "no_log": False},
    "master_secret": {"type": "str", "required": True, "no_log": False},
    "server": {
        "type": "dict",
        "options": {
            "image": {"type": "str", "required": True},
            "execution_role_arn": {"type": "str", "required": True},
            "task_role_arn": {"type": "str", "required": True},
            "subnets": {"type": "list", "elements": "str", "required": True},
            "security_groups": {"type": "list", "elements": "str", "required": True},
            "public": {"type": "bool", "default": False},
            "log_group": {"type": "str", "default": ""},
            "environment": {"type": "dict", "default": {}},
        },
    },
    "again": {"type": "str", "default": "run the same task again"},
    "unlock": {"type": "bool", "default": False},
    "unlock_hint": {"type": "str", "default": "unlock: true"},
    "logins_hint": {"type": "str", "default": "state: present"},
    "wait_timeout": {"type": "int", "default": 3600},
    "wait_delay": {"type": "int", "default": 10},
}


class _Work:
    """What the states have in common."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        params = module.params
        self.module = module
        self.clients, region = make_clients(module), str(module.region or "")
        self.deployment = target.locate(self.clients, params["name"], params["cluster"], region)
        self.progress = Progress(f"Database logins of {params['name']}", hidden=module.no_log_values)
        self.wait_options = WaitOptions(
            timeout=params["wait_timeout"],
            delay=max(1, params["wait_delay"]),
            report=self.progress.report,
            beat=self.progress.beat,
        )
        self.request = Request(
            params["database"],
            params["database_name"],
            params["secret"],
            params["master_secret"],
            params["server"],
            logins_hint=params["logins_hint"],
        )
        self.tasks = LoginTasks(self.clients, self.deployment, region, self.wait_options)

    def secret(self, name: str) -> LoginSecret:
        return LoginSecret(self.clients("secretsmanager"), name, self.module.no_log_values.add)

    def present(self) -> ModuleResult:
        name = self.module.params["name"]
        own, master = self.secret(self.request.secret), self.secret(self.request.master_secret)
        preparation = Preparation(self.clients, self.deployment, self.request, own, master, tasks=self.tasks)
        if not preparation.is_needed():
            return _result(False, [f"The server '{name}' has logins of its own."])
        if self.module.check_mode:
            return _result(True, ["A task of the server's image would make the logins of the server."])
        preparation.run()
        return _result(True, [f"The logins of the server '{name}' were made."])

    def rotate(self, kind: type[Rotation] | type[MasterRotation], verb_name: str) -> ModuleResult:
        params, lift = self.module.params, self.module.params["unlock"]
        lock = Lock(
            self.clients("ecs"),
            self.deployment.arn,
            Identity(params["name"], verb_name, self.deployment.who, params["unlock_hint"]),
            alarms=AlarmActions(self.clients),
        )
        rotation = kind(
            self.clients,
            self.deployment,
            self.request,
            secret=self.secret(self.request.secret),
            master=self.secret(self.request.master_secret),
            tasks=self.tasks,
            wait_options=self.wait_options,
            left=lambda: lock.left_behind(lift),
        )
        is_needed, left = prepare(rotation.preflight, lock, lift)
        verb = rotation.verb(params["again"])
        if self.module.check_mode:
            lock.refuse(lift)
            return _result(is_needed, plan(verb, is_needed, left))
        warnings = run_steps(verb, lock, self.progress, lift=lift)
        if not rotation.is_done:
            return _result(False, ["The rotation had come to its end."], warnings=warnings)
        if isinstance(rotation, MasterRotation):
            return _result(True, [f"The master user of {params['database']} has a new password."], warnings=warnings)
        line = (
            f"The server '{params['name']}' logs in to its database as {rotation.new}, with a new password; that of"
            f" {rotation.former} was taken."
        )
        return _result(True, [line], rotation.new, warnings)


def _result(changed: bool, lines: list[str], login: str = "", warnings: list[str] | None = None) -> ModuleResult:
    return ModuleResult(changed, {}, {}, {"login": login, "lines": lines}, warnings or [], has_diff=False)


def _work(module: AnsibleAWSModule) -> ModuleResult:
    work, state = _Work(module), module.params["state"]
    if state == "present":
        return work.present()
    if state == "rotated":
        return work.rotate(Rotation, "rotate_database_password")
    return work.rotate(MasterRotation, "rotate_database_master_password")


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run(module, f"Database logins of {module.params['name']}", lambda: _work(module))


if __name__ == "__main__":
    main()
