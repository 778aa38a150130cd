# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of the account: those that run, and those that stopped within the last hour."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
from typing import Any

from .models import Task

# ECS shows stopped tasks for about an hour.
_KEEP_STOPPED = timedelta(hours=1)


class TaskStore:
    """All tasks by ARN, and the processes of those that run."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._shims: dict[str, int] = {}

    def add(self, task: Task) -> None:
        """Adds a task."""
        self._tasks[task.arn] = task

    def get(self, task_arn: str) -> Task | None:
        """A task, running or stopped within the last hour."""
        return self._tasks.get(task_arn)

    def all(self) -> list[Task]:
        """All tasks, the oldest first."""
        return list(self._tasks.values())

    def at(self, address: str) -> Task | None:
        """The task that has an address."""
        return next((task for task in self._tasks.values() if task.ip == address), None)

    def of_cluster(self, cluster_arn: str) -> list[Task]:
        """The tasks of a cluster."""
        return [task for task in self._tasks.values() if task.spec.cluster_arn == cluster_arn]

    def addresses(self) -> set[str]:
        """The addresses of all tasks."""
        return {task.ip for task in self._tasks.values()}

    def process_started(self, task: Task, shim_pid: int) -> None:
        """Remembers the process id of the shim below which all processes of a task are."""
        self._shims[task.arn] = shim_pid

    def process_ended(self, task: Task) -> None:
        """Forgets it."""
        self._shims.pop(task.arn, None)

    def shims(self) -> dict[int, str]:
        """Process id of each running task's shim → ARN of the task, all of whose processes are below its shim."""
        return {pid: arn for arn, pid in self._shims.items()}

    def forget_old(self, now: datetime) -> None:
        """Drops the tasks that stopped long ago."""
        for arn, task in list(self._tasks.items()):
            if task.stopped_at is not None and task.stopped_at < now - _KEEP_STOPPED:
                del self._tasks[arn]

    def state(self) -> dict[str, Any]:
        """All tasks; what ran is told from what had stopped by its status."""
        return {"tasks": [task.to_json() for task in self._tasks.values()]}

    def restore(self, state: dict[str, Any], now: datetime) -> list[Task]:
        """Takes back the tasks.

        :returns: those that ran. They do so no more, and are STOPPED; their service starts others.
        """
        cut_off = []
        for data in state.get("tasks", []):
            task = Task.from_json(data)
            if task.last_status != "STOPPED":
                task.last_status = "STOPPED"
                task.desired_status = "STOPPED"
                task.stop_code = task.stop_code or "TerminationNotice"
                task.stopped_reason = task.stopped_reason or "The local AWS was restarted."
                task.stopped_at = now
                cut_off.append(task)
            self._tasks[task.arn] = task
        self.forget_old(now)
        return cut_off
