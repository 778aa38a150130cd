# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates of Express services: canary, rollback, stop, force, and what gets stuck."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import LocalAws
from conftest import eventually
from express_support import Account
from express_support import endpoint_of
from express_support import leaves
from express_support import refusal


@pytest.fixture(scope="module")
def account(local_aws: LocalAws) -> Account:
    return Account(local_aws)


@pytest.fixture
def made(account: Account) -> Iterator[list[str]]:
    """ARNs of services that are removed after the test."""
    arns: list[str] = []
    yield arns
    account.all_gone(arns)


@pytest.fixture
def ready(account: Account, made: list[str], request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """Makes a ready service that is removed after the test."""

    def make(environment: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
        service = account.ready(name, environment, **more)
        made.append(service["serviceArn"])
        return service

    return make


def test_update_answers_with_the_target_alone_and_merges(account: Account, ready: Callable[..., Any]) -> None:
    task_role = account.role("task", "ecs-tasks.amazonaws.com")
    service = ready({"TEXT": "one", "B": "2"}, taskRoleArn=task_role)
    arn = service["serviceArn"]
    before = service["activeConfigurations"][0]
    image = before["primaryContainer"]["image"]
    answer = account.ecs.update_express_gateway_service(serviceArn=arn, cpu="512", primaryContainer={"image": image})
    updated = answer["service"]
    assert "activeConfigurations" not in updated
    assert "infrastructureRoleArn" not in updated
    target = updated["targetConfiguration"]
    assert target["serviceRevisionArn"] != before["serviceRevisionArn"]
    assert target["taskDefinitionArn"] != before["taskDefinitionArn"]
    assert (target["cpu"], target["memory"]) == ("512", "2048")
    assert target["taskRoleArn"] == task_role
    assert target["primaryContainer"] == before["primaryContainer"]
    assert len(account.describe(arn)["activeConfigurations"]) == 2
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    (after,) = account.describe(arn)["activeConfigurations"]
    assert after["serviceRevisionArn"] == target["serviceRevisionArn"]
    assert endpoint_of(account.describe(arn)) == endpoint_of(service)


def test_lists_are_replaced_and_an_empty_one_clears(account: Account, ready: Callable[..., Any]) -> None:
    service = ready({"TEXT": "one", "B": "2"})
    arn = service["serviceArn"]
    container = service["activeConfigurations"][0]["primaryContainer"]
    replaced = {**container, "environment": [{"name": "TEXT", "value": "three"}]}
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=replaced)
    account.settled(arn, 2)
    assert account.get(endpoint_of(service)) == (200, "three")
    cleared = {"image": container["image"], "environment": []}
    answer = account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=cleared)
    assert "environment" not in answer["service"]["targetConfiguration"]["primaryContainer"]
    account.settled(arn, 3)
    assert account.get(endpoint_of(service)) == (200, "")


def test_immutable_members_are_unknown_to_update(account: Account) -> None:
    model = account.ecs.meta.service_model.operation_model("UpdateExpressGatewayService")
    for name in ("serviceName", "cluster", "infrastructureRoleArn", "tags"):
        assert name not in model.input_shape.members


def test_same_values_start_nothing_and_force_does(account: Account, ready: Callable[..., Any]) -> None:
    service = ready({"TEXT": "one"})
    arn = service["serviceArn"]
    container = service["activeConfigurations"][0]["primaryContainer"]
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=container, cpu="1024")
    time.sleep(0.3)
    assert len(account.deployments(arn)) == 1
    account.ecs.update_service(service=arn, forceNewDeployment=True)
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    after = account.describe(arn)["activeConfigurations"][0]
    assert after["serviceRevisionArn"] != service["activeConfigurations"][0]["serviceRevisionArn"]


def test_port_health_path_and_scaling_may_change(account: Account, ready: Callable[..., Any]) -> None:
    service = ready({"TEXT": "one"})
    arn = service["serviceArn"]
    account.ecs.update_express_gateway_service(
        serviceArn=arn,
        healthCheckPath="/",
        scalingTarget={"minTaskCount": 2, "maxTaskCount": 3},
        primaryContainer={
            "image": service["activeConfigurations"][0]["primaryContainer"]["image"],
            "containerPort": 6000,
            "command": ["python", "-m", "http.server", "6000"],
        },
    )
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL", account.ordinary(arn)["events"]
    managed = account.managed(arn)
    assert managed["autoScaling"]["scalableTarget"]["maxCapacity"] == 3
    (fitting,) = [group for group in managed["ingressPaths"][0]["targetGroups"] if group["port"] == 6000]
    assert fitting["healthCheckPath"] == "/"
    described = account.ordinary(arn)
    assert (described["desiredCount"], described["runningCount"]) == (2, 2)
    assert account.get(endpoint_of(service))[0] == 200
    scaling = account.describe(arn)["activeConfigurations"][0]["scalingTarget"]
    assert (scaling["autoScalingMetric"], scaling["autoScalingTargetValue"]) == ("AVERAGE_CPU", 60)


def test_canary_gets_five_percent_then_all(new_local_aws: Callable[..., LocalAws]) -> None:
    aws = new_local_aws()
    # Slow enough to count requests: three AWS minutes last six seconds.
    aws.up("--scale", "30")
    account = Account(aws)
    service = account.ready("canary", {"TEXT": "blue"})
    arn, endpoint = service["serviceArn"], endpoint_of(service)
    container = service["activeConfigurations"][0]["primaryContainer"]
    green = {**container, "environment": [{"name": "TEXT", "value": "green"}]}
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=green)
    seen: dict[str, Counter[str]] = {}
    began: dict[str, float] = {}
    while True:
        deployment = account.deployment(account.deployments(arn)[0]["serviceDeploymentArn"])
        stage = deployment.get("lifecycleStage", "none")
        began.setdefault(stage, time.monotonic())
        if deployment["status"] == "SUCCESSFUL":
            break
        assert deployment["status"] in ("PENDING", "IN_PROGRESS"), deployment
        texts = Counter(account.get(endpoint)[1] for _request in range(10))
        again = account.deployment(deployment["serviceDeploymentArn"])
        if (
            again.get("lifecycleStage") == stage
            and again["targetServiceRevision"] == deployment["targetServiceRevision"]
        ):
            weight = deployment["targetServiceRevision"]["requestedProductionTrafficWeight"]
            seen.setdefault(f"{stage} {weight:.0f}", Counter()).update(texts)
    assert set(seen["SCALE_UP 0"]) == {"blue"}
    canary = seen["PRODUCTION_TRAFFIC_SHIFT 5"]
    assert canary.total() >= 40
    assert 0.02 < canary["green"] / canary.total() < 0.08
    assert set(seen["BAKE_TIME 100"]) == {"green"}
    assert began["CLEAN_UP"] - began["BAKE_TIME"] >= 5.5 if "CLEAN_UP" in began else True
    assert account.get(endpoint) == (200, "green")
    assert account.ordinary(arn)["runningCount"] == 1


def test_bad_health_rolls_back(account: Account, ready: Callable[..., Any]) -> None:
    service = ready({"TEXT": "good"})
    arn = service["serviceArn"]
    account.ecs.update_express_gateway_service(
        serviceArn=arn, primaryContainer=account.container({"TEXT": "bad", "HEALTH": "500"})
    )
    deployment = account.settled(arn, 2)
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert "circuit breaker" in deployment["statusReason"]
    assert "Health checks failed with these codes: [500]" in deployment["statusReason"]
    assert deployment["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    assert deployment["rollback"]["serviceRevisionArn"] == service["activeConfigurations"][0]["serviceRevisionArn"]
    described = account.describe(arn)
    assert described["status"]["statusCode"] == "ACTIVE"
    assert described["activeConfigurations"] == service["activeConfigurations"]
    assert account.get(endpoint_of(service)) == (200, "good")
    assert "is unhealthy in (target-group" in " ".join(item["message"] for item in account.ordinary(arn)["events"])


def test_crash_rolls_back(account: Account, ready: Callable[..., Any]) -> None:
    service = ready({"TEXT": "good"})
    arn = service["serviceArn"]
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"CRASH": "3"}))
    deployment = account.settled(arn, 2)
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert "exit code 3" in deployment["statusReason"]
    assert deployment["deploymentCircuitBreaker"]["failureCount"] == 3
    assert account.get(endpoint_of(service)) == (200, "good")


@pytest.mark.parametrize("status", ["401", "500"])
def test_errors_above_one_percent_roll_back(new_local_aws: Callable[..., LocalAws], status: str) -> None:
    aws = new_local_aws()
    aws.up("--scale", "60")
    account = Account(aws)
    service = account.ready("errors", {"TEXT": "good"})
    arn, endpoint = service["serviceArn"], endpoint_of(service)
    account.ecs.update_express_gateway_service(
        serviceArn=arn, primaryContainer=account.container({"TEXT": "bad", "STATUS": status})
    )
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            account.get(endpoint)

    clients = [threading.Thread(target=ask) for _number in range(2)]
    for client in clients:
        client.start()
    try:
        deployment = account.settled(arn, 2)
    finally:
        done.set()
        for client in clients:
            client.join()
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert "CloudWatch alarm" in deployment["statusReason"]
    assert deployment["alarms"]["status"] == "TRIGGERED"
    assert deployment["alarms"]["triggeredAlarmNames"] == deployment["alarms"]["alarmNames"]
    assert account.get(endpoint) == (200, "good")


def test_first_deployment_that_fails_has_nothing_to_go_back_to(account: Account, made: list[str]) -> None:
    service = account.create("never-good", {"CRASH": "1"})
    arn = service["serviceArn"]
    made.append(arn)
    deployment = account.settled(arn)
    assert deployment["status"] == "ROLLBACK_FAILED"
    assert "No rollback candidate was found" in deployment["statusReason"]
    assert account.describe(arn)["status"]["statusCode"] == "ACTIVE"
    assert account.get(endpoint_of(service))[0] == 503
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": "now"}))
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    assert account.get(endpoint_of(service)) == (200, "now")


@pytest.mark.parametrize(("kind", "status"), [("ROLLBACK", "ROLLBACK_SUCCESSFUL"), ("ABORT", "STOPPED")])
def test_stop_of_a_deployment(account: Account, ready: Callable[..., Any], kind: str, status: str) -> None:
    service = ready({"TEXT": "good"})
    arn = service["serviceArn"]
    account.ecs.update_service(service=arn, deploymentConfiguration={"bakeTimeInMinutes": 600})
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": "new"}))
    under_way = account.deployments(arn)[0]["serviceDeploymentArn"]
    eventually(lambda: account.deployment(under_way).get("lifecycleStage") == "BAKE_TIME", what="BAKE_TIME")
    assert account.get(endpoint_of(service)) == (200, "new")
    account.ecs.stop_service_deployment(serviceDeploymentArn=under_way, stopType=kind)
    deployment = account.settled(arn, 2)
    assert deployment["status"] == status
    assert account.get(endpoint_of(service)) == (200, "good")
    with pytest.raises(account.ecs.exceptions.ConflictException):
        account.ecs.stop_service_deployment(serviceDeploymentArn=under_way)


def test_newer_update_replaces_the_one_under_way(account: Account, ready: Callable[..., Any]) -> None:
    service = ready({"TEXT": "one"})
    arn = service["serviceArn"]
    for text in ("two", "three"):
        account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": text}))
    assert account.settled(arn, 3)["status"] == "SUCCESSFUL"
    assert [item["status"] for item in account.deployments(arn)] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]
    assert account.get(endpoint_of(service)) == (200, "three")
    assert account.ordinary(arn)["runningCount"] == 1


def test_deployments_are_filtered_and_paged(account: Account, ready: Callable[..., Any]) -> None:
    service = ready({"TEXT": "one"})
    arn = service["serviceArn"]
    account.ecs.update_service(service=arn, forceNewDeployment=True)
    second = account.settled(arn, 2)
    answer = account.ecs.list_service_deployments(service=arn, maxResults=1)
    assert answer["serviceDeployments"][0]["serviceDeploymentArn"] == second["serviceDeploymentArn"]
    rest = account.ecs.list_service_deployments(service=arn, maxResults=1, nextToken=answer["nextToken"])
    assert len(rest["serviceDeployments"]) == 1
    assert "nextToken" not in rest
    assert account.ecs.list_service_deployments(service=arn, status=["PENDING"])["serviceDeployments"] == []
    name = arn.rsplit("/", 1)[-1]
    later = account.ecs.list_service_deployments(
        service=name, cluster="default", createdAt={"after": rest["serviceDeployments"][0]["createdAt"]}
    )["serviceDeployments"]
    assert second["serviceDeploymentArn"] in [item["serviceDeploymentArn"] for item in later]


def test_crashed_task_is_replaced(account: Account, ready: Callable[..., Any]) -> None:
    service = ready({"TEXT": "good"})
    arn = service["serviceArn"]
    (task,) = account.ecs.list_tasks(serviceName=arn)["taskArns"]
    account.ecs.stop_task(task=task, reason="test")

    def another() -> bool:
        tasks = account.ecs.list_tasks(serviceName=arn)["taskArns"]
        return bool(tasks) and tasks != [task]

    eventually(another, what="another task")
    eventually(lambda: account.get(endpoint_of(service)) == (200, "good"), what="the answer")


# What gets stuck ------------------------------------------------------------------------------------------------------


def test_silent_wedge_is_not_helped_by_update_but_by_recreation(
    account: Account, made: list[str], faults: Callable[..., None]
) -> None:
    faults("express:wedge", subject="*/wedged")
    service = account.create("wedged", {"TEXT": "late"})
    arn = service["serviceArn"]
    made.append(arn)
    eventually(lambda: account.deployments(arn) and account.deployments(arn)[0]["status"] == "IN_PROGRESS")
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": "x"}))
    eventually(lambda: account.deployments(arn)[0]["status"] == "IN_PROGRESS")
    time.sleep(1)
    assert {item["status"] for item in leaves(account.managed(arn)).values()} == {"PROVISIONING"}
    assert account.describe(arn)["status"]["statusCode"] == "ACTIVE"
    account.gone(arn)
    assert account.get(endpoint_of(account.ready("wedged", {"TEXT": "late"}))) == (200, "late")


def test_one_refused_call_wedges_for_good(account: Account, made: list[str], faults: Callable[..., None]) -> None:
    faults("elbv2:CreateTargetGroup", code="AccessDenied", message="not yet", status=403)
    service = account.create("refused-once")
    arn = service["serviceArn"]
    made.append(arn)
    group = eventually(
        lambda: [item for item in leaves(account.managed(arn)).values() if item["status"] == "FAILED"], what="FAILED"
    )[0]
    assert "not yet" in group["statusReason"]
    time.sleep(1)
    assert account.deployments(arn)[0]["status"] == "IN_PROGRESS"
    assert account.describe(arn)["status"]["statusCode"] == "ACTIVE"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "Cannot assume role"),
        ("ClientException", "AWS was not able to validate the provided access credentials"),
        (
            "InvalidParameterException",
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
        ),
    ],
)
def test_synchronous_errors_to_order(
    account: Account, made: list[str], faults: Callable[..., None], code: str, message: str
) -> None:
    faults("ecs:CreateExpressGatewayService", code=code, message=message)
    with pytest.raises(ClientError) as caught:
        account.create("ordered")
    assert refusal(caught.value) == (code, message)
    made.append(account.create("ordered")["serviceArn"])


# Restart --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
def test_services_come_back_after_a_restart(new_local_aws: Callable[..., LocalAws], clean: bool) -> None:
    aws = new_local_aws()
    aws.up()
    account = Account(aws)
    service = account.ready("lasting", {"TEXT": "still here"}, tags=[{"key": "a", "value": "b"}])
    arn = service["serviceArn"]
    if clean:
        aws.down()
    else:
        time.sleep(1.5)  # state is saved within a second of a change; nothing tells when
        os.kill(aws.info["pid"], signal.SIGKILL)
    port = aws.port
    aws.up("--port", str(port))
    account = Account(aws, linked=False)
    after = account.describe(arn)
    assert after["activeConfigurations"] == service["activeConfigurations"]
    eventually(lambda: account.get(endpoint_of(service)) == (200, "still here"), what="the answer")
    assert account.ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "a", "value": "b"}]
    account.ecs.update_service(service=arn, forceNewDeployment=True)
    deployment = account.settled(arn, 2)
    assert deployment["status"] == "SUCCESSFUL", (deployment, account.ordinary(arn)["events"])
    account.gone(arn)


def test_deployment_under_way_is_taken_up_after_a_restart(new_local_aws: Callable[..., LocalAws]) -> None:
    aws = new_local_aws()
    aws.up()
    account = Account(aws)
    service = account.ready("resumed", {"TEXT": "one"})
    arn = service["serviceArn"]
    account.ecs.update_service(service=arn, deploymentConfiguration={"bakeTimeInMinutes": 30})
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": "two"}))
    under_way = account.deployments(arn)[0]["serviceDeploymentArn"]
    eventually(lambda: account.deployment(under_way).get("lifecycleStage") == "BAKE_TIME", what="BAKE_TIME")
    aws.down()
    aws.up()
    account = Account(aws, linked=False)
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    assert account.get(endpoint_of(service)) == (200, "two")
    eventually(lambda: account.ordinary(arn)["runningCount"] == 1, what="one task")
