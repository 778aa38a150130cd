# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong credentials are refused and policies are enforced, as on AWS."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from running import LocalAws
from running import create_client

SERVICES = [
    ("sts", "get_caller_identity"),
    ("iam", "list_users"),
    ("s3", "list_buckets"),
    ("rds", "describe_db_instances"),
    ("ecs", "list_clusters"),
    ("ec2", "describe_vpcs"),
    ("logs", "describe_log_groups"),
    ("secretsmanager", "list_secrets"),
    ("elbv2", "describe_load_balancers"),
]
# AWS words it differently by service.
WRONG_SECRET = {"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"}
WRONG_KEY = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"}
NO_CREDENTIALS = {
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "AccessDenied",
    "UnrecognizedClientException",
    "MissingParameter",
}
MADE_UP_SECRET = "made-up-and-very-unlikely-0f3a9c7e51"


def refusal(call: Callable[..., Any], **params: Any) -> str:
    """The error code of a call that must be refused."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"]


@pytest.mark.parametrize(("service", "operation"), SERVICES)
def test_roots_key_with_a_wrong_secret_is_refused(local_aws: LocalAws, service: str, operation: str) -> None:
    client = local_aws.client(service, secret=MADE_UP_SECRET)
    assert refusal(getattr(client, operation)) in WRONG_SECRET


# The services that are not above, and what this package answers itself, reading and writing.
MORE: list[tuple[str, str, dict[str, Any]]] = [
    ("acm", "list_certificates", {}),
    ("acm", "request_certificate", {"DomainName": "a.example.com"}),
    ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "ecs"}),
    ("cloudwatch", "describe_alarms", {}),
    ("cloudwatch", "put_dashboard", {"DashboardName": "a", "DashboardBody": "{}"}),
    ("cognito-idp", "list_user_pools", {"MaxResults": 1}),
    ("dynamodb", "list_tables", {}),
    ("ec2", "create_security_group", {"GroupName": "a", "Description": "a"}),
    ("ec2", "describe_account_attributes", {}),
    ("ecr", "describe_repositories", {}),
    ("ecs", "describe_express_gateway_service", {"serviceArn": "arn:aws:ecs:us-east-1:123456789012:service/default/a"}),
    ("ecs", "list_tasks", {}),
    ("kms", "list_keys", {}),
    ("kms", "create_key", {}),
    ("rds", "delete_db_instance", {"DBInstanceIdentifier": "a", "SkipFinalSnapshot": True}),
    ("resourcegroupstaggingapi", "get_resources", {}),
    ("route53", "list_hosted_zones", {}),
    ("s3", "put_object", {"Bucket": "a-bucket", "Key": "a", "Body": b"a"}),
    ("s3", "get_object", {"Bucket": "a-bucket", "Key": "a"}),
    ("secretsmanager", "get_secret_value", {"SecretId": "a"}),
    ("sns", "list_topics", {}),
    ("sqs", "list_queues", {}),
    ("ssm", "get_parameters", {"Names": ["a"], "WithDecryption": True}),
]


@pytest.mark.parametrize(("service", "operation", "params"), MORE)
def test_no_service_takes_a_wrong_secret_or_an_unknown_key(
    local_aws: LocalAws, service: str, operation: str, params: dict[str, Any]
) -> None:
    wrong = local_aws.client(service, secret=MADE_UP_SECRET)
    assert refusal(getattr(wrong, operation), **params) in WRONG_SECRET
    unknown = local_aws.client(service, key="AKIAMADEUPMADEUP0000", secret=MADE_UP_SECRET)
    assert refusal(getattr(unknown, operation), **params) in WRONG_KEY


@pytest.mark.parametrize("key", ["test", "AKIAMADEUPMADEUP0000", "123456789012"])
@pytest.mark.parametrize(("service", "operation"), SERVICES)
def test_an_unknown_key_is_refused(local_aws: LocalAws, service: str, operation: str, key: str) -> None:
    client = local_aws.client(service, key=key, secret="test")
    assert refusal(getattr(client, operation)) in WRONG_KEY


@pytest.mark.parametrize(("service", "operation"), [pair for pair in SERVICES if pair[0] != "sts"])
def test_an_unsigned_request_is_refused(local_aws: LocalAws, service: str, operation: str) -> None:
    client = create_client(
        service,
        region_name="us-east-1",
        endpoint_url=local_aws.info["endpoint_url"],
        verify=local_aws.info["ca_bundle"],
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, proxies={}),
    )
    assert refusal(getattr(client, operation)) in NO_CREDENTIALS


def test_a_presigned_url_works_and_a_forged_one_does_not(local_aws: LocalAws) -> None:
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="presigned")
    s3.put_object(Bucket="presigned", Key="k", Body=b"body")
    opener = local_aws.opener()
    for version in ("s3v4", "s3"):
        url = local_aws.client("s3", signature_version=version).generate_presigned_url(
            "get_object", Params={"Bucket": "presigned", "Key": "k"}
        )
        with opener.open(url) as answer:
            assert answer.read() == b"body"
        forged = local_aws.client("s3", secret=MADE_UP_SECRET, signature_version=version).generate_presigned_url(
            "get_object", Params={"Bucket": "presigned", "Key": "k"}
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            opener.open(forged)


@pytest.fixture
def user(local_aws: LocalAws) -> Iterator[tuple[str, str, str]]:
    """An IAM user without any policy: name, key, secret."""
    iam = local_aws.client("iam")
    name = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    yield name, made["AccessKeyId"], made["SecretAccessKey"]
    iam.delete_access_key(UserName=name, AccessKeyId=made["AccessKeyId"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    iam.delete_user(UserName=name)


def allow(local_aws: LocalAws, user_name: str, actions: list[str], resource: str = "*") -> None:
    """Gives a user one policy."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    local_aws.client("iam").put_user_policy(
        UserName=user_name,
        PolicyName="only",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def test_a_users_policy_is_enforced(local_aws: LocalAws, user: tuple[str, str, str]) -> None:
    name, key, secret = user
    s3 = local_aws.client("s3", key, secret)
    assert local_aws.client("sts", key, secret).get_caller_identity()["Arn"].endswith(f":user/{name}")
    assert refusal(s3.list_buckets) == "AccessDenied"
    allow(local_aws, name, ["s3:ListAllMyBuckets", "rds:DescribeDBInstances"])
    s3.list_buckets()
    local_aws.client("rds", key, secret).describe_db_instances()
    assert refusal(s3.create_bucket, Bucket="not-allowed") == "AccessDenied"
    assert refusal(local_aws.client("ecs", key, secret).list_clusters) == "AccessDeniedException"


def test_a_role_that_trusts_a_service_is_not_for_users(local_aws: LocalAws, user: tuple[str, str, str]) -> None:
    name, key, secret = user
    allow(local_aws, name, ["sts:AssumeRole"])
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    iam = local_aws.client("iam")
    role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    try:
        sts, roots = local_aws.client("sts", key, secret), local_aws.client("sts")
        assert refusal(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="some") == "AccessDenied"
        # "Roles may not be assumed by root accounts."
        assert refusal(roots.assume_role, RoleArn=role["Arn"], RoleSessionName="some") == "AccessDenied"
    finally:
        iam.delete_role(RoleName=f"{name}-role")


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("AmazonECSInfrastructureRoleforExpressGatewayServices", "elasticloadbalancing:CreateLoadBalancer"),
        ("AmazonECSTaskExecutionRolePolicy", "logs:CreateLogStream"),
    ],
)
def test_the_managed_policies_have_their_real_text(local_aws: LocalAws, name: str, action: str) -> None:
    arn = f"arn:aws:iam::aws:policy/service-role/{name}"
    iam = local_aws.client("iam")
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    actions = [item for statement in version["Document"]["Statement"] for item in statement["Action"]]
    assert action in actions
    assert "*" not in actions


def signed(local_aws: LocalAws, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """A signed JSON request that boto3 itself would refuse to send."""
    request = AWSRequest(
        method="POST",
        url=local_aws.info["endpoint_url"] + "/",
        data=body,
        headers={"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"},
    )
    credentials = Credentials(local_aws.info["access_key_id"], local_aws.info["secret_access_key"])
    SigV4Auth(credentials, "ecs", local_aws.info["region"]).add_auth(request)
    prepared = request.prepare()
    http = urllib.request.Request(prepared.url, data=body, headers=dict(prepared.headers), method="POST")
    try:
        with local_aws.opener().open(http) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_an_unknown_parameter_of_an_own_operation_is_refused(local_aws: LocalAws) -> None:
    target = "AmazonEC2ContainerServiceV20141113.DescribeExpressGatewayService"
    status, answer = signed(local_aws, target, b'{"serviceArn": "arn:aws:ecs:x", "colour": "red"}')
    assert status == 400
    assert answer["__type"] == "InvalidParameterException"
    assert "colour" in answer["message"]


def test_an_own_operation_needs_credentials_and_permission(local_aws: LocalAws, user: tuple[str, str, str]) -> None:
    arn = f"arn:aws:ecs:us-east-1:{local_aws.account_id}:service/default/none"
    wrong = local_aws.client("ecs", secret=MADE_UP_SECRET)
    assert refusal(wrong.describe_express_gateway_service, serviceArn=arn) == "InvalidSignatureException"
    unknown = local_aws.client("ecs", key="AKIAMADEUPMADEUP0000", secret=MADE_UP_SECRET)
    assert refusal(unknown.describe_express_gateway_service, serviceArn=arn) == "UnrecognizedClientException"
    name, key, secret = user
    ecs = local_aws.client("ecs", key, secret)
    assert refusal(ecs.describe_express_gateway_service, serviceArn=arn) == "AccessDeniedException"
    # Also where the answer is the same for everybody.
    assert refusal(local_aws.client("rds", key, secret).describe_db_engine_versions) == "AccessDenied"
    allow(local_aws, name, ["ecs:DescribeExpressGatewayService"])
    assert refusal(ecs.describe_express_gateway_service, serviceArn=arn) != "AccessDeniedException"


@pytest.mark.parametrize(("audience", "refused"), [("sts.amazonaws.com", ""), ("somebody-else", "AccessDenied")])
def test_a_web_identity_gets_a_session_without_credentials(local_aws: LocalAws, audience: str, refused: str) -> None:
    """As a pipeline's runner does, whose token a role trusts."""
    name, issuer = f"web-{uuid.uuid4().hex[:8]}", "ci.example.org"
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{issuer}"},
        "Condition": {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com"}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = local_aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    parts = [{"alg": "RS256"}, {"iss": f"https://{issuer}", "aud": audience, "sub": "repository"}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    sts = local_aws.client("sts", signature_version=UNSIGNED)
    asked = {"RoleArn": arn, "RoleSessionName": "ci", "WebIdentityToken": ".".join([*encoded, MADE_UP_SECRET])}
    if refused:
        assert refusal(sts.assume_role_with_web_identity, **asked) == refused
        return
    found = sts.assume_role_with_web_identity(**asked)["Credentials"]
    session = local_aws.client(
        "sts", key=found["AccessKeyId"], secret=found["SecretAccessKey"], token=found["SessionToken"]
    )
    assert session.get_caller_identity()["Arn"].endswith(f":assumed-role/{name}/ci")


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("delete_db_instance", {"SkipFinalSnapshot": True}),
        ("modify_db_instance", {"BackupRetentionPeriod": 1}),
        ("reboot_db_instance", {}),
        ("start_db_instance", {}),
        ("stop_db_instance", {}),
    ],
)
def test_an_instance_that_is_not_there_is_told_to_whom_it_may_be(
    local_aws: LocalAws, user: tuple[str, str, str], operation: str, more: dict[str, Any]
) -> None:
    name, key, secret = user
    rds = local_aws.client("rds", key, secret)
    assert refusal(getattr(rds, operation), DBInstanceIdentifier="nobodys", **more) == "AccessDenied"
    action = "".join(part.capitalize() for part in operation.split("_")).replace("Db", "DB")
    allow(local_aws, name, [f"rds:{action}"], "arn:aws:rds:us-east-1:123456789012:db:nobodys")
    assert refusal(getattr(rds, operation), DBInstanceIdentifier="nobodys", **more) == "DBInstanceNotFound"
    assert refusal(getattr(rds, operation), DBInstanceIdentifier="others", **more) == "AccessDenied"
