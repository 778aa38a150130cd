# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Whether a copy of the database is what it should be: read by a task of the server's image, compared here."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import database_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Names
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import Store
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import one_off_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

REPORT = "report.json"
_ENCRYPTED = {
    "webhooks": "secrets of webhooks",
    "gateway": "keys of the AI gateway",
}


@dataclass(frozen=True)
class Place:
    """Where a deployment keeps what a check needs.

    Attributes:
        bucket: of the deployment.
        database, username: name of the database, and who logs in.
        region: AWS region.
        tags: of what belongs to the deployment.
    """

    bucket: str
    database: str
    username: str
    region: str
    tags: Tags


class DatabaseReader:
    """Reads databases in tasks of a deployment.

    Args:
        clients: returns the client of a service.
        deployment: whose tasks.
        store: of the deployment's bucket.
        place: what a task needs to know.
        verb: restore or drill, the end of the name of the task's family.
        wait_options: how to wait.
    """

    def __init__(
        self,
        clients: Clients,
        deployment: Target,
        store: Store,
        place: Place,
        *,
        verb: str,
        wait_options: WaitOptions,
    ) -> None:
        self._clients = clients
        self._deployment = deployment
        self._store = store
        self._place = place
        self._verb = verb
        self._wait = wait_options

    def read(self, service: Resource, endpoint: Mapping[str, typing.Any], run: str, image: str = "") -> Document:
        """Return what a task has found in a database, as database_report.py writes it.

        Args:
            service: whose roles and network the task gets.
            endpoint: of the database's instance.
            run: part of the name of what the task leaves.
            image: of the task; empty for the server's.

        Raises:
            UserError: the task failed.
        """
        key = Names(self._deployment.name, f"{self._verb}-{run}").drop_key(REPORT)
        database = Database(str(endpoint["Address"]), int(endpoint["Port"]), self._place.database, self._place.username)
        task = database_task.build(
            service,
            database,
            family=f"{self._deployment.name}-{self._verb}",
            bucket=self._place.bucket,
            report_key=key,
            decrypt=True,
        )
        task = replace(task, tags=self._place.tags, run=f"{self._verb}/{run}", region=self._place.region, image=image)
        try:
            one_off_task.run(self._clients, self._deployment, service, task, self._wait)
            found = self._store.read(key)
        finally:
            self._store.discard(key)
        if not found:
            raise UserError("The task has ended well, but its report is not in the bucket.")
        return found


@dataclass(frozen=True)
class Comparison:
    """What differs.

    Attributes:
        wrong: sentences about what makes it another database, or a useless one.
        fewer: sentences about tables with fewer rows, which is no more than odd.
    """

    wrong: tuple[str, ...]
    fewer: tuple[str, ...]


def compare(found: Document, expected: Mapping[str, typing.Any]) -> Comparison:
    """Compare what is in a copy with what its backup counted.

    The rows were counted just before the snapshot. So a copy has as many or more, unless users deleted some in between.

    Args:
        found: as database_report.py writes it.
        expected: counts and revisions of a manifest; empty if nothing is known.
    """
    wrong, fewer = [], []
    revisions = expected.get("revisions") or {}
    for table, wanted in sorted(revisions.items()):
        here = found["revisions"].get(table, [])
        if here != wanted:
            wrong.append(f"{table} is at {_listed(here)}, and not at {_listed(wanted)}.")
    for table, number in sorted((expected.get("counts") or {}).items()):
        here = found["counts"].get(table)
        if here is None:
            wrong.append(f"The table {table} is missing.")
        elif here * 2 < number:
            wrong.append(f"The table {table} has {here} rows, and had {number}.")
        elif here < number:
            fewer.append(f"The table {table} has {here} rows, and had {number} just before the snapshot.")
    return Comparison(tuple(wrong), tuple(fewer))


def unreadable(found: Document) -> list[str]:
    """Return sentences about what the keys do not decrypt."""
    sentences = []
    for kind, numbers in sorted((found.get("encrypted") or {}).items()):
        lost = numbers["stored"] - numbers["readable"]
        if lost:
            sentences.append(
                f"{lost} of {numbers['stored']} {_ENCRYPTED.get(kind, kind)} cannot be decrypted with the keys that the"
                " server has."
            )
    return sentences


def _listed(revisions: list[str]) -> str:
    return "+".join(revisions) or "no revision"


def summary(found: Document) -> str:
    """Return what is in a database, in a line."""
    counts = found["counts"]
    shown = [f"{counts[name]} {name}" for name in ("experiments", "runs", "metrics", "users") if name in counts]
    return ", ".join(shown) or "no table of MLflow"
