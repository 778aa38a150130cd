# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The verb backup: its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import database_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import manifest
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import server
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import PASSWORD
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Backup
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Names
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import Store
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_missing
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import describe
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import one_off_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Step
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.steps import Verb
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

REPORT = "report.json"


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        backup: name of the backup; empty for one that was cut off, else one by the time.
        keep: how many backups stay; 0 for all.
        portable: whether to dump the database too.
        bucket: of the deployment.
        instance: identifier of the RDS instance; empty for a database of the user's own.
        host, port, database, username: how the server finds the database; the host is that of the instance, if any.
        secret_ids: names or ARNs of secrets whose versions are recorded, besides those that the server has.
        variables: what the manifest records of the deployment's variables.
        region: AWS region.
        account_id: of the AWS account.
    """

    backup: str
    keep: int
    portable: bool
    bucket: str
    instance: str
    host: str
    port: int
    database: str
    username: str
    secret_ids: tuple[str, ...]
    variables: Document
    region: str
    account_id: str


class Creation:
    """One run of the verb.

    Args:
        clients: returns the client of a service.
        deployment: what is backed up.
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
        self._wall = wall
        self.store = Store(clients, deployment.name, request.bucket, request.account_id, request.instance)
        self._service: Document = {}
        self._instance: Document = {}
        self._progress: Document = {}
        self._snapshot: Document = {}
        self.names = Names(deployment.name, request.backup)
        self.existing: Backup | None = None
        self.manifest: Document = {}
        self._is_complete = False
        self.deleted: list[str] = []
        # A backup that was cut off and is too old to be completed.
        self.left_alone = ""

    def preflight(self, resume: bool = False) -> bool:
        """Read all that the steps need, and change nothing; return whether there is anything to do.

        Args:
            resume: whether a run that was cut off is completed.

        Raises:
            UserError: the deployment cannot be backed up as it is.
        """
        if self._request.backup and (problem := manifest.name_problem(self._request.backup, self._deployment.name)):
            raise UserError(f"The name of the backup {problem}.")
        backups = self.store.list()
        # Read once more under the lock, it is the same one.
        name = self._request.backup or self.names.backup or self._to_continue(backups)
        name = name or manifest.default_name(self._wall())
        self.names = Names(self._deployment.name, name)
        self.existing = next((one for one in backups if one.name == name), None)
        if self.existing and self.existing.manifest and not self.existing.is_deleted:
            if not self.existing.is_complete:
                raise UserError(
                    f"The backup '{name}' is damaged: its manifest is there, and its snapshot"
                    f" {self.names.snapshot} is not available. Choose another name."
                )
            self.manifest = self.existing.manifest
            self._is_complete = True
            # A run that failed or was cut off after it was complete has left something to delete.
            surplus = self._request.keep and manifest.surplus(backups, self._request.keep)
            return bool(resume or self.existing.progress or surplus)
        self._service = target.require(self._clients, self._deployment)
        if stopped := markers.stopped(target.tags(self._service)):
            raise UserError(
                f"{stopped.explain(self._deployment.name)} Its database cannot be read meanwhile."
                + (" What a backup of before holds has not changed since." if stopped.verb == markers.STOP else "")
            )
        if PASSWORD not in self._container().get("secrets", {}):
            raise UserError(
                f"The service '{self._deployment.name}' has no secret {PASSWORD}, so it was not deployed by this"
                " collection: there is no login to the database for the backup."
            )
        if self._request.instance:
            self._instance = self._find_instance()
        self._progress = dict(self.existing.progress) if self.existing and not self.existing.is_deleted else {}
        return True

    def _to_continue(self, backups: list[Backup]) -> str:
        """Return the name of the backup that was cut off and is to be completed, empty for none."""
        begun = manifest.cut_off(backups)
        if begun is None:
            return ""
        if not manifest.is_outdated(begun, self._wall()):
            return begun.name
        self.left_alone = begun.name
        return ""

    def verb(self, again: str) -> Verb:
        """Return the verb with its steps.

        Args:
            again: the command that completes it.
        """
        steps = [] if self._is_complete else self._making()
        if self._is_complete:
            steps.append(Step("Delete the record of its progress, if it is left", self._clean_up))
        if self._request.keep:
            steps.append(Step(f"Delete backups beyond the newest {self._request.keep}", self._delete_surplus))
        return Verb(
            "backup",
            self._deployment.name,
            steps,
            self._serving,
            self._kept,
            again,
            refresh=self._read_anew,
        )

    def _read_anew(self) -> bool:
        """Read anew, under the lock; return whether the steps are still to be done."""
        was_complete = self._is_complete
        return self.preflight(resume=was_complete) and self._is_complete == was_complete

    def _making(self) -> list[Step]:
        read = "Count the rows of the database, in a task of the server's image"
        steps = [
            Step(
                f"{read}, and dump it" if self._is_portable() else read,
                self._read_database,
                duration=ExpectedDuration(1, 5, fixed=20),
                cost="a task for minutes, less than a cent",
            ),
        ]
        if self._request.instance:
            steps.append(
                Step(
                    "Take a snapshot of the RDS instance",
                    self._take_snapshot,
                    duration=ExpectedDuration(2, 15, fixed=10),
                    cost="the snapshot's storage, as long as it is kept",
                )
            )
        steps.append(Step("Write the manifest, which makes it a backup", self._write_manifest))
        return steps

    def _serving(self) -> str:
        where = {"cluster": self._deployment.cluster, "service": self._deployment.name}
        number = len(api.list_tasks(self._clients("ecs"), **where, status="RUNNING"))
        return f"A backup does not touch the server. Tasks of it that run: {number}."

    def _kept(self) -> str:
        if self.manifest:
            return f"Backup '{self.names.backup}' is complete. Only backups that are too many are left to delete."
        return (
            f"Backup '{self.names.backup}' is incomplete, and counts as none. What was done is kept, and the next run"
            " completes it."
        )

    def _is_portable(self) -> bool:
        # Of a database of the user's own there is no snapshot.
        return self._request.portable or not self._request.instance

    def _container(self) -> Document:
        return dict(target.configuration(self._service).get("primary_container") or {})

    def _find_instance(self) -> Document:
        instance = describe.find(self._clients("rds"), self._request.instance)
        if instance is None:
            raise UserError(
                f"There is no RDS instance {self._request.instance}: check its name and AWS_REGION, or name the"
                " host if the database is your own."
            )
        status = str(instance["DBInstanceStatus"])
        if status in wait.STOPPED:
            raise UserError(wait.explain_status(self._clients("rds"), self._request.instance, status, instance))
        return instance

    # ---- steps

    def _read_database(self) -> None:
        """Do it once: the counts must be from before the snapshot."""
        if self._progress.get("report"):
            return
        self._progress.setdefault("started", self._now())
        self._save()
        counted_at = self._now()
        try:
            one_off_task.run(self._clients, self._deployment, self._service, self._task(), self._wait)
            report = self.store.read(self.names.drop_key(REPORT))
            if not report:
                raise UserError("The task has ended well, but its report is not in the bucket.")
            if self._is_portable():
                dump = self.names.key(manifest.DUMP)
                self._progress["dump"] = self.store.take(self.names.drop_key(manifest.DUMP), dump)
        finally:
            for file in (REPORT, manifest.DUMP):
                self.store.discard(self.names.drop_key(file))
        self._progress.update(report=report, counted_at=counted_at)
        self._save()

    def _take_snapshot(self) -> None:
        self._snapshot = self.store.take_snapshot(self.names, self._wait)

    def _write_manifest(self) -> None:
        facts = {
            "region": self._request.region,
            "account_id": self._request.account_id,
            "mlflow": self._mlflow(),
            "server": server.record(self._container(), self._hosts()),
            "secrets": self._secrets(),
            "bucket": self._request.bucket,
            "variables": self._request.variables,
        }
        document = manifest.build(self.names, self._progress, self._snapshot, facts, self._wall())
        self.store.write(self.names.key(manifest.MANIFEST), document)
        self.manifest = document
        self._clean_up()

    def _clean_up(self) -> None:
        self.store.delete(self.names.key(manifest.INCOMPLETE))

    def _delete_surplus(self) -> None:
        for one in manifest.surplus(self.store.list(), self._request.keep):
            self.store.remove(one)
            self.deleted.append(one.name)

    # ---- what they need

    def _now(self) -> str:
        return self._wall().isoformat(timespec="seconds")

    def _save(self) -> None:
        self.store.write(self.names.key(manifest.INCOMPLETE), self._progress)

    def _task(self) -> one_off_task.OneOffTask:
        endpoint = self._instance.get("Endpoint") or {}
        database = Database(
            host=str(endpoint.get("Address") or self._request.host),
            port=int(endpoint.get("Port") or self._request.port),
            name=self._request.database,
            username=self._request.username,
        )
        task = database_task.build(
            self._service,
            database,
            family=f"{self._deployment.name}-backup",
            bucket=self._request.bucket,
            report_key=self.names.drop_key(REPORT),
            dump_key=self.names.drop_key(manifest.DUMP) if self._is_portable() else "",
        )
        run, region = f"backup/{self.names.backup}", self._request.region
        return replace(task, tags=self.names.tags(), run=run, region=region)

    def _hosts(self) -> server.Hosts:
        endpoint = self._instance.get("Endpoint") or {}
        own = transformations.endpoint(self._service)
        return server.Hosts(str(own or ""), str(endpoint.get("Address") or self._request.host))

    def _mlflow(self) -> Document:
        image = str(self._container().get("image") or "")
        revision = str((transformations.newest_configuration(self._service) or {}).get("serviceRevisionArn") or "")
        described = api.describe_revisions(self._clients("ecs"), [revision] if revision else [])
        images = [one for item in described for one in item.get("containerImages") or []]
        digest = next((str(one.get("imageDigest") or "") for one in images), "")
        return {"image": image, "image_digest": digest, "version": self._progress["report"]["mlflow"]}

    def _secrets(self) -> list[Document]:
        """Return the versions of the secrets that count now; never a value."""
        own = [":".join(value.split(":")[:7]) for value in self._container().get("secrets", {}).values()]
        found: dict[str, str] = {}
        for secret in [one for one in own if ":secretsmanager:" in one] + list(self._request.secret_ids):
            try:
                described = self._clients("secretsmanager").describe_secret(SecretId=secret)
            except ClientError as e:
                if is_missing(e):
                    continue
                raise
            stages: dict[str, list[str]] = described.get("VersionIdsToStages") or {}
            current = [version for version, labels in stages.items() if "AWSCURRENT" in labels]
            found[str(described["ARN"])] = current[0] if current else ""
        return [{"arn": arn, "version_id": version} for arn, version in sorted(found.items())]
