# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RunTask, ListTasks, DescribeTasks and StopTask for Fargate tasks; ministack answers for all others."""

from __future__ import annotations

from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from ...service import parse_response
from . import responses
from . import standalone
from .controller import TaskController
from .models import Task
from .store import TaskStore


class EcsTasks:
    """RunTask, ListTasks, DescribeTasks and StopTask for Fargate tasks; ministack answers for all others."""

    name = "tasks"

    def __init__(self, ctx: Context, store: TaskStore, controller: TaskController) -> None:
        self._ctx = ctx
        self._store = store
        self._controller = controller
        self._operations = {
            "RunTask": self._run,
            "ListTasks": self._list,
            "DescribeTasks": self._describe,
            "StopTask": self._stop,
        }

    def owns(self, call: Call) -> bool:
        """The operations on tasks, where tasks that run here may be meant."""
        return call.service == "ecs" and call.operation in self._operations

    async def handle(self, call: Call) -> Response:
        """The answer to one of them."""
        return await self._operations[call.operation](call)

    async def start(self) -> None:
        """Opens the containers' endpoint."""
        await self._controller.start()

    async def stop(self) -> None:
        """Stops all tasks and waits for them."""
        await self._controller.stop()

    def state(self) -> dict[str, Any]:
        """All tasks."""
        return self._store.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back the tasks."""
        self._controller.clean_up(self._store.restore(state, self._ctx.clock.now()))

    async def _list(self, call: Call) -> Response:
        params = call.params
        cluster = _cluster_name(call)
        wanted = params.get("desiredStatus") or "RUNNING"
        service = str(params.get("serviceName") or "").rsplit("/", 1)[-1]
        mine = [
            task
            for task in self._store.all()
            if task.arn.rsplit("/", 2)[-2] == cluster
            and task.desired_status == wanted
            and (not service or task.spec.service_name == service)
            and params.get("family") in (None, task.spec.family)
            and params.get("launchType") in (None, "FARGATE")
            and not params.get("containerInstance")
            and params.get("startedBy") in (None, responses.started_by(task))
        ]
        known_cluster = any(task.arn.rsplit("/", 2)[-2] == cluster for task in self._store.all())
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
        return aws_response(merged, "ecs", "ListTasks")

    async def _describe(self, call: Call) -> Response:
        found = {reference: self._find(call, reference) for reference in call.params.get("tasks", [])}
        if not any(found.values()):
            return await call.passthrough()
        for task in found.values():
            if task is not None:
                self._ctx.allow(call, "ecs:DescribeTasks", task.arn)
        output: dict[str, Any] = {
            "tasks": [responses.task_response(task) for task in found.values() if task is not None],
            "failures": [],
        }
        if not all(found.values()):
            others = await _others(call)
            output["tasks"] += others.get("tasks", [])
            mine = {task.arn for task in found.values() if task is not None}
            output["failures"] = [item for item in others.get("failures", []) if not _about(item, mine)]
        return aws_response(output, "ecs", "DescribeTasks")

    async def _stop(self, call: Call) -> Response:
        task = self._find(call, call.params["task"])
        if task is None:
            return await call.passthrough()
        self._ctx.allow(call, "ecs:StopTask", task.arn)
        await self._controller.stop_task(task.arn, call.params.get("reason") or "Task stopped by user", "UserInitiated")
        return aws_response({"task": responses.task_response(task)}, "ecs", "StopTask")

    async def _run(self, call: Call) -> Response:
        output = await self._ctx.aws("ecs", "describe_task_definition", taskDefinition=call.params["taskDefinition"])
        definition = output["taskDefinition"]
        self._ctx.allow(call, "ecs:RunTask", definition["taskDefinitionArn"])
        clusters = await self._ctx.aws("ecs", "describe_clusters", clusters=[_cluster_name(call)])
        if not clusters.get("clusters"):
            raise ApiError("ClusterNotFoundException", "Cluster not found.")
        spec = standalone.spec(call.params, definition, clusters["clusters"][0]["clusterArn"], call.region)
        for role in (spec.execution_role_arn, spec.task_role_arn):
            if role:
                self._ctx.allow(call, "iam:PassRole", role, {"iam:PassedToService": "ecs-tasks.amazonaws.com"})
        count = int(call.params.get("count") or 1)
        tasks = [await self._controller.run(spec, lambda task: None) for _unused in range(count)]
        return aws_response(
            {"tasks": [responses.task_response(task) for task in tasks], "failures": []}, "ecs", "RunTask"
        )

    def _find(self, call: Call, reference: str) -> Task | None:
        """A task by its ARN or its id, in the cluster of the call."""
        cluster = _cluster_name(call)
        for task in self._store.all():
            if task.arn.rsplit("/", 2)[-2] == cluster and reference in (task.arn, task.id):
                return task
        return None


def _cluster_name(call: Call) -> str:
    return str(call.params.get("cluster") or "default").rsplit("/", 1)[-1]


async def _others(call: Call) -> dict[str, Any]:
    """What ministack answers; its refusal is passed on, except that it may not know the cluster."""
    response = await call.passthrough()
    output = parse_response(response, call.service, call.operation)
    error = output.get("Error")
    if error and error.get("Code") != "ClusterNotFoundException":
        raise ApiError(error["Code"], error.get("Message", ""), response.status)
    return {} if error else output


def _about(failure: dict[str, Any], arns: set[str]) -> bool:
    return any(str(failure.get("arn", "")).rsplit("/", 1)[-1] == arn.rsplit("/", 1)[-1] for arn in arns)
