# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that AWS refuses, and that ministack alone would accept."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from express_support import Account
from running import LocalAws

from local_aws.services.cloudwatch import dashboards
from local_aws.services.ecs_express import size


def test_rotation_without_a_function_is_refused_and_stages_nothing(local_aws: LocalAws) -> None:
    secrets = local_aws.client("secretsmanager")
    secrets.create_secret(Name="unrotated", SecretString="made-up-0f3d-1122")
    before = secrets.describe_secret(SecretId="unrotated")["VersionIdsToStages"]
    with pytest.raises(ClientError, match="No Lambda rotation function ARN") as refusal:
        secrets.rotate_secret(SecretId="unrotated")
    assert refusal.value.response["Error"]["Code"] == "InvalidRequestException"
    function = "arn:aws:lambda:us-east-1:123456789012:function:rotate"
    with pytest.raises(ClientError, match=r"AccessDeniedException.*cannot invoke"):
        secrets.rotate_secret(SecretId="unrotated", RotationLambdaARN=function)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        secrets.rotate_secret(SecretId="none-such")
    after = secrets.describe_secret(SecretId="unrotated")
    assert after["VersionIdsToStages"] == before
    assert not after.get("RotationEnabled")


def test_the_attributes_of_the_account(local_aws: LocalAws) -> None:
    attributes = local_aws.client("ec2").describe_account_attributes(AttributeNames=["default-vpc"])[
        "AccountAttributes"
    ]
    [vpc] = local_aws.client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert attributes == [{"AttributeName": "default-vpc", "AttributeValues": [{"AttributeValue": vpc["VpcId"]}]}]


def test_a_dashboard_must_be_one(local_aws: LocalAws) -> None:
    cloudwatch = local_aws.client("cloudwatch")
    with pytest.raises(ClientError, match="valid JSON document") as refusal:
        cloudwatch.put_dashboard(DashboardName="ops", DashboardBody="no { json")
    assert refusal.value.response["Error"]["Code"] in ("InvalidParameterInput", "DashboardInvalidInputError")
    assert cloudwatch.list_dashboards()["DashboardEntries"] == []
    widget = {
        "type": "metric",
        "x": 0,
        "y": 0,
        "width": 12,
        "height": 6,
        "properties": {"metrics": [["AWS/ECS", "CPUUtilization"]]},
    }
    body = json.dumps({"widgets": [widget]})
    assert cloudwatch.put_dashboard(DashboardName="ops", DashboardBody=body)["DashboardValidationMessages"] == []
    assert cloudwatch.get_dashboard(DashboardName="ops")["DashboardBody"] == body


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ("[]", "/"),
        ("{}", "/widgets"),
        ('{"widgets": [5]}', "/widgets/0"),
        ('{"widgets": [{"type": "picture", "properties": {}}]}', "/widgets/0/type"),
        ('{"widgets": [{"type": "text"}]}', "/widgets/0/properties"),
        ('{"widgets": [{"type": "text", "width": 25, "properties": {"markdown": "#"}}]}', "/widgets/0/width"),
        ('{"widgets": [{"type": "text", "x": "1", "properties": {"markdown": "#"}}]}', "/widgets/0/x"),
        ('{"widgets": [{"type": "metric", "properties": {"metrics": ["CPU"]}}]}', "/widgets/0/properties/metrics/0"),
    ],
)
def test_each_mistake_in_a_dashboard_is_named_by_its_path(body: str, path: str) -> None:
    assert [problem["DataPath"] for problem in dashboards.problems(body)] == [path]


@pytest.mark.parametrize(
    ("cpu", "memory", "units"),
    [
        ("2", "4", ("2048", "4096")),
        (".5 vCPU", "1 GB", ("512", "1024")),
        ("1024", "2048", ("1024", "2048")),
        ("big", "1.5x", ("big", "1.5x")),
    ],
)
def test_sizes_in_vcpus_and_gigabytes(cpu: str, memory: str, units: tuple[str, str]) -> None:
    assert (size.cpu_units(cpu), size.memory_mib(memory)) == units


def test_the_tutorials_size_makes_a_service(account: Account, made: list[str]) -> None:
    made.append(account.create("tutorial", cpu="2", memory="4")["serviceArn"])
    [configuration] = account.ecs.describe_express_gateway_service(serviceArn=made[0])["service"][
        "activeConfigurations"
    ]
    assert (configuration["cpu"], configuration["memory"]) == ("2048", "4096")
