# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RunTask: what a task definition and the call's overrides ask for."""

from __future__ import annotations

from typing import Any

from ...service import ApiError
from .models import TaskSpec


def _refuse(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)


def spec(params: dict[str, Any], definition: dict[str, Any], cluster_arn: str, region: str) -> TaskSpec:
    """The task that RunTask describes.

    :arg params: the call's input.
    :arg definition: the task definition as DescribeTaskDefinition shows it.
    :raises ApiError: ECS's refusal, or something that does not exist here.
    """
    network = (params.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    _check(params, definition, network)
    container = definition["containerDefinitions"][0]
    overrides = params.get("overrides") or {}
    own: dict[str, Any] = next(
        (item for item in overrides.get("containerOverrides", []) if item.get("name") == container["name"]),
        {},
    )
    _check_overrides(overrides, container["name"])
    options = (container.get("logConfiguration") or {}).get("options", {})
    execution = overrides.get("executionRoleArn") or definition.get("executionRoleArn", "")
    if not execution and (options or container.get("secrets")):
        raise ApiError(
            "ClientException",
            "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
        )
    environment = {item["name"]: item["value"] for item in container.get("environment", [])}
    environment.update({item["name"]: item["value"] for item in own.get("environment", [])})
    ports = container.get("portMappings") or [{}]
    family, revision = definition["family"], definition["revision"]
    network = network or {}
    return TaskSpec(
        service_arn="",
        cluster_arn=cluster_arn,
        family=family,
        revision=revision,
        task_definition_arn=definition["taskDefinitionArn"],
        image=container["image"],
        command=[*container.get("entryPoint", []), *(own.get("command") or container.get("command", []))],
        environment=environment,
        secrets={item["name"]: item["valueFrom"] for item in container.get("secrets", [])},
        container_port=int(ports[0].get("containerPort") or 80),
        log_group=options.get("awslogs-group", ""),
        log_prefix=options.get("awslogs-stream-prefix", "ecs"),
        log_region=options.get("awslogs-region", region),
        execution_role_arn=execution,
        task_role_arn=overrides.get("taskRoleArn") or definition.get("taskRoleArn", ""),
        cpu=str(overrides.get("cpu") or definition.get("cpu", "256")),
        memory=str(overrides.get("memory") or definition.get("memory", "512")),
        group=params.get("group") or f"family:{family}",
        subnets=list(network.get("subnets", [])),
        security_groups=list(network.get("securityGroups", [])),
        container_name=container["name"],
        started_by=params.get("startedBy", ""),
        overrides=overrides,
        tags=list(params.get("tags") or []),
        cpu_architecture=(definition.get("runtimePlatform") or {}).get("cpuArchitecture", "X86_64"),
    )


def _check_overrides(overrides: dict[str, Any], container: str) -> None:
    """Refuses overrides of something that the definition has not, and those that have no effect here."""
    for given in overrides.get("containerOverrides", []):
        if given.get("name") != container:
            raise _refuse(f"Override for container named {given.get('name')} is not a container in the TaskDefinition.")
        unknown = sorted(set(given) - {"name", "command", "environment", "cpu", "memory", "memoryReservation"})
        if unknown:
            raise _refuse(f"The local AWS does not override {', '.join(unknown)} of a container.")


def _check(params: dict[str, Any], definition: dict[str, Any], network: dict[str, Any] | None) -> None:
    providers = {item.get("capacityProvider") for item in params.get("capacityProviderStrategy", [])}
    default = "EC2" if not providers else "FARGATE"
    if params.get("launchType", default) != "FARGATE" or providers - {"FARGATE", "FARGATE_SPOT"}:
        raise _refuse("No Container Instances were found in your cluster.")
    if definition.get("networkMode") != "awsvpc":
        raise ApiError("ClientException", "Fargate only supports network mode 'awsvpc'.")
    if not network:
        raise _refuse("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if len(definition["containerDefinitions"]) != 1:
        raise _refuse("The local AWS runs task definitions with one container.")
    driver = (definition["containerDefinitions"][0].get("logConfiguration") or {}).get("logDriver", "awslogs")
    if driver != "awslogs":
        raise _refuse(f"The local AWS knows the log driver awslogs only, not {driver}.")
