# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks as the API shows them (botocore model ecs 2014-11-13, Task)."""

from __future__ import annotations

from typing import Any

from .models import Task

_CONTAINER_STATUS = {"PROVISIONING": "PENDING", "DEACTIVATING": "RUNNING", "DEPROVISIONING": "STOPPED"}


def started_by(task: Task) -> str:
    """A service's tasks are started by its deployment; the service is the nearest that is known here."""
    if task.spec.started_by:
        return task.spec.started_by
    return f"ecs-svc/{task.spec.service_name}" if task.spec.service_name else ""


def task_response(task: Task) -> dict[str, Any]:
    """The API's Task (botocore model ecs 2014-11-13)."""
    spec = task.spec
    status = task.last_status
    shape: dict[str, Any] = {
        "taskArn": task.arn,
        "clusterArn": spec.cluster_arn,
        "taskDefinitionArn": spec.task_definition_arn,
        "group": spec.group,
        "startedBy": started_by(task),
        "lastStatus": status,
        "desiredStatus": task.desired_status,
        "cpu": spec.cpu,
        "memory": spec.memory,
        "launchType": "FARGATE",
        "platformFamily": "Linux",
        "platformVersion": "1.4.0",
        "capacityProviderName": "FARGATE",
        "connectivity": "CONNECTED",
        "healthStatus": "UNKNOWN",
        "enableExecuteCommand": False,
        "ephemeralStorage": {"sizeInGiB": 20},
        "createdAt": task.created_at,
        "version": task.version,
        "containers": [_container(task)],
        "overrides": {
            "containerOverrides": [{"name": spec.container_name}],
            "inferenceAcceleratorOverrides": [],
            **spec.overrides,
        },
        "attachments": [_interface(task)],
        "tags": list(spec.tags),
    }
    return shape | _times_and_reasons(task)


def _container(task: Task) -> dict[str, Any]:
    """The API's Container."""
    spec, status = task.spec, task.last_status
    container: dict[str, Any] = {
        "containerArn": f"{task.arn.replace(':task/', ':container/')}/{_uuid(task.id)}",
        "taskArn": task.arn,
        "name": spec.container_name,
        "image": spec.image,
        "runtimeId": f"{task.id}-0527074092",
        "lastStatus": _CONTAINER_STATUS.get(status, status),
        "networkBindings": [],
        "networkInterfaces": [{"attachmentId": _uuid(task.id), "privateIpv4Address": task.ip}] if task.ip else [],
        "healthStatus": "UNKNOWN",
        "cpu": spec.cpu,
        "memory": spec.memory,
    }
    if task.image_digest:
        container["imageDigest"] = task.image_digest
    if task.exit_code is not None:
        container["exitCode"] = task.exit_code
    reason = task.container_reason or (task.stopped_reason if task.stop_code == "TaskFailedToStart" else "")
    if reason:
        container["reason"] = reason
    return container


def _interface(task: Task) -> dict[str, Any]:
    """The API's Attachment of the task's network interface."""
    subnet = task.subnets[0] if task.subnets else ""
    return {
        "id": _uuid(task.id),
        "type": "ElasticNetworkInterface",
        "status": "DELETED" if task.last_status == "STOPPED" else "ATTACHED",
        "details": [
            {"name": "subnetId", "value": subnet},
            {"name": "privateIPv4Address", "value": task.ip},
        ],
    }


def _times_and_reasons(task: Task) -> dict[str, Any]:
    """Members that a task has from some moment on."""
    optional = {
        "startedAt": task.started_at,
        "stoppingAt": task.stopping_at,
        "stoppedAt": task.stopped_at,
        "executionStoppedAt": task.stopped_at,
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
        "pullStartedAt": task.created_at if task.started_at else None,
        "pullStoppedAt": task.started_at,
    }
    return {name: value for name, value in optional.items() if value}


def _uuid(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"
