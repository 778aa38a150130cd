# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of ECS services without Container Insights: how much of what their tasks were given is used.

Amazon ECS developer guide, "Amazon ECS CloudWatch metrics": CPUUtilization and MemoryUtilization of a service.
"""

from __future__ import annotations

import time

from ...runtime import cpu
from ...runtime import memory
from .models import Task
from .store import TaskStore

NAMESPACE = "AWS/ECS"
_CPU_UNITS = 1024


class ServiceMetrics:
    """The metrics of services, measured at the processes of their tasks."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store
        self._meters: dict[str, cpu.Meter] = {}

    async def read(self, metric: str, dimensions: dict[str, str], _stat: str, minutes: int) -> list[float | None]:
        """The value now, for so many minutes.

        :raises ValueError: a metric that there is none of here.
        """
        if metric not in ("CPUUtilization", "MemoryUtilization"):
            raise ValueError(f"A metric that is not imitated here: {metric}")
        shims = {arn: pid for pid, arn in self._store.shims().items()}
        tasks = [task for task in self._store.all() if task.arn in shims and _is_of(task, dimensions)]
        self._meters = {arn: meter for arn, meter in self._meters.items() if arn in shims}
        if metric == "MemoryUtilization":
            values = [100 * task.memory_mib / int(task.spec.memory) for task in tasks if task.memory_mib]
        else:
            used = [self._cpu(task, shims[task.arn]) for task in tasks]
            values = [value for value in used if value is not None]
        return [sum(values) / len(values) if values else None] * minutes

    def _cpu(self, task: Task, shim: int) -> float | None:
        meter = self._meters.setdefault(task.arn, cpu.Meter())
        cores = meter.cores(memory.descendants(shim), time.monotonic())
        return None if cores is None else 100 * cores * _CPU_UNITS / int(task.spec.cpu)


def _is_of(task: Task, dimensions: dict[str, str]) -> bool:
    cluster = task.spec.cluster_arn.rsplit("/", 1)[-1]
    is_running = task.last_status == "RUNNING"
    return is_running and (cluster, task.spec.service_name) == (
        dimensions.get("ClusterName"),
        dimensions.get("ServiceName"),
    )
