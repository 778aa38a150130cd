# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ECS Express API in memory, behind real boto3 clients: botocore validates each request against its service model.

What AWS does not document about it can be chosen (``Behaviour``).
"""

from __future__ import annotations

from typing import Any

import boto3

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_gateway import FakeGateway
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import public

INFRASTRUCTURE_ROLE = "arn:aws:iam::123456789012:role/infrastructure"
EXECUTION_ROLE = "arn:aws:iam::123456789012:role/execution"


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


class FakeEcs(FakeGateway):
    """The classic operations of ECS, and what the modules ask of other services."""

    def do_DescribeServices(self, services: list[str], cluster: str = "default") -> Any:
        self._tick()
        path = f":service/{self._cluster(cluster)}/"
        here = [item for item in self.services.values() if path in item["serviceArn"]]
        found = [item for item in here if item["serviceName"] in services or item["serviceArn"] in services]
        events = [{"message": text, "createdAt": self.moment(self.events_at)} for text in self.events]
        known = {name for item in found for name in (item["serviceName"], item["serviceArn"])}
        missing = [{"arn": name, "reason": "MISSING"} for name in services if name not in known]
        return {"services": [{**public(item), "events": events} for item in found], "failures": missing}

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
            public(item)
            for item in self.deployments.values()
            if item["serviceArn"] == service and self.now - item["_at"] >= self.listed_after
        ]
        return {"serviceDeployments": found[::-1]}

    def do_DescribeServiceDeployments(self, serviceDeploymentArns: list[str]) -> Any:
        self._tick()
        return {"serviceDeployments": [public(self.deployments[arn]) for arn in serviceDeploymentArns]}

    def do_DescribeServiceRevisions(self, serviceRevisionArns: list[str]) -> Any:
        return {"serviceRevisions": [public(self.revisions[arn]) for arn in serviceRevisionArns]}

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
            return {"service": public(found)}
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


def knows(member: str) -> bool:
    """Whether the installed botocore knows this member of CreateExpressGatewayService; the oldest lacks two of them."""
    model = boto3.client("ecs", region_name="eu-central-1").meta.service_model
    return member in model.operation_model("CreateExpressGatewayService").input_shape.members
