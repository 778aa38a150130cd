# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What a backup consists of and is called, and which ones are too many. Pure Python.

A backup is a snapshot of the RDS instance, optionally a dump, and a manifest, which is written last: what has no
manifest is no backup. All of it lies below ``_backups/<deployment>/<backup>/`` of the deployment's bucket, but for the
snapshot. MLflow's own role is denied that prefix (role iam), and may write, but not read, the other one.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from datetime import timedelta

Document = dict[str, typing.Any]

FORMAT = 1
PREFIX = "_backups"
#: Where a task of the server's leaves what it has found.
DROP_PREFIX = "_verbs"
MANIFEST = "manifest.json"
INCOMPLETE = "incomplete.json"
DUMP = "dump.sql.gz"
TAG = "MlflowBackup"
#: After which a backup that was cut off is not completed unless it is named: what it counted is out of date, and a run
#: a day asks for a backup of that day.
OLDEST_TO_CONTINUE = timedelta(hours=24)

# RDS API Reference, CreateDBSnapshot: letters, digits and hyphens, no two hyphens in a row, none at the end.
_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,59}")


@dataclass(frozen=True)
class Names:
    """What things of one backup are called.

    Attributes:
        deployment: name of the deployment.
        backup: name of the backup.
    """

    deployment: str
    backup: str

    @property
    def snapshot(self) -> str:
        return f"{self.deployment.lower()}-backup-{self.backup}"

    @property
    def folder(self) -> str:
        return f"{PREFIX}/{self.deployment}/{self.backup}/"

    def key(self, file: str) -> str:
        """Return the key of one of the backup's objects."""
        return f"{self.folder}{file}"

    def drop_key(self, file: str) -> str:
        """Return the key under which a task leaves something."""
        return f"{DROP_PREFIX}/{self.deployment}/{self.backup}/{file}"

    def tags(self) -> dict[str, str]:
        """Return the tags of what belongs to the backup."""
        return {"ManagedBy": "mlops.mlflow_aws", "MlflowName": self.deployment, TAG: self.backup}


@dataclass(frozen=True)
class Backup:
    """What is there of a backup.

    Attributes:
        name: of the backup.
        manifest: empty as long as it is not complete.
        progress: what an incomplete one has so far, or that it is being deleted.
        snapshot: as RDS describes it; empty if there is none.
    """

    name: str
    manifest: Document = field(default_factory=dict)
    progress: Document = field(default_factory=dict)
    snapshot: Document = field(default_factory=dict)

    @property
    def is_deleted(self) -> bool:
        """Whether its deletion has begun."""
        return bool(self.progress.get("deleting"))

    @property
    def is_complete(self) -> bool:
        """Whether it can be restored: the manifest is there, and all that it names."""
        if not self.manifest or self.is_deleted:
            return False
        wanted = (self.manifest.get("database") or {}).get("snapshot")
        return not wanted or self.snapshot.get("Status") == "available"

    @property
    def started(self) -> str:
        """When it was begun, as text."""
        created = self.snapshot.get("SnapshotCreateTime")
        moment = created.isoformat(timespec="seconds") if isinstance(created, datetime) else ""
        return str(self.manifest.get("started") or self.progress.get("started") or moment)

    @property
    def state(self) -> str:
        """In a word."""
        if self.is_complete:
            return "complete"
        if self.is_deleted:
            return "deleting"
        return "damaged" if self.manifest else "incomplete"


def name_problem(name: str, deployment: str) -> str:
    """Return what is wrong with the name of a backup; empty if nothing is."""
    if not _NAME.fullmatch(name):
        return (
            f"is '{name}', but must be up to 60 small letters, digits and single hyphens, such as before-upgrade: it"
            " becomes part of the name of a snapshot"
        )
    longest = 255 - len(Names(deployment, "").snapshot)
    return f"is '{name}', which is longer than {longest} characters" if len(name) > longest else ""


def default_name(now: datetime) -> str:
    """Return a name for a backup of this moment."""
    return now.strftime("%Y%m%d-%H%M%S")


def newest_first(backups: Iterable[Backup]) -> list[Backup]:
    """Return them by the time at which they were begun."""
    return sorted(backups, key=lambda one: (one.started, one.name), reverse=True)


def cut_off(backups: Iterable[Backup]) -> Backup | None:
    """Return the newest backup if it was cut off; None if the newest of all is complete."""
    for one in newest_first(backups):
        if one.is_deleted:
            continue
        return None if one.manifest else one
    return None


def is_outdated(backup: Backup, now: datetime) -> bool:
    """Return whether a backup that was cut off is too old to be completed without its name."""
    try:
        return now - datetime.fromisoformat(backup.started) > OLDEST_TO_CONTINUE
    except ValueError:
        # Nothing tells how old it is.
        return True


def surplus(backups: Iterable[Backup], keep: int) -> list[Backup]:
    """Return the backups to delete: complete ones beyond *keep*, and those whose deletion was cut off.

    Args:
        backups: of one deployment.
        keep: how many complete ones stay; 0 for all.
    """
    ordered = newest_first(backups)
    beyond = [one for one in ordered if one.is_complete][keep:] if keep else []
    return [one for one in ordered if one.is_deleted] + beyond


def build(
    names: Names, progress: Document, snapshot: Mapping[str, typing.Any], facts: Document, now: datetime
) -> Document:
    """Return the manifest.

    Args:
        names: of the backup.
        progress: what the steps have found: started, counted_at, report, dump.
        snapshot: as RDS describes it; empty without one.
        facts: of the deployment: region, account_id, mlflow, server, secrets, artifacts, variables.
        now: with a time zone.
    """
    report = progress["report"]
    created = snapshot.get("SnapshotCreateTime")
    return {
        "format": FORMAT,
        "name": names.backup,
        "deployment": names.deployment,
        "started": progress["started"],
        "finished": now.isoformat(timespec="seconds"),
        "region": facts["region"],
        "account_id": facts["account_id"],
        "mlflow": facts["mlflow"],
        # What server.record() returns. Backups of before have none.
        "server": facts["server"],
        "database": {
            "snapshot": snapshot.get("DBSnapshotIdentifier", ""),
            "snapshot_arn": snapshot.get("DBSnapshotArn", ""),
            "snapshot_time": created.isoformat(timespec="seconds") if isinstance(created, datetime) else "",
            "allocated_storage_gib": snapshot.get("AllocatedStorage"),
            "postgresql": report["postgresql"],
            "size_bytes": report["size_bytes"],
        },
        # Counted just before the snapshot: it has at least as much, unless users deleted something in between.
        "counted_at": progress["counted_at"],
        "counts": report["counts"],
        "revisions": report["revisions"],
        "dump": progress.get("dump"),
        "secrets": facts["secrets"],
        # The versions of the objects that were the newest at this time belong to the backup.
        "artifacts": {"bucket": facts["bucket"], "time": progress["counted_at"]},
        "variables": facts["variables"],
    }
