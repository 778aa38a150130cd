# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of an ECS in memory, behind real boto3 clients, and how it changes with time.

Time is a counter of seconds that only ``sleep`` moves.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import boto3

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_behaviour import Behaviour

ACCOUNT = "arn:aws:ecs:eu-central-1:123456789012"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = {
    "strategy": "CANARY",
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "bakeTimeInMinutes": 3,
    "canaryConfiguration": {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 3},
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
}


class Answer(Exception):
    """An error of AWS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


class FakeState:
    """State, clients, and the passage of time; operations are methods named do_<operation> of the classes below it."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        # "default" comes with the first service.
        self.clusters: set[str] = set()
        self.now = 0.0
        self.services: dict[str, dict[str, Any]] = {}
        self.deployments: dict[str, dict[str, Any]] = {}
        self.revisions: dict[str, dict[str, Any]] = {}
        self.calls: Counter[str] = Counter()
        self.sent: dict[str, dict[str, Any]] = {}
        self.errors: dict[str, list[Exception]] = {}
        self.ready_after = 30.0
        self.listed_after = 5.0
        self.drained_after = 60.0
        self.outcome = "SUCCESSFUL"
        self.reason = ""
        self.stuck = False
        self.events: list[str] = []
        self.events_at = 1e6
        self.tasks: list[dict[str, Any]] = []
        self.targets: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.deploys_scaling = True
        self.definitions: dict[str, dict[str, Any]] = {}
        old = {"CreateDate": EPOCH - timedelta(days=1)}
        names = ("infrastructure", "AWSServiceRoleForECS", "AWSServiceRoleForElasticLoadBalancing")
        self.roles: dict[str, dict[str, Any]] = {name: dict(old) for name in names}
        self.allowed_at = 0.0
        self.stuck_services = 0
        self.on_tick: Callable[[], None] = lambda: None
        self._count = 0

    def client(self, service: str) -> Any:
        made = boto3.client(
            service,
            region_name="eu-central-1",
            aws_access_key_id="AKIAFAKEFAKEFAKEFAKE",
            aws_secret_access_key="a-made-up-key-that-is-long-enough",
        )
        made.meta.events.register("before-call", self._before_call)
        return made

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now

    def _before_call(self, model: Any, params: dict[str, Any], context: Any = None, **_kwargs: Any) -> Any:
        self.calls[model.name] += 1
        try:
            queued = self.errors.get(model.name)
            if queued:
                raise queued.pop(0)
            answer = getattr(self, f"do_{model.name}")(**self.sent.pop("pending"))
        except Answer as e:
            return SimpleNamespace(status_code=400), {
                "Error": {"Code": e.code, "Message": e.message},
                "ResponseMetadata": {},
            }
        seen = _seen(model.output_shape, copy.deepcopy(answer))
        return SimpleNamespace(status_code=200), {**(seen or {}), "ResponseMetadata": {}}

    def wrapped_client(self, service: str) -> Any:
        """Like ``client``, and what each operation was called with is kept in ``sent``."""
        made = self.client(service)

        def keep(params: dict[str, Any], model: Any, **_kwargs: Any) -> None:
            self.sent["pending"] = params
            self.sent[model.name] = copy.deepcopy(params)

        made.meta.events.register("provide-client-params", keep)
        return made

    def moment(self, seconds: float | None = None) -> datetime:
        return EPOCH + timedelta(seconds=self.now if seconds is None else seconds)

    @property
    def changing_calls(self) -> int:
        """How many calls were made that change something."""
        reading = ("Describe", "List", "Get", "Simulate")
        return sum(n for name, n in self.calls.items() if not name.startswith(reading))

    def _tick(self) -> None:
        self.on_tick()
        for item in self.deployments.values():
            age = self.now - item["_at"]
            stuck = self.stuck or self.services[item["serviceArn"]]["_number"] <= self.stuck_services
            if item["status"] == "IN_PROGRESS" and age >= self.ready_after and not stuck:
                self._end(item)
        for service in self.services.values():
            if service["status"] == "DRAINING" and self.now - service["_draining"] >= self.drained_after:
                service["status"] = "INACTIVE"

    def _end(self, item: dict[str, Any]) -> None:
        service = self.services[item["serviceArn"]]
        item.update(status=self.outcome, statusReason=self.reason, finishedAt=self.moment())
        failed = self.outcome != "SUCCESSFUL"
        revisions = service["_revisions"]
        if failed and len(revisions) > 1:
            service["_revisions"] = revisions[:1]
            item["rollback"] = {"reason": self.reason, "serviceRevisionArn": revisions[0]}
        elif not failed:
            service["_revisions"] = revisions[-1:]
            for leaf in self.revisions[revisions[-1]]["_leaves"]:
                leaf["status"] = "ACTIVE"

    def _deploy(self, service: dict[str, Any], config: dict[str, Any]) -> str:
        self._count += 1
        revision = f"{ACCOUNT}:service-revision/default/{service['serviceName']}/{self._count}"
        arn = f"{ACCOUNT}:service-deployment/default/{service['serviceName']}/{self._count}"
        group = {"arn": "arn:aws:ec2:eu-central-1:123456789012:security-group/sg-managed", "updatedAt": self.moment()}
        balancer = {"arn": "arn:lb", "updatedAt": self.moment(), "scheme": "internet-facing"}
        targets = {
            "arn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/tg/1",
            "updatedAt": self.moment(),
            "healthCheckPath": config.get("healthCheckPath", "/"),
            "healthCheckPort": 5000,
            "port": 5000,
        }
        leaves = [group, balancer, targets]
        for leaf in leaves:
            leaf["status"] = "PROVISIONING"
        told = {"serviceSecurityGroups": [group]} if self.behaviour.tells_groups else {}
        self.revisions[revision] = {
            "serviceRevisionArn": revision,
            "_leaves": leaves,
            "_config": {**config, "serviceRevisionArn": revision, "createdAt": self.moment()},
            "taskDefinition": self._define(service, config),
            "networkConfiguration": {"awsvpcConfiguration": config.get("networkConfiguration")},
            "ecsManagedResources": {
                **told,
                "ingressPaths": [
                    {"accessType": "PUBLIC", "endpoint": "x", "loadBalancer": balancer, "targetGroups": [targets]}
                ],
            },
        }
        self.deployments[arn] = {
            "serviceDeploymentArn": arn,
            "serviceArn": service["serviceArn"],
            "targetServiceRevisionArn": revision,
            "status": "IN_PROGRESS",
            "createdAt": self.moment(),
            "_at": self.now,
        }
        if service.get("_revisions"):
            self.deployments[arn]["sourceServiceRevisions"] = [{"arn": service["_revisions"][-1]}]
        service["_revisions"] = [*service.get("_revisions", [])[-1:], revision]
        settings = service.setdefault("deploymentConfiguration", copy.deepcopy(SETTINGS))
        name = f"default/{service['serviceName']}/RollbackAlarm"
        alarms = settings.setdefault("alarms", {"alarmNames": [], "enable": True, "rollback": True})
        if name not in alarms["alarmNames"]:
            alarms["alarmNames"] = [*alarms["alarmNames"], name]
        if self.behaviour.forgets_settings:
            alarms |= {"enable": True, "rollback": True}
        return revision

    def _define(self, service: dict[str, Any], config: dict[str, Any]) -> str:
        container = config["primaryContainer"]
        logs = container.get("awsLogsConfiguration") or {}
        arn = f"{ACCOUNT}:task-definition/default-{service['serviceName']}:{self._count}"
        self.definitions[arn] = {
            **{k: config.get(k) for k in ("cpu", "memory", "executionRoleArn", "taskRoleArn")},
            "containerDefinitions": [
                {
                    "name": "Main",
                    **{k: container.get(k) for k in ("image", "command", "environment", "secrets")},
                    "portMappings": [{"containerPort": container.get("containerPort", 80), "name": "main"}],
                    "logConfiguration": {
                        "logDriver": "awslogs",
                        "options": {
                            "awslogs-group": logs.get("logGroup"),
                            "awslogs-stream-prefix": logs.get("logStreamPrefix"),
                        },
                    },
                }
            ],
        }
        return arn

    def _active(self, arn: str) -> dict[str, Any]:
        self._tick()
        service = self.services.get(arn)
        if service is None:
            raise Answer("ServiceNotFoundException", "Service not found.")
        if service["status"] == "DRAINING":
            raise Answer("ServiceNotActiveException", "Service is in DRAINING status")
        if service["status"] == "INACTIVE":
            raise Answer("ServiceNotActiveException", "Cannot perform this operation on a service in INACTIVE status")
        return service


def _seen(shape: Any, value: Any) -> Any:
    """What the installed botocore shows of an answer: its parser leaves out the members that its model lacks."""
    if shape is None or value is None:
        return value
    if shape.type_name == "structure":
        return {name: _seen(shape.members[name], part) for name, part in value.items() if name in shape.members}
    if shape.type_name == "list":
        return [_seen(shape.member, part) for part in value]
    if shape.type_name == "map":
        return {name: _seen(shape.value, part) for name, part in value.items()}
    return value


def public(item: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in item.items() if not k.startswith("_")}
