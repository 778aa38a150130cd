# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log groups of CloudWatch Logs. Private to the collection.

Facts: botocore's model of CloudWatch Logs; CloudWatch Logs API Reference, CreateLogGroup, PutRetentionPolicy and
ListTagsForResource, which takes the ARN without the C(:*) at its end.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws

# CloudWatch Logs API Reference, PutRetentionPolicy; 0 stands for "never expires", which is DeleteRetentionPolicy.
RETENTION_DAYS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
    *(1827, 2192, 2557, 2922, 3288, 3653),
)
_COMPARED = ("retention_in_days", "kms_key_id", "tags")


@dataclass(frozen=True)
class DesiredState:
    """The user's request; None leaves a setting alone."""

    name: str
    retention_in_days: int | None = None
    kms_key_id: str | None = None
    tags: dict[str, typing.Any] | None = None
    purge_tags: bool = True


def find(logs: Client, name: str) -> dict[str, typing.Any] | None:
    """Return the log group in the module's format, or None."""
    groups = logs.pages("describe_log_groups", "logGroups", logGroupNamePrefix=name)
    group = next((one for one in groups if one["logGroupName"] == name), None)
    if group is None:
        return None
    arn = group["arn"].removesuffix(":*")
    # A dictionary, unlike the tags of other services.
    tags = logs.list_tags_for_resource(resourceArn=arn).get("tags") or {}
    return {
        "arn": arn,
        "log_group_name": name,
        "retention_in_days": group.get("retentionInDays") or 0,
        "kms_key_id": group.get("kmsKeyId") or "",
        "tags": tags_from_aws([{"Key": key, "Value": value} for key, value in tags.items()]),
    }


def _compared(group: dict[str, typing.Any] | None) -> dict[str, typing.Any]:
    return {key: group[key] for key in _COMPARED} if group else {}


def _predict(current: dict[str, typing.Any], desired: DesiredState) -> dict[str, typing.Any]:
    after = dict(current)
    for setting in ("retention_in_days", "kms_key_id"):
        if getattr(desired, setting) is not None:
            after[setting] = getattr(desired, setting)
    after["tags"] = predict_tags(current["tags"], desired.tags, desired.purge_tags)
    return after


def ensure_present(logs: Client, sts: Client, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Create the log group, or change what differs.

    Raises:
        UserError: CloudWatch Logs has no such retention.
    """
    if desired.retention_in_days not in (None, *RETENTION_DAYS):
        raise UserError(
            f"retention_in_days is {desired.retention_in_days}, but CloudWatch Logs takes one of"
            f" {', '.join(str(days) for days in RETENTION_DAYS)}, where 0 keeps everything."
        )
    current = find(logs, desired.name)
    base = current or _nothing(logs, sts, desired.name)
    after = _predict(base, desired)
    changed = _compared(current) != _compared(after)
    outcome = ModuleResult(changed, _compared(current), _compared(after), {"log_group": after}, [])
    if check_mode or not changed:
        return outcome
    if current is None and not _create(logs, after):
        # Created meanwhile, by another caller, by ECS or by an attempt whose answer was lost.
        base = find(logs, desired.name) or base
    elif current is None:
        base = {**base, "kms_key_id": after["kms_key_id"], "tags": after["tags"]}
    _update(logs, base, after)
    return outcome


def _nothing(logs: Client, sts: Client, name: str) -> dict[str, typing.Any]:
    """Return a predicted new log group, as AWS creates it."""
    caller = caller_identity(sts)
    arn = f"arn:{caller.partition}:logs:{logs.meta.region_name}:{caller.account_id}:log-group:{name}"
    return {"arn": arn, "log_group_name": name, "retention_in_days": 0, "kms_key_id": "", "tags": {}}


def _create(logs: Client, after: dict[str, typing.Any]) -> bool:
    params: dict[str, typing.Any] = {"logGroupName": after["log_group_name"]}
    if after["kms_key_id"]:
        params["kmsKeyId"] = after["kms_key_id"]
    if after["tags"]:
        params["tags"] = after["tags"]
    try:
        logs.create_log_group(**params)
    except ClientError as e:
        if error_code(e) == "ResourceAlreadyExistsException":
            return False
        raise
    return True


def _update(logs: Client, current: dict[str, typing.Any], after: dict[str, typing.Any]) -> None:
    name = after["log_group_name"]
    if after["retention_in_days"] != current["retention_in_days"]:
        if after["retention_in_days"]:
            logs.put_retention_policy(logGroupName=name, retentionInDays=after["retention_in_days"])
        else:
            logs.delete_retention_policy(logGroupName=name)
    if after["kms_key_id"] != current["kms_key_id"]:
        if after["kms_key_id"]:
            logs.associate_kms_key(logGroupName=name, kmsKeyId=after["kms_key_id"])
        else:
            logs.disassociate_kms_key(logGroupName=name)
    to_set, to_remove = compare_tags(current["tags"], after["tags"])
    if to_remove:
        logs.untag_resource(resourceArn=after["arn"], tagKeys=to_remove)
    if to_set:
        logs.tag_resource(resourceArn=after["arn"], tags=to_set)


def ensure_absent(logs: Client, name: str, check_mode: bool) -> ModuleResult:
    """Delete the log group and its events."""
    current = find(logs, name)
    if current and not check_mode:
        try:
            logs.delete_log_group(logGroupName=name)
        except ClientError as e:
            if error_code(e) != "ResourceNotFoundException":
                raise
    return ModuleResult(current is not None, _compared(current), {}, {}, [])
