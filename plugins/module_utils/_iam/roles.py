# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM roles that AWS services assume. Private to the collection.

Facts: botocore's model of IAM; IAM User Guide, "Changes that I make are not always immediately visible".
"""

from __future__ import annotations

import json
import typing
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import CallerIdentity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.propagation import PropagationOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.propagation import seconds_left
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.propagation import wait_for_propagation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.role_state import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.role_state import compared
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.role_state import predict
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.role_state import read


def _create(iam: Client, after: dict[str, typing.Any]) -> dict[str, typing.Any]:
    params: dict[str, typing.Any] = {
        "RoleName": after["name"],
        "Path": after["path"],
        "AssumeRolePolicyDocument": json.dumps(after["assume_role_policy_document"]),
        "MaxSessionDuration": after["max_session_duration"],
    }
    if after["description"]:
        params["Description"] = after["description"]
    if after["permissions_boundary"]:
        params["PermissionsBoundary"] = after["permissions_boundary"]
    if after["tags"]:
        params["Tags"] = tags_to_aws(after["tags"])
    created: dict[str, typing.Any] = iam.create_role(**params)["Role"]
    return created


def _update(iam: Client, current: dict[str, typing.Any], after: dict[str, typing.Any]) -> None:
    name = after["name"]
    # Tags first: the caller's policies may allow the rest for roles with these alone.
    to_set, to_remove = compare_tags(current["tags"], after["tags"])
    if to_set:
        iam.tag_role(RoleName=name, Tags=tags_to_aws(to_set))
    plain = ("description", "max_session_duration")
    if any(after[setting] != current[setting] for setting in plain):
        # Both: a duration that UpdateRole is not given becomes an hour (IAM API Reference).
        iam.update_role(
            RoleName=name, Description=after["description"], MaxSessionDuration=after["max_session_duration"]
        )
    if after["permissions_boundary"] != current["permissions_boundary"]:
        if after["permissions_boundary"]:
            iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=after["permissions_boundary"])
        else:
            iam.delete_role_permissions_boundary(RoleName=name)
    if after["assume_role_policy_document"] != current["assume_role_policy_document"]:
        document = json.dumps(after["assume_role_policy_document"])
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
    if to_remove:
        iam.untag_role(RoleName=name, TagKeys=to_remove)


def _update_policies(iam: Client, current: dict[str, typing.Any], after: dict[str, typing.Any]) -> None:
    # Added before removed: a role that is in use never has less than it is meant to have.
    name = after["name"]
    for arn in after["managed_policies"]:
        if arn not in current["managed_policies"]:
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    for policy, document in after["inline_policies"].items():
        if document != current["inline_policies"].get(policy):
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
    for arn in current["managed_policies"]:
        if arn not in after["managed_policies"]:
            _gone(iam.detach_role_policy, RoleName=name, PolicyArn=arn)
    for policy in current["inline_policies"]:
        if policy not in after["inline_policies"]:
            _gone(iam.delete_role_policy, RoleName=name, PolicyName=policy)


def _gone(call: typing.Callable[..., typing.Any], **params: str) -> None:
    """Delete something that may be gone already."""
    try:
        call(**params)
    except ClientError as e:
        if error_code(e) != "NoSuchEntity":
            raise


def _identity(sts: Client, current: dict[str, typing.Any] | None) -> CallerIdentity:
    if current is None:
        return caller_identity(sts)
    parts = current["arn"].split(":")
    return CallerIdentity(account_id=parts[4], partition=parts[1])


def ensure_present(
    iam: Client, sts: Client, desired: DesiredState, wait_options: PropagationOptions, check_mode: bool
) -> ModuleResult:
    """Make the role and its policies as asked for, and wait until IAM shows them.

    Raises:
        UserError: what is asked for is impossible, or the changes are not visible in time.
    """
    current = read(iam, desired.name)
    caller = _identity(sts, current)
    after = predict(current, desired, caller)
    changed = compared(current) != compared(after)
    if check_mode:
        return ModuleResult(changed, compared(current), compared(after), {"iam_role": after, "changed_at": ""}, [])
    if changed:
        after = _apply(iam, desired, caller, current, after)
    changed_at = datetime.now(UTC) if changed else after["create_date"]
    left = seconds_left(changed_at, wait_options)
    role = after
    if wait_options.wait and (changed or left > 0):

        def as_desired(found: dict[str, typing.Any]) -> bool:
            return compared(predict(found, desired, caller)) == compared(found)

        role = wait_for_propagation(iam, desired.name, as_desired, left, wait_options)
    values = {"iam_role": role, "changed_at": changed_at.isoformat() if left > 0 else ""}
    return ModuleResult(changed, compared(current), compared(role), values, [])


def ensure_settled(
    iam: Client, name: str, changed_at: datetime | None, wait_options: PropagationOptions, check_mode: bool
) -> ModuleResult:
    """Wait for what is left of the time in which a change of the role settles; change nothing.

    Args:
        changed_at: when the role was changed; None: when it was created.

    Raises:
        UserError: the role does not exist, or IAM does not show the same role consistently in time.
    """
    outcome = ModuleResult(False, {}, {}, {}, [])
    if check_mode:
        return outcome
    if changed_at is None:
        role = read(iam, name)
        if role is None:
            raise UserError(f"IAM role {name} does not exist, so it cannot settle: create it first.")
        changed_at = role["create_date"]
    left = seconds_left(changed_at, wait_options)
    if left > 0:
        before: list[dict[str, typing.Any]] = []

        def same_as_before(found: dict[str, typing.Any]) -> bool:
            before.append(compared(found))
            return before[-1] == before[max(0, len(before) - 2)]

        wait_for_propagation(iam, name, same_as_before, left, wait_options)
    return outcome


def _apply(
    iam: Client,
    desired: DesiredState,
    caller: CallerIdentity,
    current: dict[str, typing.Any] | None,
    after: dict[str, typing.Any],
) -> dict[str, typing.Any]:
    base = current
    if base is None:
        try:
            created = _create(iam, after)
        except ClientError as e:
            # Created meanwhile by another caller, or by an attempt whose answer was lost: go on from what is there.
            base = read(iam, desired.name) if error_code(e) == "EntityAlreadyExists" else None
            if base is None:
                raise
            after = predict(base, desired, caller)
        else:
            after = {**after, "arn": created["Arn"], "role_id": created["RoleId"], "create_date": created["CreateDate"]}
            base = {**after, "managed_policies": [], "inline_policies": {}}
    _update(iam, base, after)
    # A role that was just made may not be visible to the next call for a moment, nor its tags to a condition on them in
    # the caller's own policies.
    _update_policies(iam.retrying("NoSuchEntity", "AccessDenied") if current is None else iam, base, after)
    return after


def ensure_absent(iam: Client, name: str, check_mode: bool) -> ModuleResult:
    """Detach and delete all policies of the role, take it out of instance profiles, delete it."""
    current = read(iam, name)
    if current is not None and current["path"].startswith("/aws-service-role/"):
        raise UserError(f"IAM role {name} is a service-linked role: only its service can delete it. It was left alone.")
    outcome = ModuleResult(current is not None, compared(current), {}, {}, [])
    if current is None or check_mode:
        return outcome
    for arn in current["managed_policies"]:
        _gone(iam.detach_role_policy, RoleName=name, PolicyArn=arn)
    for policy in current["inline_policies"]:
        _gone(iam.delete_role_policy, RoleName=name, PolicyName=policy)
    for profile in iam.pages("list_instance_profiles_for_role", "InstanceProfiles", RoleName=name):
        profile_name = profile["InstanceProfileName"]
        _gone(iam.remove_role_from_instance_profile, InstanceProfileName=profile_name, RoleName=name)
    _gone(iam.delete_role, RoleName=name)
    return outcome
