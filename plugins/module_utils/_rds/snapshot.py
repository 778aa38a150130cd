# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Snapshots of an instance that are taken by its owner."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.start import BUSY

_MISSING = ("DBSnapshotNotFound", "DBSnapshotNotFoundFault")
_BUSY = ("InvalidDBSnapshotState", "InvalidDBSnapshotStateFault")
_QUOTA = "ManualSnapshots"
_EXISTS = ("DBSnapshotAlreadyExists", "DBSnapshotAlreadyExistsFault")


def find(rds: Client, snapshot: str) -> dict[str, typing.Any]:
    """Return a snapshot, empty if there is none."""
    try:
        found = rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot)["DBSnapshots"]
    except ClientError as e:
        if error_code(e) in _MISSING:
            return {}
        raise
    return dict(found[0]) if found else {}


def require_quota(rds: Client) -> None:
    """Fail if the account may have no further manual snapshot in this region.

    Quota "ManualSnapshots" of DescribeAccountAttributes (botocore's model of rds, AccountQuota).

    Raises:
        UserError: it may not.
    """
    for quota in rds.describe_account_attributes().get("AccountQuotas") or []:
        used, most = int(quota.get("Used") or 0), int(quota.get("Max") or 0)
        if quota.get("AccountQuotaName") == _QUOTA and used >= most:
            raise UserError(
                f"The account has {used} manual snapshots of RDS instances in this region, and its quota is {most}:"
                " there would be none of the database as it is now. Delete one that you do not need"
                " (aws rds delete-db-snapshot), or raise the quota 'Manual DB instance snapshots' in Service Quotas,"
                " and run this again."
            )


def take(rds: Client, instance: str, snapshot: str, tags: Tags, wait_options: WaitOptions) -> dict[str, typing.Any]:
    """Take a snapshot, or wait for the one of that name that was begun; return it.

    Raises:
        UserError: it failed, or takes too long.
    """
    waiter = wait_options.waiter()
    for _poll in waiter.polls():
        found = waiter.tolerate_outage(lambda: find(rds, snapshot), otherwise={"Status": "unknown"})
        status = str(found.get("Status", ""))
        if status == "available":
            return found
        if status == "failed":
            raise UserError(f"The snapshot {snapshot} failed: RDS's events say why. Delete it, and run this again.")
        if not found:
            _create(rds, instance, snapshot, tags)
        waiter.report(f"snapshot {snapshot}: {status or 'waiting for the instance'}")
    waiter.raise_outage()
    raise UserError(
        f"The snapshot {snapshot} is not available after {wait_options.timeout:g} seconds (wait_timeout). RDS goes on"
        " with it."
    )


def _create(rds: Client, instance: str, snapshot: str, tags: Tags) -> None:
    """Ask RDS for it, unless the instance does something else at the moment."""
    try:
        rds.create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier=snapshot, Tags=tags_to_aws(tags))
    except ClientError as e:
        if error_code(e) not in (*BUSY, *_EXISTS):
            raise


def delete(rds: Client, snapshot: str, wait_options: WaitOptions) -> None:
    """Delete a snapshot, if it is there, and wait until it is gone.

    One that is still being taken is waited for: "The DB snapshot must be in the available state to be deleted" (RDS API
    Reference, DeleteDBSnapshot).

    Raises:
        UserError: it takes too long.
    """
    waiter = wait_options.waiter()
    for _poll in waiter.polls():
        found = waiter.tolerate_outage(lambda: find(rds, snapshot), otherwise={"Status": "unknown"})
        if not found:
            return
        status = str(found.get("Status", ""))
        if status in ("available", "failed"):
            _ask_to_delete(rds, snapshot)
        waiter.report(f"snapshot {snapshot}, which is to be deleted: {status}")
    waiter.raise_outage()
    raise UserError(
        f"The snapshot {snapshot} is still there after {wait_options.timeout:g} seconds (wait_timeout): delete it with"
        f" aws rds delete-db-snapshot --db-snapshot-identifier {snapshot}."
    )


def _ask_to_delete(rds: Client, snapshot: str) -> None:
    try:
        rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot)
    except ClientError as e:
        if error_code(e) not in (*_MISSING, *_BUSY):
            raise
