# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data plane of ECS: starts tasks, watches them, stops them, and answers the API about them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from ...faults import Fault
from ...network import addresses
from ...network import task_address
from ...network.firewall import Address
from ...network.firewall import Peer
from ...network.task_listener import TaskListener
from ...runtime import log_driver
from ...runtime import memory
from ...runtime.log_driver import LogDriver
from ...runtime.log_driver import LogsError
from ...runtime.supervisor import Process
from ...service import Call
from ...service import Response
from . import handlers
from . import images
from . import layer
from . import secrets
from .endpoint import PRINCIPAL
from .endpoint import ContainerEndpoint
from .images import CannotPullContainerError
from .models import Task
from .models import TaskSpec
from .runtimes import Runtimes

if TYPE_CHECKING:
    from ...context import Context

_log = logging.getLogger(__name__)

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The task definition of an Express service has stopTimeout 30. Real seconds: the processes are real.
_STOP_TIMEOUT = 30.0
_PULL_SECONDS = 30.0
_MEMORY_PERIOD = 2.0
# ECS shows stopped tasks for about an hour.
_KEEP_STOPPED = timedelta(hours=1)
_KILLED = 137
# What is left of a container whose image is for another processor: one line and exit code 255 (user reports, Fargate).
_WRONG_PROCESSOR = 'echo "exec $0: exec format error" >&2; exit 255'
_NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
# The longest TMPDIR below which Python's multiprocessing can still make a socket (107 bytes in all).
_LONGEST_TMPDIR = 70

OnChange = Callable[[Task], None]


class StartError(Exception):
    """The task cannot start; the message is ECS's stoppedReason."""


@dataclass
class _Running:
    """What belongs to a task as long as it is not stopped."""

    on_change: OnChange
    work: asyncio.Task[None] | None = None
    process: Process | None = None
    stop: tuple[str, str] | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    out_of_memory: bool = False
    exit_code: int | None = None
    driver: LogDriver | None = None
    address: task_address.Address | None = None
    listener: TaskListener | None = None
    output: asyncio.Task[None] | None = None


class TaskRunner:
    """ECS tasks as process groups.

    A task runs the service's own command with the service's own environment in a runtime made from the image's
    packages, as the user that runs this program. Its network is a loopback address of its own (see network_hook.py).
    """

    name = "tasks"

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._tasks: dict[str, Task] = {}
        self._running: dict[str, _Running] = {}
        self._runtimes = Runtimes(ctx.settings.runtimes, ctx.supervisor)
        self._endpoint = ContainerEndpoint(ctx)

    # What the control plane calls

    async def run(self, spec: TaskSpec, on_change: OnChange) -> Task:
        """Starts a task and returns at once.

        :arg on_change: called in the event loop after each change of the task's status; must not raise.
        :returns: the task, PROVISIONING.
        """
        task = Task(arn=self._new_arn(spec.cluster_arn), spec=spec, created_at=self._ctx.clock.now())
        task.log_stream = f"{spec.log_prefix}/{spec.container_name}/{task.id}"
        running = _Running(on_change)
        self._tasks[task.arn] = task
        self._running[task.arn] = running
        self._forget_old()
        running.work = asyncio.create_task(self._life(task, running), name=f"task {task.id}")
        self._ctx.changed()
        return task

    async def stop_task(self, task_arn: str, reason: str, stop_code: str = "ServiceSchedulerInitiated") -> None:
        """Asks a task to stop and returns at once: SIGTERM, SIGKILL after 30 seconds. Nothing happens to a stopped one.

        :arg reason: ECS's stoppedReason.
        :arg stop_code: ECS's stopCode; ``UserInitiated`` for StopTask.
        """
        task, running = self._tasks.get(task_arn), self._running.get(task_arn)
        if task is None or running is None or running.stop is not None:
            return
        running.stop = (stop_code, reason)
        task.desired_status = "STOPPED"
        task.stopping_at = self._ctx.clock.now()
        task.version += 1
        running.stopping.set()

    def get(self, task_arn: str) -> Task | None:
        """A task, running or stopped within the last hour."""
        return self._tasks.get(task_arn)

    async def prepare(self, image: str) -> bool:
        """Makes the runtime of an image beforehand.

        :returns: whether it had to be made.
        :raises CannotPullContainerError: the image is unknown, or its packages cannot be had.
        """
        is_new = not self._runtimes.has(image)
        await self._runtimes.provide(image)
        return is_new

    def shims(self) -> dict[int, str]:
        """Process id of each running task's shim → ARN of the task, all of whose processes are below its shim."""
        return {running.process.shim_pid: arn for arn, running in self._running.items() if running.process is not None}

    def reach(self, ip: str, port: int, source: Peer) -> tuple[str, int] | None:
        """Where the balancer reaches a task.

        :arg port: the container port, which the rules are about.
        :arg source: what the balancer is for the rules.
        :returns: host and port; None: the task's security groups do not admit the balancer. Where the task has ended,
            its address, at which nobody listens any more.
        """
        for arn, running in self._running.items():
            task, address = self._tasks[arn], running.address
            if address is not None and task.ip == ip and task.spec.container_port == port:
                firewall = self._ctx.firewall
                is_admitted = firewall.admits(self._arn_region(task), firewall.groups_of(task), port, source)
                return (address.inner, address.inner_port) if is_admitted else None
        return ip, port

    def all(self) -> list[Task]:
        """All tasks, the oldest first."""
        return list(self._tasks.values())

    # Room

    def owns(self, call: Call) -> bool:
        """The three operations on tasks, where tasks that run here may be meant."""
        return call.service == "ecs" and call.operation in handlers.OPERATIONS

    async def handle(self, call: Call) -> Response:
        """ListTasks, DescribeTasks, StopTask."""
        return await handlers.handle(self, self._ctx, call)

    async def start(self) -> None:
        """Opens the containers' endpoint."""
        await self._endpoint.start()

    async def stop(self) -> None:
        """Stops all tasks and waits for them."""
        work = [running.work for running in self._running.values() if running.work is not None]
        for arn in list(self._running):
            await self.stop_task(arn, "The local AWS is shutting down.", "TerminationNotice")
        if work:
            await asyncio.wait(work)
        await self._endpoint.stop()

    def state(self) -> dict[str, Any]:
        """All tasks; what ran is told from what had stopped by its status."""
        return {"tasks": [task.to_json() for task in self._tasks.values()]}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back the tasks. None of them runs any more: those that did are STOPPED; their service starts others."""
        now = self._ctx.clock.now()
        for data in state.get("tasks", []):
            task = Task.from_json(data)
            if task.last_status != "STOPPED":
                task.last_status = "STOPPED"
                task.desired_status = "STOPPED"
                task.stop_code = task.stop_code or "TerminationNotice"
                task.stopped_reason = task.stopped_reason or "The local AWS was restarted."
                task.stopped_at = now
                shutil.rmtree(self._folder(task), ignore_errors=True)
            self._tasks[task.arn] = task
        self._forget_old()

    # A task's life

    async def _life(self, task: Task, running: _Running) -> None:
        try:
            await self._until_running_or_stopped(task, running)
            if running.process is not None:
                await self._watch(task, running)
        except StartError as error:
            running.stop = running.stop or ("TaskFailedToStart", str(error))
        except Exception:
            _log.exception("task %s: failed", task.id)
            running.stop = running.stop or (
                "TaskFailedToStart",
                "CannotStartContainerError: internal error, see the daemon's log",
            )
        finally:
            self._endpoint.dismiss(task)
            if running.listener is not None:
                await running.listener.close()
            with contextlib.suppress(OSError):
                await asyncio.to_thread(shutil.rmtree, self._folder(task), True)
            code, reason = running.stop or ("EssentialContainerExited", "Essential container in task exited")
            task.stop_code, task.stopped_reason = code, reason
            task.desired_status = "STOPPED"
            task.stopping_at = task.stopping_at or self._ctx.clock.now()
            self._change(task, running, "DEPROVISIONING")
            task.stopped_at = self._ctx.clock.now()
            del self._running[task.arn]
            self._change(task, running, "STOPPED")
            _log.info("task %s: stopped: %s (exit code %s)", task.id, reason, task.exit_code)

    async def _until_running_or_stopped(self, task: Task, running: _Running) -> None:
        """Starts the container, unless the task is told to stop before that."""
        starting = asyncio.create_task(self._start(task, running))
        stopping = asyncio.create_task(running.stopping.wait())
        try:
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
        finally:
            stopping.cancel()

    async def _start(self, task: Task, running: _Running) -> None:
        spec = task.spec
        self._order_fault("tasks:Capacity", spec.group, _NO_CAPACITY)
        await self._check_roles(task)
        try:
            running.address = task_address.allocate(spec.container_port, {other.ip for other in self._tasks.values()})
        except OSError as error:
            raise StartError(f"ResourceInitializationError: {error}") from error
        task.ip, task.port = running.address.ip, running.address.port
        running.listener = TaskListener(running.address, lambda client, server: self._admitted(task, client, server))
        try:
            await running.listener.open()
        except OSError as error:
            raise StartError(f"ResourceInitializationError: {error}") from error
        self._change(task, running, "PENDING")
        values = await self._secrets(spec)
        driver = running.driver = await self._open_log(task)
        self._order_fault("tasks:Pull", spec.image, f"CannotPullContainerError: {spec.image}: pull access denied")
        # The pull lasts at least as long as on AWS; making a runtime for the first time, longer.
        pull = asyncio.create_task(self._ctx.clock.sleep(_PULL_SECONDS))
        try:
            runtime = await self._runtimes.provide(spec.image)
            await pull
        except CannotPullContainerError as error:
            raise StartError(str(error)) from error
        finally:
            pull.cancel()
        task.image_digest = images.digest(spec.image)
        running.process = await self._spawn(task, running, runtime, values)
        task.pid = running.process.pid
        task.started_at = self._ctx.clock.now()
        self._change(task, running, "RUNNING")
        _log.info("task %s: runs %s at %s:%s, pid %s", task.id, spec.image, task.ip, task.port, task.pid)
        assert running.process.output is not None
        running.output = asyncio.create_task(log_driver.follow(driver, running.process.output))

    async def _watch(self, task: Task, running: _Running) -> None:
        process = running.process
        assert process is not None
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(running.stopping.wait())
        watcher = asyncio.create_task(self._watch_memory(task, running, process))
        fault = self._ctx.faults.consume("tasks:Exit", task.spec.group)
        exiting = asyncio.create_task(self._exit(running, process, fault)) if fault is not None else None
        try:
            await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await process.stop(_STOP_TIMEOUT)
            code = await ended
        finally:
            watcher.cancel()
            stopping.cancel()
            if exiting is not None:
                exiting.cancel()
        if running.output is not None:
            await running.output
        task.exit_code = code if code >= 0 else 128 - code
        if running.exit_code is not None:
            task.exit_code = running.exit_code
        if running.out_of_memory:
            task.exit_code = _KILLED
            task.container_reason = "OutOfMemoryError: Container killed due to memory usage"

    async def _exit(self, running: _Running, process: Process, fault: Fault) -> None:
        """The container ends on order, with its last words."""
        await self._ctx.faults.wait(fault, self._ctx.clock.real(fault.delay))
        if running.driver is not None:
            for line in fault.message.splitlines():
                running.driver.write(line.encode())
        running.exit_code = int(fault.data.get("code", 1))
        await process.stop(0)

    async def _watch_memory(self, task: Task, running: _Running, process: Process) -> None:
        limit = int(task.spec.memory)
        fault = self._ctx.faults.consume("tasks:Memory", task.spec.group)
        more = int(fault.data.get("mib", 0)) if fault is not None else 0
        while True:
            task.memory_mib = more + await asyncio.to_thread(memory.used, process.pid, limit - more)
            task.peak_memory_mib = max(task.peak_memory_mib, task.memory_mib)
            if task.memory_mib > limit:
                _log.warning("task %s: uses %s MiB of %s MiB, killed", task.id, task.memory_mib, limit)
                running.out_of_memory = True
                for pid in memory.tree(process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                return
            await asyncio.sleep(_MEMORY_PERIOD)

    # Its parts

    async def _check_roles(self, task: Task) -> None:
        """Both roles must let ECS's tasks assume them, whether they are used or not."""
        for role in (task.spec.execution_role_arn, task.spec.task_role_arn):
            if not role:
                continue
            try:
                await asyncio.to_thread(self._ctx.role_credentials, role, PRINCIPAL, 900)
            except Exception as error:  # TrustError; any other refusal means the same to ECS
                raise StartError(
                    f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that "
                    "the role being passed has the proper trust relationship and permissions and that your IAM user "
                    "has permissions to pass this role."
                ) from error

    async def _admitted(self, task: Task, client: Address, server: Address) -> Peer | None:
        """Who connects to a task's container port; None: its security groups do not let it in."""
        firewall = self._ctx.firewall
        peer = await firewall.peer(client, server)
        if firewall.admits(self._arn_region(task), firewall.groups_of(task), task.spec.container_port, peer):
            return peer
        _log.info("task %s: no security group admits %s", task.id, peer.task or f"{client[0]}, which is no task")
        return None

    async def _secrets(self, spec: TaskSpec) -> dict[str, str]:
        if not spec.secrets:
            return {}

        async def call(service: str, operation: str, parameters: dict[str, Any], region: str) -> dict[str, Any]:
            return await self._ctx.aws(
                service, operation, role_arn=spec.execution_role_arn, principal=PRINCIPAL, region=region, **parameters
            )

        try:
            return await secrets.resolve(spec.secrets, call, self._region(spec))
        except secrets.SecretsError as error:
            raise StartError(str(error)) from error

    async def _open_log(self, task: Task) -> LogDriver | None:
        spec = task.spec

        async def call(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
            return await self._ctx.aws(
                "logs", operation, role_arn=spec.execution_role_arn, principal=PRINCIPAL, **parameters
            )

        if not spec.log_group:
            return None
        driver = LogDriver(call, spec.log_group, task.log_stream)
        try:
            await driver.open()
        except LogsError as error:
            raise StartError(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
                f"failed to create Cloudwatch log stream: {error} : exit status 1"
            ) from error
        return driver

    async def _spawn(self, task: Task, running: _Running, runtime: Path, values: dict[str, str]) -> Process:
        spec = task.spec
        assert running.address is not None
        folder = self._folder(task)
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "tmp").mkdir(mode=0o700, exist_ok=True)
        programs = await asyncio.to_thread(layer.make, runtime, folder / "layer")
        path = f"{programs}:{_SYSTEM_PATH}"
        region = self._region(spec)
        environment = {
            "PATH": path,
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
            # They stand for the network: on AWS addresses are resolved and certificates known, here they are told.
            "AWS_ENDPOINT_URL": self._ctx.endpoint_url,
            "AWS_CA_BUNDLE": str(self._ctx.authority.bundle),
            **self._endpoint.admit(task),
            **spec.environment,
            **values,
            task_address.VARIABLE: running.address.variable(
                spec.container_port, addresses.as_seen(self._ctx.firewall.peer_of(task).networks)
            ),
        }
        if len(str(folder / "tmp")) <= _LONGEST_TMPDIR:
            environment.setdefault("TMPDIR", str(folder / "tmp"))
        if not spec.command:
            raise StartError(
                "CannotStartContainerError: the image's own command is not known here; give the container a command"
            )
        program = (
            shutil.which(spec.command[0], path=environment["PATH"]) if "/" not in spec.command[0] else spec.command[0]
        )
        try:
            if program is None:
                raise FileNotFoundError
            if images.architecture(spec.image) not in ("", spec.cpu_architecture):
                command = ["/bin/sh", "-c", _WRONG_PROCESSOR, f"/usr/local/bin/{Path(program).name}"]
            else:
                command = [program, *spec.command[1:]]
            return await self._ctx.supervisor.spawn(
                f"task/{task.id}",
                command,
                env=environment,
                cwd=folder,
                stdout=asyncio.subprocess.PIPE,
                stop_signal=signal.SIGTERM,
                stop_grace=_STOP_TIMEOUT,
            )
        except OSError as error:
            what = "executable file not found in $PATH" if isinstance(error, FileNotFoundError) else str(error.strerror)
            task.exit_code = 127
            raise StartError(
                "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: "
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
                f'process: exec: "{spec.command[0]}": {what}: unknown'
            ) from error

    def _order_fault(self, what: str, subject: str, message: str) -> None:
        """A fault that was ordered: ``tasks:Capacity`` (subject: the group), ``tasks:Pull`` (subject: the image)."""
        fault = self._ctx.faults.consume(what, subject)
        if fault is not None:
            raise StartError(fault.message or message)

    def _change(self, task: Task, running: _Running, status: str) -> None:
        task.last_status = status
        task.version += 1
        self._ctx.changed()
        try:
            running.on_change(task)
        except Exception:
            _log.exception("task %s: the control plane failed on %s", task.id, status)

    def _new_arn(self, cluster_arn: str) -> str:
        prefix, _slash, cluster = cluster_arn.partition(":cluster/")
        return f"{prefix}:task/{cluster}/{uuid.uuid4().hex}"

    @staticmethod
    def _arn_region(task: Task) -> str:
        return task.arn.split(":")[3]

    def _region(self, spec: TaskSpec) -> str:
        return spec.log_region or self._ctx.settings.region

    def _folder(self, task: Task) -> Path:
        # Not the whole id: what the task makes in its tmp folder may be a socket, whose path is limited.
        return self._ctx.settings.tasks / task.id[:12]

    def _forget_old(self) -> None:
        limit = self._ctx.clock.now() - _KEEP_STOPPED
        for arn, task in list(self._tasks.items()):
            if task.stopped_at is not None and task.stopped_at < limit:
                del self._tasks[arn]
