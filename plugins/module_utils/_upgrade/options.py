# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The options that upgrade and rollback share, and what their steps work with."""

from __future__ import annotations

import typing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import Store
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import describe
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.container import Described
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Commands
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.course import Tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.server import require_reachable
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.server import wait_for_server
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.tasks import DatabaseTasks
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.tasks import Place
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

OPTIONS: dict[str, dict[str, typing.Any]] = {
    "name": {"type": "str", "required": True},
    "cluster": {"type": "str", "default": "default"},
    "bucket": {"type": "str", "required": True},
    "database": {"type": "str", "default": ""},
    "database_host": {"type": "str", "default": ""},
    "database_port": {"type": "int", "default": 5432},
    "database_name": {"type": "str", "default": "mlflow"},
    "database_username": {"type": "str", "default": "mlflow"},
    "ca_path": {"type": "path"},
    "request_timeout": {"type": "float", "default": 60},
    "again": {"type": "str", "default": "run the same task again, with version: "},
    "back_hint": {"type": "str", "default": "run the same task again, with way: back"},
    "confirm_hint": {"type": "str", "default": "run the same task again, with way: back and confirm: true"},
    "remove_hint": {"type": "str", "default": "run the same task again, with way: back and remove: "},
    "unlock": {"type": "bool", "default": False},
    "unlock_hint": {"type": "str", "default": "unlock: true"},
    "wait_timeout": {"type": "int", "default": 3600},
    "wait_delay": {"type": "int", "default": 10},
}

#: Of a container, what depends on MLflow's version.
CONTAINER: dict[str, dict[str, typing.Any]] = {
    "command": {"type": "list", "elements": "str"},
    "environment": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "default": {}, "no_log": False},
}


def make_description(wanted: dict[str, typing.Any], former: dict[str, typing.Any]) -> Described:
    """Return what the user's variables describe; one without a command describes nothing."""
    return Described(*(one if one.get("command") else None for one in (wanted, former)))


def make_commands(module: AnsibleAWSModule) -> Commands:
    """Return what messages name."""
    params = module.params
    return Commands(params["again"], params["back_hint"], params["confirm_hint"], params["remove_hint"])


def make_tools(module: AnsibleAWSModule, clients: Clients, deployment: Target, progress: Progress) -> Tools:
    """Return what the steps work with.

    Raises:
        UserError: there is no such RDS instance.
    """
    params = module.params
    wait_options = WaitOptions(
        timeout=params["wait_timeout"], delay=max(1, params["wait_delay"]), report=progress.report, beat=progress.beat
    )
    host, port = _address(clients, params["database"]) or (params["database_host"], params["database_port"])
    place = Place(
        params["bucket"],
        host,
        port,
        params["database_name"],
        params["database_username"],
        str(module.region or ""),
        {"ManagedBy": "mlops.mlflow_aws", "MlflowName": params["name"]},
    )
    way = params["ca_path"] or "", params["request_timeout"]
    account = caller_identity(clients("sts")).account_id
    store = Store(clients, params["name"], params["bucket"], account, params["database"])
    return Tools(
        clients=clients,
        deployment=deployment,
        tasks=DatabaseTasks(clients, deployment, store, place, wait_options),
        place=place,
        wait_options=wait_options,
        wait_for_server=lambda service: wait_for_server(service, *way, wait_options),
        require_reachable=lambda service: require_reachable(service, *way, wait_options),
    )


def _address(clients: Clients, instance: str) -> tuple[str, int] | None:
    """Return where an RDS instance is; None for none."""
    if not instance:
        return None
    found = describe.find(clients("rds"), instance)
    if found is None:
        raise UserError(
            f"There is no RDS instance {instance}: check its name and AWS_REGION, or name the host if the database is"
            " your own."
        )
    endpoint = found.get("Endpoint") or {}
    return str(endpoint.get("Address") or ""), int(endpoint.get("Port") or 5432)
