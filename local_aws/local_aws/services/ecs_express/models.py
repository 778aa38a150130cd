# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a service: revisions, deployments, managed resources. Plain data that JSON can hold."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import Any

RUNNING = frozenset({"PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})
"""States of a deployment that is not over (botocore: ServiceDeploymentStatus)."""


def stamp(moment: float | None) -> datetime | None:
    """Seconds since the epoch as the API has them."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC)


@dataclass
class ManagedResource:
    """One resource that ECS manages for a service.

    :arg arn: empty until it exists.
    :arg details: what is shown beside ARN and status (scheme, domainName, port …).
    """

    arn: str = ""
    status: str = "PROVISIONING"
    reason: str = ""
    updated: float = field(default_factory=time.time)
    details: dict[str, Any] = field(default_factory=dict)

    def becomes(self, status: str, reason: str = "", arn: str = "") -> None:
        """Changes the status; the ARN is kept unless a new one is given."""
        self.status, self.reason, self.updated = status, reason, time.time()
        self.arn = arn or self.arn

    def shown(self, *names: str) -> dict[str, Any]:
        """As the API shows it, with the named details."""
        result: dict[str, Any] = {"status": self.status, "updatedAt": stamp(self.updated)}
        if self.arn:
            result["arn"] = self.arn
        if self.reason:
            result["statusReason"] = self.reason
        return result | {name: self.details[name] for name in names if name in self.details}


@dataclass
class Revision:
    """A service revision: one configuration.

    :arg color: which of the two target groups its tasks are in; set when its deployment begins.
    :arg own_definition: whether the task definition is the user's own.
    :arg digest: what the image's tag stood for when the first task was started; empty before.
    """

    arn: str
    configuration: dict[str, Any]
    created: float = field(default_factory=time.time)
    color: str = ""
    desired: int = 1
    own_definition: bool = False
    digest: str = ""


@dataclass
class Deployment:
    """A service deployment: the way from source revisions to a target revision."""

    arn: str
    target: str
    sources: list[str] = field(default_factory=list)
    status: str = "PENDING"
    reason: str = ""
    stage: str = ""
    created: float = field(default_factory=time.time)
    started: float | None = None
    updated: float = field(default_factory=time.time)
    stopped: float | None = None
    finished: float | None = None
    rollback: dict[str, Any] = field(default_factory=dict)
    failures: int = 0
    breaker: str = "MONITORING"
    alarm: str = "MONITORING"
    fired: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status not in RUNNING

    def becomes(self, status: str, reason: str = "") -> None:
        """Changes the status and its times."""
        now = time.time()
        self.status, self.updated = status, now
        self.reason = reason or self.reason
        if status == "IN_PROGRESS" and self.started is None:
            self.started = now
        if self.over:
            self.finished = now
            self.stage = "" if status != "SUCCESSFUL" else self.stage
        if status == "STOPPED":
            self.stopped = now

    def enters(self, stage: str) -> None:
        """The next stage of its life."""
        self.stage, self.updated = stage, time.time()


@dataclass
class Placement:
    """Where a service is, and what it shares.

    :arg subnets: of the load balancer, and of the tasks unless a revision says otherwise.
    :arg zones: the subnets' Availability Zones.
    :arg ports: what its security group admits from the load balancer.
    :arg log_group: the log group that ECS makes for it; empty: none.
    :arg shared: whether its load balancer stays when the service is deleted.
    """

    subnets: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    log_group: str = ""
    shared: bool = False


@dataclass
class Overrides:
    """What UpdateService changed.

    :arg deployment: members of the deployment configuration.
    :arg grace: healthCheckGracePeriodSeconds; None: Express Mode's own.
    """

    deployment: dict[str, Any] = field(default_factory=dict)
    grace: int | None = None


@dataclass
class Service:
    """An Express service.

    :arg host: AWS's name of its endpoint.
    :arg stable: the ARN of the revision that serves when no deployment runs; empty before the first success.
    :arg provisioned: whether all managed resources have been made.
    :arg desired: how many tasks the service shall have: ECS's desired count, which every running deployment follows.
    """

    arn: str
    name: str
    cluster: str
    cluster_arn: str
    infrastructure_role: str
    host: str
    created_by: str = ""
    vpc: str = ""
    public: bool = True
    status: str = "ACTIVE"
    status_reason: str = ""
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    tags: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, Revision] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    managed: dict[str, ManagedResource] = field(default_factory=dict)
    stable: str = ""
    latest: str = ""
    provisioned: bool = False
    desired: int = 1
    events: list[dict[str, Any]] = field(default_factory=list)
    placement: Placement = field(default_factory=Placement)
    overrides: Overrides = field(default_factory=Overrides)

    def current(self) -> Deployment | None:
        """The deployment that is under way."""
        return next((item for item in reversed(self.deployments) if not item.over), None)

    def deployment(self, arn: str) -> Deployment | None:
        """One of its deployments."""
        return next((item for item in self.deployments if item.arn == arn), None)

    def active(self) -> list[Revision]:
        """The revisions that describe the service now: the serving one and the one being deployed, newest first."""
        if self.status == "INACTIVE":
            return []
        current = self.current()
        arns = [current.target] if current else []
        if self.stable and self.stable not in arns:
            arns.append(self.stable)
        if not arns and self.latest:
            arns.append(self.latest)
        return [self.revisions[arn] for arn in arns]

    def event(self, number: str, message: str) -> None:
        """Adds a service event, newest first, at most a hundred."""
        self.events.insert(0, {"id": number, "createdAt": time.time(), "message": f"(service {self.name}) {message}"})
        del self.events[100:]

    def to_json(self) -> dict[str, Any]:
        """The members, for the state file; not copied, as asdict() would: they are encoded at once, and often."""
        data = dict(vars(self))
        data["revisions"] = {arn: vars(item) for arn, item in self.revisions.items()}
        data["deployments"] = [vars(item) for item in self.deployments]
        data["managed"] = {name: vars(item) for name, item in self.managed.items()}
        # One structure in the file, as in those of earlier versions.
        data["overrides"] = vars(self.overrides) | vars(data.pop("placement"))
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Service:
        """From the state file."""
        nested = ("revisions", "deployments", "managed", "overrides")
        service = cls(**{key: value for key, value in data.items() if key not in nested})
        service.revisions = {arn: Revision(**item) for arn, item in data["revisions"].items()}
        service.deployments = [Deployment(**item) for item in data["deployments"]]
        service.managed = {name: ManagedResource(**item) for name, item in data["managed"].items()}
        kept = data["overrides"]
        service.placement = Placement(**_members(Placement, kept))
        service.overrides = Overrides(**_members(Overrides, kept))
        return service


def _members(kind: type[Placement | Overrides], data: dict[str, Any]) -> dict[str, Any]:
    return {item.name: data[item.name] for item in dataclasses.fields(kind) if item.name in data}
