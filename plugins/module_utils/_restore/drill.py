# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The verb drill: a copy of the database is restored, the server itself is started with it once, and all of it removed.

The live server, its database and its name are not touched.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from functools import partial

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import database_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Names as KeyNames
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import check
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import drill_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Copy
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Family
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Names
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Origin
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Source
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.instances import settings_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.instances import short_lived
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import Tools
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import require_live
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.tools import restored_container
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import one_off_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.one_off_task import OneOffTask
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb

VERB = "drill"
_REPORT = "server.json"


class Drill:
    """One run of the verb.

    Args:
        tools: what the steps work with.
        source: what is restored.
        instance: identifier of the live RDS instance.
        again: the command that a failure tells the user to type.
        wall: the time of day.
    """

    def __init__(
        self,
        tools: Tools,
        source: Source,
        instance: str,
        again: str,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tools = tools
        self._source = source
        self._instance = instance
        self._again = again
        self._wall = wall
        self._copy = Copy(source, copies.new_stamp(wall()))
        self._family = Family()
        self._origin = Origin()
        self._service: Document = {}
        self._begun = wall()
        self.database: Document = {}
        self.server: Document = {}
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        """Of the copy."""
        return Names(self._instance, self._copy.stamp).drill

    @property
    def seconds(self) -> int:
        """How long it has taken so far."""
        return int((self._wall() - self._begun).total_seconds())

    def preflight(self, resume: bool = False) -> bool:
        """Read all that the steps need, and change nothing; return that there is something to do.

        Args:
            resume: whether a run that was cut off is completed.

        Raises:
            UserError: there is nothing to restore, or the server has no task that could read it.
        """
        self._service = self._tools.find_server(changing=resume)
        self._family = self._tools.instances.family()
        require_live(self._family.live, self._instance)
        self._origin = self._tools.find_origin(self._source, self._family)
        if not any(self._live_address() in str(one) for one in self._server().get("command") or []):
            # The server would start with the live database.
            raise UserError(
                f"The command of the server does not name its database as {self._live_address()}, so it cannot be given"
                " a copy instead: deploy first."
            )
        return True

    def verb(self) -> Verb:
        """Return the verb with its steps."""
        cost = self._tools.daily_cost(self._family.live or {})
        left = [str(one["DBInstanceIdentifier"]) for one in self._family.drills]
        steps = [
            *(
                Step(f"Delete {name}, which a drill has left", partial(self._tools.instances.delete, name))
                for name in left
            ),
            Step(
                f"Restore {self._source} as {self.name}",
                self._make_copy,
                partial(self._tools.instances.delete, self.name),
                duration=ExpectedDuration(5, 40, fixed=30),
                cost=f"the copy, {cost} as long as it is there",
            ),
            Step(
                "Check the copy in a task of the server's image: revisions, rows, and whether its keys decrypt",
                self._check_copy,
                duration=ExpectedDuration(1, 10, fixed=20),
                cost="a task for minutes, less than a cent",
            ),
            Step(
                "Start the server with the copy in a task, and read through its API",
                self._start_server,
                duration=ExpectedDuration(1, 10, fixed=60),
                cost="a task for minutes, some cents",
            ),
            Step(
                f"Delete {self.name}",
                partial(self._tools.instances.delete, self.name, wait_for_it=True),
                duration=ExpectedDuration(3, 15, fixed=10),
            ),
        ]
        return Verb(VERB, self._tools.deployment.name, steps, self._serving, self._kept, self._again)

    # ---- steps

    def _make_copy(self) -> None:
        live = self._family.live or {}
        settings = short_lived(settings_of(live))
        tags = {**tags_from_aws(live.get("TagList") or []), **self._copy.tags(copies.DRILL_KEY)}
        for own in (copies.RESTORED_KEY, copies.REPLACED_KEY):
            tags.pop(own, None)
        self._tools.instances.restore(self._source, self._origin, self.name, settings, tags)
        self._tools.instances.complete(self.name, settings, self._tools.logins.master_secret(self._service))
        self._tools.logins.align(self._service, self.name)

    def _check_copy(self) -> None:
        self.database = self._tools.reader.read(self._service, self._endpoint(), self._copy.stamp, self._origin.image)
        compared = check.compare(self.database, self._origin.expected)
        if wrong := [*compared.wrong, *check.unreadable(self.database)]:
            raise UserError("\n".join(wrong))
        self.notes = list(compared.fewer)

    def _start_server(self) -> None:
        keys = KeyNames(self._tools.deployment.name, f"{VERB}-{self._copy.stamp}")
        store, key = self._tools.store, keys.drop_key(_REPORT)
        try:
            task = self._task(key)
            one_off_task.run(self._tools.clients, self._tools.deployment, self._service, task, self._tools.wait_options)
            self.server = store.read(key)
        finally:
            store.discard(key)
        if not self.server:
            raise UserError("The task has ended well, but its report is not in the bucket.")
        self._compare()

    def _compare(self) -> None:
        """Compare what the API shows with what is in the tables.

        Raises:
            UserError: it shows something else, or nothing of what there is.
        """
        counts, wrong = self.database["counts"], []
        # With several workspaces it shows those of one.
        if counts.get("workspaces", 0) <= 1 and self.server["experiments"] != counts.get("experiments"):
            wrong.append(
                f"The server shows {self.server['experiments']} experiments, and the table has"
                f" {counts.get('experiments', 0)} rows."
            )
        for kind, table in (("run", "runs"), ("trace", "trace_info")):
            if counts.get(table) and not self.server[kind]:
                wrong.append(f"The server shows no {kind}, and the table {table} has some.")
        if wrong:
            raise UserError("\n".join(wrong))
        if counts.get("model_versions") and not self.server["model_version"]:
            # MLflow keeps the rows of deleted ones (STAGE_DELETED_INTERNAL in its store).
            self.notes.append("The server shows no model version: those in the table model_versions are deleted.")

    def _task(self, key: str) -> OneOffTask:
        container, configuration = self._server(), target.configuration(self._service)
        environment = {
            **self._redirected(container),
            "REPORT_BUCKET": self._tools.place.bucket,
            "REPORT_KEY": key,
        }
        return OneOffTask(
            purpose="start the server",
            family=f"{self._tools.deployment.name}-{VERB}",
            command=("python", "-c", database_task.source(drill_program)),
            environment=environment,
            secrets=container["secrets"],
            tags=self._tools.place.tags,
            run=f"{VERB}/{self._copy.stamp}",
            region=self._tools.place.region,
            image=self._origin.image,
            cpu=str(configuration.get("cpu") or "1024"),
            memory=str(configuration.get("memory") or "2048"),
        )

    def _redirected(self, container: Document) -> dict[str, str]:
        """Return environment and command of the server, with the copy's address in the place of the live one's."""
        here, there = self._live_address(), _address(self._endpoint())
        plain = {name: str(value) for name, value in (container.get("environment") or {}).items()}
        given = {**plain, "SERVER_COMMAND": json.dumps(container["command"])}
        return {name: value.replace(here, there) for name, value in given.items()}

    # ---- what they need

    def _container(self) -> Document:
        return dict(target.configuration(self._service).get("primary_container") or {})

    def _server(self) -> Document:
        """Return the container that the server would have after a restore."""
        return restored_container(self._service, self._family.live, self._origin)

    def _live_address(self) -> str:
        return _address((self._family.live or {}).get("Endpoint") or {})

    def _endpoint(self) -> dict[str, typing.Any]:
        instance = wait.wait_ready(self._tools.clients("rds"), self.name, self._tools.wait_options)
        return dict(instance["Endpoint"])

    def _serving(self) -> str:
        return "The server serves as before: a drill does not touch it."

    def _kept(self) -> str:
        there = [str(one["DBInstanceIdentifier"]) for one in self._tools.instances.family().drills]
        return f"{' and '.join(there)} is being deleted." if there else "Nothing was kept."


def _address(endpoint: Mapping[str, typing.Any]) -> str:
    """Return what a database URL has of an instance."""
    return f"{endpoint.get('Address')}:{endpoint.get('Port')}/"


def lines(drill: Drill, deployment: str, source: Source) -> list[str]:
    """Return what a drill has shown, for people."""
    minutes, seconds = divmod(drill.seconds, 60)
    server = drill.server
    shown = [server[kind] or f"no {kind.replace('_', ' ')}" for kind in ("run", "trace", "model_version", "artifact")]
    return [
        f"Drill of '{deployment}': {source} can be restored, and took {minutes} min {seconds} s.",
        f"Database:  {check.summary(drill.database)}",
        f"Server:    answers after {server['seconds']} s, {'with' if server['login'] else 'without'} the login",
        f"Read:      {', '.join(shown)}",
        *(f"Note:      {note}" for note in drill.notes),
        "Removed:   all of it",
    ]
