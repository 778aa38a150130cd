#!/usr/bin/python
# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mlflow_restore
short_description: Restore the database of an MLflow deployment
version_added: 0.1.0
description:
  - Restores a backup that M(mlops.mlflow_aws.mlflow_backup) took, or the state of a point in time, beside the live RDS
    instance and with all its settings. A task of the server's own image checks the copy, that is, the revisions of the
    tables, the number of rows of each, and whether the server's keys decrypt what is encrypted in it.
  - Only then is the server scaled to zero tasks, a final snapshot taken, the live instance renamed away and the copy
    renamed to its name. The address stays the same. What was replaced is kept until O(confirm) names it.
  - If the backup was taken of another version of MLflow, the server gets its image, with the command, the environment
    and the secrets that the backup records. Of the secrets, it records where they are and never a value.
  - Each step can be undone, and is if a later one fails. Before the server is scaled to zero, the live instance is not
    touched at all.
  - A lock, in a tag of the service, keeps other verbs away meanwhile. A tag of the copy says how far it has come, so
    that a run that was cut off is gone on with.
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
    description:
      - Name of the backup to restore. A deployment that is at that backup already is left as it is.
      - Just one of O(backup), O(snapshot), O(time) and O(confirm) is to be given.
    type: str
    default: ''
  snapshot:
    description:
      - Identifier of a snapshot of the instance that is part of no backup, such as a final one. There is no manifest to
        compare it with, so the tables must have the revisions of the live ones.
    type: str
    default: ''
  time:
    description: Point in time to restore to, in ISO 8601 and UTC. RDS keeps as many days as its automated backups.
    type: str
    default: ''
  confirm:
    description: Identifier of an instance that a restore has replaced, and that is to be removed.
    type: str
    default: ''
  accept:
    description:
      - Restore even if the check finds that tables are missing or have less than half of the rows, that the tables have
        other revisions, or that encrypted values cannot be decrypted.
    type: bool
    default: false
  leave_replicas:
    description:
      - Restore even if the instance has read replicas. They stay with the instance that is replaced, under its new
        name, and do not follow the restored one.
    type: bool
    default: false
  ca_path:
    description: File with the certificate authorities, in PEM format, that signed the server's certificate.
    type: path
  request_timeout:
    description: Seconds that the server has to answer a request.
    type: float
    default: 60
  artifacts:
    description:
      - Bring artifacts back, too, that were there at the restored moment and have been deleted since. The bucket must
        keep versions. Other artifacts are not touched.
    type: bool
    default: false
  again:
    description: The command of this verb, which messages show with what is to be added.
    type: str
    default: run the same task again, with
  option_hint:
    description:
      - How an option is set for that command, with C({name}) and C({value}) in their places.
    type: str
    default: '{name}: {value}'
author:
  - The mlops.mlflow_aws maintainers (@mlops-mlflow-aws)
seealso:
  - module: mlops.mlflow_aws.mlflow_backup
    description: Takes backups.
  - module: mlops.mlflow_aws.mlflow_backup_info
    description: Lists backups.
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
- name: Restore the deployment to a backup
  mlops.mlflow_aws.mlflow_restore:
    name: tracking
    bucket: tracking-artifacts-123456789012-eu-central-1
    database: tracking
    backup: before-upgrade
"""

RETURN = r"""
replaced:
  description: Identifiers of the instances that were replaced and are still there, oldest first.
  returned: success
  type: list
  elements: str
  sample: []
counts:
  description: Number of rows of each table, read behind the server that was restored. Empty if nothing was restored.
  returned: success
  type: dict
  sample: {}
lines:
  description: What was done for people, in check mode the steps that would be taken.
  returned: success
  type: list
  elements: str
  sample:
    - "'tracking' is at backup 'before-upgrade' already, and was not changed."
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import tools as _tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.options import ARGUMENTS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.options import make_tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.options import source_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.removal import Removal
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.restoration import VERB
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.restoration import Request
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.restoration import Restoration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.alarm_actions import AlarmActions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.lock import Lock
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.markers import Marker
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import plan
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import prepare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import run_steps

#: What was wrong with the options that say what to restore, by whether one of them was given.
_SELECTION = {False: "Say what to restore", True: "Say only once what to restore"}


class _Run:
    """One run of the module."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self._module = module
        self._params = module.params
        self._progress = Progress(f"Restore of {module.params['name']}", hidden=module.no_log_values)
        self._tools = make_tools(module, self._progress, VERB)
        deployment = self._tools.deployment
        identity = Identity(deployment.name, VERB, deployment.who, module.params["unlock_hint"])
        self._hints = Hints(module.params["again"], module.params["option_hint"])
        self._lock = Lock(
            self._tools.clients("ecs"), deployment.arn, identity, alarms=AlarmActions(self._tools.clients)
        )

    def work(self) -> ModuleResult:
        """Do what is asked for."""
        params = self._params
        given = [name for name in ("backup", "snapshot", "time", "confirm") if params[name]]
        if len(given) != 1:
            backups = _tools.list_backups(self._tools.store.list())
            ways = [self._hints.set(option, f"<{option}>") for option in ("backup", "time", "snapshot")]
            raise UserError(f"{_SELECTION[bool(given)]}: {' or '.join(ways)}. {backups} Nothing was changed.")
        return self._remove() if params["confirm"] else self._restore()

    def _restore(self) -> ModuleResult:
        params = self._params
        source = source_of(params)
        request = Request(
            source,
            params["database"],
            params["accept"],
            params["artifacts"],
            self._hints,
            leave_replicas=params["leave_replicas"],
        )
        restoration = Restoration(self._tools, request)
        is_needed, left = prepare(restoration.preflight, self._lock, params["unlock"])
        after = {"source": str(source)}
        if not is_needed and not left:
            lines = [f"'{params['name']}' is at {source} already, and was not changed."]
            return ModuleResult(False, after, after, self._values(lines), [])
        lines, warnings = self._run(restoration.verb(), is_needed, left)
        if restoration.proof.found:
            lines = report.restored(params["name"], source, restoration.proof.found, restoration.proof.notes)
        values = self._values(lines, restoration.proof.found.get("counts") or {})
        return ModuleResult(True, {"source": ""} if is_needed else after, after, values, warnings)

    def _remove(self) -> ModuleResult:
        name = self._params["confirm"]
        removal = Removal(self._tools, name, self._hints)
        is_needed, left = prepare(removal.preflight, self._lock, self._params["unlock"])
        gone: dict[str, str] = {}
        if not is_needed and not left:
            lines = [f"{name} is removed already, and its final snapshot {name} is there."]
            return ModuleResult(False, gone, gone, self._values(lines), [])
        lines, warnings = self._run(removal.verb(), is_needed, left)
        if not self._module.check_mode:
            lines = [f"{name} is removed. Its final snapshot {name} is kept."]
        return ModuleResult(True, {"instance": name} if is_needed else gone, gone, self._values(lines), warnings)

    def _run(self, verb: Verb, is_needed: bool, left: list[Marker]) -> tuple[list[str], list[str]]:
        """Take the steps, but in check mode; return the plan and warnings."""
        lines = plan(verb, is_needed, left)
        if self._module.check_mode:
            self._lock.refuse(self._params["unlock"])
            return lines, []
        return lines, run_steps(verb, self._lock, self._progress, lift=self._params["unlock"])

    def _values(self, lines: list[str], counts: dict[str, int] | None = None) -> dict[str, object]:
        replaced = self._tools.instances.family().replaced
        costs = [self._tools.daily_cost(one) for one in replaced]
        kept = report.kept(replaced, costs, self._hints.command("confirm", ""))
        names = [str(one["DBInstanceIdentifier"]) for one in replaced]
        return {"replaced": names, "counts": counts or {}, "lines": [*lines, *kept]}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **ARGUMENTS,
            "confirm": {"type": "str", "default": ""},
            "accept": {"type": "bool", "default": False},
            "leave_replicas": {"type": "bool", "default": False},
            "ca_path": {"type": "path"},
            "request_timeout": {"type": "float", "default": 60},
            "artifacts": {"type": "bool", "default": False},
            "again": {"type": "str", "default": "run the same task again, with"},
            "option_hint": {"type": "str", "default": "{name}: {value}"},
        },
        supports_check_mode=True,
    )
    run(module, f"Restore of {module.params['name']}", lambda: _Run(module).work())


if __name__ == "__main__":
    main()
