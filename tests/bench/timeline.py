# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""When what went on in a first deploy: of Ansible, by its tasks; of AWS, by what AWS says afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aws import LocalAws

from playbooks import Run
from playbooks import Task

WORK, WAIT, AWS = "work", "wait", "aws"

#: The steps of a deploy: role and file of the first task, title, and whether it mostly waits.
STEPS = (
    ("network : security_groups", "Create the network", WORK),
    ("rds : create", "Start the database", WORK),
    ("bucket : create", "Create the bucket", WORK),
    ("auth : create", "Create login and keys", WORK),
    ("iam : create", "Create the IAM roles", WORK),
    ("ecs_express : log_group", "Create the log group", WORK),
    ("rds : available", "Wait for the database", WAIT),
    ("iam : settled", "Wait for the roles to settle", WAIT),
    ("ecs_express : ", "Create the service, wait for it", WAIT),
    ("validation : server", "Check that the server answers", WAIT),
)
#: What writes to IAM, of which the last one starts the time in which the roles settle.
_ROLE_WRITES = ("iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:TagRole")
SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Span:
    """Something that went on for a while.

    :arg kind: WORK or WAIT of Ansible's, or AWS.
    :arg begun: seconds after the start of the playbook.
    """

    title: str
    kind: str
    begun: float
    ended: float


def steps(tasks: list[Task]) -> list[Span]:
    """What Ansible did, step by step; each lasts until the next one begins."""
    begun: list[tuple[str, str, float]] = [("Check everything first", WORK, tasks[0].begun)]
    left = list(STEPS)
    for task in tasks:
        found = next((number for number, step in enumerate(left) if _is_of(task, step[0])), None)
        if found is not None:
            begun.append((left[found][1], left[found][2], task.begun))
            left = left[found + 1 :]
    ends = [start for _title, _kind, start in begun[1:]] + [tasks[-1].ended]
    zero = tasks[0].begun
    return [Span(title, kind, start - zero, end - zero) for (title, kind, start), end in zip(begun, ends, strict=True)]


def _is_of(task: Task, step: str) -> bool:
    return f"mlops.mlflow_aws.{step}" in f"mlops.mlflow_aws.{task.name.removeprefix('mlops.mlflow_aws.')}"


def processes(aws: LocalAws, name: str, run: Run) -> list[Span]:
    """What went on at AWS meanwhile, of one deployment.

    :arg name: of the deployment.
    :arg run: its first deploy, whose calls have not been forgotten yet.
    """
    zero = run.tasks[0].begun
    calls = [(call["api"], call["time"]) for call in aws.calls()]
    started = next(time for api, time in calls if api == "rds:CreateDBInstance")
    settling = max(time for api, time in calls if api in _ROLE_WRITES)
    found = [
        ("RDS creates the instance", started, _instance_created(aws, name)),
        ("The roles settle", settling, settling + SETTLE_SECONDS),
        *_service(aws, name),
    ]
    return [Span(title, AWS, begun - zero, ended - zero) for title, begun, ended in found]


def _instance_created(aws: LocalAws, name: str) -> float:
    events = aws.client("rds").describe_events(SourceIdentifier=name, SourceType="db-instance", Duration=60)["Events"]
    created: datetime = next(event["Date"] for event in events if event["Message"] == "DB instance created")
    return created.timestamp()


def _service(aws: LocalAws, name: str) -> list[tuple[str, float, float]]:
    ecs = aws.client("ecs")
    arns = ecs.list_tasks(cluster="default", serviceName=name)["taskArns"]
    task: dict[str, Any] = ecs.describe_tasks(cluster="default", tasks=arns)["tasks"][0]
    services = ecs.describe_services(cluster="default", services=[name])["services"]
    deployments = ecs.list_service_deployments(cluster="default", service=services[0]["serviceArn"])
    deployment = deployments["serviceDeployments"][0]
    return [
        ("ECS deploys the service", deployment["startedAt"].timestamp(), deployment["finishedAt"].timestamp()),
        ("The task starts", task["createdAt"].timestamp(), task["startedAt"].timestamp()),
        ("MLflow starts and passes its checks", task["startedAt"].timestamp(), deployment["finishedAt"].timestamp()),
    ]
