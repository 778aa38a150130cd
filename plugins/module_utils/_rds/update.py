# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a PostgreSQL instance of Amazon RDS. Private to the collection."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.compare import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.create import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.describe import find
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.describe import to_result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import SETTINGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import effective
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import given
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import BROKEN
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import FULL
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import READY
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import STOPPED
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import explain_status
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import storage_grows
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import wait_ready


def update(
    clients: Clients,
    desired: DesiredState,
    wait_options: WaitOptions,
    instance: dict[str, typing.Any],
    check_mode: bool,
) -> ModuleResult:
    rds = clients.rds
    status = instance["DBInstanceStatus"]
    if status in BROKEN and status != FULL:
        raise UserError(explain_status(rds, desired.name, status, option_names=desired.option_names))
    busy = status not in (*READY, *STOPPED, FULL) or storage_grows(instance)
    if busy and wait_options.wait and not check_mode:
        instance = wait_ready(rds, desired.name, wait_options)
        busy = False
    current = {**effective(instance), "tags": tags_from_aws(instance.get("TagList"))}
    changes, warnings = compare(current, desired)
    tags = predict_tags(current["tags"], desired.tags, desired.purge_tags)
    to_set, to_unset = compare_tags(current["tags"], tags)
    if busy:
        # RDS shows final values only when the instance is available, and refuses changes before.
        if changes:
            warnings.append(
                f"The RDS instance {desired.name} is {status}; {', '.join(changes)} will be compared again when this"
                " runs next."
            )
        changes = {}
    changed = bool(changes or to_set or to_unset)
    after = {**current, **changes, "tags": tags}
    warnings += _unfit(rds, desired, instance, changes, check_mode)
    outcome = ModuleResult(changed, given(current), given(after), {"instance": to_result(instance)}, warnings)
    if check_mode or not changed:
        return outcome
    if to_unset:
        rds.remove_tags_from_resource(ResourceName=instance["DBInstanceArn"], TagKeys=to_unset)
    if to_set:
        rds.add_tags_to_resource(ResourceName=instance["DBInstanceArn"], Tags=tags_to_aws(to_set))
    if changes:
        _modify(rds, desired, current, changes)
    if changes and wait_options.wait:
        awaited = [SETTINGS[option].create for option in changes if SETTINGS[option].pending]
        instance = wait_ready(rds, desired.name, wait_options, tuple(awaited) if desired.apply_immediately else ())
    else:
        instance = find(rds, desired.name) or instance
    outcome.values["instance"] = to_result(instance)
    return outcome


def _unfit(
    rds: Client,
    desired: DesiredState,
    instance: dict[str, typing.Any],
    changes: dict[str, typing.Any],
    check_mode: bool,
) -> list[str]:
    """Return a warning about an instance that is stopped.

    Raises:
        UserError: it cannot be changed in this state, or the changes do not make it usable.
    """
    name, status = desired.name, instance["DBInstanceStatus"]
    if status == FULL and "allocated_storage" not in changes and not storage_grows(instance):
        raise UserError(explain_status(rds, name, status, instance, desired.option_names))
    if status not in STOPPED:
        return []
    if changes and not check_mode:
        raise UserError(f"{explain_status(rds, name, status)} Nothing was changed.")
    return [f"{explain_status(rds, name, status)} It was not started."]


def _modify(rds: Client, desired: DesiredState, current: dict[str, typing.Any], changes: dict[str, typing.Any]) -> None:
    params = {str(SETTINGS[option].modify): value for option, value in changes.items()}
    if "max_allocated_storage" in changes and "allocated_storage" in desired.settings:
        # A maximum that equals the size disables autoscaling.
        params["MaxAllocatedStorage"] = max(changes["max_allocated_storage"], desired.settings["allocated_storage"])
    if "engine_version" in changes:
        params["AllowMajorVersionUpgrade"] = desired.allow_major_version_upgrade
    if "enable_cloudwatch_logs_exports" in changes:
        params["CloudwatchLogsExportConfiguration"] = _log_changes(current, changes)
    if {"allocated_storage", "iops", "storage_throughput", "storage_type"} & changes.keys():
        params = {**_performance(current, changes), **params}
    rds.modify_db_instance(DBInstanceIdentifier=desired.name, ApplyImmediately=desired.apply_immediately, **params)


def _log_changes(current: dict[str, typing.Any], changes: dict[str, typing.Any]) -> dict[str, list[str]]:
    """Return the log exports to enable and to disable."""
    option = "enable_cloudwatch_logs_exports"
    before, after = set(current[option]), set(changes[option])
    found = {"EnableLogTypes": sorted(after - before), "DisableLogTypes": sorted(before - after)}
    return {member: types for member, types in found.items() if types}


def _performance(current: dict[str, typing.Any], changes: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the parameters that RDS requires to change storage with IOPS: "You must specify both the storage size and
    iops when modifying the storage size or iops on a DB instance that has iops" (RDS). Other storage must not have it.

    RDS User Guide, "Amazon RDS DB instance storage": gp3 of PostgreSQL has them from 400 GiB on, 12,000 at least.
    """
    after = {**current, **changes}
    large = after["storage_type"] == "gp3" and after["allocated_storage"] >= 400
    if not large and after["storage_type"] not in ("io1", "io2"):
        return {}
    least_iops, least_throughput = (12000, 500) if large else (0, 0)
    found = {
        "AllocatedStorage": after["allocated_storage"],
        "Iops": max(current["iops"] or 0, least_iops),
        "StorageThroughput": max(current["storage_throughput"] or 0, least_throughput),
    }
    return {name: value for name, value in found.items() if value}
