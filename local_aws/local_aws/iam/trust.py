# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What services may do in an account: roles that they assume, and resource policies that name them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any

from ..ministack_adapter import credentials
from ..ministack_adapter import evaluator
from ..service import TrustError
from ..settings import Settings


def check_trust(settings: Settings, role_arn: str, principal: str, source_arn: str = "") -> None:
    """Whether a service may assume a role.

    ministack's own evaluation lets root stand for every service; here the statement must name this service.

    :arg source_arn: for what it does so; empty: for a task of ECS.
    :raises TrustError: it may not.
    """
    document = _role(role_arn).get("AssumeRolePolicyDocument") or {}
    if isinstance(document, str):
        document = json.loads(document)
    context = {
        "aws:sourceaccount": settings.account_id,
        # "Use the wildcard to specify all clusters": AWS documents arn:aws:ecs:<region>:<account>:* and nothing
        # narrower.
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
        "aws:sourcearn": source_arn or f"arn:aws:ecs:{settings.region}:{settings.account_id}:task/local-aws",
    }
    asked = evaluator.service_question(
        principal, "sts:AssumeRole", role_arn, settings.region, context, settings.account_id
    )
    if not _allows(document, principal, asked):
        raise TrustError(
            f"{principal} is not authorized to perform: sts:AssumeRole on resource: {role_arn} "
            f"(the role's trust policy does not name this service, or its conditions do not hold)"
        )


def service_may(
    document: dict[str, Any], principal: str, action: str, resource: str, context: Mapping[str, Any]
) -> bool:
    """Whether a resource's policy lets a service do something.

    :arg context: the request's condition keys, in lower case.
    """
    region = resource.split(":")[3]
    return _allows(document, principal, evaluator.service_question(principal, action, resource, region, context))


def role_session(role_arn: str, principal: str, seconds: int) -> dict[str, str]:
    """Credentials of a role whose trust has been checked; see Context.role_credentials()."""
    name = f"{principal.partition('.')[0]}-{uuid.uuid4().hex[:16]}"
    expires = time.time() + seconds
    made = credentials.new_session(role_arn, _role(role_arn)["RoleId"], name, expires, principal)
    if made is None:
        raise TrustError(f"{role_arn} cannot be assumed.")
    return {**made, "Expiration": datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _role(role_arn: str) -> dict[str, Any]:
    parts = role_arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
        raise TrustError(f"{role_arn} is not the ARN of an IAM role.")
    role = credentials.role(parts[4], parts[5].rsplit("/", 1)[-1])
    if role is None or role["Arn"] != role_arn:
        raise TrustError(f"The role with ARN {role_arn} does not exist.")
    return role


def _allows(document: Mapping[str, Any], principal: str, asked: Any) -> bool:
    effects = list(_effects(document, principal, asked))
    return "Allow" in effects and "Deny" not in effects


def _effects(document: Mapping[str, Any], principal: str, asked: Any) -> Iterator[str]:
    """The effects of the statements that are about this service and fit what is asked."""
    for statement in evaluator.as_list(document.get("Statement")):
        named = statement.get("Principal", {})
        services = evaluator.as_list(named.get("Service")) if isinstance(named, dict) else []
        if (named == "*" or principal in services) and evaluator.statement_applies(statement, asked):
            yield str(statement.get("Effect"))
