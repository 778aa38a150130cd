# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What the steps of restore and drill work with, and where what they restore comes from."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import manifest
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import PASSWORD
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Backup
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.server import Hosts
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.server import restored
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.store import Store
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import cost
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.price_list import HOURS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow import readiness
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Client as MlflowClient
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import snapshot
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import effective
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.artifacts import Artifacts
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.artifacts import Deleted
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.check import DatabaseReader
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.check import Place
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Family
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Instance
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Origin
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Source
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.instances import Instances
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.logins import CopiedLogins
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

_DAYS_OF_A_MONTH = HOURS / 24
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Tools:
    """What the steps work with.

    Attributes:
        clients: returns the client of a service.
        deployment: what is restored.
        instances: its RDS instances.
        reader: reads databases in its tasks.
        store: its backups.
        artifacts: its artifacts.
        place: where things are.
        wait_options: how to wait.
        logins: brings the logins of copies in line.
        ca_path: file with the certificate authorities that signed the server's certificate; empty for the system's.
        request_timeout: seconds that the server has to answer.
    """

    clients: Clients
    deployment: Target
    instances: Instances
    reader: DatabaseReader
    store: Store
    artifacts: Artifacts
    place: Place
    wait_options: WaitOptions
    logins: CopiedLogins
    ca_path: str = ""
    request_timeout: float = 60.0

    def find_server(self, *, changing: bool = False, may_be_stopped: bool = False) -> Document:
        """Return the service whose database is restored.

        Args:
            changing: whether it may be changing at the moment.
            may_be_stopped: whether the verb itself may have scaled it to zero.

        Raises:
            UserError: it is not as it has to be.
        """
        service = target.require(self.clients, self.deployment, changing=changing)
        stopped = markers.stopped(target.tags(service))
        if stopped and not may_be_stopped:
            raise UserError(f"{stopped.explain(self.deployment.name)} Nothing was changed.")
        container = target.configuration(service).get("primary_container") or {}
        if PASSWORD not in container.get("secrets", {}):
            raise UserError(
                f"The service '{self.deployment.name}' has no secret {PASSWORD}, so it was not deployed by this"
                " collection."
            )
        return service

    def find_deleted(self, origin: Origin) -> list[Deleted]:
        """Return the artifacts that were there at the restored moment, and are not now.

        Raises:
            UserError: the bucket keeps no versions.
        """
        return self.artifacts.find(origin.moment) if origin.moment else []

    def find_origin(self, source: Source, family: Family, *, is_begun: bool = False) -> Origin:
        """Return where a copy comes from.

        Args:
            source: what is restored.
            family: the instances that there are.
            is_begun: whether the copy is made already, so that nothing is asked of what it is made from.

        Raises:
            UserError: there is no such backup, or no instance can be restored to that time.
        """
        if source.kind == copies.BACKUP:
            return of_backup(find_backup(self.store.list(), source.value, self.deployment.name))
        if source.kind == copies.SNAPSHOT:
            return self._snapshot_of(source, str((family.live or {}).get("DBInstanceIdentifier") or ""))
        return Origin(moment=copies.moment_of(source)) if is_begun else self._instance_of(source, family)

    def _snapshot_of(self, source: Source, instance: str) -> Origin:
        """Return a snapshot without a manifest: a final one, or one that was taken by hand."""
        found = snapshot.find(self.clients("rds"), source.value)
        tags = tags_from_aws(found.get("TagList") or [])
        is_own = self.place.tags.items() <= tags.items() or found.get("DBInstanceIdentifier") == instance
        if not found or not is_own:
            raise UserError(
                f"'{self.deployment.name}' has no snapshot '{source.value}': tags and instance say whose a snapshot is."
            )
        if found.get("Status") != "available":
            raise UserError(f"The snapshot '{source.value}' is {found.get('Status')}: wait until it is available.")
        return Origin(snapshot=source.value, moment=found["SnapshotCreateTime"])

    def _instance_of(self, source: Source, family: Family) -> Origin:
        """Return the instance that can be restored to a time: the live one, or one that was replaced since."""
        wanted = copies.moment_of(source)
        candidates = [one for one in [family.live, *reversed(family.replaced)] if one]
        shown = []
        for one in candidates:
            name, window = str(one["DBInstanceIdentifier"]), self.instances.window(one)
            if window is None:
                shown.append(f"{name} has no automated backups")
                continue
            if window[0] <= wanted <= window[1]:
                return Origin(instance=name, moment=wanted)
            shown.append(f"{name} can be restored to any second from {window[0]:{_TIME}} to {window[1]:{_TIME}}")
        where = "; ".join(shown) or f"there is no RDS instance {self.deployment.name}"
        raise UserError(
            f"No instance can be restored to {source.value}: {where}. RDS is five minutes behind: for what"
            " happened just now wait so long. For older times see the backups, with the playbook backups."
        )

    def require_replaceable(self, live: Instance | None, name: str) -> None:
        """Fail if no copy can take the place of the live instance.

        Raises:
            UserError: it is missing, or stopped: RDS neither renames that nor takes a snapshot of it.
        """
        status = str(require_live(live, name)["DBInstanceStatus"])
        if status in wait.STOPPED:
            raise UserError(wait.explain_status(self.clients("rds"), name, status, live))

    def daily_cost(self, instance: Instance) -> str:
        """Return what an instance costs a day, in words."""
        return daily_cost(instance, self.place.region)

    def wait_for_server(self, service: Resource) -> None:
        """Wait until the server answers over HTTPS.

        Raises:
            UserError: it does not.
        """
        url = transformations.url(transformations.endpoint(service))
        client = MlflowClient(Connection(url, self.ca_path or None, timeout=self.request_timeout))
        waiter = self.wait_options.waiter()
        waiting = readiness.Waiting(report=self.wait_options.report)
        try:
            readiness.wait_until_ready(
                lambda: {"latency": readiness.check_health(client)},
                waiting,
                waiter,
                tolerance=self.wait_options.timeout,
            )
        except MlflowError as e:
            raise UserError(f"The server at {url} does not answer: {e.message}") from e


def restored_container(service: Resource, live: Instance | None, origin: Origin) -> Document:
    """Return the container that a server has with what is restored: the one that runs, or another version's.

    Args:
        service: as ECS describes it.
        live: the live instance; None if it is not known, so that its address is as the backup has it.
        origin: where what is restored comes from.
    """
    running = dict(target.configuration(service).get("primary_container") or {})
    if origin.image in ("", running.get("image")):
        return running
    address = ((live or {}).get("Endpoint") or {}).get("Address")
    hosts = Hosts(str(transformations.endpoint(service) or ""), str(address or ""))
    return restored(running, origin.image, origin.server, hosts)


def require_live(live: Instance | None, name: str) -> Instance:
    """Return the live instance, whose settings a copy gets.

    Raises:
        UserError: there is none.
    """
    if live is None:
        raise UserError(
            f"There is no RDS instance {name}, whose settings a copy would get. If it was renamed, rename it back; if"
            " it was deleted, deploy first, which makes an empty one. Then run this again. Nothing was changed."
        )
    return live


def refuse_replicas(live: Instance | None, again: str) -> None:
    """Fail if the live instance has read replicas.

    A replica follows its source under whatever name (Amazon RDS User Guide, "Renaming a DB instance").

    Args:
        live: the instance.
        again: the command that lets them stay with it.

    Raises:
        UserError: it has some.
    """
    if live and (replicas := live.get("ReadReplicaDBInstanceIdentifiers")):
        raise UserError(
            f"The RDS instance {live['DBInstanceIdentifier']} has read replicas, {', '.join(replicas)}, which would"
            " stay with the instance that is replaced and no longer follow the live one: create them anew after the"
            f" restore. To restore all the same: {again}. Nothing was changed."
        )


def daily_cost(instance: Instance, region: str) -> str:
    """Return what an instance costs a day, in words."""
    if not instance:
        return "the cost of an instance"
    found = cost.cost(cost.Sizes(public=False, **cost.instance_sizes(effective(instance))), region)
    if found.total is None:
        return f"cost not known, as {found.unknown}"
    return f"{cost.show_amount(found.total / _DAYS_OF_A_MONTH)} a day"


def find_backup(backups: list[Backup], name: str, deployment: str) -> Backup:
    """Return the backup of a name.

    Raises:
        UserError: there is none that is complete, with what there is.
    """
    for one in restorable(backups):
        if one.name == name:
            return one
    there = next((one for one in backups if one.name == name), None)
    problem = (
        f"The backup '{name}' of '{deployment}' is {there.state}" if there else f"'{deployment}' has no backup '{name}'"
    )
    if there and there.is_complete:
        problem = f"The backup '{name}' of '{deployment}' is a dump without a snapshot, which psql loads"
    raise UserError(f"{problem}. {list_backups(backups)}")


def _is_of_instance(document: Mapping[str, typing.Any]) -> bool:
    return bool((document.get("database") or {}).get("snapshot"))


def restorable(backups: list[Backup]) -> list[Backup]:
    """Return the backups that can be restored, newest first."""
    return [one for one in manifest.newest_first(backups) if one.is_complete and _is_of_instance(one.manifest)]


def list_backups(backups: list[Backup]) -> str:
    """Return the backups that can be restored, newest first, in a sentence."""
    shown = [f"{one.name} (of {one.started})" for one in restorable(backups)]
    return f"Backups that can be restored: {', '.join(shown)}." if shown else "There is no backup that can be restored."


def of_backup(backup: Backup) -> Origin:
    """Return where a copy of a backup comes from."""
    document = backup.manifest
    server = document.get("mlflow") or {}
    return Origin(
        snapshot=str(document["database"]["snapshot"]),
        image=str(server.get("image") or ""),
        version=str(server.get("version") or ""),
        server=document.get("server") or {},
        moment=datetime.fromisoformat(str(document["artifacts"]["time"])),
        expected={"counts": document.get("counts") or {}, "revisions": document.get("revisions") or {}},
    )
