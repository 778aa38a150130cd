# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations of Express gateway services, on an ECS in memory.

It rewrites what it is sent as ECS does: environment and secrets sorted, nothing for what is empty, its own security
group appended, defaults filled in.
"""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_behaviour import ABSENT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import FakeState


class FakeGateway(FakeState):
    """Express gateway services: create, update, delete, describe."""

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
