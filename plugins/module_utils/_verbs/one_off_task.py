# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A task of the server's own image, with its roles and its network, that does one thing and ends.

It has a task definition of its own, since what overrides a container's at RunTask has no C(secrets) (botocore's model
of ecs, ContainerOverride): so no secret is ever a plain variable. The definition is deregistered afterwards.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import BotoCoreError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target

_CONTAINER = "Main"
_LOG_LINES = 15
# Enough for a process of Python that streams: Fargate's second smallest size.
_CPU, _MEMORY = "512", "1024"


@dataclass(frozen=True)
class OneOffTask:
    """What the task is to do.

    Attributes:
        purpose: what it does, such as "read the database"; also the last part of its family's name.
        family: of its task definition.
        command: of its container.
        environment: plain variables.
        secrets: variables, and the ARNs that ECS takes them from.
        tags: of task and definition.
        run: id of what it is a part of, within the deployment. A task of the same id, which a killed run has left, is
            stopped first.
        region: AWS region.
        image: of its container; empty for the server's.
        cpu, memory: of the task.
        task_role: ARN of its role; empty for the server's.
    """

    purpose: str
    family: str
    command: Sequence[str]
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    tags: Tags
    run: str
    region: str
    image: str = ""
    cpu: str = _CPU
    memory: str = _MEMORY
    task_role: str = ""


def run(clients: Clients, deployment: Target, service: Resource, task: OneOffTask, wait_options: WaitOptions) -> None:
    """Run the task to its end.

    Raises:
        UserError: it could not be started, it failed, or it took too long.
    """
    ecs = clients("ecs")
    configuration = target.configuration(service)
    _stop_left_behind(ecs, deployment, task, wait_options)
    registered = ecs.register_task_definition(**definition(task, configuration))["taskDefinition"]
    arn = str(registered["taskDefinitionArn"])
    try:
        started = ecs.run_task(
            cluster=deployment.cluster,
            taskDefinition=arn,
            launchType="FARGATE",
            count=1,
            startedBy=_started_by(deployment, task),
            networkConfiguration={"awsvpcConfiguration": network(service, configuration)},
            tags=_listed(task.tags),
        )
        if not started.get("tasks"):
            reasons = ", ".join(str(item.get("reason")) for item in started.get("failures") or []) or "no reason given"
            raise UserError(f"ECS started no task to {task.purpose}: {reasons}.")
        ended = _wait(ecs, deployment, str(started["tasks"][0]["taskArn"]), task, wait_options)
        _check(clients, ended, task, configuration)
    finally:
        _deregister(ecs, arn)


def _stop_left_behind(ecs: typing.Any, deployment: Target, task: OneOffTask, wait_options: WaitOptions) -> None:
    """Stop the tasks that a killed run of the same id has left, and wait for their end: they would write as well.

    Raises:
        UserError: one takes too long.
    """
    started_by = _started_by(deployment, task)
    arns = list(ecs.list_tasks(cluster=deployment.cluster, startedBy=started_by).get("taskArns") or [])
    for arn in arns:
        ecs.stop_task(cluster=deployment.cluster, task=arn, reason="The run that started it was cut off.")
    waiter = wait_options.waiter()
    for _poll in waiter.polls():
        found = waiter.tolerate_outage(
            lambda: api.describe_tasks(ecs, cluster=deployment.cluster, tasks=arns), [{"lastStatus": "unknown"}]
        )
        if all(one.get("lastStatus") == "STOPPED" for one in found):
            return
        waiter.report(f"a task to {task.purpose}, of a run that was cut off, is being stopped")
    waiter.raise_outage()
    raise UserError(
        f"A task to {task.purpose}, of a run that was cut off, is not stopped after {wait_options.timeout:g} seconds"
        " (wait_timeout)."
    )


def _started_by(deployment: Target, task: OneOffTask) -> str:
    """Return what tells the run's tasks from all others of the cluster, those of other deployments among them.

    ListTasks takes no other filter beside startedBy, which has up to 128 characters (ECS API Reference, ListTasks and
    RunTask).
    """
    return f"{deployment.name}/{task.run}"[:128]


def definition(task: OneOffTask, configuration: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the task definition of a task, as RegisterTaskDefinition takes it."""
    container = configuration["primary_container"]
    logs = container.get("aws_logs_configuration") or {}
    listed = {
        "name": _CONTAINER,
        "image": task.image or container["image"],
        "essential": True,
        "command": list(task.command),
        "environment": [{"name": name, "value": value} for name, value in sorted(task.environment.items())],
        "secrets": [{"name": name, "valueFrom": value} for name, value in sorted(task.secrets.items())],
    }
    if logs.get("log_group"):
        options = {
            "awslogs-group": logs["log_group"],
            "awslogs-region": task.region,
            "awslogs-stream-prefix": _log_prefix(task),
        }
        listed["logConfiguration"] = {"logDriver": "awslogs", "options": options}
    definition: dict[str, typing.Any] = {
        "family": task.family,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": task.cpu,
        "memory": task.memory,
        "executionRoleArn": configuration["execution_role_arn"],
        "taskRoleArn": task.task_role or configuration["task_role_arn"],
        "containerDefinitions": [listed],
        "tags": _listed(task.tags),
    }
    if configuration.get("cpu_architecture"):
        definition["runtimePlatform"] = {
            "cpuArchitecture": configuration["cpu_architecture"],
            "operatingSystemFamily": "LINUX",
        }
    return definition


def network(service: Resource, configuration: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the network of the service's tasks, as RunTask takes it."""
    found = configuration["network_configuration"]
    return {
        "subnets": list(found["subnets"]),
        "securityGroups": list(found["security_groups"]),
        "assignPublicIp": "ENABLED" if target.is_public(service) else "DISABLED",
    }


def _wait(ecs: typing.Any, deployment: Target, arn: str, task: OneOffTask, wait_options: WaitOptions) -> Resource:
    """Return the task when it has stopped; stop it if it takes too long, or if this run is interrupted."""
    waiter = wait_options.waiter()
    ended: Resource | None = None
    nothing: list[Resource] = []
    try:
        for _poll in waiter.polls():
            found = waiter.tolerate_outage(
                lambda: api.describe_tasks(ecs, cluster=deployment.cluster, tasks=[arn]), nothing
            )
            status = str(found[0].get("lastStatus")) if found else "not shown yet"
            if found and status == "STOPPED":
                ended = found[0]
                return ended
            waiter.report(f"task to {task.purpose}: {status}")
    finally:
        if ended is None:
            _stop(ecs, deployment, arn)
    raise UserError(
        f"The task to {task.purpose} did not end within {wait_options.timeout:g} seconds (wait_timeout), and was"
        " stopped."
    )


def _stop(ecs: typing.Any, deployment: Target, arn: str) -> None:
    try:
        ecs.stop_task(cluster=deployment.cluster, task=arn, reason="The run that started it has ended.")
    except (AnsibleAWSError, BotoCoreError, ClientError):
        # It ends by itself.
        return


def _check(clients: Clients, ended: Resource, task: OneOffTask, configuration: Mapping[str, typing.Any]) -> None:
    containers = ended.get("containers") or [{}]
    code = containers[0].get("exitCode")
    if code == 0:
        return
    reason = str(containers[0].get("reason") or ended.get("stoppedReason") or "")
    end = f"ended with exit code {code}" if code is not None else "did not start"
    lines = _log(clients, str(ended["taskArn"]).rsplit("/", 1)[-1], task, configuration)
    text = f"The task to {task.purpose} {end}: {reason or 'ECS gives no reason'}"
    raise UserError("\n".join([text, *(f"  {line}" for line in lines)]))


def _log(clients: Clients, task_id: str, task: OneOffTask, configuration: Mapping[str, typing.Any]) -> list[str]:
    """Return the last lines of the task's log; what cannot be read does not hide the failure itself."""
    group = (configuration["primary_container"].get("aws_logs_configuration") or {}).get("log_group")
    if not group:
        return []
    try:
        return api.log_tail(
            clients("logs"),
            log_group=group,
            stream=f"{_log_prefix(task)}/{_CONTAINER}/{task_id}",
            lines=_LOG_LINES,
        )
    except AnsibleAWSError as e:
        return [f"its log could not be read ({e})"]


def _log_prefix(task: OneOffTask) -> str:
    return task.family.rpartition("-")[2]


def _deregister(ecs: typing.Any, arn: str) -> None:
    try:
        ecs.deregister_task_definition(taskDefinition=arn)
    except (AnsibleAWSError, BotoCoreError, ClientError):
        # It costs nothing, and starts nothing by itself.
        return


def _listed(tags: Tags) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in sorted(tags.items())]
