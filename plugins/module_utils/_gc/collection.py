# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The verb gc: a task lists what users have deleted in MLflow, or deletes it for good. The server goes on serving."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from ansible.module_utils.common.text.formatters import bytes_to_human

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import database_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import PASSWORD
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Names as KeyNames
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import Store
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc import gc_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import describe
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import one_off_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

VERB = "gc"
_REPORT = "gc.json"
_DESTINATION = re.compile(r"--artifacts-destination (s3://\S+)")
_KINDS = (("runs", "run"), ("logged_models", "logged model"), ("experiments", "experiment"))
# A store of MLflow, and a list of all that is to be deleted.
_CPU, _MEMORY = "1024", "2048"

Report = dict[str, typing.Any]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        older_than: how long ago something must have been deleted.
        delete: whether to delete it; otherwise it is listed.
        bucket: of the deployment.
        instance: identifier of the RDS instance; empty for a database of the user's own.
        database: how the server finds the database; the host is that of the instance, if any.
        region: AWS region.
        account_id: of the AWS account.
    """

    older_than: timedelta
    delete: bool
    bucket: str
    instance: str
    database: Database
    region: str
    account_id: str


class Collection:
    """One run of the verb.

    Args:
        clients: returns the client of a service.
        deployment: whose garbage it is.
        request: what is asked for.
        wait_options: how to wait.
        wall: the time of day.
    """

    def __init__(
        self,
        clients: Clients,
        deployment: Target,
        request: Request,
        wait_options: WaitOptions,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clients = clients
        self._deployment = deployment
        self._request = request
        self._wait = wait_options
        self._store = Store(clients, deployment.name, request.bucket, request.account_id, request.instance)
        self._keys = KeyNames(deployment.name, f"{VERB}-{wall():%Y%m%d%H%M%S}")
        self._service: Resource = {}
        self._database = request.database
        self.report: Report = {}

    def preflight(self, resume: bool = False) -> bool:
        """Read all that the steps need, and change nothing; return that there is something to do.

        Args:
            resume: whether a run that was cut off is completed.

        Raises:
            UserError: the server has no task that could do it.
        """
        self._service = target.require(self._clients, self._deployment, changing=resume)
        name = self._deployment.name
        if stopped := markers.stopped(target.tags(self._service)):
            raise UserError(stopped.explain(name))
        container = self._container()
        if PASSWORD not in (container.get("secrets") or {}):
            raise UserError(
                f"The service '{name}' has no secret {PASSWORD}, so it was not deployed by this collection."
            )
        if str((container.get("environment") or {}).get("MLFLOW_ENABLE_WORKSPACES", "")).lower() in ("true", "1"):
            raise UserError(
                f"The server '{name}' has workspaces, which this verb does not know. MLflow's own command for them is"
                " mlflow gc --all-workspaces."
            )
        destination(self._container(), self._deployment.name)
        if self._request.instance:
            self._database = of_instance(self._clients, self._request.instance, self._request.database)
        return True

    def verb(self, again: str) -> Verb:
        """Return the verb with its only step.

        Args:
            again: the command that completes it.
        """
        age = show_age(self._request.older_than)
        title = "Delete for good" if self._request.delete else "List"
        step = Step(
            f"{title} what was deleted more than {age} ago, in a task of the server's image",
            self._run,
            duration=ExpectedDuration(1, 60, fixed=30),
            cost="a task for minutes, less than a cent",
        )
        return Verb(VERB, self._deployment.name, [step], self._serving, self._kept, again)

    def _run(self) -> None:
        key = self._keys.drop_key(_REPORT)
        try:
            one_off_task.run(self._clients, self._deployment, self._service, self._task(key), self._wait)
            self.report = self._store.read(key)
        finally:
            self._store.discard(key)
        if not self.report:
            raise UserError("The task has ended well, but its report is not in the bucket.")
        if self.report["failed"]:
            raise UserError(failure(self.report))

    def _task(self, key: str) -> one_off_task.OneOffTask:
        task = database_task.build(
            self._service,
            self._database,
            family=f"{self._deployment.name}-{VERB}",
            bucket=self._request.bucket,
            report_key=key,
        )
        environment = {
            **task.environment,
            "ARTIFACTS_DESTINATION": destination(self._container(), self._deployment.name),
            "DELETE": "yes" if self._request.delete else "no",
            "OLDER_THAN_SECONDS": f"{self._request.older_than.total_seconds():.0f}",
        }
        return replace(
            task,
            purpose=f"{'delete' if self._request.delete else 'list'} what users have deleted",
            command=("python", "-c", database_task.source(gc_program)),
            environment=environment,
            tags={"ManagedBy": "mlops.mlflow_aws", "MlflowName": self._deployment.name},
            # One id for all runs, so that a run stops a task that a killed one has left.
            run=f"{VERB}/{self._deployment.name}",
            region=self._request.region,
            cpu=_CPU,
            memory=_MEMORY,
        )

    def _container(self) -> dict[str, typing.Any]:
        return dict(target.configuration(self._service).get("primary_container") or {})

    def _serving(self) -> str:
        return "The server serves as before: this verb does not touch it."

    def _kept(self) -> str:
        if self._request.delete:
            return "What could not be deleted is kept, with its rows. What was deleted until then is gone."
        return "Nothing was deleted."


def destination(container: Mapping[str, typing.Any], deployment: str) -> str:
    """Return where the server keeps artifacts, by its command.

    Raises:
        UserError: the command does not say.
    """
    found = _DESTINATION.search(" ".join(str(one) for one in container.get("command") or []))
    if found is None:
        raise UserError(
            f"The command of the server '{deployment}' does not say where artifacts are (--artifacts-destination"
            " s3://…): deploy first."
        )
    return found[1]


def of_instance(clients: Clients, identifier: str, database: Database) -> Database:
    """Return a database with the address of its RDS instance.

    Raises:
        UserError: there is no such instance, or it has no address yet.
    """
    instance = describe.find(clients("rds"), identifier)
    if instance is None:
        raise UserError(
            f"There is no RDS instance {identifier}: check its name and AWS_REGION, or name the host if the database is"
            " your own."
        )
    endpoint = instance.get("Endpoint") or {}
    if not endpoint.get("Address"):
        raise UserError(f"The RDS instance {identifier} is {instance['DBInstanceStatus']}.")
    return replace(database, host=str(endpoint["Address"]), port=int(endpoint["Port"]))


def parse_age(text: str, retention_days: int, hints: Hints) -> timedelta:
    """Return how long ago something must have been deleted.

    Args:
        text: days, hours, minutes and seconds as C(mlflow gc) takes them, such as 30d or 1d12h.
        retention_days: for how many days the database can be restored to any time.
        hints: how an option is set.

    Raises:
        UserError: it is none, or it is shorter than these days.
    """
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or parts is None:
        raise UserError(f"The age is {text!r}, but must be days, hours, minutes and seconds, such as 30d or 1d12h.")
    days, hours, minutes, seconds = (int(one or 0) for one in parts.groups())
    age = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if age < timedelta(days=retention_days):
        raise UserError(
            f"The age is {text}, which is less than the {retention_days} days for which the database can be restored to"
            " any time: a restored one would have runs without artifacts. Nothing was deleted. It would do with"
            f" {hints.set('older_than', f'{retention_days}d')}."
        )
    return age


def show_age(age: timedelta) -> str:
    """Return an age for people, to the hour."""
    hours = int(age.total_seconds() // 3600)
    days, hours = divmod(hours, 24)
    parts = [
        f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in ((days, "day"), (hours, "hour")) if number
    ]
    return " and ".join(parts) or "less than an hour"


def is_empty(report: Report) -> bool:
    """Return whether there was nothing to delete."""
    return not any(report["found"].values())


def lines(report: Report, deployment: str, *, delete: bool, hints: Hints) -> list[str]:
    """Return a report for people.

    Args:
        report: as gc_program.py writes it.
        deployment: its name.
        delete: whether it was to be deleted.
        hints: what the user types to delete it.
    """
    if is_empty(report):
        shown = [f"'{deployment}': there is nothing to delete for good."]
    else:
        done = report["deleted"] if delete else report["found"]
        were = "was" if sum(done.values()) == 1 else "were"
        what = f"{were} deleted for good" if delete else "could be deleted for good"
        amount = f"{report['objects']} objects of {bytes_to_human(report['bytes'])}"
        shown = [f"'{deployment}': {count(done)} {what}, with {amount} in the bucket."]
        shown.append(
            "If the bucket has versioning, it keeps them as older versions, for as long as its lifecycle rule says."
            if delete
            else f"Nothing was deleted. To delete it, which cannot be undone: {hints.command('delete', 'true')}"
        )
    if any(report["kept"].values()):
        shown.append(f"Kept, because registered model versions refer to them: {count(report['kept'])}.")
    return shown


def failure(report: Report) -> str:
    """Return what could not be deleted."""
    names = dict(_KINDS)
    first = [f"  {names[one['kind']]} {one['id']}: {one['reason']}" for one in report["failures"]]
    more = report["failed"] - len(first)
    return "\n".join(
        [
            f"{report['failed']} could not be deleted, the rest was ({count(report['deleted'])}):",
            *first,
            *([f"  and {more} more"] if more > 0 else []),
        ]
    )


def count(numbers: dict[str, int]) -> str:
    """Return how many of each kind, such as 1 run and 2 experiments."""
    parts = [f"{numbers[key]} {name}{'' if numbers[key] == 1 else 's'}" for key, name in _KINDS if numbers[key]]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "nothing"
