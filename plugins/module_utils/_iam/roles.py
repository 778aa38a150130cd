# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM roles that AWS services assume. Private to the collection.

Facts: botocore's model of IAM; IAM User Guide, "Changes that I make are not always immediately visible".
"""

from __future__ import annotations

import json
import time
import typing
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime

from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import CallerIdentity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions

CONSISTENT_READS = 3
"""So many identical reads in a row count as propagated within IAM."""


@dataclass(frozen=True)
class DesiredState:
    """What the user asked for; None leaves a setting alone."""

    name: str
    path: str | None = None
    description: str | None = None
    max_session_duration: int | None = None
    permissions_boundary: str | None = None
    trust: dict[str, typing.Any] | None = None
    managed_policies: list[str] | None = None
    purge_managed_policies: bool = False
    inline_policies: dict[str, dict[str, typing.Any]] | None = None
    purge_inline_policies: bool = False
    tags: dict[str, str] | None = None
    purge_tags: bool = True


@dataclass(frozen=True)
class PropagationOptions(WaitOptions):
    """How to wait until IAM has propagated a change.

    Attributes:
        settle: seconds after a change in which IAM may still answer differently from place to place.
        simulate_actions: actions that IAM's policy simulator must allow the role.
        simulate_resources: on these resources.
    """

    timeout: float = 60
    delay: float = 1
    settle: float = 10
    simulate_actions: list[str] = field(default_factory=list)
    simulate_resources: list[str] = field(default_factory=list)


def trust_policy(service: str, condition: dict[str, typing.Any] | None = None) -> dict[str, typing.Any]:
    """Return the trust policy that lets an AWS service assume the role."""
    statement: dict[str, typing.Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


def read(iam: Client, name: str) -> dict[str, typing.Any] | None:
    """Return role, policies and tags in the module's shape, or None if there is no such role."""
    try:
        role = iam.get_role(RoleName=name)["Role"]
        attached = iam.pages("list_attached_role_policies", "AttachedPolicies", RoleName=name)
        inline = {}
        for policy in iam.pages("list_role_policies", "PolicyNames", RoleName=name):
            inline[policy] = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    except ClientError as e:
        if error_code(e) == "NoSuchEntity":
            return None
        raise
    return {
        "arn": role["Arn"],
        "role_id": role["RoleId"],
        "name": role["RoleName"],
        "role_name": role["RoleName"],
        "create_date": role["CreateDate"],
        "path": role["Path"],
        "description": role.get("Description") or "",
        "max_session_duration": role.get("MaxSessionDuration") or 3600,
        "permissions_boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn") or "",
        # botocore decodes policies; an API that answers with text is understood too.
        "assume_role_policy_document": _decoded(role.get("AssumeRolePolicyDocument")),
        "managed_policies": sorted(policy["PolicyArn"] for policy in attached),
        "inline_policies": {key: _decoded(inline[key]) for key in sorted(inline)},
        "tags": tags_from_aws(role.get("Tags")),
    }


def _decoded(document: typing.Any) -> dict[str, typing.Any]:
    return json.loads(document) if isinstance(document, str) else (document or {})


_COMPARED = (
    "path",
    "description",
    "max_session_duration",
    "permissions_boundary",
    "assume_role_policy_document",
    "managed_policies",
    "inline_policies",
    "tags",
)


def compared(role: dict[str, typing.Any] | None) -> dict[str, typing.Any]:
    """Return the part of a role that a diff shows."""
    return {key: role[key] for key in _COMPARED} if role else {}


def predict(
    current: dict[str, typing.Any] | None, desired: DesiredState, caller: CallerIdentity
) -> dict[str, typing.Any]:
    """Return the role as it will be.

    Raises:
        UserError: the path of an existing role cannot be changed; or there is no trust policy for a new one.
    """
    if current is None:
        if desired.trust is None:
            raise UserError(
                f"IAM role {desired.name} does not exist yet and needs a trust policy: set service, such as"
                " ecs-tasks.amazonaws.com, or assume_role_policy_document."
            )
        path = desired.path or "/"
        current = {
            "arn": f"arn:{caller.partition}:iam::{caller.account_id}:role{path}{desired.name}",
            "name": desired.name,
            "role_name": desired.name,
            "path": path,
            "description": "",
            "max_session_duration": 3600,
            "permissions_boundary": "",
            "assume_role_policy_document": {},
            "managed_policies": [],
            "inline_policies": {},
            "tags": {},
        }
    elif desired.path is not None and desired.path != current["path"]:
        raise UserError(
            f"IAM role {desired.name} exists with the path {current['path']}, and path asks for {desired.path}: AWS"
            " cannot move a role. Delete the role first, ask for its present path, or choose another name."
        )
    after = dict(current)
    for setting in ("description", "max_session_duration", "permissions_boundary"):
        if getattr(desired, setting) is not None:
            after[setting] = getattr(desired, setting)
    if desired.trust is not None and compare_policies(current["assume_role_policy_document"], desired.trust):
        after["assume_role_policy_document"] = desired.trust
    if desired.managed_policies is not None:
        kept = set() if desired.purge_managed_policies else set(current["managed_policies"])
        after["managed_policies"] = sorted(kept | set(desired.managed_policies))
    if desired.inline_policies is not None:
        after["inline_policies"] = _predict_inline(current["inline_policies"], desired)
    after["tags"] = predict_tags(current["tags"], desired.tags, desired.purge_tags)
    return after


def _predict_inline(
    current: dict[str, dict[str, typing.Any]], desired: DesiredState
) -> dict[str, dict[str, typing.Any]]:
    after = {} if desired.purge_inline_policies else dict(current)
    for name, document in (desired.inline_policies or {}).items():
        same = name in current and not compare_policies(current[name], document)
        after[name] = current[name] if same else document
    return {name: after[name] for name in sorted(after)}


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
        return ModuleResult(changed, compared(current), compared(after), {"iam_role": after}, [])
    if changed:
        after = _apply(iam, desired, caller, current, after)
    role = (
        _await(iam, desired, caller, after, wait_options=wait_options, changed=changed) if wait_options.wait else after
    )
    return ModuleResult(changed, compared(current), compared(role), {"iam_role": role}, [])


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


def _await(
    iam: Client,
    desired: DesiredState,
    caller: CallerIdentity,
    after: dict[str, typing.Any],
    *,
    wait_options: PropagationOptions,
    changed: bool,
) -> dict[str, typing.Any]:
    age = (datetime.now(UTC) - after["create_date"]).total_seconds()
    pause = wait_options.settle if changed else min(wait_options.settle, wait_options.settle - age)
    if pause <= 0 and not changed:
        return after
    started = time.monotonic()
    wait_options.report("waiting until IAM shows the change everywhere")
    role = _await_reads(iam, desired, caller, wait_options)
    if wait_options.simulate_actions:
        _await_simulation(iam, role["arn"], wait_options)
    left = pause - (time.monotonic() - started)
    if left > 0:
        time.sleep(left)
    return role


def _await_reads(
    iam: Client, desired: DesiredState, caller: CallerIdentity, wait_options: PropagationOptions
) -> dict[str, typing.Any]:
    in_a_row = 0
    role = None
    for _poll in wait_options.waiter().polls():
        role = read(iam, desired.name)
        as_wanted = role is not None and compared(predict(role, desired, caller)) == compared(role)
        in_a_row = in_a_row + 1 if as_wanted else 0
        if role is not None and in_a_row >= CONSISTENT_READS:
            return role
    raise UserError(
        f"IAM role {desired.name} was changed, but IAM does not show the change consistently after"
        f" {wait_options.timeout:g} seconds (wait_timeout). Run this again; if it happens again, something else changes"
        " the role at the same time."
    )


def _await_simulation(iam: Client, arn: str, wait_options: PropagationOptions) -> None:
    params: dict[str, typing.Any] = {"PolicySourceArn": arn, "ActionNames": wait_options.simulate_actions}
    if wait_options.simulate_resources:
        params["ResourceArns"] = wait_options.simulate_resources
    denied: list[str] = []
    for _poll in wait_options.waiter().polls():
        results = iam.simulate_principal_policy(**params)["EvaluationResults"]
        denied = sorted({r["EvalActionName"] for r in results if r["EvalDecision"] != "allowed"})
        if not denied:
            return
        wait_options.report(f"waiting until IAM's policy simulator allows {', '.join(denied)}")
    raise UserError(
        f"IAM role {arn} is still not allowed {', '.join(denied)} after {wait_options.timeout:g} seconds"
        " (wait_timeout), says IAM's policy simulator: correct simulate_actions, simulate_resources, or the role's"
        " policies and permissions boundary."
    )


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
