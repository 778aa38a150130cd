# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Runs database_program.py in a task of an image, and returns what it has found."""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import database_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import HANDED_ON
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import PASSWORD
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import USERNAME
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import Store
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import database_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import one_off_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.one_off_task import OneOffTask
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

_PURPOSES = {
    "preflight": "look at the database with the new version",
    "copy": "copy the database",
    "migrate": "migrate the database",
    "go_back": "put the former database back",
    "compare": "compare the database with its copies",
    "drop": "drop a copy of the database",
}
# Fargate's sizes; a migration imports all of MLflow.
_CPU, _MEMORY = "1024", "2048"


@dataclass(frozen=True)
class Place:
    """Where a deployment keeps what its tasks need.

    Attributes:
        bucket: of the deployment.
        host, port, database, username: how the server finds its database.
        region: AWS region.
        tags: of what belongs to the deployment.
    """

    bucket: str
    host: str
    port: int
    database: str
    username: str
    region: str
    tags: Tags


class DatabaseTasks:
    """Works on a database in tasks of a deployment.

    Args:
        clients: returns the client of a service.
        deployment: whose tasks.
        store: of the deployment's bucket.
        place: what a task needs to know.
        wait_options: how to wait.
    """

    def __init__(
        self, clients: Clients, deployment: Target, store: Store, place: Place, wait_options: WaitOptions
    ) -> None:
        self._clients = clients
        self._deployment = deployment
        self._store = store
        self._place = place
        self._wait = wait_options

    def run(self, action: str, service: Resource, image: str, stamp: str, **facts: typing.Any) -> Document:
        """Return what the program has found.

        Args:
            action: see database_program.ACTIONS.
            service: whose roles, network and login the task gets.
            image: of the task.
            stamp: of the upgrade.
            facts: further variables for the program, in small letters; what is no text is sent as JSON.

        Raises:
            UserError: the task failed.
        """
        key = f"_verbs/{self._deployment.name}/upgrade-{stamp}/{action}.json"
        task = self._task(action, service, image, f"upgrade/{stamp}", {"report_key": key, **facts})
        try:
            one_off_task.run(self._clients, self._deployment, service, task, self._wait)
            found = self._store.read(key)
        finally:
            self._store.discard(key)
        if not found:
            raise UserError("The task has ended well, but its report is not in the bucket.")
        return found

    def _task(self, action: str, service: Resource, image: str, run: str, facts: dict[str, typing.Any]) -> OneOffTask:
        container = dict(target.configuration(service).get("primary_container") or {})
        plain, secrets = container.get("environment") or {}, container.get("secrets") or {}
        place = self._place
        environment = {
            **{name: value for name, value in plain.items() if name in HANDED_ON},
            "PGHOST": place.host,
            "PGPORT": str(place.port),
            "PGDATABASE": place.database,
            "REPORT_BUCKET": place.bucket,
            "ACTION": action,
            **{name.upper(): _text(value) for name, value in facts.items()},
        }
        if USERNAME not in secrets:
            environment[USERNAME] = str(plain.get(USERNAME) or place.username)
        return OneOffTask(
            purpose=_PURPOSES[action],
            family=f"{self._deployment.name}-upgrade",
            command=("python", "-c", database_task.source(database_program)),
            environment=environment,
            secrets={name: secrets[name] for name in (USERNAME, PASSWORD) if name in secrets},
            tags=place.tags,
            run=run,
            region=place.region,
            image=image,
            cpu=_CPU,
            memory=_MEMORY,
        )


def _text(value: typing.Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
