# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of one revision: as many as wanted, in its target group, replaced when they end or stay unhealthy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from ...service import TrustError
from ..ecs_tasks import Task
from ..ecs_tasks import TaskController
from ..ecs_tasks import TaskSpec
from ..elbv2 import Balancer
from .infrastructure import message_of
from .models import Revision
from .models import Service
from .target_groups import TargetGroups

log = logging.getLogger(__name__)

GRACE_SECONDS = 300
"""healthCheckGracePeriodSeconds of Express services, AWS seconds, counted from a task's first answer."""
STARTUP_REAL_SECONDS = 900
"""The same in real seconds, for tasks that do not answer yet: a process does not start faster than it does."""
SILENT_REAL_SECONDS = 120
"""Real seconds that a task which has answered may be silent: a busy machine is not an unhealthy task."""
LONGEST_BACK_OFF = 300
TICK_SECONDS = 5


def grace_seconds(service: Service) -> int:
    """healthCheckGracePeriodSeconds of a service, AWS seconds."""
    return GRACE_SECONDS if service.overrides.grace is None else service.overrides.grace


class TaskSet:
    """Keeps a number of tasks of one revision running.

    :arg make_spec: gives the TaskSpec of one more task.
    :arg add_event: adds a service event.
    :ivar failures: tasks that ended or were replaced since the task_set began or a task was last healthy.
    :ivar replaced: tasks that were replaced because they stayed unhealthy beyond their grace period.
    """

    def __init__(
        self,
        ctx: Context,
        service: Service,
        revision: Revision,
        *,
        balancer: Balancer,
        tasks: TaskController,
        target_groups: TargetGroups,
        make_spec: Callable[[], TaskSpec],
        add_event: Callable[[str], None],
    ) -> None:
        self.ctx = ctx
        self._balancer = balancer
        self._task_controller = tasks
        self._target_groups = target_groups
        self.service = service
        self.revision = revision
        self.desired = 0
        self.failures = 0
        self.replaced = 0
        self.last_reason = ""
        self.tasks: dict[str, Task] = {}
        self._make_spec = make_spec
        self._add_event = add_event
        self._registered: dict[str, tuple[str, str, int]] = {}
        self._since: dict[str, float] = {}
        self._stopping: set[str] = set()
        self._not_before = 0.0
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()

    # Numbers --------------------------------------------------------------------------------------------------------

    @property
    def group(self) -> str:
        """The ARN of the target group of the revision's color."""
        return self.service.managed[f"target_group_{self.revision.color}"].arn

    def alive(self) -> list[Task]:
        """Tasks that have not ended and are not being stopped."""
        return [task for arn, task in self.tasks.items() if arn not in self._stopping]

    def running(self) -> int:
        """How many of them run."""
        return sum(1 for task in self.alive() if task.last_status == "RUNNING")

    def pending(self) -> int:
        """How many of them are on their way."""
        return sum(1 for task in self.alive() if task.last_status in ("PROVISIONING", "PENDING", "ACTIVATING"))

    def healthy(self) -> int:
        """How many pass their health checks."""
        return sum(1 for task in self.alive() if self._health(task.arn) == "healthy")

    def _target(self, arn: str) -> Any:
        group_arn, address, _port = self._registered.get(arn, ("", "", 0))
        group = self._balancer.groups.get(group_arn)
        return group.targets.get(address) if group is not None else None

    def _health(self, arn: str) -> str:
        target = self._target(arn)
        return target.state if target is not None else ""

    # Life -----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to keep the number of tasks."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop().create_task(self._keep())

    def set_desired(self, desired: int) -> None:
        """Sets how many tasks there should be."""
        self.desired = desired
        self._wake.set()

    async def close(self, reason: str) -> None:
        """Tells all tasks to stop, and starts no more."""
        self.desired = 0
        self.cancel()
        await asyncio.gather(*(self._stop(arn, reason) for arn in list(self.tasks)))

    def cancel(self) -> None:
        """Leaves the tasks to themselves: the daemon is stopping."""
        if self._loop is not None:
            self._loop.cancel()
        for task in self._background:
            task.cancel()

    async def _keep(self) -> None:
        while True:
            try:
                await self._once()
            except Exception:
                log.exception("tasks of %s", self.revision.arn)
            self._wake.clear()
            # Not wait_for(): before Python 3.12 it loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.1, self.ctx.clock.real(TICK_SECONDS))):
                    await self._wake.wait()

    async def _once(self) -> None:
        await self._replace_unhealthy()
        alive = self.alive()
        missing = self.desired - len(alive)
        if missing > 0 and time.monotonic() >= self._not_before:
            for _number in range(missing):
                await self._run()
        elif missing < 0:
            await asyncio.gather(
                *(self._stop(task.arn, "Scaling activity initiated by deployment") for task in alive[missing:])
            )

    async def _run(self) -> None:
        try:
            spec = self._make_spec()
            for role in (spec.execution_role_arn, spec.task_role_arn):
                if role:
                    await asyncio.to_thread(self.ctx.role_credentials, role, "ecs-tasks.amazonaws.com")
            task = await self._task_controller.run(spec, self._on_change)
        except (TrustError, ClientError) as error:
            self._failed(message_of(error))
            self._add_event(
                "failed to launch a task with (error ECS was unable to assume the role that was provided for this "
                "task. Please verify that the role being passed has the proper trust relationship and permissions and "
                f"that your IAM user has permissions to pass this role: {message_of(error)})."
            )
            return
        self.tasks[task.arn] = task
        self._since[task.arn] = time.monotonic()
        self._add_event(f"has started 1 tasks: (task {_short(task.arn)}).")
        if task.last_status != "PROVISIONING":
            self._on_change(task)

    def _failed(self, reason: str) -> None:
        """Counts a failed task and waits longer before the next one."""
        self.failures += 1
        self.last_reason = reason
        delay = min(10 * 2 ** (self.failures - 1), LONGEST_BACK_OFF)
        self._not_before = time.monotonic() + self.ctx.clock.real(delay)

    def _on_change(self, task: Task) -> None:
        """A task's status changed."""
        if task.last_status == "RUNNING" and task.arn not in self._registered and task.arn not in self._stopping:
            self.revision.digest = self.revision.digest or task.image_digest
            self._in_background(self._register(task))
        elif task.last_status in ("DEPROVISIONING", "STOPPED"):
            self._in_background(self._deregister(task.arn))
        if task.last_status == "STOPPED":
            known = self.tasks.pop(task.arn, None)
            self._since.pop(task.arn, None)
            if known is not None and task.arn not in self._stopping:
                reason = task.stopped_reason or "Essential container in task exited"
                if task.exit_code is not None:
                    reason += f" (exit code {task.exit_code})"
                self._failed(reason)
                self._add_event(f"(task {_short(task.arn)}) stopped: {reason}.")
            self._stopping.discard(task.arn)
            self._wake.set()
        self.ctx.changed()

    def _in_background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _register(self, task: Task) -> None:
        group, port = self.group, task.spec.container_port
        self._registered[task.arn] = (group, task.ip, port)
        try:
            await self._target_groups.register(self.service, group, task.ip, port, task.port)
        except (ClientError, TrustError) as error:
            self._registered.pop(task.arn, None)
            self._add_event(f"was unable to register targets in (target-group {group}): {message_of(error)}")
            return
        self._add_event(f"registered 1 targets in (target-group {group})")

    async def _deregister(self, arn: str) -> None:
        found = self._registered.pop(arn, None)
        if found is None:
            return
        group, address, port = found
        self._balancer.deregister(group, address)
        try:
            await self._target_groups.deregister(self.service, group, address, port)
        except (ClientError, TrustError) as error:
            log.warning("deregistering %s: %s", address, message_of(error))
            return
        self._add_event(f"deregistered 1 targets in (target-group {group})")

    async def _replace_unhealthy(self) -> None:
        now = time.monotonic()
        for task in self.alive():
            target = self._target(task.arn)
            if target is None:
                continue
            if target.state == "healthy":
                if self.failures and target.successes > target.failures:
                    self.failures = 0
                continue
            if target.state == "unhealthy" and self._beyond_grace(task, target, now):
                self.replaced += 1
                self._failed(f"Task failed ELB health checks in (target-group {self.group}): {target.description}")
                self._add_event(
                    f"(port {target.port}) is unhealthy in (target-group {self.group}) due to "
                    f"(reason {target.description}); (task {_short(task.arn)}) is being replaced."
                )
                await self._stop(task.arn, f"Task failed ELB health checks in (target-group {self.group})")

    def _beyond_grace(self, task: Task, target: Any, now: float) -> bool:
        """Whether an unhealthy task has had its time; only wrong answers are judged by AWS's clock."""
        grace = self.ctx.clock.real(grace_seconds(self.service))
        if target.ordered:
            return bool(now - target.ordered > grace)
        if not target.answered:
            return now - self._since.get(task.arn, now) > STARTUP_REAL_SECONDS
        if target.reason == "Target.ResponseCodeMismatch":
            return bool(now - target.answered > grace)
        # It became unhealthy while it started, and stays so until enough answers were right: not in silence.
        return bool(now - max(target.since, target.heard) > SILENT_REAL_SECONDS)

    async def _stop(self, arn: str, reason: str) -> None:
        if arn in self._stopping:
            return
        self._stopping.add(arn)
        try:
            await self._deregister(arn)
        finally:
            # Also when close() cancels the loop just here: it leaves to us what is being stopped already.
            await self._task_controller.stop_task(arn, reason)


def _short(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
