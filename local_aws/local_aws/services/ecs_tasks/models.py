# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task is asked to be, and what it has become."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from datetime import datetime
from typing import Any

STATUSES = ("PROVISIONING", "PENDING", "RUNNING", "DEACTIVATING", "DEPROVISIONING", "STOPPED")
_TIMES = ("created_at", "started_at", "stopping_at", "stopped_at")


@dataclass
class TaskSpec:
    """What ECS needs to know to run one task: what matters here of a task definition, a service and its network.

    :arg service_arn: the service it belongs to.
    :arg cluster_arn: the cluster it runs in.
    :arg image: the image reference as the user gave it.
    :arg command: argv; empty: the image's own default, which the images known here do not have.
    :arg environment: plain entries.
    :arg secrets: name → ARN (or SSM name) that the execution role resolves when the task starts.
    :arg container_port: the port that the balancer talks to.
    :arg log_group: empty: the output is thrown away.
    :arg log_region: the region of the log group; empty: the region of the daemon.
    :arg cpu: CPU units, a string as ECS has it.
    :arg memory: MiB, a string as ECS has it.
    :arg group: ``service:<name>``, or ``family:<family>`` for a task without a service.
    :arg started_by: ECS's startedBy; empty: the service.
    :arg overrides: what RunTask changed of the task definition, as it is shown.
    :arg tags: of the task.
    :arg cpu_architecture: of the machine that ECS runs it on; what an image for another one can do there is to fail.
    """

    service_arn: str
    cluster_arn: str
    family: str
    revision: int
    task_definition_arn: str
    image: str
    command: list[str]
    environment: dict[str, str]
    secrets: dict[str, str]
    container_port: int
    log_group: str
    log_prefix: str
    log_region: str
    execution_role_arn: str
    task_role_arn: str
    cpu: str
    memory: str
    group: str
    subnets: list[str]
    security_groups: list[str]
    container_name: str = "Main"
    started_by: str = ""
    cpu_architecture: str = "X86_64"
    overrides: dict[str, Any] = field(default_factory=dict)
    tags: list[dict[str, str]] = field(default_factory=list)

    @property
    def service_name(self) -> str:
        """The name of the service, or an empty string for a task without one."""
        return self.group.removeprefix("service:") if self.group.startswith("service:") else ""


@dataclass
class Task:
    """One task: what it was asked to be and how it is.

    :ivar last_status: one of STATUSES.
    :ivar desired_status: ``RUNNING`` or ``STOPPED``.
    :ivar ip: the address to reach it at, a loopback address of its own where the system has them.
    :ivar port: the port to reach the container's port at.
    :ivar stop_code: ECS's stopCode, e.g. ``EssentialContainerExited``; empty while it runs.
    :ivar stopped_reason: ECS's stoppedReason.
    :ivar container_reason: the container's own reason, e.g. out of memory.
    :ivar exit_code: the container's exit code; 128 + n for signal n, as container runtimes count; None if it never ran.
    :ivar image_digest: what the image's tag stood for when it was pulled; empty before.
    :ivar memory_mib: what its processes use now, MiB; at most that, as long as it is below the limit.
    :ivar peak_memory_mib: the most that was seen.
    """

    arn: str
    spec: TaskSpec
    created_at: datetime
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    ip: str = ""
    port: int = 0
    stop_code: str = ""
    stopped_reason: str = ""
    container_reason: str = ""
    exit_code: int | None = None
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    stopped_at: datetime | None = None
    pid: int | None = None
    memory_mib: int = 0
    peak_memory_mib: int = 0
    version: int = 1
    log_stream: str = field(default="")
    image_digest: str = ""

    @property
    def id(self) -> str:
        """The last part of the ARN, 32 hexadecimal digits."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def region(self) -> str:
        """The region in its ARN."""
        return self.arn.split(":")[3]

    @property
    def subnets(self) -> list[str]:
        """The subnets of its network interface."""
        return self.spec.subnets

    @property
    def security_groups(self) -> list[str]:
        """The security groups that it was given."""
        return self.spec.security_groups

    def to_json(self) -> dict[str, Any]:
        """The members, for the state file; not copied, as asdict() would: they are encoded at once, and often."""
        data = {**vars(self), "spec": vars(self.spec)}
        for name in _TIMES:
            data[name] = data[name].isoformat() if data[name] else None
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Task:
        """Takes back what to_json() gave; unknown fields of another version are left out."""
        known = {item.name for item in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        spec_fields = {item.name for item in fields(TaskSpec)}
        values["spec"] = TaskSpec(**{name: value for name, value in data["spec"].items() if name in spec_fields})
        for name in _TIMES:
            values[name] = datetime.fromisoformat(values[name]) if values.get(name) else None
        return cls(**values)
