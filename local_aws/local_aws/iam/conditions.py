# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The condition keys that a request sets, read from its input."""

from __future__ import annotations

from typing import Any

from ..ministack_adapter import credentials
from .resources import Params
from .resources import Scope


def conditions(action: str, scope: Scope, params: Params) -> dict[str, Any]:
    """The condition keys that a request sets, beside those about tags."""
    found: dict[str, Any] = {}
    if action.startswith("ecs:"):
        cluster = params.get("cluster")
        below = params.get("serviceArn") or params.get("service") or ""
        if not cluster and "/" in str(below):
            cluster = str(below).split("/")[-2]
        found["ecs:cluster"] = scope.arn("ecs", f"cluster/{str(cluster or 'default').rpartition('/')[2]}")
    if action.startswith("iam:"):
        if params.get("PolicyArn"):
            found["iam:PolicyARN"] = params["PolicyArn"]
        if params.get("AWSServiceName"):
            found["iam:AWSServiceName"] = params["AWSServiceName"]
        boundary = params.get("PermissionsBoundary") or _boundary(scope.account, params.get("RoleName"))
        if boundary:
            found["iam:PermissionsBoundary"] = boundary
    if action == "secretsmanager:DeleteSecret" and "ForceDeleteWithoutRecovery" in params:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
        found["secretsmanager:ForceDeleteWithoutRecovery"] = str(params["ForceDeleteWithoutRecovery"]).lower()
    return found


def _boundary(account_id: str, name: str | None) -> str:
    """The boundary that a role has."""
    role = credentials.role(account_id, name) if name else None
    found = (role or {}).get("PermissionsBoundary") or ""
    return str(found.get("PermissionsBoundaryArn", "") if isinstance(found, dict) else found)


def request_tags(params: Params) -> dict[str, Any]:
    """aws:RequestTag and aws:TagKeys of a request of which ministack sees nothing."""
    given = params.get("tags") or params.get("Tags") or []
    if isinstance(given, dict):
        tags = {str(key): str(value) for key, value in given.items()}
    else:
        tags = {
            _one_of(item, "Key", "key"): _one_of(item, "Value", "value") for item in given if isinstance(item, dict)
        }
    keys = [*tags, *(params.get("tagKeys") or params.get("TagKeys") or [])]
    found: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return {**found, "aws:TagKeys": keys} if keys else found


def _one_of(item: dict[str, Any], first: str, second: str) -> str:
    return str(item.get(first, item.get(second, "")))
