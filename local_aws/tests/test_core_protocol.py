# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boto3 sends is what a service sees, and what a service answers is what boto3 reads."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import botocore.serialize
import pytest

from local_aws.protocol import models
from local_aws.protocol import requests
from local_aws.protocol import responses
from local_aws.protocol import rest

MOMENT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def request_of(service: str, operation: str, params: dict[str, Any]) -> requests.Request:
    """The request as botocore's own serializer writes it."""
    model = models.operation_model(service, operation)
    assert model is not None
    serializer = botocore.serialize.create_serializer(models.protocol_of(service), include_validation=False)
    serialized = serializer.serialize_to_request(params, model)
    body = serialized["body"]
    if isinstance(body, dict):
        body = urlencode(body).encode()
    headers = {name.lower(): value for name, value in serialized["headers"].items()}
    signing_name = model.service_model.signing_name
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=AKIAMADEUP/20260504/us-east-1/{signing_name}/aws4_request, SignedHeaders=host"
    )
    return requests.identify(headers, {}, body)


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        (
            "ecs",
            "CreateExpressGatewayService",
            {
                "executionRoleArn": "arn:aws:iam::123456789012:role/e",
                "infrastructureRoleArn": "arn:aws:iam::123456789012:role/i",
                "primaryContainer": {
                    "image": "ghcr.io/mlflow/mlflow:v3.17.2-full",
                    "containerPort": 5000,
                    "command": ["bash", "-c", "exec a 'b' \"c\""],
                    "environment": [{"name": "A", "value": "ä=&;"}],
                },
                "networkConfiguration": {"subnets": ["subnet-1", "subnet-2"]},
                "scalingTarget": {"minTaskCount": 1, "maxTaskCount": 1},
                "tags": [{"key": "k", "value": ""}],
            },
        ),
        (
            "rds",
            "CreateDBInstance",
            {
                "DBInstanceIdentifier": "mlflow",
                "DBInstanceClass": "db.t4g.micro",
                "Engine": "postgres",
                "AllocatedStorage": 20,
                "StorageEncrypted": True,
                "PubliclyAccessible": False,
                "MasterUserPassword": "p&=+ %ä",
                "VpcSecurityGroupIds": ["sg-1", "sg-2"],
                "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}],
            },
        ),
        ("rds", "DescribeDBInstances", {"Filters": [{"Name": "engine", "Values": ["postgres", "mysql"]}]}),
        (
            "rds",
            "RestoreDBInstanceToPointInTime",
            {"TargetDBInstanceIdentifier": "t", "SourceDBInstanceIdentifier": "s", "RestoreTime": MOMENT},
        ),
        (
            "ec2",
            "AuthorizeSecurityGroupIngress",
            {
                "GroupId": "sg-1",
                "IpPermissions": [
                    {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": "sg-2"}]}
                ],
            },
        ),
        (
            "elbv2",
            "CreateTargetGroup",
            {"Name": "t", "Port": 80, "Protocol": "HTTP", "Matcher": {"HttpCode": "200"}, "HealthCheckPath": "/health"},
        ),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "g", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]},
        ),
    ],
)
def test_input_arrives_as_boto3_was_given_it(service: str, operation: str, params: dict[str, Any]) -> None:
    request = request_of(service, operation, params)
    assert request.problems == []
    assert (request.service, request.operation, request.region) == (service, operation, "us-east-1")
    assert request.access_key_id == "AKIAMADEUP"
    assert request.params == params


@pytest.mark.parametrize(
    ("service", "operation", "params", "kind", "named"),
    [
        ("ecs", "DescribeExpressGatewayService", {}, "missing", "serviceArn"),
        ("rds", "DeleteDBInstance", {"SkipFinalSnapshot": True}, "missing", "DBInstanceIdentifier"),
    ],
)
def test_missing_input_is_named(service: str, operation: str, params: dict[str, Any], kind: str, named: str) -> None:
    [problem] = request_of(service, operation, params).problems
    assert problem.kind == kind
    assert named in problem.message


def test_unknown_and_wrong_input_is_named() -> None:
    headers = {"x-amz-target": "AmazonEC2ContainerServiceV20141113.ListClusters"}
    request = requests.identify(headers, {}, b'{"maxResult": 1, "nextToken": 5, "maxResults": true}')
    assert [problem.kind for problem in request.problems] == ["unknown", "type", "type"]
    assert request.problems[0].message.startswith('Unknown parameter "maxResult", must be one of: ')
    assert request.problems[1].message == 'Invalid type for parameter "nextToken": int, expected string.'
    assert request.params == {}
    form = {"content-type": "application/x-www-form-urlencoded"}
    request = requests.identify(form, {}, b"Action=DescribeDBInstances&Version=2014-10-31&Colour=red&MaxRecords=many")
    assert request.service == "rds"
    assert [problem.kind for problem in request.problems] == ["unknown", "type"]


@pytest.mark.parametrize(
    ("service", "operation", "output"),
    [
        (
            "ecs",
            "DescribeTasks",
            {
                "tasks": [{"taskArn": "arn:a", "createdAt": MOMENT, "attributes": [], "overrides": {"cpu": "256"}}],
                "failures": [],
            },
        ),
        (
            "rds",
            "DescribeDBInstances",
            {
                "DBInstances": [
                    {
                        "DBInstanceIdentifier": "mlflow",
                        "AllocatedStorage": 20,
                        "MultiAZ": False,
                        "InstanceCreateTime": MOMENT,
                        "Endpoint": {"Address": "a<b>&c", "Port": 5432},
                        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
                        "TagList": [],
                    }
                ]
            },
        ),
        ("rds", "DeleteDBSubnetGroup", {}),
        ("elbv2", "DescribeRules", {"Rules": [{"RuleArn": "arn", "Priority": "1", "IsDefault": False}]}),
        ("ec2", "DescribeVpcs", {"Vpcs": [{"VpcId": "vpc-1", "IsDefault": True, "Tags": [{"Key": "a", "Value": ""}]}]}),
    ],
)
def test_output_is_read_as_it_was_meant(service: str, operation: str, output: dict[str, Any]) -> None:
    headers, body = responses.serialize(output, service, operation)
    assert responses.parse(200, headers, body, service, operation) == output


@pytest.mark.parametrize(
    "output",
    [
        {"Tasks": []},
        {"tasks": [{"taskArn": 5}]},
        {"tasks": [{"createdAt": "yesterday"}]},
        {"tasks": {"taskArn": "arn"}},
        {"tasks": [{"attempts": True}]},
    ],
)
def test_output_that_aws_would_not_give_is_a_mistake(output: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        responses.serialize(output, "ecs", "DescribeTasks")


def test_none_is_absent() -> None:
    _unused, body = responses.serialize({"tasks": None}, "ecs", "DescribeTasks")
    assert body == b"{}"


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ecs", "ServiceNotFoundException", 400),
        ("rds", "DBInstanceNotFound", 404),
        ("ec2", "InvalidVpcID.NotFound", 400),
        ("s3", "NoSuchBucket", 404),
    ],
)
def test_errors_are_read_by_boto3(service: str, code: str, status: int) -> None:
    given, headers, body = responses.serialize_error(code, "It is <not> there & so on.", 400, service)
    assert given == status
    assert responses.error_code(given, headers, body) == code
    assert responses.parse_error(given, body, service) == {"Code": code, "Message": "It is <not> there & so on."}


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "operation"),
    [
        ("GET", "/", {}, {}, "ListBuckets"),
        ("PUT", "/bucket", {}, {}, "CreateBucket"),
        ("GET", "/bucket", {"policy": [""]}, {}, "GetBucketPolicy"),
        ("GET", "/bucket", {"list-type": ["2"], "prefix": ["a/"]}, {}, "ListObjectsV2"),
        ("GET", "/bucket", {"prefix": ["a/"]}, {}, "ListObjects"),
        ("PUT", "/bucket/a/b/c", {}, {}, "PutObject"),
        ("PUT", "/bucket/a", {"partNumber": ["1"], "uploadId": ["u"]}, {}, "UploadPart"),
        ("PUT", "/bucket/a", {}, {"x-amz-copy-source": "b/c"}, "CopyObject"),
        ("POST", "/bucket/a", {"uploads": [""]}, {}, "CreateMultipartUpload"),
        ("HEAD", "/bucket", {}, {}, "HeadBucket"),
        ("DELETE", "/bucket/a", {}, {}, "DeleteObject"),
    ],
)
def test_rest_requests_have_their_operations_names(
    method: str, path: str, query: dict[str, Any], headers: dict[str, str], operation: str
) -> None:
    assert rest.rest_operation("s3", method, path, query, headers) == operation


def test_a_wrong_value_is_not_shown() -> None:
    headers = {"x-amz-target": "secretsmanager.CreateSecret"}
    request = requests.identify(headers, {}, b'{"Name": "n", "SecretString": 7654321, "ClientRequestToken": null}')
    [problem] = request.problems
    assert problem.message == 'Invalid type for parameter "SecretString": int, expected string.'
    assert request.params == {"Name": "n"}
