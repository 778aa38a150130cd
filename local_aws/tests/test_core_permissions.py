# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Permissions that are easily forgotten: to tag what is created, and those of requests in the protocol rpc-v2-cbor."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from express_support import refused
from running import LocalAws

from local_aws.iam import tag_on_create

Order = Callable[..., str]
TAGS = [{"Key": "Owner", "Value": "it"}]


class User:
    """An IAM user with one policy."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.name = f"user-{uuid.uuid4().hex[:8]}"
        iam = aws.client("iam")
        iam.create_user(UserName=self.name)
        made = iam.create_access_key(UserName=self.name)["AccessKey"]
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]

    def may(self, *actions: str, **condition: Any) -> None:
        """Gives the user these permissions and no others."""
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*", **condition}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.aws.client("iam").put_user_policy(UserName=self.name, PolicyName="only", PolicyDocument=document)

    def client(self, service: str) -> Any:
        """A client of the user's."""
        return self.aws.client(service, self.key, self.secret)

    def cbor(self, operation: str, document: dict[str, Any]) -> tuple[int, Any]:
        """Status and document of a call of CloudWatch in CBOR, as the newer SDKs make it."""
        body = cbor2.dumps(document)
        url = f"{self.aws.info['endpoint_url']}/service/GraniteServiceVersion20100801/operation/{operation}"
        headers = {
            "Content-Type": "application/cbor",
            "Accept": "application/cbor",
            "smithy-protocol": "rpc-v2-cbor",
        }
        signed = AWSRequest(method="POST", url=url, data=body, headers=headers)
        SigV4Auth(Credentials(self.key, self.secret), "monitoring", self.aws.info["region"]).add_auth(signed)
        request = urllib.request.Request(url, data=body, method="POST", headers=dict(signed.headers))
        try:
            with self.aws.opener().open(request, timeout=1800) as answer:
                return answer.status, cbor2.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, cbor2.loads(error.read())

    def delete(self) -> None:
        """Removes the user."""
        iam = self.aws.client("iam")
        iam.delete_access_key(UserName=self.name, AccessKeyId=self.key)
        for policy in iam.list_user_policies(UserName=self.name)["PolicyNames"]:
            iam.delete_user_policy(UserName=self.name, PolicyName=policy)
        iam.delete_user(UserName=self.name)


@pytest.fixture
def user(local_aws: LocalAws) -> Iterator[User]:
    made = User(local_aws)
    yield made
    made.delete()


# --- tags on creation ------------------------------------------------------------------------------------------------

CREATIONS = [
    ("ec2", "create_security_group", "ec2:CreateSecurityGroup", "ec2:CreateTags", "UnauthorizedOperation"),
    (
        "elbv2",
        "create_target_group",
        "elasticloadbalancing:CreateTargetGroup",
        "elasticloadbalancing:AddTags",
        "AccessDenied",
    ),
    ("iam", "create_role", "iam:CreateRole", "iam:TagRole", "AccessDenied"),
    ("logs", "create_log_group", "logs:CreateLogGroup", "logs:TagResource", "AccessDeniedException"),
    ("rds", "create_db_parameter_group", "rds:CreateDBParameterGroup", "rds:AddTagsToResource", "AccessDenied"),
    (
        "secretsmanager",
        "create_secret",
        "secretsmanager:CreateSecret",
        "secretsmanager:TagResource",
        "AccessDeniedException",
    ),
]


def creation(service: str, name: str, vpc: str) -> dict[str, Any]:
    """The input of a creation without tags."""
    return {
        "ec2": {"GroupName": name, "Description": "of a test", "VpcId": vpc},
        "elbv2": {"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "ip"},
        "iam": {"RoleName": name, "AssumeRolePolicyDocument": '{"Version": "2012-10-17", "Statement": []}'},
        "logs": {"logGroupName": name},
        "rds": {"DBParameterGroupName": name, "DBParameterGroupFamily": "postgres16", "Description": "of a test"},
        "secretsmanager": {"Name": name, "SecretString": "made-up-and-unlikely-4d1f"},
    }[service]


def tagged(service: str, params: dict[str, Any]) -> dict[str, Any]:
    """The same with tags."""
    if service == "logs":
        return {**params, "tags": {"Owner": "it"}}
    if service == "ec2":
        return {**params, "TagSpecifications": [{"ResourceType": "security-group", "Tags": TAGS}]}
    return {**params, "Tags": TAGS}


@pytest.mark.parametrize(("service", "operation", "action", "tagging", "code"), CREATIONS)
def test_who_creates_with_tags_must_be_allowed_to_tag(  # noqa: PLR0917
    local_aws: LocalAws, user: User, service: str, operation: str, action: str, tagging: str, code: str
) -> None:
    vpc = local_aws.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    create = getattr(user.client(service), operation)
    first, second = (creation(service, f"test-{uuid.uuid4().hex[:8]}", vpc) for _unused in range(2))
    user.may(action)
    create(**first)
    found, message = refused(create, **tagged(service, second))
    assert found == code
    assert f"{user.name} is not authorized to perform: {tagging} on resource: " in message
    user.may(action, tagging)
    create(**tagged(service, second))


def test_the_permission_to_tag_may_be_bound_to_the_creation(local_aws: LocalAws, user: User) -> None:
    vpc = local_aws.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    group = creation("elbv2", f"test-{uuid.uuid4().hex[:8]}", vpc)
    only = {"StringEquals": {"elasticloadbalancing:CreateAction": "CreateLoadBalancer"}}
    user.may("elasticloadbalancing:AddTags", Condition=only)
    user.aws.client("iam").put_user_policy(
        UserName=user.name,
        PolicyName="create",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "elasticloadbalancing:Create*", "Resource": "*"}],
            }
        ),
    )
    assert refused(user.client("elbv2").create_target_group, **tagged("elbv2", group))[0] == "AccessDenied"
    only["StringEquals"]["elasticloadbalancing:CreateAction"] = "CreateTargetGroup"
    user.may("elasticloadbalancing:AddTags", Condition=only)
    made = user.client("elbv2").create_target_group(**tagged("elbv2", group))["TargetGroups"][0]
    local_aws.client("elbv2").delete_target_group(TargetGroupArn=made["TargetGroupArn"])


def test_what_needs_no_second_permission() -> None:
    tags = {"aws:requesttag/owner": "it"}
    assert tag_on_create.tagging_action("elasticloadbalancing:CreateRule", tags) == "elasticloadbalancing:AddTags"
    for action, context in [
        ("elasticloadbalancing:CreateRule", {}),
        ("elasticloadbalancing:AddTags", tags),
        ("ec2:CreateTags", tags),
        ("ecs:TagResource", tags),
        ("iam:CreateServiceLinkedRole", tags),
        ("sts:AssumeRole", tags),
    ]:
        assert tag_on_create.tagging_action(action, context) == ""


def test_the_thing_that_is_tagged_is_the_new_one() -> None:
    elb = "arn:aws:elasticloadbalancing:us-east-1:1"
    resource = tag_on_create.tagged_resource
    assert (
        resource("elasticloadbalancing:CreateListener", f"{elb}:loadbalancer/app/x/1") == f"{elb}:listener/app/x/1/new"
    )
    assert (
        resource("elasticloadbalancing:CreateRule", f"{elb}:listener/app/x/1/2") == f"{elb}:listener-rule/app/x/1/2/new"
    )
    assert resource("ec2:CreateSecurityGroup", "arn:aws:ec2:r:1:vpc/vpc-1") == "arn:aws:ec2:r:1:security-group/new"
    assert resource("iam:CreateRole", "arn:aws:iam::1:role/x") == "arn:aws:iam::1:role/x"


# --- CBOR ------------------------------------------------------------------------------------------------------------


def alarm(name: str, **more: Any) -> dict[str, Any]:
    """The input of PutMetricAlarm."""
    return {
        "AlarmName": name,
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "MetricName": "made-up",
        "Namespace": "Test",
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": 1.0,
        **more,
    }


def test_cbor_requests_are_enforced_like_others(local_aws: LocalAws, user: User) -> None:
    name = f"alarm-{uuid.uuid4().hex[:8]}"
    status, document = user.cbor("PutMetricAlarm", alarm(name))
    assert (status, document["__type"]) == (403, "AccessDeniedException")
    assert "cloudwatch:PutMetricAlarm" in document["message"]
    cloudwatch = local_aws.client("cloudwatch")
    assert not cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    # The resource and the tags are read from the CBOR, too.
    arn = f"arn:aws:cloudwatch:{local_aws.info['region']}:{local_aws.account_id}:alarm:{name}"
    tag = {"StringEquals": {"aws:RequestTag/Owner": "it"}}
    user.may("cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", Resource=arn, Condition=tag)
    assert user.cbor("PutMetricAlarm", alarm(name))[0] == 403
    assert user.cbor("PutMetricAlarm", alarm(f"{name}-other", Tags=TAGS))[0] == 403
    assert user.cbor("PutMetricAlarm", alarm(name, Tags=TAGS))[0] == 200
    described = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert [(item["AlarmName"], item["Threshold"]) for item in described] == [(name, 1.0)]
    cloudwatch.delete_alarms(AlarmNames=[name])


def test_cbor_requests_are_signed_recorded_and_answered_with_faults(
    local_aws: LocalAws, user: User, faults: Order
) -> None:
    user.may("cloudwatch:DescribeAlarms")
    right, user.secret = user.secret, "made-up-and-very-unlikely-0f3a9c7e51"
    assert user.cbor("DescribeAlarms", {})[0] == 403
    user.secret = right
    before = local_aws.page("calls")["counts"].get("cloudwatch:DescribeAlarms", 0)
    assert user.cbor("DescribeAlarms", {})[0] == 200
    assert local_aws.page("calls")["counts"]["cloudwatch:DescribeAlarms"] == before + 1
    faults("cloudwatch:DescribeAlarms", code="InternalServiceFault", message="It broke.", status=500)
    status, document = user.cbor("DescribeAlarms", {})
    assert (status, document) == (500, {"__type": "InternalServiceFault", "message": "It broke."})
    assert [call["outcome"] for call in local_aws.page("calls")["calls"] if call["api"] == "cloudwatch:DescribeAlarms"][
        -1
    ] == "InternalServiceFault"
    assert user.cbor("DescribeAlarms", {})[0] == 200
