# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the caller of an operation must be allowed to do."""

from __future__ import annotations

import asyncio
from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import TrustError
from .infrastructure import PRINCIPAL
from .transformations import invalid

TASKS_PRINCIPAL = "ecs-tasks.amazonaws.com"


def allow(ctx: Context, call: Call, resource: str, context: dict[str, Any] | None = None) -> None:
    """Enforces the caller's policies for an operation of ECS."""
    ctx.allow(call, f"ecs:{call.operation}", resource, context)


def pass_roles(ctx: Context, call: Call, configuration: dict[str, Any], infrastructure: str = "") -> None:
    """The caller must be allowed to pass each role to the service that will assume it."""
    roles = [
        (infrastructure, PRINCIPAL),
        (configuration.get("executionRoleArn"), TASKS_PRINCIPAL),
        (configuration.get("taskRoleArn"), TASKS_PRINCIPAL),
    ]
    for role, principal in roles:
        if role:
            ctx.allow(call, "iam:PassRole", role, {"iam:PassedToService": principal})


async def ensure_linked_role(ctx: Context, call: Call) -> None:
    """ECS's service-linked role, made when ECS is first used (developer guide, express-service-first-run)."""
    try:
        await ctx.linked_role(call, PRINCIPAL)
    except ApiError as error:
        raise invalid(
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
        ) from error


async def check_trust(ctx: Context, role: str) -> None:
    """Refuses an infrastructure role that ECS cannot assume."""
    try:
        await asyncio.to_thread(ctx.client, "elbv2", role_arn=role, principal=PRINCIPAL)
    except TrustError as error:
        raise ApiError("AccessDeniedException", f"Cannot assume role {role}: {error}") from error
