# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ECS Express API in memory, behind real boto3 clients: botocore validates each request against its service model.

Time is a counter of seconds that only ``sleep`` moves. It rewrites what it is sent as ECS does: environment and secrets
sorted, nothing for what is empty, its own security group appended, defaults filled in. What AWS does not document about
that can be chosen (``Behaviour``).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import boto3

ACCOUNT = "arn:aws:ecs:eu-central-1:123456789012"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
INFRASTRUCTURE_ROLE = "arn:aws:iam::123456789012:role/infrastructure"
SETTINGS = {
    "strategy": "CANARY",
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "bakeTimeInMinutes": 3,
    "canaryConfiguration": {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 3},
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
}
EXECUTION_ROLE = "arn:aws:iam::123456789012:role/execution"


class Answer(Exception):
    """An error of AWS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


def full_params(**changes: Any) -> dict[str, Any]:
    """Module arguments that describe a whole service."""
    params: dict[str, Any] = {
        "service_name": "tracking",
        "infrastructure_role_arn": INFRASTRUCTURE_ROLE,
        "execution_role_arn": EXECUTION_ROLE,
        "task_role_arn": "arn:aws:iam::123456789012:role/task",
        "primary_container": {
            "image": "example.com/app:1",
            "container_port": 5000,
            "command": ["serve", "--port", "5000"],
            "environment": {"ZONE": "b", "MODE": "plain", "WORKERS": 2},
            "secrets": {"TOKEN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x-AbCdEf:token::"},
            "aws_logs_configuration": {"log_group": "/ecs/default/tracking", "log_stream_prefix": "app"},
        },
        "health_check_path": "/health",
        "network_configuration": {"subnets": ["subnet-b", "subnet-a"], "security_groups": ["sg-mine"]},
        "cpu": "1024",
        "memory": "4096",
        "scaling_target": {"min_task_count": 1, "max_task_count": 1},
        "tags": {"team": "research"},
    }
    params.update(changes)
    return params


ABSENT = "absent"


@dataclass
class Behaviour:
    """What is not documented, or was seen differently by different users.

    Args:
        nothing: how an empty list is described: None, [] or ABSENT.
        fills: whether defaults are described where nothing was sent; else they are not described even if they were.
        merges: whether an update merges structures with what was there, or replaces them.
        scheme: what stands before the endpoint.
        newest_first: order of activeConfigurations.
        tells_groups: whether a revision names the security groups that ECS made.
        marks_groups: whether those carry ECS's tag.
        managed_first: whether ECS's group stands before the user's.
        own_tags: tags that ECS adds.
        keeps_settings: whether UpdateService keeps the deployment settings that it is not sent.
        forgets_settings: whether ECS sets its alarm anew at each deployment.
    """

    nothing: Any = None
    fills: bool = True
    merges: bool = True
    scheme: str = ""
    newest_first: bool = False
    tells_groups: bool = True
    marks_groups: bool = True
    managed_first: bool = False
    own_tags: tuple[str, ...] = ()
    keeps_settings: bool = False
    forgets_settings: bool = False


class FakeEcs:
    """State and behaviour; ``client`` makes a boto3 client for it."""

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

    # ---- harness

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
        readers = ("Describe", "List", "Get", "Simulate")
        return sum(n for name, n in self.calls.items() if not name.startswith(readers))

    # ---- the passage of time

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

    # ---- operations

    def do_CreateExpressGatewayService(self, **sent: Any) -> Any:
        self._tick()
        name = sent["serviceName"]
        if sent.get("cluster", "default").rsplit("/", 1)[-1] == "default":
            self.clusters.add("default")
        cluster = self._cluster(sent.get("cluster", "default"))
        arn = f"{ACCOUNT}:service/{cluster}/{name}"
        old = self.services.get(arn)
        if old and old["status"] == "DRAINING":
            raise Answer("InvalidParameterException", "Unable to Start a service that is still Draining.")
        if old and old["status"] == "ACTIVE":
            raise Answer("InvalidParameterException", "Creation of service was not idempotent.")
        service = {
            "serviceArn": arn,
            "serviceName": name,
            "cluster": f"{ACCOUNT}:cluster/{cluster}",
            "clusterArn": f"{ACCOUNT}:cluster/{cluster}",
            "status": "ACTIVE",
            "resourceManagementType": "ECS",
            "infrastructureRoleArn": sent["infrastructureRoleArn"],
            "tags": [*sent.get("tags", []), *({"key": key, "value": "x"} for key in self.behaviour.own_tags)],
            "createdAt": self.moment(),
            "_number": self.calls["CreateExpressGatewayService"],
            "_host": f"{name[:2]}-{self._count:032x}.ecs.eu-central-1.on.aws",
        }
        self.services[arn] = service
        self._deploy(service, self._rewritten(sent))
        return {"service": self._express(service)}

    def do_UpdateExpressGatewayService(self, **sent: Any) -> Any:
        service = self._active(sent["serviceArn"])
        current = self.revisions[service["_revisions"][-1]]["_config"]
        merged = copy.deepcopy({k: v for k, v in current.items() if k not in ("serviceRevisionArn", "createdAt")})
        for key, value in sent.items():
            merged[key] = (
                {**merged.get(key, {}), **value} if isinstance(value, dict) and self.behaviour.merges else value
            )
        if set(sent) == {"serviceArn", "scalingTarget"} and not self.deploys_scaling:
            current.update(self._rewritten(merged))
            return {"service": {"serviceArn": service["serviceArn"], "updatedAt": self.moment()}}
        revision = self._deploy(service, self._rewritten(merged))
        return {
            "service": {
                "serviceArn": service["serviceArn"],
                "updatedAt": self.moment(),
                "targetConfiguration": self._config(revision, service),
            }
        }

    def do_DeleteExpressGatewayService(self, serviceArn: str) -> Any:
        service = self._active(serviceArn)
        service.update(status="DRAINING", _draining=self.now)
        return {"service": self._express(service)}

    def do_DescribeExpressGatewayService(self, serviceArn: str, include: Any = None) -> Any:
        self._tick()
        service = self.services.get(serviceArn)
        if service is None:
            raise Answer("InvalidParameterException", "Resource not found")
        described = self._express(service)
        return {"service": described if "TAGS" in (include or []) else {**described, "tags": []}}

    def _cluster(self, name_or_arn: str) -> str:
        name = name_or_arn.rsplit("/", 1)[-1]
        if name not in self.clusters:
            raise Answer("ClusterNotFoundException", "Cluster not found.")
        return name

    def do_DescribeServices(self, services: list[str], cluster: str = "default") -> Any:
        self._tick()
        path = f":service/{self._cluster(cluster)}/"
        here = [item for item in self.services.values() if path in item["serviceArn"]]
        found = [item for item in here if item["serviceName"] in services or item["serviceArn"] in services]
        events = [{"message": text, "createdAt": self.moment(self.events_at)} for text in self.events]
        known = {name for item in found for name in (item["serviceName"], item["serviceArn"])}
        missing = [{"arn": name, "reason": "MISSING"} for name in services if name not in known]
        return {"services": [{**_public(item), "events": events} for item in found], "failures": missing}

    def do_ListServices(self, cluster: str = "default", **_sent: Any) -> Any:
        path = f":service/{self._cluster(cluster)}/"
        return {"serviceArns": [arn for arn in self.services if path in arn]}

    def do_DescribeSecurityGroups(self, Filters: list[dict[str, Any]]) -> Any:
        ids = next(item["Values"] for item in Filters if item["Name"] == "group-id")
        assert {"Name": "tag:AmazonECSManaged", "Values": ["true"]} in Filters
        marked = [name for name in ids if name == "sg-managed" and self.behaviour.marks_groups]
        return {"SecurityGroups": [{"GroupId": name} for name in marked]}

    def do_ListServiceDeployments(self, service: str, cluster: str = "default", nextToken: str = "") -> Any:
        self._tick()
        found = [
            _public(item)
            for item in self.deployments.values()
            if item["serviceArn"] == service and self.now - item["_at"] >= self.listed_after
        ]
        return {"serviceDeployments": found[::-1]}

    def do_DescribeServiceDeployments(self, serviceDeploymentArns: list[str]) -> Any:
        self._tick()
        return {"serviceDeployments": [_public(self.deployments[arn]) for arn in serviceDeploymentArns]}

    def do_DescribeServiceRevisions(self, serviceRevisionArns: list[str]) -> Any:
        return {"serviceRevisions": [_public(self.revisions[arn]) for arn in serviceRevisionArns]}

    def do_UpdateService(
        self,
        service: str,
        cluster: str = "default",
        forceNewDeployment: bool = False,
        deploymentConfiguration: dict[str, Any] | None = None,
    ) -> Any:
        arn = f"{ACCOUNT}:service/{self._cluster(cluster)}/{service}"
        found = self._active(arn)
        if deploymentConfiguration is not None:
            if deploymentConfiguration.get("strategy", "CANARY") != "CANARY":
                raise Answer("InvalidParameterException", "Updating to it is not supported for ExpressGatewayServices.")
            kept = found["deploymentConfiguration"] if self.behaviour.keeps_settings else {}
            found["deploymentConfiguration"] = {**kept, **deploymentConfiguration}
        if not forceNewDeployment:
            return {"service": _public(found)}
        config = self.revisions[found["_revisions"][-1]]["_config"]
        self._deploy(found, {k: v for k, v in config.items() if k not in ("serviceRevisionArn", "createdAt")})
        return {"service": {"serviceArn": arn}}

    def do_TagResource(self, resourceArn: str, tags: list[dict[str, str]]) -> Any:
        service = self.services[resourceArn]
        keys = {item["key"] for item in tags}
        service["tags"] = [item for item in service["tags"] if item["key"] not in keys] + tags
        return {}

    def do_UntagResource(self, resourceArn: str, tagKeys: list[str]) -> Any:
        service = self.services[resourceArn]
        service["tags"] = [item for item in service["tags"] if item["key"] not in tagKeys]
        return {}

    def do_DescribeTaskDefinition(self, taskDefinition: str) -> Any:
        return {"taskDefinition": self.definitions[taskDefinition]}

    def do_GetRole(self, RoleName: str) -> Any:
        if RoleName not in self.roles:
            raise Answer("NoSuchEntity", f"The role with name {RoleName} cannot be found.")
        role = {"RoleName": RoleName, "Arn": f"arn:aws:iam::123456789012:role/{RoleName}", **self.roles[RoleName]}
        return {"Role": {"Path": "/", "RoleId": "AROA", "AssumeRolePolicyDocument": "ecs.amazonaws.com", **role}}

    def do_SimulatePrincipalPolicy(self, ActionNames: list[str], **_sent: Any) -> Any:
        decision = "allowed" if self.now >= self.allowed_at else "implicitDeny"
        return {"EvaluationResults": [{"EvalActionName": name, "EvalDecision": decision} for name in ActionNames]}

    def do_ListTasks(self, desiredStatus: str, **_sent: Any) -> Any:
        stopped = desiredStatus == "STOPPED"
        return {"taskArns": [t["taskArn"] for t in self.tasks if (t["lastStatus"] == "STOPPED") == stopped]}

    def do_DescribeTasks(self, tasks: list[str], **_sent: Any) -> Any:
        return {"tasks": [t for t in self.tasks if t["taskArn"] in tasks]}

    def do_DescribeTargetHealth(self, **_sent: Any) -> Any:
        return {"TargetHealthDescriptions": self.targets}

    def do_DescribeLogStreams(self, logStreamNamePrefix: str, **_sent: Any) -> Any:
        return {"logStreams": [{"logStreamName": logStreamNamePrefix, "creationTime": 1}] if self.log else []}

    def do_GetLogEvents(self, limit: int, **_sent: Any) -> Any:
        return {"events": [{"message": line} for line in self.log[-limit:]]}

    def _express(self, service: dict[str, Any]) -> dict[str, Any]:
        return {
            **{
                k: service[k]
                for k in ("serviceArn", "serviceName", "cluster", "infrastructureRoleArn", "tags", "createdAt")
            },
            "status": {"statusCode": service["status"]},
            "activeConfigurations": [
                self._config(arn, service) for arn in service["_revisions"][:: -1 if self.behaviour.newest_first else 1]
            ],
        }

    def _config(self, revision: str, service: dict[str, Any]) -> dict[str, Any]:
        return {
            **self.revisions[revision]["_config"],
            "ingressPaths": [{"accessType": "PUBLIC", "endpoint": self.behaviour.scheme + service["_host"]}],
        }

    def _rewritten(self, sent: dict[str, Any]) -> dict[str, Any]:
        """What Describe answers for what was sent."""
        names = ("executionRoleArn", "taskRoleArn", "healthCheckPath", "cpu", "memory", "cpuArchitecture")
        filled = {"cpu": "1024", "memory": "2048", "healthCheckPath": "/", "cpuArchitecture": "X86_64"}
        config: dict[str, Any] = self._filled(filled, {name: sent[name] for name in names if sent.get(name)})
        config["primaryContainer"] = self._container(sent.get("primaryContainer") or {})
        network = sent.get("networkConfiguration") or {}
        groups = [group for group in network.get("securityGroups") or [] if group != "sg-managed"]
        groups = ["sg-managed", *groups] if self.behaviour.managed_first else [*groups, "sg-managed"]
        subnets = network.get("subnets") or ["subnet-default-a", "subnet-default-b"]
        config["networkConfiguration"] = {"subnets": subnets, "securityGroups": groups}
        scaling = {"autoScalingMetric": "AVERAGE_CPU", "autoScalingTargetValue": 60}
        given = {"minTaskCount": 1, "maxTaskCount": 20, **(sent.get("scalingTarget") or {})}
        config["scalingTarget"] = self._filled(scaling, given)
        config["taskDefinitionArn"] = f"{ACCOUNT}:task-definition/default-tracking:1"
        return config

    def _filled(self, defaults: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
        if self.behaviour.fills:
            return {**defaults, **sent}
        return {key: value for key, value in sent.items() if defaults.get(key) != value}

    def _container(self, sent: dict[str, Any]) -> dict[str, Any]:
        logs = {"logGroup": "/aws/ecs/default/tracking-1234", "logStreamPrefix": "ecs"}
        container = self._filled({"containerPort": 80, "awsLogsConfiguration": logs}, sent)
        for key in ("environment", "secrets"):
            container[key] = sorted(container.get(key) or [], key=lambda item: item["name"])
        for key in ("environment", "secrets", "command"):
            container[key] = container.get(key) or self.behaviour.nothing
            if container[key] == ABSENT:
                del container[key]
        return container


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


def knows(member: str) -> bool:
    """Whether the installed botocore knows this member of CreateExpressGatewayService; the oldest lacks two of them."""
    model = boto3.client("ecs", region_name="eu-central-1").meta.service_model
    return member in model.operation_model("CreateExpressGatewayService").input_shape.members


def _public(item: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in item.items() if not k.startswith("_")}
