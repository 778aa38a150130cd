# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of Express services share: an account with its roles, and services that say who they are."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from running import HANGS
from running import LocalAws
from running import eventually

IMAGE = "public.ecr.aws/docker/library/python:3.11"
EXECUTION_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
INFRASTRUCTURE_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSInfrastructureRoleforExpressGatewayServices"
# ECS's longest bake time in minutes: so long that the deployment ends for another reason, or is ended.
LONGEST_BAKE = 1440
OVER = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        health = self.path == "/health"
        self.send_response(int(os.environ.get("HEALTH" if health else "STATUS", "200")))
        self.end_headers()
        text = os.environ.get("TEXT", "")
        if self.path == "/client":
            text = self.client_address[0] + " for " + self.headers.get("X-Forwarded-For", "")
        self.wfile.write(text.encode())
    def log_message(self, *arguments):
        pass
if os.environ.get("CRASH"):
    raise SystemExit(int(os.environ["CRASH"]))
http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler).serve_forever()
"""


class Account:
    """An account in a local AWS, with the roles that Express Mode needs.

    :arg linked: whether the service-linked roles of ECS and ELB are there.
    """

    def __init__(self, aws: LocalAws, *, linked: bool = True) -> None:
        self.aws = aws
        self.ecs = aws.client("ecs")
        self.iam = aws.client("iam")
        self.elbv2 = aws.client("elbv2")
        self.ec2 = aws.client("ec2")
        self.tag = uuid.uuid4().hex[:6]
        self.execution = self.role("execution", "ecs-tasks.amazonaws.com", EXECUTION_POLICY)
        self.infrastructure = self.role("infrastructure", "ecs.amazonaws.com", INFRASTRUCTURE_POLICY)
        if linked:
            self.link()

    def link(self, *names: str) -> None:
        """Makes service-linked roles (ECS's and ELB's unless others are named), those that are not there."""
        for name in names or ("ecs.amazonaws.com", "elasticloadbalancing.amazonaws.com"):
            if not self.iam.list_roles(PathPrefix=f"/aws-service-role/{name}/")["Roles"]:
                self.iam.create_service_linked_role(AWSServiceName=name)

    def role(self, name: str, principal: str, policy: str = "", condition: dict[str, Any] | None = None) -> str:
        """A role that a service may assume."""
        statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
        statement |= {"Condition": condition} if condition else {}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        full = f"{name}-{self.tag}-{uuid.uuid4().hex[:6]}"
        arn = self.iam.create_role(RoleName=full, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        if policy:
            self.iam.attach_role_policy(RoleName=full, PolicyArn=policy)
        return arn

    def user(self, actions: list[str], **more: Any) -> tuple[str, str]:
        """A user who may do these things; key and secret."""
        name = f"user-{uuid.uuid4().hex[:8]}"
        self.iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*", **more}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.iam.put_user_policy(UserName=name, PolicyName="it", PolicyDocument=document)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def parameters(self, name: str, environment: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """What Create takes for a small server that answers /health and says TEXT."""
        return {
            "serviceName": name,
            "executionRoleArn": self.execution,
            "infrastructureRoleArn": self.infrastructure,
            "healthCheckPath": "/health",
            "primaryContainer": self.container(environment or {}),
            "scalingTarget": {"minTaskCount": 1, "maxTaskCount": 1},
            **more,
        }

    @staticmethod
    def container(environment: dict[str, str]) -> dict[str, Any]:
        """The container of that server."""
        return {
            "image": IMAGE,
            "containerPort": 5000,
            "command": ["python", "-c", SERVER],
            "environment": [{"name": key, "value": value} for key, value in environment.items()],
        }

    def create(self, name: str, environment: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """Creates a service; the answer's ``service``."""
        return self.ecs.create_express_gateway_service(**self.parameters(name, environment, **more))["service"]

    def describe(self, arn: str) -> dict[str, Any]:
        """DescribeExpressGatewayService."""
        return self.ecs.describe_express_gateway_service(serviceArn=arn)["service"]

    def ecs_service(self, arn: str) -> dict[str, Any]:
        """DescribeServices."""
        return self.ecs.describe_services(services=[arn], include=["TAGS"])["services"][0]

    def deployments(self, arn: str) -> list[dict[str, Any]]:
        """ListServiceDeployments, newest first."""
        return self.ecs.list_service_deployments(service=arn)["serviceDeployments"]

    def deployment(self, arn: str) -> dict[str, Any]:
        """DescribeServiceDeployments of one."""
        return self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    def settled(self, arn: str, count: int = 1, seconds: float = HANGS) -> dict[str, Any]:
        """Waits until the newest of so many deployments is over; describes it."""

        def newest() -> dict[str, Any] | None:
            found = self.deployments(arn)
            return found[0] if len(found) >= count and found[0]["status"] in OVER else None

        return self.deployment(eventually(newest, seconds, "the deployment")["serviceDeploymentArn"])

    def ready(self, name: str, environment: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """A service whose first deployment has succeeded."""
        service = self.create(name, environment, **more)
        deployment = self.settled(service["serviceArn"])
        assert deployment["status"] == "SUCCESSFUL", (deployment, self.ecs_service(service["serviceArn"])["events"])
        return self.describe(service["serviceArn"])

    def managed(self, arn: str) -> dict[str, Any]:
        """The managed resources of a service's newest revision."""
        revision = self.describe(arn)["activeConfigurations"][0]["serviceRevisionArn"]
        answer = self.ecs.describe_service_revisions(serviceRevisionArns=[revision])
        return answer["serviceRevisions"][0]["ecsManagedResources"]

    def gone(self, arn: str, seconds: float = HANGS) -> None:
        """Deletes a service and waits until it is INACTIVE."""
        if self.ecs_service(arn)["status"] == "ACTIVE":
            self.ecs.delete_express_gateway_service(serviceArn=arn)
        try:
            eventually(lambda: self.ecs_service(arn)["status"] == "INACTIVE", seconds, "INACTIVE")
        except AssertionError as error:
            raise AssertionError(f"{error} Its events: {self.ecs_service(arn)['events'][:5]}") from error

    def all_gone(self, arns: list[str]) -> None:
        """Deletes services together and waits until all are INACTIVE."""
        for arn in arns:
            if self.ecs_service(arn)["status"] == "ACTIVE":
                self.ecs.delete_express_gateway_service(serviceArn=arn)
        for arn in arns:
            self.gone(arn)

    def get(self, endpoint: str, path: str = "/") -> tuple[int, str]:
        """Status and text of one request to an endpoint, with the local AWS's certificate authority trusted."""
        context = ssl.create_default_context(cafile=self.aws.info["ca_bundle"])
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        try:
            with urllib.request.build_opener(*handlers).open(f"https://{endpoint}{path}", timeout=HANGS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def endpoint_of(service: dict[str, Any]) -> str:
    """The endpoint, as clients read it."""
    configurations = service.get("activeConfigurations") or [service["targetConfiguration"]]
    return configurations[0]["ingressPaths"][0]["endpoint"]


def refusal(error: ClientError) -> tuple[str, str]:
    """Code and message of AWS's refusal."""
    return error.response["Error"]["Code"], error.response["Error"]["Message"]


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Code and message of a call that must be refused."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    return refusal(caught.value)


def unique(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:6]}"


def status_of_newest(account: Account, arn: str) -> str:
    """The status of a service's newest deployment; "none" before the first one."""
    found = account.deployments(arn)
    return str(found[0]["status"]) if found else "none"


def leaves(managed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All managed resources by name."""
    path = managed["ingressPaths"][0]
    found = {name: path[name] for name in ("loadBalancer", "certificate", "listener", "rule")}
    for number, group in enumerate(path["targetGroups"]):
        found[f"targetGroup{number}"] = group
    found["loadBalancerSecurityGroup"] = path["loadBalancerSecurityGroups"][0]
    found["serviceSecurityGroup"] = managed["serviceSecurityGroups"][0]
    found["scalableTarget"] = managed["autoScaling"]["scalableTarget"]
    found["policy"] = managed["autoScaling"]["applicationAutoScalingPolicies"][0]
    found["alarm"] = managed["metricAlarms"][0]
    for number, group in enumerate(managed.get("logGroups", [])):
        found[f"logGroup{number}"] = group
    return found


def sample(check: Any, seconds: float) -> list[Any]:
    """What a check said, each time it said something new, for so many seconds."""
    seen: list[Any] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = check()
        if not seen or seen[-1] != result:
            seen.append(result)
        time.sleep(0.02)
    return seen


def vpc(account: Account) -> list[str]:
    """Two subnets in two zones of a VPC of their own."""
    name = account.ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    made = [
        account.ec2.create_subnet(VpcId=name, CidrBlock=f"10.8.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")
        for number, zone in enumerate("ab")
    ]
    return [item["Subnet"]["SubnetId"] for item in made]
