# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of tasks: started, watched, stopped, each in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from ...context import Context
from ...faults import Fault
from ...network import task_address
from ...network.firewall import Address
from ...network.firewall import Firewall
from ...network.firewall import Peer
from ...network.task_listener import TaskListener
from ...runtime import log_driver
from ...runtime import memory
from ...runtime.log_driver import LogDriver
from ...runtime.supervisor import Process
from . import images
from .endpoint import ContainerEndpoint
from .images import CannotPullContainerError
from .launcher import STOP_TIMEOUT
from .launcher import ContainerLauncher
from .launcher import StartError
from .models import Task
from .models import TaskSpec
from .runtimes import Runtimes
from .store import TaskStore

_log = logging.getLogger(__name__)

_PULL_SECONDS = 30.0
_MEMORY_PERIOD = 2.0
_KILLED = 137
_NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"

OnChange = Callable[[Task], None]


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


class TaskController:
    """ECS tasks as process groups.

    A task runs the service's own command with the service's own environment in a runtime made from the image's
    packages, as the user that runs this program. Its network is a loopback address of its own (see network_hook.py).
    """

    def __init__(self, ctx: Context, store: TaskStore, firewall: Firewall) -> None:
        self._ctx = ctx
        self._store = store
        self._firewall = firewall
        self._running: dict[str, _Running] = {}
        self._runtimes = Runtimes(ctx.settings.runtimes, ctx.supervisor)
        self._endpoint = ContainerEndpoint(ctx)
        self._launcher = ContainerLauncher(ctx, firewall, self._endpoint)

    async def run(self, spec: TaskSpec, on_change: OnChange) -> Task:
        """Starts a task and returns at once.

        :arg on_change: called in the event loop after each change of the task's status; must not raise.
        :returns: the task, PROVISIONING.
        """
        task = Task(arn=self._new_arn(spec.cluster_arn), spec=spec, created_at=self._ctx.clock.now())
        task.log_stream = f"{spec.log_prefix}/{spec.container_name}/{task.id}"
        running = _Running(on_change)
        self._store.add(task)
        self._running[task.arn] = running
        self._store.forget_old(self._ctx.clock.now())
        running.work = asyncio.create_task(self._life(task, running), name=f"task {task.id}")
        self._ctx.changed()
        return task

    async def stop_task(self, task_arn: str, reason: str, stop_code: str = "ServiceSchedulerInitiated") -> None:
        """Asks a task to stop and returns at once: SIGTERM, SIGKILL after 30 seconds. Nothing happens to a stopped one.

        :arg reason: ECS's stoppedReason.
        :arg stop_code: ECS's stopCode; ``UserInitiated`` for StopTask.
        """
        task, running = self._store.get(task_arn), self._running.get(task_arn)
        if task is None or running is None or running.stop is not None:
            return
        running.stop = (stop_code, reason)
        task.desired_status = "STOPPED"
        task.stopping_at = self._ctx.clock.now()
        task.version += 1
        running.stopping.set()

    async def prepare(self, image: str) -> tuple[bool, Path]:
        """Makes the runtime of an image beforehand.

        :returns: whether it had to be made, and its folder, a virtual environment.
        :raises CannotPullContainerError: the image is unknown, or its packages cannot be had.
        """
        is_new = not self._runtimes.has(image)
        return is_new, await self._runtimes.provide(image)

    def reach(self, ip: str, port: int, source: Peer) -> tuple[str, int] | None:
        """Where the balancer reaches a task.

        :arg port: the container port, which the rules are about.
        :arg source: what the balancer is for the rules.
        :returns: host and port; None: the task's security groups do not admit the balancer. Where the task has ended,
            its address, at which no process listens any more.
        """
        for arn, running in self._running.items():
            task, address = self._store.get(arn), running.address
            if task is not None and address is not None and task.ip == ip and task.spec.container_port == port:
                is_admitted = self._firewall.admits_to(task, port, source)
                return (address.inner, address.inner_port) if is_admitted else None
        return ip, port

    def group_at(self, ip: str) -> str:
        """The group of the task at an address, ``service:<name>``; empty: there is none."""
        task = self._store.at(ip)
        return task.spec.group if task is not None else ""

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

    def clean_up(self, tasks: list[Task]) -> None:
        """Removes the files of tasks that another daemon ran."""
        for task in tasks:
            self._launcher.remove_folder(task)

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
            self._endpoint.deregister(task)
            if running.listener is not None:
                await running.listener.close()
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._launcher.remove_folder, task)
            code, reason = running.stop or ("EssentialContainerExited", "Essential container in task exited")
            task.stop_code, task.stopped_reason = code, reason
            task.desired_status = "STOPPED"
            task.stopping_at = task.stopping_at or self._ctx.clock.now()
            self._change(task, running, "DEPROVISIONING")
            task.stopped_at = self._ctx.clock.now()
            del self._running[task.arn]
            self._store.process_ended(task)
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
        await self._launcher.check_roles(task)
        address = await self._attach(task, running)
        self._change(task, running, "PENDING")
        values = await self._launcher.resolve_secrets(spec)
        driver = running.driver = await self._launcher.open_log(task)
        self._order_fault("tasks:Pull", spec.image, f"CannotPullContainerError: {spec.image}: pull access denied")
        runtime = await self._pull(spec.image)
        task.image_digest = images.digest(spec.image)
        running.process = await self._launcher.spawn(task, address, runtime, values)
        self._store.process_started(task, running.process.shim_pid)
        task.pid = running.process.pid
        task.started_at = self._ctx.clock.now()
        self._change(task, running, "RUNNING")
        _log.info("task %s: runs %s at %s:%s, pid %s", task.id, spec.image, task.ip, task.port, task.pid)
        assert running.process.output is not None
        running.output = asyncio.create_task(log_driver.follow(driver, running.process.output))

    async def _attach(self, task: Task, running: _Running) -> task_address.Address:
        """Gives a task its address, and opens the port there; raises StartError."""
        try:
            address = task_address.allocate(task.spec.container_port, self._store.addresses())
        except OSError as error:
            raise StartError(f"ResourceInitializationError: {error}") from error
        running.address = address
        task.ip, task.port = address.ip, address.port
        running.listener = TaskListener(address, lambda client, server: self._admitted(task, client, server))
        try:
            await running.listener.open()
        except OSError as error:
            raise StartError(f"ResourceInitializationError: {error}") from error
        return address

    async def _pull(self, image: str) -> Path:
        """Provides the runtime of an image; raises StartError."""
        # The pull lasts at least as long as on AWS; making a runtime for the first time, longer.
        pull = asyncio.create_task(self._ctx.clock.sleep(_PULL_SECONDS))
        try:
            runtime = await self._runtimes.provide(image)
            await pull
        except CannotPullContainerError as error:
            raise StartError(str(error)) from error
        finally:
            pull.cancel()
        return runtime

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
                await self._drain(task, running, ended)
                await process.stop(STOP_TIMEOUT)
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

    async def _drain(self, task: Task, running: _Running, ended: asyncio.Task[int]) -> None:
        """Lets a task go on for a while on order: ECS waits until the balancer has drained its connections.

        Amazon ECS Developer Guide, "Amazon ECS task lifecycle": meanwhile it is DEACTIVATING, and to be STOPPED.
        """
        fault = self._ctx.faults.consume("tasks:Stop", task.spec.group)
        if fault is None:
            return
        self._change(task, running, "DEACTIVATING")
        waiting = asyncio.create_task(self._ctx.faults.wait(fault, self._ctx.clock.real(fault.delay)))
        try:
            await asyncio.wait([ended, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

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

    async def _admitted(self, task: Task, client: Address, server: Address) -> Peer | None:
        """Who connects to a task's container port; None: its security groups do not let it in."""
        peer = await self._firewall.peer(client, server)
        if self._firewall.admits_to(task, task.spec.container_port, peer):
            return peer
        _log.info("task %s: no security group admits %s", task.id, peer.task or f"{client[0]}, which is no task")
        return None

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
