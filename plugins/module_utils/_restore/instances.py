# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What a restore does to instances of RDS: make a copy with the settings of the live one, rename, delete.

An instance that RDS restores has the default security group, subnet group and parameter group, one zone, no protection
and no log exports, unless they are sent along; some settings can only be changed afterwards (botocore's model of rds,
RestoreDBInstanceFromDBSnapshot and RestoreDBInstanceToPointInTime).
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.secret_values import read_members
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import create
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import delete
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import describe
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import SETTINGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import effective
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.start import BUSY
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.update import update
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Family
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Instance
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Origin
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Source

Settings = dict[str, typing.Any]

#: The settings that a restore takes. Its port is that of then, unless another one is sent. The protection comes later:
#: an instance that RDS cannot bring up must be deletable.
_AT_RESTORE = (
    "auto_minor_version_upgrade",
    "backup_retention_period",
    "ca_certificate_identifier",
    "copy_tags_to_snapshot",
    "db_instance_class",
    "db_parameter_group_name",
    "db_subnet_group_name",
    "enable_cloudwatch_logs_exports",
    "multi_az",
    "preferred_backup_window",
    "publicly_accessible",
    "storage_type",
    "vpc_security_group_ids",
)
#: What belongs to the data rather than to the instance, and stays as it was then.
_OF_THE_DATA = (
    "allocated_storage",
    "db_name",
    "db_subnet_group_name",
    "engine_version",
    "iops",
    "kms_key_id",
    "master_username",
    "port",
    "storage_encrypted",
    "storage_throughput",
    "storage_type",
)
#: What a copy that lives for minutes does without.
_NOT_FOR_A_DRILL = ("deletion_protection", "multi_az", "enable_cloudwatch_logs_exports", "enable_performance_insights")
_EXISTS = ("DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault")


def short_lived(settings: Settings) -> Settings:
    """Return the settings of a copy that is deleted soon."""
    kept = {name: value for name, value in settings.items() if name not in _NOT_FOR_A_DRILL}
    return {**kept, "deletion_protection": False, "multi_az": False, "backup_retention_period": 0}


class Instances:
    """The instances of one deployment.

    Args:
        clients: returns the client of a service.
        name: identifier of the live instance.
        owner: tags of what belongs to the deployment.
        wait_options: how to wait.
        remember: called with a password, so that Ansible hides it everywhere.
    """

    def __init__(
        self,
        clients: Clients,
        name: str,
        owner: Tags,
        wait_options: WaitOptions,
        *,
        remember: Callable[[str], None],
    ) -> None:
        self._clients = clients
        self._rds = clients("rds")
        self._name = name
        self._owner = owner
        self._wait = wait_options
        self._remember = remember

    # ---- reading

    def family(self) -> Family:
        """Return all instances of the deployment."""
        return copies.family(self._rds.pages("describe_db_instances", "DBInstances"), self._name, self._owner)

    def find(self, name: str) -> Instance | None:
        """Return one of them."""
        return describe.find(self._rds, name)

    def window(self, instance: Instance) -> tuple[datetime, datetime] | None:
        """Return the earliest and the latest time that an instance can be restored to; None if it cannot."""
        latest = instance.get("LatestRestorableTime")
        if not latest:
            return None
        found = self._rds.describe_db_instance_automated_backups(DbiResourceId=instance["DbiResourceId"])
        windows = [one.get("RestoreWindow") or {} for one in found["DBInstanceAutomatedBackups"]]
        earliest = next((one["EarliestTime"] for one in windows if one.get("EarliestTime")), None)
        return (earliest, latest) if earliest else None

    # ---- making a copy

    def restore(self, source: Source, origin: Origin, name: str, settings: Settings, tags: Tags) -> None:
        """Have RDS make a copy, unless it is there or being made; wait for it.

        Args:
            source: what is restored.
            origin: where it comes from.
            name: of the copy.
            settings: of the live instance, as effective() returns them.
            tags: of the copy.
        """
        sent: dict[str, typing.Any] = {
            SETTINGS[option].create: settings[option]
            for option in _AT_RESTORE
            if settings.get(option) not in (None, [], "")
        }
        sent |= _performance(settings)
        sent["Tags"] = tags_to_aws(tags)
        there = self.find(name)
        if there and there["DBInstanceStatus"] == "deleting":
            wait.wait_gone(self._rds, name, self._wait)
            there = None
        if there is None:
            self._ask_to_restore(source, origin, name, sent)
        wait.wait_ready(self._rds, name, self._wait)

    def _ask_to_restore(self, source: Source, origin: Origin, name: str, sent: dict[str, typing.Any]) -> None:
        try:
            if source.kind != copies.TIME:
                self._rds.restore_db_instance_from_db_snapshot(
                    DBInstanceIdentifier=name, DBSnapshotIdentifier=origin.snapshot, **sent
                )
            else:
                self._rds.restore_db_instance_to_point_in_time(
                    SourceDBInstanceIdentifier=origin.instance,
                    TargetDBInstanceIdentifier=name,
                    RestoreTime=copies.moment_of(source),
                    **sent,
                )
        except ClientError as e:
            # An attempt whose answer was lost.
            if error_code(e) not in _EXISTS:
                raise

    def complete(self, name: str, settings: Settings, secret: str) -> None:
        """Give a copy the settings that a restore does not take, and the password that the secret has.

        Args:
            name: of the copy.
            settings: of the live instance.
            secret: what the server takes its password from, as a task definition names it.
        """
        changeable = {
            option: value
            for option, value in settings.items()
            if option not in _OF_THE_DATA and SETTINGS[option].modify and value is not None
        }
        desired = DesiredState(name, changeable, apply_immediately=True)
        clients = create.Clients(self._rds, self._clients("secretsmanager"), self._clients("sts"), self._remember)
        instance = wait.wait_ready(self._rds, name, self._wait)
        update(clients, desired, self._wait, instance, check_mode=False)
        self._rds.modify_db_instance(
            DBInstanceIdentifier=name, MasterUserPassword=self._password(secret), ApplyImmediately=True
        )
        wait.wait_ready(self._rds, name, self._wait, ("MasterUserPassword",))

    def _password(self, secret: str) -> str:
        """Return the present password.

        Raises:
            UserError: there is none.
        """
        parts = secret.split(":")
        arn, key = ":".join(parts[:7]), parts[7] if len(parts) > 7 else ""
        password = (read_members(self._clients("secretsmanager"), arn) or {}).get(key or "password")
        if not isinstance(password, str) or not password:
            raise UserError(f"The secret {arn} has no member {key or 'password'} with the password of the database.")
        self._remember(password)
        return password

    # ---- changing

    def tag(self, instance: Mapping[str, typing.Any], tags: Tags) -> None:
        """Set tags of an instance."""
        self._rds.add_tags_to_resource(ResourceName=instance["DBInstanceArn"], Tags=tags_to_aws(tags))

    def rename(self, resource: str, old: str, new: str, *, may_be_broken: bool = False) -> None:
        """Give an instance another identifier, or wait for a renaming that was begun.

        Args:
            resource: its DbiResourceId, which stays the same.
            old, new: identifiers.
            may_be_broken: whether it may have a status that waiting does not end. RDS decides whether it renames that.

        Raises:
            UserError: another instance has the new name, it is broken, or it takes too long.
            ClientError: RDS refuses.
        """
        waiter = self._wait.waiter()
        unknown: Instance | None = {}
        for _poll in waiter.polls():
            there = waiter.tolerate_outage(lambda: self.find(new), otherwise=unknown)
            if there and there["DbiResourceId"] != resource:
                raise UserError(f"There is another RDS instance {new}: {old} cannot get its name. Delete or rename it.")
            if there and ((may_be_broken and there["DBInstanceStatus"] in wait.BROKEN) or self._is_ready(there)):
                return
            if there is None:
                self._ask_to_rename(resource, old, new, may_be_broken=may_be_broken)
            waiter.report(f"RDS instance {old} becomes {new}: {(there or {}).get('DBInstanceStatus', 'not there yet')}")
        waiter.raise_outage()
        raise UserError(
            f"The RDS instance {old} has not become {new} after {self._wait.timeout:g} seconds (wait_timeout). RDS goes"
            " on with it."
        )

    def _is_ready(self, instance: Instance) -> bool:
        status = str(instance["DBInstanceStatus"])
        if status in wait.BROKEN:
            raise UserError(wait.explain_status(self._rds, str(instance["DBInstanceIdentifier"]), status, instance))
        return status in wait.READY and bool((instance.get("Endpoint") or {}).get("Address"))

    def _ask_to_rename(self, resource: str, old: str, new: str, *, may_be_broken: bool) -> None:
        """Ask RDS for it, unless it does something else with the instance at the moment."""
        here = self.find(old)
        if here is None or here["DbiResourceId"] != resource:
            return
        is_broken = here["DBInstanceStatus"] in wait.BROKEN
        if here["DBInstanceStatus"] not in wait.READY and not (is_broken and may_be_broken):
            return
        if (here.get("PendingModifiedValues") or {}).get("DBInstanceIdentifier"):
            return
        try:
            self._rds.modify_db_instance(DBInstanceIdentifier=old, NewDBInstanceIdentifier=new, ApplyImmediately=True)
        except ClientError as e:
            # Waiting does not help one that is broken.
            if is_broken or error_code(e) not in BUSY:
                raise

    def delete(self, name: str, *, final_snapshot: str = "", wait_for_it: bool = False) -> None:
        """Delete an instance, protected or not, if it is there; without a snapshot unless one is named."""
        options = delete.DeleteOptions(
            skip_final_snapshot=not final_snapshot,
            final_snapshot=final_snapshot or None,
            disable_deletion_protection=True,
        )
        how = replace(self._wait, wait=wait_for_it)
        delete.ensure_absent(self._rds, name, options, how, check_mode=False)


def settings_of(instance: Instance) -> Settings:
    """Return the settings of an instance that a copy gets."""
    return effective(instance)


def _performance(settings: Settings) -> dict[str, typing.Any]:
    """Return provisioned I/O, where the storage has it: gp3 of PostgreSQL from 400 GiB on, and io1 and io2."""
    storage = settings.get("storage_type")
    if storage not in ("io1", "io2") and not (storage == "gp3" and (settings.get("allocated_storage") or 0) >= 400):
        return {}
    found = {"Iops": settings.get("iops"), "StorageThroughput": settings.get("storage_throughput")}
    return {name: value for name, value in found.items() if value}
