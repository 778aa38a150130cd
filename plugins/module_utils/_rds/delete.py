# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete a PostgreSQL instance of Amazon RDS. Private to the collection."""

from __future__ import annotations

import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.describe import find
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import effective
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import given
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.start import start
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import BROKEN
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import READY
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import STOPPED
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import wait_gone
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import wait_ready


@dataclass(frozen=True)
class DeleteOptions:
    """How an instance is deleted."""

    skip_final_snapshot: bool = False
    final_snapshot: str | None = None
    disable_deletion_protection: bool = False
    delete_automated_backups: bool = True


def ensure_absent(
    rds: Client, name: str, delete_options: DeleteOptions, wait_options: WaitOptions, check_mode: bool
) -> ModuleResult:
    """Delete the instance, after a final snapshot unless that is to be skipped.

    Raises:
        UserError: it is protected, the final snapshot is not specified, or it takes too long.
    """
    instance = find(rds, name)
    if instance is None:
        return ModuleResult(False, {}, {}, {}, [])
    before = given({**effective(instance), "tags": tags_from_aws(instance.get("TagList"))})
    if instance["DBInstanceStatus"] == "deleting":
        if wait_options.wait and not check_mode:
            wait_gone(rds, name, wait_options)
        return ModuleResult(False, {}, {}, {}, [])
    if not delete_options.skip_final_snapshot and not delete_options.final_snapshot:
        raise UserError(
            f"The RDS instance {name} was left alone: set final_db_snapshot_identifier to keep a snapshot of its data,"
            " or skip_final_snapshot to true to lose it for good."
        )
    protected = bool(instance.get("DeletionProtection"))
    if protected and not delete_options.disable_deletion_protection:
        raise UserError(
            f"The RDS instance {name} has deletion protection and was left alone: set disable_deletion_protection to"
            " true to switch it off first."
        )
    outcome = ModuleResult(True, before, {}, {}, [])
    if check_mode:
        return outcome
    _prepare(rds, name, instance, delete_options, wait_options)
    _delete(rds, name, delete_options, was_protected=protected)
    if wait_options.wait:
        wait_gone(rds, name, wait_options)
    return outcome


def _prepare(
    rds: Client, name: str, instance: dict[str, typing.Any], delete_options: DeleteOptions, wait_options: WaitOptions
) -> None:
    """Wait until RDS can delete the instance, and switch the deletion protection off."""
    status, protected = instance["DBInstanceStatus"], bool(instance.get("DeletionProtection"))
    if protected and status in STOPPED:
        # "You can't modify a stopped DB instance" (RDS User Guide, "Stopping an Amazon RDS DB instance temporarily").
        start(rds, name, wait_options)
    elif status not in (*READY, *STOPPED, *BROKEN) and (protected or not delete_options.skip_final_snapshot):
        # RDS neither changes an instance nor takes a snapshot while it is busy.
        wait_ready(rds, name, wait_options)
    if protected:
        rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False, ApplyImmediately=True)


def _delete(rds: Client, name: str, delete_options: DeleteOptions, *, was_protected: bool) -> None:
    params: dict[str, typing.Any] = {
        "SkipFinalSnapshot": delete_options.skip_final_snapshot,
        "DeleteAutomatedBackups": delete_options.delete_automated_backups,
    }
    if not delete_options.skip_final_snapshot:
        params["FinalDBSnapshotIdentifier"] = delete_options.final_snapshot
    try:
        # Shortly after the protection is off, RDS may still see it or be busy.
        retrying = rds.retrying("InvalidDBInstanceState", "InvalidParameterCombination") if was_protected else rds
        retrying.delete_db_instance(DBInstanceIdentifier=name, **params)
    except ClientError as e:
        if error_code(e) == "DBSnapshotAlreadyExists":
            raise UserError(
                f"There is a snapshot {delete_options.final_snapshot} already, so the RDS instance {name} was not"
                " deleted: choose another final_db_snapshot_identifier."
            ) from e
        if error_code(e) not in ("DBInstanceNotFound", "DBInstanceNotFoundFault"):
            raise
