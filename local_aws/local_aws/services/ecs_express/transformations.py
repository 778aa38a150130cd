# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request to Express Mode may say, what is filled in, and what an update changes. Pure functions.

Shapes: botocore's model of ECS (CreateExpressGatewayService, UpdateExpressGatewayService). Defaults: Amazon ECS
developer guide, express-service-create-full; where the API model's texts differ (256/512, /ping), the guide wins.
"""

from __future__ import annotations

import re
from typing import Any

from ...service import ApiError
from . import size

DEFAULT_CPU = "1024"
DEFAULT_MEMORY = "2048"
DEFAULT_PATH = "/"
DEFAULT_PORT = 80
DEFAULT_SCALING = {
    "minTaskCount": 1,
    "maxTaskCount": 20,
    "autoScalingMetric": "AVERAGE_CPU",
    "autoScalingTargetValue": 60,
}

_GIB = 1024
FARGATE: dict[int, list[int]] = {
    256: [512, 1024, 2048],
    512: list(range(1024, 4097, 1024)),
    1024: list(range(2048, 8193, 1024)),
    2048: list(range(4096, 16385, 1024)),
    4096: list(range(8192, 30721, 1024)),
    8192: list(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16384: list(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}
"""CPU units and the memory (MiB) that Fargate has for them (ECS developer guide, task definition parameters)."""

ARCHITECTURES = ("X86_64", "ARM64")
METRICS = ("AVERAGE_CPU", "AVERAGE_MEMORY", "REQUEST_COUNT_PER_TARGET")
MANAGED_BY_DEFINITION = ("primaryContainer", "executionRoleArn", "taskRoleArn", "cpu", "memory", "cpuArchitecture")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_ARN = re.compile(r"arn:(aws[a-z-]*):ecs:([a-z0-9-]+):(\d{12}):([a-z-]+)/(.+)")


def invalid(message: str) -> ApiError:
    """InvalidParameterException."""
    return ApiError("InvalidParameterException", message)


def last_part(name_or_arn: str) -> str:
    """The name in an ARN; a name stays itself."""
    return name_or_arn.rsplit("/", 1)[-1] if name_or_arn.startswith("arn:") else name_or_arn


def arn_kind(arn: str) -> str:
    """``service``, ``service-deployment``, ``service-revision`` …; empty when it is no ARN of ECS."""
    found = _ARN.fullmatch(arn)
    return found.group(4) if found else ""


def check_name(name: str) -> None:
    """A service's name: up to 255 letters, digits, underscores and hyphens (botocore's text on serviceName)."""
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Invalid service name: {name}. A service name has up to 255 letters (uppercase and lowercase), numbers, "
            "underscores, and hyphens."
        )


def check_create(params: dict[str, Any]) -> None:
    """The rules between the members of Create."""
    if params.get("taskDefinitionArn"):
        check_definition_alone(params)
    else:
        for name in ("executionRoleArn", "primaryContainer"):
            if not params.get(name):
                raise invalid(f"{name} is required when taskDefinitionArn is not provided.")
    if params.get("serviceName") is not None:
        check_name(params["serviceName"])
    if len(params.get("tags") or []) > 50:
        raise invalid("Tags can not have more than 50 elements.")
    check_values(params)


def check_definition_alone(params: dict[str, Any]) -> None:
    """taskDefinitionArn excludes what it already says."""
    if params.get("taskDefinitionArn") and any(params.get(name) is not None for name in MANAGED_BY_DEFINITION):
        raise invalid(
            "taskDefinitionArn cannot be provided with primaryContainer, executionRoleArn, taskRoleArn, cpu, or memory."
        )


def check_values(params: dict[str, Any]) -> None:
    """Values that are wrong on their own."""
    path = params.get("healthCheckPath")
    if path is not None and not path.startswith("/"):
        raise invalid(f"The health check path {path!r} must start with a forward slash (/).")
    container = params.get("primaryContainer") or {}
    port = container.get("containerPort")
    if port is not None and not 1 <= port <= 65535:
        raise invalid(f"containerPort {port} is not between 1 and 65535.")
    if container and not container.get("image"):
        raise invalid("Container.image should not be null or empty.")
    _check_choice("cpuArchitecture", params.get("cpuArchitecture"), ARCHITECTURES)
    metric = (params.get("scalingTarget") or {}).get("autoScalingMetric")
    _check_choice("autoScalingMetric", metric, METRICS)
    check_unique(container)


def _check_choice(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise invalid(f"{name} {value!r} is none of {', '.join(choices)}.")


def check_unique(container: dict[str, Any]) -> None:
    """A name is given once in environment and secrets together (ECS: RegisterTaskDefinition)."""
    names = [item.get("name") for item in container.get("environment") or []]
    names += [item.get("name") for item in container.get("secrets") or []]
    for name in names:
        if names.count(name) > 1:
            raise ApiError(
                "ClientException",
                "The secret name must be unique and not shared with any new or existing environment variables set on "
                f"the container, such as '{name}'.",
            )


_SIZES = {"cpu": size.cpu_units, "memory": size.memory_mib}


def check_size(cpu: str, memory: str) -> None:
    """CPU and memory that Fargate has together."""
    if not (cpu.isdigit() and memory.isdigit()) or int(memory) not in FARGATE.get(int(cpu), []):
        raise ApiError(
            "ClientException",
            f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. "
            "See the Amazon ECS documentation for the valid values.",
        )


def check_scaling(scaling: dict[str, Any]) -> None:
    """Bounds in order, a target above 0. Both bounds may be 0: that is how users stop a service."""
    low, high = scaling["minTaskCount"], scaling["maxTaskCount"]
    if low < 0:
        raise invalid(f"minTaskCount ({low}) must be 0 or more.")
    if low > high:
        raise invalid(f"minTaskCount ({low}) must not be above maxTaskCount ({high}).")
    if scaling["autoScalingTargetValue"] <= 0:
        raise invalid(f"autoScalingTargetValue {scaling['autoScalingTargetValue']} must be above 0.")


def within(count: int, scaling: dict[str, Any]) -> int:
    """The number of tasks nearest to a count that the bounds allow."""
    return int(min(max(count, scaling["minTaskCount"]), scaling["maxTaskCount"]))


def by_name(items: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Environment and secrets come back sorted by name."""
    return sorted(items or [], key=lambda item: item.get("name", ""))


def _container(container: dict[str, Any]) -> dict[str, Any]:
    """A container as Describe shows it: lists sorted, empty ones left out, the port filled in."""
    result = {key: value for key, value in container.items() if value not in (None, [], {})}
    for key in ("environment", "secrets"):
        if result.get(key):
            result[key] = by_name(result[key])
    result.setdefault("containerPort", DEFAULT_PORT)
    return result


def configuration(params: dict[str, Any], log_group: str) -> dict[str, Any]:
    """The first configuration of a service: the request with the defaults filled in.

    :arg log_group: the name of the log group that is made when the request names none.
    """
    result: dict[str, Any] = {
        "healthCheckPath": params.get("healthCheckPath") or DEFAULT_PATH,
        "networkConfiguration": dict(params.get("networkConfiguration") or {}),
        "scalingTarget": {**DEFAULT_SCALING, **_given(params.get("scalingTarget"))},
    }
    if params.get("taskDefinitionArn"):
        result["taskDefinitionArn"] = params["taskDefinitionArn"]
    else:
        result["executionRoleArn"] = params["executionRoleArn"]
        if params.get("taskRoleArn"):
            result["taskRoleArn"] = params["taskRoleArn"]
        result["cpu"] = size.cpu_units(params.get("cpu") or DEFAULT_CPU)
        result["memory"] = size.memory_mib(params.get("memory") or DEFAULT_MEMORY)
        result["cpuArchitecture"] = params.get("cpuArchitecture") or "X86_64"
        result["primaryContainer"] = _container(params["primaryContainer"])
        result["primaryContainer"].setdefault("awsLogsConfiguration", {"logGroup": log_group, "logStreamPrefix": "ecs"})
        check_size(result["cpu"], result["memory"])
    check_scaling(result["scalingTarget"])
    return result


def merged(current: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """The configuration after an update: fields that are given replace, lists whole; others keep their value.

    An empty list clears. primaryContainer is merged member by member (users send the image alone and keep their
    environment). scalingTarget is not: what is not sent along gets its default again (a user's report, carrieros
    scripts/staging-pause.sh; botocore's model says nothing).
    """
    result = dict(current)
    for name in ("executionRoleArn", "taskRoleArn", "cpu", "memory", "cpuArchitecture", "healthCheckPath"):
        if params.get(name) is not None:
            result[name] = _SIZES.get(name, str)(params[name])
    if params.get("primaryContainer") is not None:
        result["primaryContainer"] = _container(
            {**(current.get("primaryContainer") or {}), **_given(params["primaryContainer"])}
        )
    if params.get("networkConfiguration") is not None:
        result["networkConfiguration"] = {**current["networkConfiguration"], **_given(params["networkConfiguration"])}
    if params.get("scalingTarget") is not None:
        result["scalingTarget"] = {**DEFAULT_SCALING, **_given(params["scalingTarget"])}
    if result.get("cpu") and (params.get("cpu") or params.get("memory")):
        check_size(result["cpu"], result["memory"])
    check_scaling(result["scalingTarget"])
    check_unique(result.get("primaryContainer") or {})
    return result


def _given(structure: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (structure or {}).items() if value is not None}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two configurations ask for the same thing; the order of groups and subnets does not matter."""
    return _comparable(one) == _comparable(other)


def _comparable(configuration: dict[str, Any]) -> dict[str, Any]:
    result = {key: value for key, value in configuration.items() if key != "taskDefinitionArn"}
    network = result.get("networkConfiguration") or {}
    result["networkConfiguration"] = {key: sorted(value) for key, value in network.items() if value}
    return result


def default_name(image: str, suffix: str) -> str:
    """``nginx-1234`` for ``public.ecr.aws/nginx/nginx:latest``."""
    name = re.split("[@:]", image.rsplit("/", 1)[-1], maxsplit=1)[0]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', name)}-{suffix}"


def endpoint_host(name: str, token: str, region: str) -> str:
    """AWS's name of a service's endpoint: the first two characters of its name and 32 hexadecimal digits."""
    return f"{name[:2].lower().replace('_', '-')}-{token}.ecs.{region}.on.aws"


def container_definition(configuration: dict[str, Any], region: str) -> dict[str, Any]:
    """The container ``Main`` of the managed task definition."""
    container = configuration["primaryContainer"]
    definition: dict[str, Any] = {
        "name": "Main",
        "image": container["image"],
        "essential": True,
        "portMappings": [
            {"name": "main", "containerPort": container["containerPort"], "protocol": "tcp", "appProtocol": "http"}
        ],
        "linuxParameters": {"initProcessEnabled": True},
        "stopTimeout": 30,
        "versionConsistency": "enabled",
    }
    logs = container.get("awsLogsConfiguration")
    if logs:  # a user's own definition, from which a managed one is made later, may have none
        definition["logConfiguration"] = {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": logs["logGroup"],
                "awslogs-stream-prefix": logs["logStreamPrefix"],
                "awslogs-region": region,
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            },
        }
    for key in ("command", "environment", "secrets", "repositoryCredentials"):
        if container.get(key):
            definition[key] = container[key]
    return definition


def from_definition(definition: dict[str, Any]) -> dict[str, Any]:
    """The configuration that a user's own task definition amounts to.

    :arg definition: the output of DescribeTaskDefinition.
    :raises ApiError: it has no container Main with one named TCP port, or does not run on Fargate.
    """
    mains = [item for item in definition.get("containerDefinitions", []) if item.get("name") == "Main"]
    ports = mains[0].get("portMappings") or [] if mains else []
    if len(ports) != 1 or ports[0].get("protocol", "tcp") != "tcp" or not ports[0].get("name"):
        raise invalid("Task definition must contain a container named 'Main' with a single TCP port mapping.")
    if "FARGATE" not in (definition.get("requiresCompatibilities") or []):
        raise invalid("Task definition must have FARGATE in requiresCompatibilities.")
    main = mains[0]
    options = (main.get("logConfiguration") or {}).get("options") or {}
    container: dict[str, Any] = {"image": main["image"], "containerPort": ports[0]["containerPort"]}
    for key in ("command", "environment", "secrets", "repositoryCredentials"):
        if main.get(key):
            container[key] = by_name(main[key]) if key in ("environment", "secrets") else main[key]
    if options.get("awslogs-group"):
        container["awsLogsConfiguration"] = {
            "logGroup": options["awslogs-group"],
            "logStreamPrefix": options.get("awslogs-stream-prefix", "ecs"),
        }
    result: dict[str, Any] = {
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "cpu": str(definition.get("cpu") or DEFAULT_CPU),
        "memory": str(definition.get("memory") or DEFAULT_MEMORY),
        "primaryContainer": container,
    }
    for key in ("executionRoleArn", "taskRoleArn"):
        if definition.get(key):
            result[key] = definition[key]
    architecture = (definition.get("runtimePlatform") or {}).get("cpuArchitecture")
    if architecture:
        result["cpuArchitecture"] = architecture
    return result
