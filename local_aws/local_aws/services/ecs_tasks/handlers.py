# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RunTask, ListTasks, DescribeTasks and StopTask for Fargate tasks; ministack answers for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import json_response
from ...service import parse_response
from . import standalone
from .models import Task

if TYPE_CHECKING:
    from ...context import Context
    from .controller import TaskRunner

OPERATIONS = ("RunTask", "ListTasks", "DescribeTasks", "StopTask")
_CONTAINER_STATUS = {"PROVISIONING": "PENDING", "DEPROVISIONING": "STOPPED"}


async def handle(runner: TaskRunner, ctx: Context, call: Call) -> Response:
    """Answers one of OPERATIONS."""
    if call.operation == "RunTask":
        return await _run(runner, ctx, call)
    if call.operation == "ListTasks":
        return await _list(runner, ctx, call)
    if call.operation == "DescribeTasks":
        return await _describe(runner, ctx, call)
    return await _stop(runner, ctx, call)


def _cluster_name(call: Call) -> str:
    return str(call.params.get("cluster") or "default").rsplit("/", 1)[-1]


def _find(runner: TaskRunner, call: Call, reference: str) -> Task | None:
    """A task by its ARN or its id, in the cluster of the call."""
    cluster = _cluster_name(call)
    for task in runner.all():
        if task.arn.rsplit("/", 2)[-2] == cluster and reference in (task.arn, task.id):
            return task
    return None


async def _others(call: Call) -> dict[str, Any]:
    """What ministack answers; its refusal is passed on, except that it may not know the cluster."""
    response = await call.passthrough()
    output = parse_response(response, call.service, call.operation)
    error = output.get("Error")
    if error and error.get("Code") != "ClusterNotFoundException":
        raise ApiError(error["Code"], error.get("Message", ""), response.status)
    return {} if error else output


async def _list(runner: TaskRunner, ctx: Context, call: Call) -> Response:
    params = call.params
    cluster = _cluster_name(call)
    wanted = params.get("desiredStatus") or "RUNNING"
    service = str(params.get("serviceName") or "").rsplit("/", 1)[-1]
    mine = [
        task
        for task in runner.all()
        if task.arn.rsplit("/", 2)[-2] == cluster
        and task.desired_status == wanted
        and (not service or task.spec.service_name == service)
        and params.get("family") in (None, task.spec.family)
        and params.get("launchType") in (None, "FARGATE")
        and not params.get("containerInstance")
        and params.get("startedBy") in (None, _started_by(task))
    ]
    known_cluster = any(task.arn.rsplit("/", 2)[-2] == cluster for task in runner.all())
    if params.get("nextToken"):
        mine = []
    response = await call.passthrough()
    output = parse_response(response, "ecs", "ListTasks")
    error = output.get("Error", {}).get("Code")
    if error and not (known_cluster and error in ("ClusterNotFoundException", "ServiceNotFoundException")):
        return response
    arns = [task.arn for task in mine]
    output = {} if error else output
    merged = {"taskArns": arns + [arn for arn in output.get("taskArns", []) if arn not in arns]}
    if output.get("nextToken"):
        merged["nextToken"] = output["nextToken"]
    return json_response(merged, "ecs", "ListTasks")


async def _describe(runner: TaskRunner, ctx: Context, call: Call) -> Response:
    found = {reference: _find(runner, call, reference) for reference in call.params.get("tasks", [])}
    if not any(found.values()):
        return await call.passthrough()
    for task in found.values():
        if task is not None:
            ctx.allow(call, "ecs:DescribeTasks", task.arn)
    output: dict[str, Any] = {"tasks": [_shape(task) for task in found.values() if task is not None], "failures": []}
    if not all(found.values()):
        others = await _others(call)
        output["tasks"] += others.get("tasks", [])
        mine = {task.arn for task in found.values() if task is not None}
        output["failures"] = [item for item in others.get("failures", []) if not _about(item, mine)]
    return json_response(output, "ecs", "DescribeTasks")


def _about(failure: dict[str, Any], arns: set[str]) -> bool:
    return any(str(failure.get("arn", "")).rsplit("/", 1)[-1] == arn.rsplit("/", 1)[-1] for arn in arns)


async def _stop(runner: TaskRunner, ctx: Context, call: Call) -> Response:
    task = _find(runner, call, call.params["task"])
    if task is None:
        return await call.passthrough()
    ctx.allow(call, "ecs:StopTask", task.arn)
    await runner.stop_task(task.arn, call.params.get("reason") or "Task stopped by user", "UserInitiated")
    return json_response({"task": _shape(task)}, "ecs", "StopTask")


async def _run(runner: TaskRunner, ctx: Context, call: Call) -> Response:
    output = await ctx.aws("ecs", "describe_task_definition", taskDefinition=call.params["taskDefinition"])
    definition = output["taskDefinition"]
    ctx.allow(call, "ecs:RunTask", definition["taskDefinitionArn"])
    clusters = await ctx.aws("ecs", "describe_clusters", clusters=[_cluster_name(call)])
    if not clusters.get("clusters"):
        raise ApiError("ClusterNotFoundException", "Cluster not found.")
    spec = standalone.spec(call.params, definition, clusters["clusters"][0]["clusterArn"], call.region)
    for role in (spec.execution_role_arn, spec.task_role_arn):
        if role:
            ctx.allow(call, "iam:PassRole", role, {"iam:PassedToService": "ecs-tasks.amazonaws.com"})
    count = int(call.params.get("count") or 1)
    tasks = [await runner.run(spec, lambda task: None) for _unused in range(count)]
    return json_response({"tasks": [_shape(task) for task in tasks], "failures": []}, "ecs", "RunTask")


def _started_by(task: Task) -> str:
    """A service's tasks are started by its deployment; the service is the nearest that is known here."""
    if task.spec.started_by:
        return task.spec.started_by
    return f"ecs-svc/{task.spec.service_name}" if task.spec.service_name else ""


def _shape(task: Task) -> dict[str, Any]:
    """The API's Task (botocore model ecs 2014-11-13)."""
    spec = task.spec
    status = task.last_status
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
    subnet = spec.subnets[0] if spec.subnets else ""
    shape: dict[str, Any] = {
        "taskArn": task.arn,
        "clusterArn": spec.cluster_arn,
        "taskDefinitionArn": spec.task_definition_arn,
        "group": spec.group,
        "startedBy": _started_by(task),
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
        "containers": [container],
        "overrides": {"containerOverrides": [{"name": spec.container_name}], "inferenceAcceleratorOverrides": []},
        "attachments": [
            {
                "id": _uuid(task.id),
                "type": "ElasticNetworkInterface",
                "status": "DELETED" if status == "STOPPED" else "ATTACHED",
                "details": [
                    {"name": "subnetId", "value": subnet},
                    {"name": "privateIPv4Address", "value": task.ip},
                ],
            }
        ],
        "tags": [],
    }
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
    shape.update({name: value for name, value in optional.items() if value})
    return shape


def _uuid(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"
