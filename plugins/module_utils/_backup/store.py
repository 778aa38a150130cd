# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What there is of a deployment's backups: objects in its bucket, and snapshots in RDS."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import manifest
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Backup
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Names
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import start
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait

_NO_OBJECT = ("NoSuchKey", "404")
_BUSY = ("InvalidDBInstanceState", "InvalidDBInstanceStateFault")
_NO_SNAPSHOT = ("DBSnapshotNotFound", "DBSnapshotNotFoundFault")
_SNAPSHOT_EXISTS = ("DBSnapshotAlreadyExists", "DBSnapshotAlreadyExistsFault")


class Store:
    """The backups of one deployment.

    Args:
        clients: returns the client of a service.
        deployment: name of the deployment.
        bucket: its bucket.
        owner: account that the bucket must belong to.
        instance: identifier of the RDS instance; empty if there is none.
    """

    def __init__(self, clients: Clients, deployment: str, bucket: str, owner: str, instance: str) -> None:
        self._s3 = clients("s3")
        self._rds = clients("rds")
        self._deployment = deployment
        self._where = {"Bucket": bucket, "ExpectedBucketOwner": owner}
        self._instance = instance

    # ---- objects

    def read(self, key: str) -> Document:
        """Return a JSON document, empty if there is none."""
        try:
            answer = self._s3.get_object(Key=key, **self._where)
        except ClientError as e:
            if error_code(e) in _NO_OBJECT:
                return {}
            raise
        found: Document = json.loads(answer["Body"].read())
        return found

    def write(self, key: str, document: Document) -> None:
        """Write a JSON document."""
        body = json.dumps(document, indent=2, sort_keys=True).encode()
        self._s3.put_object(Key=key, Body=body, ContentType="application/json", **self._where)

    def delete(self, key: str) -> None:
        """Delete an object. In a bucket with versioning a version of it stays."""
        self._s3.delete_object(Key=key, **self._where)

    def take(self, source: str, key: str) -> Document:
        """Move what a task has left to where it cannot change it; return key, version and size of the copy."""
        head = self._s3.head_object(Key=source, **self._where)
        bucket = self._where["Bucket"]
        # In parts, and by S3 itself, if it is large.
        self._s3.copy({"Bucket": bucket, "Key": source, **_version(head)}, bucket, key)
        self.discard(source)
        copied = self._s3.head_object(Key=key, **self._where)
        return {"key": key, "version_id": copied.get("VersionId", ""), "size_bytes": copied["ContentLength"]}

    def discard(self, key: str) -> None:
        """Delete an object for good, with its newest version."""
        try:
            head = self._s3.head_object(Key=key, **self._where)
        except ClientError as e:
            if error_code(e) in _NO_OBJECT:
                return
            raise
        self._s3.delete_object(Key=key, **_version(head), **self._where)

    # ---- all backups

    def list(self) -> list[Backup]:
        """Return all backups of the deployment, incomplete ones too."""
        folder = f"{manifest.PREFIX}/{self._deployment}/"
        found = self._s3.pages("list_objects_v2", "Contents", Prefix=folder, **self._where)
        keys = {str(one["Key"]) for one in found}
        snapshots = self._snapshots()
        names = {key.removeprefix(folder).partition("/")[0] for key in keys} | set(snapshots)
        return [self._backup(name, keys, snapshots.get(name, {})) for name in sorted(names) if name]

    def _backup(self, name: str, keys: set[str], snapshot: Document) -> Backup:
        names = Names(self._deployment, name)
        documents = {
            file: self.read(names.key(file)) if names.key(file) in keys else {}
            for file in (manifest.MANIFEST, manifest.INCOMPLETE)
        }
        return Backup(name, documents[manifest.MANIFEST], documents[manifest.INCOMPLETE], snapshot)

    def _snapshots(self) -> dict[str, Document]:
        """Return the snapshots that are parts of backups, by the backups' names."""
        if not self._instance:
            return {}
        # Of all instances: a restore renames the one that they were taken of.
        found = self._rds.pages("describe_db_snapshots", "DBSnapshots", SnapshotType="manual")
        return {name: one for one in found if (name := self._backup_of(one))}

    def _backup_of(self, snapshot: Mapping[str, typing.Any]) -> str:
        """Return the backup that a snapshot is part of; empty if it is not one of this deployment's."""
        tags = tags_from_aws(snapshot.get("TagList") or [])
        name = tags.get(manifest.TAG, "")
        own = Names(self._deployment, name)
        is_own = name and own.tags().items() <= tags.items() and snapshot["DBSnapshotIdentifier"] == own.snapshot
        return name if is_own else ""

    # ---- one snapshot

    def find_snapshot(self, names: Names) -> Document:
        """Return the snapshot of a backup, empty if there is none.

        Raises:
            UserError: there is one of that name that belongs to another owner.
        """
        try:
            [found] = self._rds.describe_db_snapshots(DBSnapshotIdentifier=names.snapshot)["DBSnapshots"]
        except ClientError as e:
            if error_code(e) in _NO_SNAPSHOT:
                return {}
            raise
        if self._backup_of(found) != names.backup:
            raise UserError(
                f"There is a snapshot {names.snapshot} without the tags of this deployment's backup '{names.backup}':"
                " choose another name for the backup."
            )
        return dict(found)

    def take_snapshot(self, names: Names, wait_options: WaitOptions) -> Document:
        """Take the snapshot of a backup, or wait for the one that was begun; return it.

        Raises:
            UserError: it failed, or takes too long.
        """
        waiter = wait_options.waiter()
        found: Document = {}
        for _poll in waiter.polls():
            found = waiter.tolerate_outage(lambda: self.find_snapshot(names), otherwise={"Status": "unknown"})
            status = found.get("Status", "")
            if status == "available":
                return found
            if status == "failed":
                self._rds.delete_db_snapshot(DBSnapshotIdentifier=names.snapshot)
                raise UserError(f"The snapshot {names.snapshot} failed, and was deleted: RDS's events say why.")
            if not found and not self._create_snapshot(names):
                status = f"waiting for the instance, which is {self._check_instance()}"
            waiter.report(f"snapshot {names.snapshot}: {status or 'creating'}")
        waiter.raise_outage()
        after = f"after {wait_options.timeout:g} seconds (wait_timeout)"
        if not found:
            raise UserError(
                f"The snapshot {names.snapshot} could not be begun {after}: the RDS instance {self._instance} is"
                f" {self._check_instance()}."
            )
        raise UserError(f"The snapshot {names.snapshot} is not available {after}. RDS goes on with it.")

    def _check_instance(self) -> str:
        """Return the status of the instance, of which RDS takes no snapshot at the moment.

        Raises:
            UserError: it is not one that passes.
        """
        instance = start.found(self._rds, self._instance)
        status = str(instance["DBInstanceStatus"])
        if status in (*wait.STOPPED, *wait.BROKEN, "deleting"):
            raise UserError(wait.explain_status(self._rds, self._instance, status, instance))
        return status

    def _create_snapshot(self, names: Names) -> bool:
        """Return whether RDS began; not while the instance does something else."""
        try:
            self._rds.create_db_snapshot(
                DBInstanceIdentifier=self._instance,
                DBSnapshotIdentifier=names.snapshot,
                Tags=tags_to_aws(names.tags()),
            )
        except ClientError as e:
            if error_code(e) in _BUSY:
                return False
            if error_code(e) in _SNAPSHOT_EXISTS:
                return True
            raise
        return True

    # ---- deletion

    def remove(self, backup: Backup) -> None:
        """Delete a backup: first what makes it one, then the rest; what was cut off is gone on with by the next run."""
        names = Names(self._deployment, backup.name)
        self.write(names.key(manifest.INCOMPLETE), {"deleting": True, "started": backup.started})
        self.delete(names.key(manifest.MANIFEST))
        if self._instance and self.find_snapshot(names):
            self._rds.delete_db_snapshot(DBSnapshotIdentifier=names.snapshot)
        self.delete(names.key(manifest.DUMP))
        self.delete(names.key(manifest.INCOMPLETE))


def exists(s3: Client, bucket: str) -> bool:
    """Return whether there is such a bucket for the caller."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as e:
        if error_code(e) in ("404", "NoSuchBucket"):
            return False
        raise
    return True


def _version(head: Mapping[str, typing.Any]) -> dict[str, str]:
    """Return which version it was; a bucket without versioning has none."""
    return {"VersionId": head["VersionId"]} if head.get("VersionId") not in (None, "null") else {}
