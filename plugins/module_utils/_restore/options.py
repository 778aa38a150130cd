# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What the modules of restore and drill make of their options."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import manifest
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import Store
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._database_logins.login_tasks import LoginTasks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.artifacts import Artifacts
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.check import DatabaseReader
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.check import Place
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.instances import Instances
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.logins import CopiedLogins
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import Tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import restorable
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target

if typing.TYPE_CHECKING:
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

#: What both modules take.
ARGUMENTS: dict[str, dict[str, typing.Any]] = {
    "name": {"type": "str", "required": True},
    "cluster": {"type": "str", "default": "default"},
    "bucket": {"type": "str", "required": True},
    "database": {"type": "str", "required": True},
    "database_name": {"type": "str", "default": "mlflow"},
    "database_username": {"type": "str", "default": "mlflow"},
    "master_secret": {"type": "str", "default": "", "no_log": False},
    "backup": {"type": "str", "default": ""},
    "snapshot": {"type": "str", "default": ""},
    "time": {"type": "str", "default": ""},
    "unlock": {"type": "bool", "default": False},
    "unlock_hint": {"type": "str", "default": "unlock: true"},
    "wait_timeout": {"type": "int", "default": 3600},
    "wait_delay": {"type": "int", "default": 10},
}


def make_tools(module: AnsibleAWSModule, progress: Progress, verb: str) -> Tools:
    """Return what the steps work with, by the module's options.

    Args:
        module: restore's or drill's.
        progress: gets what the steps report.
        verb: restore or drill.
    """
    params, clients, region = module.params, make_clients(module), str(module.region or "")
    deployment = target.locate(clients, params["name"], params["cluster"], region)
    wait_options = WaitOptions(
        timeout=params["wait_timeout"], delay=max(1, params["wait_delay"]), report=progress.report, beat=progress.beat
    )
    account = caller_identity(clients("sts")).account_id
    owner = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": params["name"]}
    place = Place(params["bucket"], params["database_name"], params["database_username"], region, owner)
    store = Store(clients, params["name"], params["bucket"], account, params["database"])
    return Tools(
        clients=clients,
        deployment=deployment,
        instances=Instances(clients, params["database"], owner, wait_options, remember=module.no_log_values.add),
        reader=DatabaseReader(clients, deployment, store, place, verb=verb, wait_options=wait_options),
        store=store,
        artifacts=Artifacts(clients("s3"), params["bucket"], account, wait_options),
        place=place,
        wait_options=wait_options,
        logins=CopiedLogins(
            clients,
            LoginTasks(clients, deployment, region, wait_options, verb=verb),
            params["database_name"],
            params["master_secret"],
        ),
        ca_path=params.get("ca_path") or "",
        request_timeout=params.get("request_timeout") or 60.0,
    )


def source_of(params: dict[str, typing.Any]) -> copies.Source:
    """Return what the options name.

    Raises:
        UserError: it is not fit for one.
    """
    if params["snapshot"]:
        return copies.Source(copies.SNAPSHOT, params["snapshot"])
    if params["time"]:
        return copies.parse_time(params["time"])
    return backup_source(params["backup"], params["name"])


def backup_source(name: str, deployment: str) -> copies.Source:
    """Return the source that a backup is.

    Raises:
        UserError: it cannot be the name of one.
    """
    if problem := manifest.name_problem(name, deployment):
        raise UserError(f"The name of the backup {problem}.")
    return copies.Source(copies.BACKUP, name)


def newest_backup(backups: list[manifest.Backup], deployment: str) -> str:
    """Return the name of the newest backup that can be restored.

    Raises:
        UserError: there is none.
    """
    found = restorable(backups)
    if not found:
        raise UserError(f"'{deployment}' has no backup that can be restored: take one, with the playbook backup.")
    return found[0].name
