# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: remedies for failed deployments, with the settings of the service that failed.

Pure functions, no client. Each remedy is a clause without a full stop, and leaves out what ECS did not report.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OWN_NAMES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OptionNames
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.fargate import next_size

_MOST = 3
# mlflow/server/fastapi_security.py
_REJECTED = re.compile(r"Rejected request with invalid Host header: (\S+)")

# Messages of Secrets Manager (https://github.com/aws/aws-cdk/issues/7677), and Systems Manager
# (https://github.com/aws/aws-cdk/issues/4498).
_KEY_DENIED = re.compile(r"Access to KMS is not allowed|ciphertext refers to a customer master key|kms:Decrypt")


@dataclass(frozen=True)
class ServiceSettings:
    """The service's settings, as far as ECS reports them; otherwise empty or 0.

    Attributes:
        cpu: CPU units of a task.
        memory: MiB of a task.
        cpu_architecture: ``X86_64`` or ``ARM64``.
        secrets: the values of ``valueFrom``.
        endpoint: host name of the service.
    """

    cpu: int = 0
    memory: int = 0
    cpu_architecture: str = ""
    image: str = ""
    container_port: int = 0
    health_check_path: str = ""
    log_group: str = ""
    secrets: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    execution_role_arn: str = ""
    infrastructure_role_arn: str = ""
    endpoint: str = ""


def settings_of(service: Mapping[str, Any], config: Mapping[str, Any], endpoint: str = "") -> ServiceSettings:
    """Return the settings of a service as ECS describes it, and of its configuration in canonical form."""
    container = config.get("primary_container") or {}
    network = config.get("network_configuration") or {}
    return ServiceSettings(
        cpu=_number(config.get("cpu")),
        memory=_number(config.get("memory")),
        cpu_architecture=str(config.get("cpu_architecture") or ""),
        image=str(container.get("image") or ""),
        container_port=_number(container.get("container_port")),
        health_check_path=str(config.get("health_check_path") or ""),
        log_group=str((container.get("aws_logs_configuration") or {}).get("log_group") or ""),
        secrets=tuple(str(one) for one in (container.get("secrets") or {}).values()),
        subnets=tuple(network.get("subnets") or ()),
        security_groups=tuple(network.get("security_groups") or ()),
        execution_role_arn=str(config.get("execution_role_arn") or ""),
        infrastructure_role_arn=str(service.get("infrastructureRoleArn") or ""),
        endpoint=endpoint,
    )


@dataclass(frozen=True)
class Failure:
    """The input of a remedy: the service's settings, the texts of AWS, the container's log, and names of options."""

    settings: ServiceSettings
    said: str = ""
    log: str = ""
    option_names: OptionNames = OWN_NAMES

    def option(self, name: str) -> str:
        """Return the name of an option as the user knows it."""
        return self.option_names.of(name)


def remedy_for(remedy: str | Callable[[Failure], str], failure: Failure) -> str:
    """Return the clause for this service."""
    return remedy if isinstance(remedy, str) else remedy(failure)


def _number(value: Any) -> int:
    return int(value) if str(value or "").isdigit() else 0


def _in_brackets(value: Any) -> str:
    """Return `` (value)``, shortened for a sequence; empty for an empty value."""
    if isinstance(value, tuple | list):
        value = _some(value)
    return f" ({value})" if value else ""


def _some(values: Sequence[str]) -> str:
    more = f" and {len(values) - _MOST} more" if len(values) > _MOST else ""
    return ", ".join(values[:_MOST]) + more


def more_memory(failure: Failure) -> str:
    """Return the size that was too small, and the next one that Fargate offers."""
    cpu, memory = failure.settings.cpu, failure.settings.memory
    cpu_option, memory_option = failure.option("cpu"), failure.option("memory")
    if not (cpu and memory):
        return f"raise {memory_option}"
    size = f"the task has used all of its {memory} MiB ({cpu_option} {cpu}): "
    larger = next_size(cpu, memory)
    if larger is None:
        return f"{size}AWS Fargate offers no larger task, so start fewer processes in it"
    if larger[0] == cpu:
        return f"{size}set {memory_option} to {larger[1]} or more"
    return (
        f"{size}AWS Fargate offers no more memory with this CPU, so set {cpu_option} to {larger[0]} and {memory_option}"
        f" to {larger[1]} or more"
    )


def other_architecture(failure: Failure) -> str:
    have, image = failure.settings.cpu_architecture, failure.settings.image
    desired = {"X86_64": "ARM64", "ARM64": "X86_64"}.get(have)
    option = failure.option("cpu_architecture")
    if not desired:
        return f"set {option} to the image's (ARM64 or X86_64), or use a multi-platform image"
    return f"set {option}, which is {have}, to {desired}, or use a multi-platform image{_in_place_of(image)}"


def _in_place_of(image: str) -> str:
    return f" in place of {image}" if image else ""


def readable_secrets(failure: Failure) -> str:
    """Name the secrets in AWS's message, else those of the container; or the KMS key, if that is denied."""
    references = failure.settings.secrets
    # A reference is an ARN, with :key:stage:version behind it where it is one member.
    named = [one for one in references if ":".join(one.split(":")[:7]) in failure.said]
    role = failure.settings.execution_role_arn or "the execution role"
    shown = _in_brackets(tuple(dict.fromkeys(named or references)))
    if _KEY_DENIED.search(failure.said):
        return f"a secret{shown} is encrypted with a customer managed KMS key: allow kms:Decrypt on that key to {role}"
    return (
        f"check the ARN in {failure.option('primary_container.secrets')}{shown}, and allow "
        f"secretsmanager:GetSecretValue (and kms:Decrypt for a customer key) to {role}"
    )


def pullable_image(failure: Failure) -> str:
    settings = failure.settings
    return (
        f"check the image's name and tag{_in_brackets(settings.image)}, the execution role's ECR permissions"
        f"{_in_brackets(settings.execution_role_arn)} or {failure.option('repository_credentials')}, and that the"
        f" subnets{_in_brackets(settings.subnets)} have a way to the registry"
    )


def log_group(failure: Failure) -> str:
    name = failure.settings.log_group
    return (
        f"create the log group{' ' + name if name else ''} before the service: the execution role's managed policy "
        "cannot create one"
    )


def allowed_host(failure: Failure) -> str:
    settings = failure.settings
    rejected = tuple(dict.fromkeys(_REJECTED.findall(failure.log)))
    text = f"add the service's endpoint{_in_brackets(settings.endpoint)} to the server's allowed hosts"
    if rejected:
        text += f"; it was called by {_some(rejected)}"
    if settings.health_check_path == "/health":
        return text
    now = f", not {settings.health_check_path}" if settings.health_check_path else ""
    return (
        f"{text}; the load balancer's health checks call the task by its address, so use a "
        f"{failure.option('health_check_path')} that is exempt (/health for MLflow{now})"
    )


def high_port(failure: Failure) -> str:
    port = failure.settings.container_port
    return f"use a {failure.option('container_port')} above 1024{f' instead of {port}' if port else ''}"


def open_path(failure: Failure) -> str:
    return f"use a {failure.option('health_check_path')} that answers 200 without a login{_path(failure)}"


def unconditional_path(failure: Failure) -> str:
    option = failure.option("health_check_path")
    return f"use a {option} that answers 200 to any caller and by any host name{_path(failure)}"


def existing_path(failure: Failure) -> str:
    return f"correct {failure.option('health_check_path')}{_path(failure)}"


def _path(failure: Failure) -> str:
    now = failure.settings.health_check_path
    if not now:
        return " (/health for MLflow)"
    return f" (it is {now})" if now == "/health" else f" (it is {now}; /health for MLflow)"


def see_log(failure: Failure) -> str:
    return f"see the container's log{_in_brackets(failure.settings.log_group)}"


def see_log_and_command(failure: Failure) -> str:
    return f"{see_log(failure)}, the command and the environment"


def other_capacity(failure: Failure) -> str:
    settings = failure.settings
    size = f"{settings.cpu} and {settings.memory} MiB" if settings.cpu and settings.memory else ""
    subnets = f"{failure.option('subnets')}{_than(_some(settings.subnets))}"
    cpu, memory = failure.option("cpu"), failure.option("memory")
    return f"run again later, with other {subnets}, or with another {cpu} and {memory}{_than(size)}"


def other_zones(failure: Failure) -> str:
    return (
        f"use {failure.option('subnets')} in the zones of the VPC's first Express service"
        f"{_than(_some(failure.settings.subnets)).replace(' than', ' instead of')}"
    )


def _than(value: str) -> str:
    return f" than {value}" if value else ""


def allowed_infrastructure_role(failure: Failure) -> str:
    return (
        f"check the role's policy and trust{_in_brackets(failure.settings.infrastructure_role_arn)}, then delete the "
        "service and create it again"
    )


def reachable_port(failure: Failure) -> str:
    settings = failure.settings
    return (
        f"check {failure.option('container_port')}{_in_brackets(settings.container_port)}, that the server"
        f" listens on 0.0.0.0, and the security groups{_in_brackets(settings.security_groups)}"
    )


def healthy_path(failure: Failure) -> str:
    settings = failure.settings
    return (
        f"check {failure.option('health_check_path')}{_in_brackets(settings.health_check_path)},"
        f" {failure.option('container_port')}"
        f"{_in_brackets(settings.container_port)}, and that the server listens on 0.0.0.0"
    )


def task_resources(failure: Failure) -> str:
    settings = failure.settings
    return (
        f"check the execution role{_in_brackets(settings.execution_role_arn)} and that the subnets"
        f"{_in_brackets(settings.subnets)} have a way to ECR, Secrets Manager and CloudWatch Logs"
    )


def tolerant_rollback(failure: Failure) -> str:
    return (
        "look for clients that call without login or for things that do not exist (401, 404), then deploy again; with "
        f"{failure.option('deployment_configuration.rollback_on_alarm')}=false they roll nothing back"
    )


def new_service(failure: Failure) -> str:
    return (
        "make sure that both roles exist, then delete the service and create it again "
        f"({failure.option('recreate_stuck')} does so automatically)"
    )
