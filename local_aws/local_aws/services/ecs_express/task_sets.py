# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task sets of all revisions that have tasks."""

from __future__ import annotations

from ...context import Context
from ..ecs_tasks import TaskController
from ..ecs_tasks import TaskSpec
from ..elbv2 import Balancer
from .models import Revision
from .models import Service
from .responses import managed_group
from .store import ServiceStore
from .target_groups import TargetGroups
from .task_set import TaskSet


class TaskSets:
    """Task sets by the ARNs of their revisions."""

    def __init__(
        self, ctx: Context, store: ServiceStore, balancer: Balancer, tasks: TaskController, target_groups: TargetGroups
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._balancer = balancer
        self._tasks = tasks
        self._target_groups = target_groups
        self._sets: dict[str, TaskSet] = {}

    def get(self, revision_arn: str) -> TaskSet | None:
        """The tasks of a revision, if it has any."""
        return self._sets.get(revision_arn)

    def provide(self, service: Service, revision: Revision) -> TaskSet:
        """The tasks of a revision; made when first asked for."""
        if revision.arn not in self._sets:
            self._sets[revision.arn] = TaskSet(
                self._ctx,
                service,
                revision,
                balancer=self._balancer,
                tasks=self._tasks,
                target_groups=self._target_groups,
                make_spec=lambda: self._spec(service, revision),
                add_event=lambda message: self._store.add_event(service, message),
            )
        return self._sets[revision.arn]

    def counts(self, revision_arn: str) -> tuple[int, int, int]:
        """How many tasks a revision shall have, how many run, and how many are on their way."""
        found = self._sets.get(revision_arn)
        return (found.desired, found.running(), found.pending()) if found is not None else (0, 0, 0)

    async def retire(self, revision: Revision, reason: str) -> None:
        """Stops all tasks of a revision."""
        found = self._sets.pop(revision.arn, None)
        if found is not None:
            await found.close(reason)

    def cancel(self) -> None:
        """Leaves all tasks to themselves: the daemon is stopping."""
        for task_set in self._sets.values():
            task_set.cancel()

    def _spec(self, service: Service, revision: Revision) -> TaskSpec:
        configuration = revision.configuration
        container = configuration["primaryContainer"]
        logs = container.get("awsLogsConfiguration") or {}
        definition = configuration["taskDefinitionArn"]
        family, _unused, number = definition.rsplit("/", 1)[-1].partition(":")
        given = configuration["networkConfiguration"]
        return TaskSpec(
            service_arn=service.arn,
            cluster_arn=service.cluster_arn,
            family=family,
            revision=int(number),
            task_definition_arn=definition,
            image=container["image"],
            command=list(container.get("command") or []),
            environment={item["name"]: item.get("value", "") for item in container.get("environment") or []},
            secrets={item["name"]: item["valueFrom"] for item in container.get("secrets") or []},
            container_port=container["containerPort"],
            log_group=logs.get("logGroup", ""),
            log_prefix=logs.get("logStreamPrefix", ""),
            log_region=self._ctx.settings.region if logs else "",
            execution_role_arn=configuration.get("executionRoleArn", ""),
            task_role_arn=configuration.get("taskRoleArn", ""),
            cpu=configuration["cpu"],
            memory=configuration["memory"],
            group=f"service:{service.name}",
            subnets=given.get("subnets") or service.placement.subnets,
            security_groups=[*(given.get("securityGroups") or []), managed_group(service)],
            cpu_architecture=configuration.get("cpuArchitecture") or "X86_64",
        )
