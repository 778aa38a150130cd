# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an emulator is tempted to be kinder than AWS, through plain boto3 (README.md has the list of items)."""

from __future__ import annotations

import copy
import json
import ssl
import time
import urllib.error
from collections.abc import Callable
from collections.abc import Iterator
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
import strict
from express_support import Account
from express_support import endpoint_of
from express_support import leaves
from express_support import refused
from express_support import sample
from express_support import status_of_newest
from express_support import unique
from express_support import vpc
from running import SCALE
from running import LocalAws
from running import eventually

from local_aws.protocol import responses

# Tells what it was given.
WITNESS = """
import http.server, json, os, urllib.request
headers = {"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
request = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers=headers)
role = json.load(urllib.request.urlopen(request))["RoleArn"]
seen = json.dumps({"role": role, "secret": os.environ["SECRET"], "plain": os.environ["PLAIN"]}).encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(seen)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler).serve_forever()
"""


# Shapes ---------------------------------------------------------------------------------------------------------------


def spoiled(value: Any) -> Iterator[Any]:
    """Copies of an answer, each with one thing wrong: a member that AWS does not have, or a value of another type."""
    if isinstance(value, dict):
        yield {**value, "invented": "x"}
        for key, item in value.items():
            for other in spoiled(item):
                yield {**value, key: other}
    elif isinstance(value, list):
        for number, item in enumerate(value):
            for other in spoiled(item):
                yield [*value[:number], other, *value[number + 1 :]]
    elif isinstance(value, datetime):
        yield "yesterday"
    elif isinstance(value, str):
        yield 5
    else:
        yield "5"


def test_a_member_that_aws_does_not_have_cannot_slip_in(account: Account, made: list[str]) -> None:
    service = account.ready(unique("shapes"), {"A": "1"}, tags=[{"key": "a", "value": "b"}])
    arn = service["serviceArn"]
    made.append(arn)
    revision = service["activeConfigurations"][0]["serviceRevisionArn"]
    deployment = account.deployments(arn)[0]["serviceDeploymentArn"]
    answers = {
        "DescribeExpressGatewayService": account.ecs.describe_express_gateway_service(serviceArn=arn, include=["TAGS"]),
        "DescribeServices": account.ecs.describe_services(services=[arn, "nobody"], include=["TAGS"]),
        "ListServices": account.ecs.list_services(),
        "ListServiceDeployments": account.ecs.list_service_deployments(service=arn),
        "DescribeServiceDeployments": account.ecs.describe_service_deployments(serviceDeploymentArns=[deployment]),
        "DescribeServiceRevisions": account.ecs.describe_service_revisions(serviceRevisionArns=[revision]),
        "UpdateExpressGatewayService": account.ecs.update_express_gateway_service(serviceArn=arn),
        "ListTagsForResource": account.ecs.list_tags_for_resource(resourceArn=arn),
    }
    configuration = answers["DescribeExpressGatewayService"]["service"]["activeConfigurations"][0]
    assert (type(configuration["cpu"]), type(configuration["memory"])) == (str, str)
    assert {type(value) for value in configuration["scalingTarget"].values()} == {int, str}
    for operation, answer in answers.items():
        output = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
        model = account.ecs.meta.service_model.operation_model(operation)
        _headers, body = responses.serialize(output, "ecs", operation)
        strict.check(model, 200, body)
        wrong = list(spoiled(copy.deepcopy(output)))
        assert len(wrong) > 1
        for mistake in wrong:
            # Neither does the local AWS send it, nor would the check of all tests' answers let it pass.
            with pytest.raises(TypeError):
                responses.serialize(mistake, "ecs", operation)
            document = json.loads(json.dumps(mistake, default=lambda moment: moment.timestamp()))
            with pytest.raises(strict.NotAwsLikeError):
                strict.check(model, 200, json.dumps(document).encode())


def test_the_check_of_answers_knows_values_and_errors(account: Account) -> None:
    model = account.ecs.meta.service_model.operation_model("DescribeExpressGatewayService")
    ready = json.dumps({"service": {"status": {"statusCode": "READY"}}}).encode()
    with pytest.raises(strict.NotAwsLikeError, match="ACTIVE, DRAINING, INACTIVE"):
        strict.check(model, 200, ready)
    invented = json.dumps({"__type": "x#ExpressGatewayServiceNotFoundException"}).encode()
    with pytest.raises(strict.NotAwsLikeError, match="does not declare"):
        strict.check(model, 400, invented)
    strict.check(model, 400, json.dumps({"__type": "x#ResourceNotFoundException"}).encode())


@pytest.mark.parametrize(
    ("operation", "change", "named"),
    [
        ("create", {"desiredCount": 1}, "desiredCount"),
        ("create", {"cpu": 1024}, "cpu"),
        ("create", {"scalingTarget": {"minTaskCount": "1"}}, "minTaskCount"),
        ("create", {"cpuArchitecture": "MIPS"}, "cpuArchitecture"),
        ("update", {"scalingTarget": {"autoScalingMetric": "CPU"}}, "autoScalingMetric"),
        ("create", {"primaryContainer": {"image": "python", "name": "Main"}}, "name"),
        ("update", {"serviceName": "other"}, "serviceName"),
        ("update", {"infrastructureRoleArn": "arn:aws:iam::123456789012:role/x"}, "infrastructureRoleArn"),
        ("update", {"tags": []}, "tags"),
    ],
)
def test_a_member_that_a_request_cannot_have_is_refused(
    account: Account, operation: str, change: dict[str, Any], named: str
) -> None:
    def careless(params: dict[str, Any], **_unused: Any) -> None:
        """Sends what boto3 would not."""
        params["body"] = json.dumps({**json.loads(params["body"]), **change}).encode()

    ecs = account.aws.client("ecs")
    ecs.meta.events.register("before-call", careless)
    if operation == "create":
        _code, message = refused(ecs.create_express_gateway_service, **account.parameters("careless"))
    else:
        arn = f"arn:aws:ecs:us-east-1:{account.aws.account_id}:service/default/nobody"
        _code, message = refused(ecs.update_express_gateway_service, serviceArn=arn)
    assert named in message
    assert account.ecs.describe_services(services=["careless"])["services"] == []


# Create, describe -----------------------------------------------------------------------------------------------------


def test_only_the_default_cluster_makes_itself_and_deployments_come_later(
    new_local_aws: Callable[..., LocalAws],
) -> None:
    aws = new_local_aws()
    # Slow enough to see the first seconds of a deployment: three until it is there, five until it begins.
    aws.up("--scale", "2")
    account = Account(aws)
    assert account.ecs.list_clusters()["clusterArns"] == []
    assert refused(account.create, name="nowhere", cluster="other")[0] == "ClusterNotFoundException"
    service = account.create("first")
    arn = service["serviceArn"]
    seen: list[str] = []

    def is_in_progress() -> bool:
        seen.extend(state for state in [status_of_newest(account, arn)] if state not in seen)
        return "IN_PROGRESS" in seen

    eventually(is_in_progress, what="IN_PROGRESS")
    # Who is not quick does not see the first ones.
    steps = ["none", "PENDING", "IN_PROGRESS"]
    assert seen == steps[-len(seen) :]
    (found,) = account.deployments(arn)
    second = timedelta(seconds=1)
    assert found["createdAt"] - service["createdAt"] >= second
    assert found["startedAt"] - found["createdAt"] >= 2 * second
    assert [item.rsplit("/", 1)[-1] for item in account.ecs.list_clusters()["clusterArns"]] == ["default"]
    deployment = account.deployment(account.deployments(arn)[0]["serviceDeploymentArn"])
    # What AWS CLI 2 takes for an update, were it there and empty.
    assert "sourceServiceRevisions" not in deployment
    assert set(
        sample(lambda: {item["status"] for item in leaves(account.managed(arn)).values()} == {"ACTIVE"}, 0.3)
    ) == {False}


def test_eleven_names_and_arns_of_other_clusters_are_refused(account: Account, made: list[str]) -> None:
    cluster = unique("elsewhere")
    account.ecs.create_cluster(clusterName=cluster)
    account.aws.order_fault("tasks:Capacity", subject="service:elsewhere*", times=0)
    arn = account.create("elsewhere", cluster=cluster)["serviceArn"]
    describe = account.ecs.describe_services
    assert describe(cluster=cluster, services=[arn])["services"][0]["serviceArn"] == arn
    assert describe(cluster=cluster, services=["elsewhere"])["services"][0]["serviceArn"] == arn
    assert refused(describe, services=[arn]) == (
        "InvalidParameterException",
        f"Invalid identifier: Identifier is for cluster {cluster}. Your cluster is default",
    )
    assert refused(describe, services=[f"name{number}" for number in range(11)]) == (
        "InvalidParameterException",
        "service names can have at most 10 items.",
    )
    (failure,) = describe(services=["nobody"])["failures"]
    assert failure["reason"] == "MISSING"
    assert failure["arn"].endswith(":service/default/nobody")
    # By its ARN alone a service is found in whatever cluster it is (AWS CLI 2's monitor asks so).
    assert isinstance(account.ecs.list_service_deployments(service=arn)["serviceDeployments"], list)
    account.ecs.delete_express_gateway_service(serviceArn=arn)


def test_an_own_definition_excludes_what_it_says_in_awss_words(account: Account) -> None:
    definition = f"arn:aws:ecs:us-east-1:{account.aws.account_id}:task-definition/x:1"
    sentence = (
        "taskDefinitionArn cannot be provided with primaryContainer, executionRoleArn, taskRoleArn, cpu, or memory."
    )
    common = {"infrastructureRoleArn": account.infrastructure, "taskDefinitionArn": definition, "serviceName": "both"}
    for more in (
        {"primaryContainer": {"image": "python"}},
        {"executionRoleArn": account.execution},
        {"taskRoleArn": account.execution},
        {"cpu": "256"},
        {"memory": "512"},
        {"cpuArchitecture": "ARM64"},
    ):
        assert refused(account.ecs.create_express_gateway_service, **common, **more) == (
            "InvalidParameterException",
            sentence,
        )


# Endpoint -------------------------------------------------------------------------------------------------------------


def test_tls_fails_then_503_then_the_service(account: Account, made: list[str]) -> None:
    certificate = account.aws.hold("acm:RequestCertificate")
    targets = account.aws.hold("elbv2:RegisterTargets")
    service = account.create(unique("tls"), {"TEXT": "there"})
    made.append(service["serviceArn"])
    endpoint = endpoint_of(service)
    assert "://" not in endpoint
    with pytest.raises(urllib.error.URLError) as caught:
        account.get(endpoint)
    assert leaves(account.managed(made[0]))["certificate"]["status"] == "PROVISIONING"
    assert isinstance(caught.value.reason, ssl.SSLError)

    def status() -> int | str:
        try:
            return account.get(endpoint)[0]
        except (urllib.error.URLError, OSError):
            return "TLS"

    for fault, before, after in ((certificate, "TLS", 503), (targets, 503, 200)):
        account.aws.await_held(fault)
        assert status() == before
        account.aws.release(fault)
        eventually(lambda after=after: status() == after, what=f"{after}")
    assert account.get(endpoint) == (200, "there")


# What a container is given --------------------------------------------------------------------------------------------


def test_a_container_gets_its_command_environment_secrets_and_task_role(account: Account, made: list[str]) -> None:
    secret = account.aws.client("secretsmanager").create_secret(
        Name=unique("witness"), SecretString=json.dumps({"key": "made-up"})
    )["ARN"]
    able = account.role(
        "able", "ecs-tasks.amazonaws.com", "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
    )
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret}
    account.iam.put_role_policy(
        RoleName=able.rsplit("/", 1)[-1],
        PolicyName="secret",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    task_role = account.role("task", "ecs-tasks.amazonaws.com")
    container = {
        **account.container({"PLAIN": "text"}),
        "command": ["python", "-c", WITNESS],
        "secrets": [{"name": "SECRET", "valueFrom": f"{secret}:key::"}, {"name": "ALSO", "valueFrom": secret}],
    }
    missing = unique("/ecs/nobody-made-it")
    logs = {"logGroup": missing, "logStreamPrefix": "ecs"}
    good = account.create(unique("given"), primaryContainer=container, executionRoleArn=able, taskRoleArn=task_role)
    unreadable = account.create(unique("unreadable"), primaryContainer=container)
    unlogged = account.create(
        unique("unlogged"), primaryContainer={**account.container({}), "awsLogsConfiguration": logs}
    )
    made += [item["serviceArn"] for item in (good, unreadable, unlogged)]

    assert account.settled(made[0])["status"] == "SUCCESSFUL", account.ecs_service(made[0])["events"]
    seen = json.loads(account.get(endpoint_of(good))[1])
    assert seen == {"role": task_role, "secret": "made-up", "plain": "text"}
    shown = account.describe(made[0])["activeConfigurations"][0]["primaryContainer"]["secrets"]
    assert [item["name"] for item in shown] == ["ALSO", "SECRET"]

    # The managed execution policy reads no secrets …
    deployment = account.settled(made[1])
    assert deployment["status"] == "ROLLBACK_FAILED"
    assert "unable to retrieve secret from asm" in deployment["statusReason"]
    assert "AccessDeniedException" in deployment["statusReason"]
    # … and makes no log groups.
    deployment = account.settled(made[2])
    assert deployment["status"] == "ROLLBACK_FAILED"
    assert "The specified log group does not exist" in deployment["statusReason"]
    groups = account.aws.client("logs").describe_log_groups(logGroupNamePrefix=missing)["logGroups"]
    assert groups == []


# Times ----------------------------------------------------------------------------------------------------------------


def test_times_keep_awss_ratios(account: Account, made: list[str]) -> None:
    def lasted(begin: datetime, end: datetime) -> float:
        """AWS seconds."""
        return (end - begin) / timedelta(seconds=1) * SCALE

    service = account.ready(unique("times"), networkConfiguration={"subnets": vpc(account)})
    arn = service["serviceArn"]
    found = leaves(account.managed(arn))
    assert lasted(service["createdAt"], found["loadBalancer"]["updatedAt"]) >= 240
    assert lasted(service["createdAt"], found["certificate"]["updatedAt"]) >= 60
    account.ecs.update_express_gateway_service(serviceArn=arn, cpu="512", memory="1024")
    update = account.settled(arn, 2)
    # Five checks in intervals of 30 seconds, 3 minutes with 5 %, 3 minutes with all.
    assert lasted(update["startedAt"], update["finishedAt"]) >= 4 * 30 + 180 + 180
    began = time.monotonic()
    account.gone(arn)
    assert (time.monotonic() - began) * SCALE >= 540


# Deployments ----------------------------------------------------------------------------------------------------------


def test_a_first_deployment_that_is_stopped_has_nothing_to_go_back_to(account: Account, made: list[str]) -> None:
    held = account.aws.hold("acm:RequestCertificate")
    service = account.create(unique("stopped"), {"TEXT": "one"})
    arn = service["serviceArn"]
    made.append(arn)
    found = eventually(lambda: account.deployments(arn), what="a deployment")
    account.ecs.stop_service_deployment(serviceDeploymentArn=found[0]["serviceDeploymentArn"], stopType="ROLLBACK")
    deployment = account.settled(arn)
    assert deployment["status"] == "ROLLBACK_FAILED"
    assert "serviceRevisionArn" not in deployment["rollback"]
    assert account.describe(arn)["status"]["statusCode"] == "ACTIVE"
    account.aws.release(held)
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": "two"}))
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    assert account.get(endpoint_of(service)) == (200, "two")


def test_new_resources_have_the_tags_of_today_and_old_ones_those_of_then(account: Account, made: list[str]) -> None:
    def tags(arn: str) -> dict[str, str]:
        (found,) = account.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"]
        return {tag["Key"]: tag["Value"] for tag in found["Tags"]}

    service = account.ready(unique("tagged"), tags=[{"key": "then", "value": "1"}])
    arn = service["serviceArn"]
    made.append(arn)
    before = account.managed(arn)["ingressPaths"][0]
    account.ecs.tag_resource(resourceArn=arn, tags=[{"key": "today", "value": "2"}])
    account.ecs.update_express_gateway_service(serviceArn=arn, healthCheckPath="/")
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    after = account.managed(arn)["ingressPaths"][0]
    old = {group["arn"] for group in before["targetGroups"]}
    (new,) = {group["arn"] for group in after["targetGroups"]} - old
    (kept,) = {group["arn"] for group in after["targetGroups"]} & old
    assert tags(new) == {"then": "1", "today": "2", "AmazonECSManaged": "true"}
    for resource in (kept, after["loadBalancer"]["arn"], after["rule"]["arn"]):
        assert "today" not in tags(resource)
