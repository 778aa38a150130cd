# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task definitions of services: the user's own, or the one that ECS registers."""

from __future__ import annotations

from typing import Any

from ...context import Context
from . import transformations


async def own_definition(ctx: Context, params: dict[str, Any]) -> dict[str, Any] | None:
    """What a user's own task definition says; None when there is none."""
    if not params.get("taskDefinitionArn"):
        return None
    answer = await ctx.aws("ecs", "describe_task_definition", taskDefinition=params["taskDefinitionArn"])
    return transformations.from_definition(answer["taskDefinition"])


async def register(ctx: Context, configuration: dict[str, Any], cluster: str, name: str) -> None:
    """Registers the managed task definition of a configuration and writes its ARN into it."""
    definition: dict[str, Any] = {
        "family": f"{cluster}-{name}",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": configuration["cpu"],
        "memory": configuration["memory"],
        "executionRoleArn": configuration["executionRoleArn"],
        "runtimePlatform": {
            "operatingSystemFamily": "LINUX",
            "cpuArchitecture": configuration.get("cpuArchitecture", "X86_64"),
        },
        "containerDefinitions": [transformations.container_definition(configuration, ctx.settings.region)],
        "tags": [{"key": "AmazonECSManaged", "value": "true"}],
    }
    if configuration.get("taskRoleArn"):
        definition["taskRoleArn"] = configuration["taskRoleArn"]
    answer = await ctx.aws("ecs", "register_task_definition", **definition)
    configuration["taskDefinitionArn"] = answer["taskDefinition"]["taskDefinitionArn"]
