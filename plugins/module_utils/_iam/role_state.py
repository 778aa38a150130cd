# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of IAM roles: requested, current and predicted. Private to the collection.

Facts: botocore's model of IAM.
"""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass

from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import CallerIdentity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws


@dataclass(frozen=True)
class DesiredState:
    """The user's request; None leaves a setting alone."""

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
