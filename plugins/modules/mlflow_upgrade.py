#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_upgrade
short_description: Upgrade an MLflow deployment to a newer version, or take that back
version_added: 0.1.0
description:
  - Checks the database in a task of the new image, scales the server to zero tasks, takes a snapshot of the RDS
    instance, copies the database inside the instance, migrates the tables in a task of the new image, checks them, and
    lets the new version serve.
  - If a step fails, the copy takes the database's place again, by two renames, and the old image serves. The database
    that the upgrade has failed on is kept as C(<database>_failed_<time>).
  - A lock, in a tag of the service, keeps other verbs away meanwhile. Other tags say how far the upgrade has come, so
    that a run that was cut off is gone on with.
  - With O(way=back) and O(confirm), the copy that an upgrade has made and the image of then take their places again,
    later, and what users have written since is lost to the server. Without O(confirm) a task counts what that would be.
    The database that is replaced is kept as C(<database>_replaced_<time>), until O(remove) names it.
  - An older version than the one that runs is refused, since MLflow refuses the tables of a newer one. Where it is not
    known which version runs, because the image is not MLflow's own, the task in the new image finds out.
options:
  name:
    description: Name of the Express Mode service.
    type: str
    required: true
  cluster:
    description: Name of the ECS cluster.
    type: str
    default: default
  way:
    description: Whether to upgrade, or to take an upgrade back.
    type: str
    default: forth
    choices:
      - forth
      - back
  version:
    description: MLflow's version to upgrade to. With O(way=back), the one that runs, where its image does not say so.
    type: str
    required: true
  image:
    description: Image that holds it. Needed with O(way=forth).
    type: str
    default: ''
  container:
    description:
      - What the server is run with afterwards, besides the image. A newer version may need another command, other
        packages of its login among it. Without it, only the image changes.
    type: dict
    default: {}
    suboptions: &container
      command:
        description: The command, in words.
        type: list
        elements: str
      environment:
        description: Plain environment variables.
        type: dict
        default: {}
      secrets:
        description: Environment variables that ECS fills with secrets, and the ARNs of these.
        type: dict
        default: {}
  former_container:
    description:
      - What the server would be run with by the same variables, with the version that runs. Then only what differs from
        O(container) is changed, and the module fails if the command differs and another one runs.
    type: dict
    default: {}
    suboptions: *container
  confirm:
    description: With O(way=back), whether to go back, and lose what was written since the upgrade.
    type: bool
    default: false
  remove:
    description:
      - With O(way=back), name of a database that an upgrade or a rollback has kept, and that is to be dropped. Nothing
        else is done then.
    type: str
    default: ''
  newer:
    description:
      - What to do about a newer version than the one that runs.
      - With V(upgrade), upgrade to it, and fail if there is no service.
      - With V(auto) and V(refuse), as when deploying, do nothing unless it is newer for certain. Then V(auto) upgrades,
        and V(refuse) fails.
    type: str
    default: upgrade
    choices:
      - upgrade
      - auto
      - refuse
  bucket:
    description: Name of the bucket that holds the artifacts.
    type: str
    required: true
  database:
    description: Identifier of the RDS instance; empty for a database of your own, of which there is no snapshot.
    type: str
    default: ''
  database_host:
    description: Host of a database of your own.
    type: str
    default: ''
  database_port:
    description: Port of the database.
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
  ca_path:
    description: File with the certificate authorities, in PEM format, that signed the server's certificate.
    type: path
  request_timeout:
    description: Seconds that the server has to answer a request.
    type: float
    default: 60
  again:
    description: The command of an upgrade, which messages show with the version added.
    type: str
    default: 'run the same task again, with version: '
  back_hint:
    description: The command that says what the way back would lose.
    type: str
    default: 'run the same task again, with way: back'
  confirm_hint:
    description: The command of the way back.
    type: str
    default: 'run the same task again, with way: back and confirm: true'
  remove_hint:
    description: The command that drops a database that was kept, which messages show with its name added.
    type: str
    default: 'run the same task again, with way: back and remove: '
  unlock:
    description: Lift the lock that another run has left, after making sure that it is not going on.
    type: bool
    default: false
  unlock_hint:
    description: What a message names for lifting a lock.
    type: str
    default: 'unlock: true'
  wait_timeout:
    description: Time limit of each step in seconds.
    type: int
    default: 3600
  wait_delay:
    description: Polling interval in seconds.
    type: int
    default: 10
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_backup
    description: Takes backups.
  - module: mlops.mlflow_aws.mlflow_deployment_power
    description: Stops a deployment, and starts it.
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
- name: Fail if the deployment is of an older version
  mlops.mlflow_aws.mlflow_upgrade:
    name: tracking
    version: 3.17.2
    image: ghcr.io/mlflow/mlflow:v3.17.2-full
    newer: refuse
    bucket: tracking-artifacts-123456789012-eu-central-1
    database: tracking
"""

RETURN = r"""
before:
  description: Version that ran before; empty if it is not known, or if there is no service.
  returned: success
  type: str
  sample: ''
version:
  description: Version that was asked for; with O(way=back), that of the copy, which only a task can tell.
  returned: success
  type: str
  sample: 3.17.2
running:
  description: With O(way=forth), the server that runs, from which O(former_container) can be made.
  returned: success
  type: dict
  contains:
    version:
      description: Version of MLflow; empty if it is not known.
      returned: always
      type: str
      sample: ''
    image:
      description: Its image.
      returned: always
      type: str
      sample: public.ecr.aws/docker/library/python:3.11-slim-trixie
    url:
      description: Its URL; empty if ECS has not assigned one, or if an upgrade of it was cut off.
      returned: always
      type: str
      sample: https://tr-0123456789abcdef.ecs.eu-central-1.on.aws
    database_host:
      description: Host of its database.
      returned: always
      type: str
      sample: tracking.abcdefghijkl.eu-central-1.rds.amazonaws.com
    database_username:
      description: User that it logs in to its database as. Empty where its secret says it.
      returned: always
      type: str
      sample: mlflow
    database_port:
      description: Port of its database.
      returned: always
      type: int
      sample: 5432
    database_ca_certificates:
      description: The authorities that it trusts to have signed the database's certificate, in PEM format.
      returned: always
      type: str
      sample: ''
copy:
  description: Name of the database that holds what was there before; empty if nothing was upgraded.
  returned: success
  type: str
  sample: ''
digests:
  description: Digests of the images that serve now, by the images' names; empty if nothing was upgraded.
  returned: success
  type: dict
  sample: {}
lost:
  description: With O(way=back), how many runs, traces and model versions the server has that the copy does not have.
  returned: success
  type: dict
  sample: {}
databases:
  description: With O(way=back), databases that upgrades and rollbacks have kept, with their sizes in bytes.
  returned: success
  type: dict
  sample: {}
lines:
  description: What was done for people, in check mode the steps that would be taken.
  returned: success
  type: list
  elements: str
  sample:
    - Which MLflow 'tracking' runs is not known.
"""

import typing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import note
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import rollback as _rollback
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.container import NO_SERVER
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.options import CONTAINER
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.options import OPTIONS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.options import make_commands
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.options import make_description
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.options import make_tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.upgrade import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.upgrade import Upgrade
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.alarm_actions import AlarmActions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import Marker
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import plan
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps

_ASKED = "upgrade"


def _upgrade(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    clients, progress = make_clients(module), Progress(f"Upgrade of {params['name']}", hidden=module.no_log_values)
    deployment = target.locate(clients, params["name"], params["cluster"], str(module.region or ""))
    if params["newer"] != _ASKED and target.describe(clients, deployment) is None:
        return _nothing(module, f"There is no service '{params['name']}' yet.", "")
    tools = make_tools(module, clients, deployment, progress)
    described = make_description(params["container"], params["former_container"])
    request = Request(params["version"], params["image"], params["database"], make_commands(module), described)
    upgrade = Upgrade(tools, request, is_asked_for=params["newer"] == _ASKED)
    identity = Identity(deployment.name, "upgrade", deployment.who, params["unlock_hint"])
    lock = Lock(clients("ecs"), deployment.arn, identity, alarms=AlarmActions(clients))
    found, left = prepare(lambda _resume: upgrade.preflight(), lock, params["unlock"])
    if found == note.SAME:
        line = f"'{params['name']}' runs MLflow {params['version']} already, and was not changed."
        return _nothing(module, line, params["version"], upgrade.describe_running())
    if found == note.UNKNOWN and params["newer"] != _ASKED:
        line = f"Which MLflow '{params['name']}' runs is not known."
        return _nothing(module, line, "", upgrade.describe_running())
    verb = upgrade.verb()
    if params["newer"] == "refuse":
        raise UserError(report.refusal(params["name"], upgrade.running, params["version"], verb.again))
    lines, warnings = _run(module, verb, lock, progress, left)
    if not module.check_mode:
        lines = report.upgraded(params["name"], upgrade, params["back_hint"])
    values = {
        "before": upgrade.running,
        "running": upgrade.describe_running(),
        "version": params["version"],
        "copy": upgrade.names.copy,
        "digests": upgrade.digests,
        "lost": {},
        "databases": {},
        "lines": lines,
    }
    before, after = {"version": upgrade.running}, {"version": params["version"]}
    return ModuleResult(True, before, after, values, warnings)


def _run(
    module: AnsibleAWSModule, verb: Verb, lock: Lock, progress: Progress, left: list[Marker]
) -> tuple[list[str], list[str]]:
    """Take the steps, but in check mode; return the plan and warnings."""
    lines, lift = plan(verb, True, left), module.params["unlock"]
    if module.check_mode:
        lock.refuse(lift)
        return lines, []
    return lines, run_steps(verb, lock, progress, lift=lift)


def _nothing(
    module: AnsibleAWSModule, line: str, before: str, running: dict[str, typing.Any] | None = None
) -> ModuleResult:
    state = {"version": before}
    values = {"before": before, "running": running or NO_SERVER, "version": module.params["version"], "lines": [line]}
    values.update(copy="", digests={}, lost={}, databases={})
    return ModuleResult(False, state, state, values, [])


def _roll_back(module: AnsibleAWSModule) -> ModuleResult:
    params = module.params
    clients, progress = make_clients(module), Progress(f"Rollback of {params['name']}", hidden=module.no_log_values)
    deployment = target.locate(clients, params["name"], params["cluster"], str(module.region or ""))
    tools = make_tools(module, clients, deployment, progress)
    request = _rollback.Request(params["version"], params["confirm"], params["remove"], make_commands(module))
    rollback = _rollback.Rollback(tools, request)
    identity = Identity(deployment.name, "rollback", deployment.who, params["unlock_hint"])
    lock = Lock(clients("ecs"), deployment.arn, identity, alarms=AlarmActions(clients))

    def preflight(_resume: bool) -> bool:
        rollback.preflight()
        return True

    _is_needed, left = prepare(preflight, lock, params["unlock"])
    lines, warnings = _run(module, rollback.verb(), lock, progress, left)
    if not module.check_mode:
        lines = rollback.lines()
    changed = bool(params["confirm"] or params["remove"])
    values = {
        "before": rollback.note.from_version,
        "running": NO_SERVER,
        "version": rollback.note.to_version,
        "copy": rollback.names.copy,
        "digests": {},
        "lost": rollback.lost,
        "databases": rollback.databases,
        "lines": lines,
    }
    before = {"version": rollback.note.from_version, "database": params["remove"]}
    after = {"version": rollback.note.to_version, "database": ""} if changed else before
    return ModuleResult(changed, before, after, values, warnings)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **OPTIONS,
            "version": {"type": "str", "required": True},
            "way": {"type": "str", "default": "forth", "choices": ["forth", "back"]},
            "image": {"type": "str", "default": ""},
            "container": {"type": "dict", "default": {}, "options": CONTAINER},
            "former_container": {"type": "dict", "default": {}, "options": CONTAINER},
            "confirm": {"type": "bool", "default": False},
            "remove": {"type": "str", "default": ""},
            "newer": {"type": "str", "default": "upgrade", "choices": ["upgrade", "auto", "refuse"]},
        },
        required_if=[("way", "forth", ("image",))],
        supports_check_mode=True,
    )
    work = _roll_back if module.params["way"] == "back" else _upgrade
    run(module, f"Upgrade of {module.params['name']}", lambda: work(module))


if __name__ == "__main__":
    main()
