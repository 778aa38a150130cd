# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: conversion between boto3's and Ansible's formats. Pure functions, no client.

One canonical form serves both sides of a comparison: snake case; ``environment``, ``secrets`` and ``tags`` as
dicts; ``cpu`` and ``memory`` as strings; without unknown values (no None).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import is_internal
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tag_limits import ECS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tag_limits import tag_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import dictionary_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import member_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import texts
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import sentences
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import container_problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import given_twice
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.container import path_problem

Canonical = dict[str, Any]

HIDDEN = "(hidden)"

# The fields of a configuration, canonical name -> boto name.
_SCALARS = {
    "execution_role_arn": "executionRoleArn",
    "task_role_arn": "taskRoleArn",
    "task_definition_arn": "taskDefinitionArn",
    "health_check_path": "healthCheckPath",
    "cpu": "cpu",
    "memory": "memory",
    "cpu_architecture": "cpuArchitecture",
}
_STRUCTURES: dict[str, tuple[str, dict[str, str]]] = {
    "network_configuration": ("networkConfiguration", {"subnets": "subnets", "security_groups": "securityGroups"}),
    "scaling_target": (
        "scalingTarget",
        {
            "min_task_count": "minTaskCount",
            "max_task_count": "maxTaskCount",
            "auto_scaling_metric": "autoScalingMetric",
            "auto_scaling_target_value": "autoScalingTargetValue",
        },
    ),
}
_LOGS = {"log_group": "logGroup", "log_stream_prefix": "logStreamPrefix"}

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|(^|_)(pg|db|mysql)?pass$|(_|^pg|^db|^mysql)pwd$|"
    r"(private|api|access|account|encryption|signing|master|fernet|auth|license)_?key",
    re.I,
)
_REFERENCE_NAME = re.compile(r"(_arn|_name|_id|_path|_file|_header|_expir\w*|_ttl)$", re.I)
# In a URL, in libpq's or ODBC's pairs, in Azure's connection strings, in PEM.
_WITH_PASSWORD = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|\b(password|pwd|AccountKey|SharedAccessKey)\s*=\s*[^\s;]|-----BEGIN [A-Z ]*PRIVATE KEY",
    re.I,
)
# Tags that ECS itself gives.
_OWN_TAG = re.compile(r"aws:|AmazonECSManaged$", re.I)
_SERVICE_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


def without_none(value: Any) -> Any:
    """Drop None entries of dicts at every level: in Ansible, None means "not given"."""
    if isinstance(value, Mapping):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    return value


def cluster_name(cluster: str | None) -> str:
    """Return the name of a cluster given as name or ARN."""
    return (cluster or "default").rsplit("/", 1)[-1]


def check_service_name(name: str) -> None:
    """Raise EcsExpressError for a name that ECS refuses (botocore model, serviceName), so that check mode does too."""
    if not _SERVICE_NAME.fullmatch(name):
        raise EcsExpressError(
            message=f"service_name is {name!r}, but must be 1 to 255 letters, digits, underscores and hyphens"
        )


def given_tags(tags: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Return the user's tags as text, None if not given; raise EcsExpressError for those that ECS refuses or sets."""
    if tags is None:
        return None
    _raise(tag_problems("tags", tags, ECS))
    return dict(texts(tags))


def _raise(found: Iterable[Violation | None]) -> None:
    violations = [one for one in found if one]
    if violations:
        # The full stop comes with AWS's answer, where there is one.
        raise EcsExpressError(message=sentences(violations).removesuffix("."))


def desired(params: Mapping[str, Any]) -> Canonical:
    """Return the configuration that the user described, in canonical form: only what was given.

    ``params`` are the module's parameters. Raises EcsExpressError for values that ECS refuses.
    """
    result: Canonical = {}
    for key in _SCALARS:
        # Only a role can be removed; other empty texts are variables that were left empty.
        if params.get(key) is not None and (str(params[key]).strip() or key == "task_role_arn"):
            result[key] = str(params[key]).strip()
    for key in _STRUCTURES:
        if params.get(key) is not None:
            result[key] = without_none(params[key])
    if not result.get("network_configuration", {}).get("subnets", True):
        # A service always has them: ECS chooses, and shows its choice.
        del result["network_configuration"]["subnets"]
    if params.get("primary_container") is not None:
        result["primary_container"] = _wanted_container(params["primary_container"])
    _check_sizes(result)
    if "health_check_path" in result:
        _raise([path_problem("health_check_path", result["health_check_path"])])
    return result


def _wanted_container(given: Mapping[str, Any]) -> Canonical:
    container: Canonical = without_none(given)
    if not str(container.get("image", "x")).strip():
        del container["image"]
    for key in ("environment", "secrets"):
        if key in container:
            # With what without_none has dropped: null in it is a mistake.
            _raise(dictionary_problems(f"primary_container.{key}", given[key]))
            container[key] = texts(given[key])
    if "command" in container:
        _raise(member_problems("primary_container.command", given["command"]))
        container["command"] = texts(given["command"])
    environment, secrets = "primary_container.environment", "primary_container.secrets"
    _raise(given_twice(environment, container.get("environment"), secrets, container.get("secrets")))
    _raise(container_problems("primary_container", container))
    return container


def _check_sizes(config: Canonical) -> None:
    """Accept CPU units only. ECS's tutorial writes 2 for two vCPUs; what Describe returns then is not documented."""
    limits = {"cpu": (256, "CPU units, 1024 for one vCPU"), "memory": (512, "MiB, 2048 for 2 GB")}
    for key, (least, unit) in limits.items():
        if key in config and not (config[key].isdigit() and int(config[key]) >= least):
            raise EcsExpressError(message=f"{key} is {config[key]!r}, but must be a whole number of {unit}")


# ---- boto -> canonical


def configuration(boto: Mapping[str, Any]) -> Canonical:
    """Return a configuration as ECS describes it, in canonical form. null, [] and absent lists are alike: absent."""
    result: Canonical = {}
    for key, name in _SCALARS.items():
        if boto.get(name) not in (None, ""):
            result[key] = str(boto[name])
    for key, (name, members) in _STRUCTURES.items():
        inner = {k: boto[name][n] for k, n in members.items() if (boto.get(name) or {}).get(n) not in (None, [], "")}
        if inner:
            result[key] = inner
    if boto.get("primaryContainer"):
        result["primary_container"] = _container(boto["primaryContainer"])
    return result


def _container(boto: Mapping[str, Any]) -> Canonical:
    container: Canonical = {}
    for key, name in (("image", "image"), ("container_port", "containerPort")):
        if boto.get(name) is not None:
            container[key] = boto[name]
    if boto.get("command"):
        container["command"] = list(boto["command"])
    if boto.get("environment"):
        container["environment"] = {str(item["name"]): item.get("value") or "" for item in boto["environment"]}
    if boto.get("secrets"):
        container["secrets"] = {str(item["name"]): item.get("valueFrom") or "" for item in boto["secrets"]}
    logs = boto.get("awsLogsConfiguration") or {}
    if logs:
        container["aws_logs_configuration"] = {k: logs[n] for k, n in _LOGS.items() if logs.get(n)}
    credentials = (boto.get("repositoryCredentials") or {}).get("credentialsParameter")
    if credentials:
        container["repository_credentials"] = {"credentials_parameter": credentials}
    return container


def revision_configuration(revision: Mapping[str, Any], definition: Mapping[str, Any]) -> Canonical:
    """Return the configuration of a service revision, as far as it and its task definition have it.

    They lack scaling and architecture.
    """
    definitions = definition.get("containerDefinitions") or []
    main: Mapping[str, Any] = next((item for item in definitions if item.get("name") == "Main"), {})
    logs = (main.get("logConfiguration") or {}).get("options") or {}
    ports = main.get("portMappings") or [{}]
    # The digest that ECS resolved a tag to stands beside the image as it was given.
    given = [item.get("image") for item in revision.get("containerImages") or [] if item.get("image")]
    network = (revision.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    result = configuration(
        {
            "executionRoleArn": definition.get("executionRoleArn"),
            "taskRoleArn": definition.get("taskRoleArn"),
            "cpu": definition.get("cpu"),
            "memory": definition.get("memory"),
            "networkConfiguration": {k: network.get(k) for k in ("subnets", "securityGroups")},
            "primaryContainer": {
                **{k: main.get(k) for k in ("image", "command", "environment", "secrets")},
                **({"image": given[0]} if given else {}),
                "containerPort": ports[0].get("containerPort"),
                "awsLogsConfiguration": {
                    "logGroup": logs.get("awslogs-group"),
                    "logStreamPrefix": logs.get("awslogs-stream-prefix"),
                },
            },
        }
    )
    for group in (path for item in _ingress(revision) for path in item.get("targetGroups") or []):
        if group.get("healthCheckPath"):
            result["health_check_path"] = group["healthCheckPath"]
    return result


def _ingress(revision: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((revision.get("ecsManagedResources") or {}).get("ingressPaths") or [])


def newest_configuration(service: Mapping[str, Any], revision: str | None = None) -> Mapping[str, Any] | None:
    """Return the configuration that the service has or is moving to.

    During a deployment ``activeConfigurations`` holds two, in an order that AWS does not document: ``revision`` (the
    deployment's target) decides, then the time of creation. None while there is none, as right after Create.
    """
    found: list[Mapping[str, Any]] = [item for item in service.get("activeConfigurations") or [] if item]
    for item in found:
        if revision and item.get("serviceRevisionArn") == revision:
            return item
    # The sort is stable: without times the first one stays first, which is what Terraform's provider takes.
    return max(found, key=lambda item: str(item.get("createdAt") or ""), default=None)


def endpoint(service: Mapping[str, Any]) -> str:
    """Return the host name of the service, "" until ECS assigns it. It cannot be computed.

    ECS gives it without a scheme, AWS's own examples show one.
    """
    for config in service.get("activeConfigurations") or []:
        for path in (config or {}).get("ingressPaths") or []:
            if (path or {}).get("endpoint"):
                return str(path["endpoint"]).rpartition("://")[2].rstrip("/")
    return ""


def url(host: str) -> str:
    """``https://`` before an endpoint."""
    return f"https://{host}" if host else ""


def tags(boto: Mapping[str, Any]) -> dict[str, str]:
    """Return the user's tags, without those of ECS and of this collection's record, which are left alone."""
    found = {str(item.get("key")): item.get("value") or "" for item in boto.get("tags") or [] if item}
    return {k: v for k, v in found.items() if not (_OWN_TAG.match(k) or is_internal(k))}


def service(boto: Mapping[str, Any], revision: str | None = None) -> Canonical:
    """Return a service of DescribeExpressGatewayService in the module's format.

    It is flat, in snake case, with the environment masked.
    """
    status = boto.get("status") or {}
    result: Canonical = {
        "service_name": boto.get("serviceName"),
        "service_arn": boto.get("serviceArn"),
        "cluster": cluster_name(boto.get("cluster")),
        "status": {"status_code": status.get("statusCode"), "status_reason": status.get("statusReason")},
        "infrastructure_role_arn": boto.get("infrastructureRoleArn"),
        "current_deployment": boto.get("currentDeployment"),
        "created_at": moment(boto.get("createdAt")),
        "updated_at": moment(boto.get("updatedAt")),
        "endpoint": endpoint(boto),
        "url": url(endpoint(boto)),
        "tags": tags(boto),
    }
    config = newest_configuration(boto, revision) or {}
    result.update(masked(configuration(config)))
    result["service_revision_arn"] = config.get("serviceRevisionArn")
    result["active_configurations"] = [_active(item) for item in boto.get("activeConfigurations") or [] if item]
    return result


def _active(boto: Mapping[str, Any]) -> Canonical:
    result = masked(configuration(boto))
    result["service_revision_arn"] = boto.get("serviceRevisionArn")
    result["created_at"] = moment(boto.get("createdAt"))
    result["ingress_paths"] = [
        {"access_type": path.get("accessType"), "endpoint": path.get("endpoint")}
        for path in boto.get("ingressPaths") or []
        if path
    ]
    return result


def predicted_service(*, name: str, cluster: str, config: Canonical, role: str | None, desired_tags: Any) -> Canonical:
    """Return the predicted service of check mode."""
    return {
        "service_name": name,
        "service_arn": None,
        "cluster": cluster_name(cluster),
        "status": {"status_code": "ACTIVE", "status_reason": None},
        "infrastructure_role_arn": role,
        "endpoint": "",
        "url": "",
        "tags": dict(desired_tags or {}),
        "active_configurations": [],
        **masked(config),
    }


def deployment(boto: Mapping[str, Any] | None) -> Canonical | None:
    """Return a service deployment in the module's format; a later wait needs the ARNs."""
    if not boto:
        return None
    target = boto.get("targetServiceRevision") or {}
    result: Canonical = {
        "service_deployment_arn": boto.get("serviceDeploymentArn"),
        "status": boto.get("status"),
        "status_reason": boto.get("statusReason"),
        "lifecycle_stage": boto.get("lifecycleStage"),
        "target_service_revision_arn": target.get("arn") or boto.get("targetServiceRevisionArn"),
        "traffic_percent": target.get("requestedProductionTrafficWeight"),
        "created_at": moment(boto.get("createdAt")),
        "finished_at": moment(boto.get("finishedAt")),
        "rollback_reason": (boto.get("rollback") or {}).get("reason"),
    }
    return result


def moment(value: Any) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else value


# ---- canonical -> boto


def to_boto(config: Canonical) -> dict[str, Any]:
    """Return canonical fields as parameters of Create or Update. Empty lists stay, as they clear a setting."""
    result: dict[str, Any] = {name: str(config[key]) for key, name in _SCALARS.items() if key in config}
    for key, (name, members) in _STRUCTURES.items():
        if key in config:
            result[name] = {n: config[key][k] for k, n in members.items() if k in config[key]}
    if "primary_container" in config:
        result["primaryContainer"] = _container_to_boto(config["primary_container"])
    return result


def _container_to_boto(container: Canonical) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if "image" in container:
        result["image"] = container["image"]
    if "container_port" in container:
        result["containerPort"] = int(container["container_port"])
    if "command" in container:
        result["command"] = container["command"]
    for key, value_name in (("environment", "value"), ("secrets", "valueFrom")):
        if key in container:
            result[key] = [{"name": n, value_name: v} for n, v in sorted(container[key].items())]
    if "aws_logs_configuration" in container:
        logs = container["aws_logs_configuration"]
        result["awsLogsConfiguration"] = {n: logs[k] for k, n in _LOGS.items() if k in logs}
    if "repository_credentials" in container:
        parameter = container["repository_credentials"].get("credentials_parameter")
        result["repositoryCredentials"] = {"credentialsParameter": parameter} if parameter else {}
    return result


# ---- secrets in plain settings


def is_likely_secret(name: str, value: Any) -> bool:
    """Return whether an entry of ``environment`` looks like a secret."""
    if _WITH_PASSWORD.search(str(value or "")):
        return True
    return bool(_SECRET_NAME.search(name)) and not _REFERENCE_NAME.search(name)


def masked(config: Canonical) -> Canonical:
    """Return the configuration for output, with likely secrets in the environment hidden."""
    container = config.get("primary_container") or {}
    environment = container.get("environment")
    if not environment:
        return dict(config)
    shown = {k: HIDDEN if is_likely_secret(k, v) else v for k, v in environment.items()}
    return {**config, "primary_container": {**container, "environment": shown}}
