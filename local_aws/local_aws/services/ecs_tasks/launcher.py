# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent of ECS does to start a container: roles, secrets, log stream, file system, environment, process."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path
from typing import Any

from ...context import Context
from ...network import addresses
from ...network import task_address
from ...network.firewall import Firewall
from ...runtime.log_driver import LogDriver
from ...runtime.log_driver import LogsError
from ...runtime.supervisor import Process
from . import images
from . import layer
from . import secrets
from .endpoint import PRINCIPAL
from .endpoint import ContainerEndpoint
from .models import Task
from .models import TaskSpec

# The task definition of an Express service has stopTimeout 30. Real seconds: the processes are real.
STOP_TIMEOUT = 30.0
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What is left of a container whose image is for another processor: one line and exit code 255 (user reports, Fargate).
_WRONG_PROCESSOR = 'echo "exec $0: exec format error" >&2; exit 255'
# The longest TMPDIR below which Python's multiprocessing can still make a socket (107 bytes in all).
_LONGEST_TMPDIR = 70


class StartError(Exception):
    """The task cannot start; the message is ECS's stoppedReason."""


class ContainerLauncher:
    """Starts the container of a task."""

    def __init__(self, ctx: Context, firewall: Firewall, endpoint: ContainerEndpoint) -> None:
        self._ctx = ctx
        self._firewall = firewall
        self._endpoint = endpoint

    def folder(self, task: Task) -> Path:
        """The folder of a task's files."""
        # Not the whole id: what the task makes in its tmp folder may be a socket, whose path is limited.
        return self._ctx.settings.tasks / task.id[:12]

    def remove_folder(self, task: Task) -> None:
        """Removes what a task has left."""
        shutil.rmtree(self.folder(task), ignore_errors=True)

    async def check_roles(self, task: Task) -> None:
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

    async def resolve_secrets(self, spec: TaskSpec) -> dict[str, str]:
        """The values of the secrets that a task names, read as its execution role; raises StartError."""
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

    async def open_log(self, task: Task) -> LogDriver | None:
        """Makes the task\'s log stream as its execution role; raises StartError."""
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

    async def spawn(self, task: Task, address: task_address.Address, runtime: Path, values: dict[str, str]) -> Process:
        """Starts the container's process.

        :arg values: the values of its secrets.
        :raises StartError: it cannot be started.
        """
        spec = task.spec
        folder = self.folder(task)
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "tmp").mkdir(mode=0o700, exist_ok=True)
        programs = await asyncio.to_thread(layer.make, runtime, folder / "layer")
        environment = self._environment(task, address, f"{programs}:{_SYSTEM_PATH}", values)
        try:
            return await self._ctx.supervisor.spawn(
                f"task/{task.id}",
                _command(spec, environment["PATH"]),
                env=environment,
                cwd=folder,
                stdout=asyncio.subprocess.PIPE,
                stop_signal=signal.SIGTERM,
                stop_grace=STOP_TIMEOUT,
            )
        except OSError as error:
            what = "executable file not found in $PATH" if isinstance(error, FileNotFoundError) else str(error.strerror)
            task.exit_code = 127
            raise StartError(
                "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: "
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
                f'process: exec: "{spec.command[0]}": {what}: unknown'
            ) from error

    def _environment(
        self, task: Task, address: task_address.Address, path: str, values: dict[str, str]
    ) -> dict[str, str]:
        spec, folder, region = task.spec, self.folder(task), self._region(task.spec)
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
            **self._endpoint.register(task),
            **spec.environment,
            **values,
            task_address.VARIABLE: address.variable(
                spec.container_port, addresses.as_seen(self._firewall.peer_of(task).networks)
            ),
        }
        if len(str(folder / "tmp")) <= _LONGEST_TMPDIR:
            environment.setdefault("TMPDIR", str(folder / "tmp"))
        return environment

    def _region(self, spec: TaskSpec) -> str:
        return spec.log_region or self._ctx.settings.region


def _command(spec: TaskSpec, path: str) -> list[str]:
    """The container's program and arguments; raises StartError, or OSError where there is no such program."""
    if not spec.command:
        raise StartError(
            "CannotStartContainerError: the image's own command is not known here; give the container a command"
        )
    program = shutil.which(spec.command[0], path=path) if "/" not in spec.command[0] else spec.command[0]
    if program is None:
        raise FileNotFoundError
    if images.architecture(spec.image) not in ("", spec.cpu_architecture):
        return ["/bin/sh", "-c", _WRONG_PROCESSOR, f"/usr/local/bin/{Path(program).name}"]
    return [program, *spec.command[1:]]
