# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates of Express services: canary, rollback, stop, force, and what gets stuck."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from express_support import LONGEST_BAKE
from express_support import Account
from express_support import endpoint_of
from running import HELD
from running import LocalAws
from running import eventually


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
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL", account.ecs_service(arn)["events"]
    managed = account.managed(arn)
    assert managed["autoScaling"]["scalableTarget"]["maxCapacity"] == 3
    (fitting,) = [group for group in managed["ingressPaths"][0]["targetGroups"] if group["port"] == 6000]
    assert fitting["healthCheckPath"] == "/"
    described = account.ecs_service(arn)
    assert (described["desiredCount"], described["runningCount"]) == (2, 2)
    assert account.get(endpoint_of(service))[0] == 200
    scaling = account.describe(arn)["activeConfigurations"][0]["scalingTarget"]
    assert (scaling["autoScalingMetric"], scaling["autoScalingTargetValue"]) == ("AVERAGE_CPU", 60)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account in a local AWS of its own, slow enough for requests to be counted: an AWS minute lasts a second."""
    aws = LocalAws(tmp_path_factory.mktemp("slow"))
    aws.up("--scale", "60")
    yield Account(aws)
    aws.down("--wipe")


def texts(account: Account, endpoint: str, count: int) -> Counter[str]:
    """What so many requests are answered with."""
    return Counter(account.get(endpoint)[1] for _request in range(count))


def reaches(account: Account, arn: str, number: int, stage: str, weight: float) -> None:
    """Waits until a service's deployment is in a stage, with so much of the traffic."""

    def reached() -> bool:
        found = account.deployments(arn)
        if len(found) < number:
            return False
        deployment = account.deployment(found[0]["serviceDeploymentArn"])
        assert deployment["status"] in ("PENDING", "IN_PROGRESS"), deployment
        shown = deployment["targetServiceRevision"].get("requestedProductionTrafficWeight")
        return (deployment.get("lifecycleStage"), shown) == (stage, weight)

    eventually(reached, what=f"{stage} with {weight} %")


def test_canary_gets_five_percent_then_all(
    account: Account, ready: Callable[..., Any], faults: Callable[..., str]
) -> None:
    service = ready({"TEXT": "blue"})
    arn, name, endpoint = service["serviceArn"], service["serviceName"], endpoint_of(service)

    def deploy(canary: int, bake: int, number: int) -> None:
        settings = {
            "canaryConfiguration": {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": canary},
            "bakeTimeInMinutes": bake,
            "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        }
        account.ecs.update_service(service=arn, deploymentConfiguration=settings)
        green = account.container({"TEXT": f"green {number}"})
        account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=green)

    def stop() -> None:
        newest = account.deployments(arn)[0]["serviceDeploymentArn"]
        account.ecs.stop_service_deployment(serviceDeploymentArn=newest)

    # Each stage lasts until it has been looked at.
    no_capacity = faults("tasks:Capacity", subject=f"service:{name}", times=0)
    deploy(canary=LONGEST_BAKE, bake=0, number=2)
    reaches(account, arn, 2, "SCALE_UP", 0.0)
    assert texts(account, endpoint, 20) == {"blue": 20}
    account.aws.release(no_capacity)
    reaches(account, arn, 2, "PRODUCTION_TRAFFIC_SHIFT", 5.0)
    assert texts(account, endpoint, 100) == {"blue": 95, "green 2": 5}
    stop()
    assert account.settled(arn, 2)["status"] == "ROLLBACK_SUCCESSFUL"
    assert texts(account, endpoint, 20) == {"blue": 20}
    deploy(canary=0, bake=LONGEST_BAKE, number=3)
    reaches(account, arn, 3, "BAKE_TIME", 100.0)
    assert texts(account, endpoint, 20) == {"green 3": 20}
    stop()
    account.settled(arn, 3)
    deploy(canary=3, bake=3, number=4)
    assert account.settled(arn, 4)["status"] == "SUCCESSFUL"
    assert texts(account, endpoint, 20) == {"green 4": 20}
    eventually(lambda: account.ecs_service(arn)["runningCount"] == 1, what="one task")


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
    assert "is unhealthy in (target-group" in " ".join(item["message"] for item in account.ecs_service(arn)["events"])


def test_crash_rolls_back(account: Account, ready: Callable[..., Any]) -> None:
    service = ready({"TEXT": "good"})
    arn = service["serviceArn"]
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"CRASH": "3"}))
    deployment = account.settled(arn, 2)
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert "exit code 3" in deployment["statusReason"]
    assert deployment["deploymentCircuitBreaker"]["failureCount"] == 3
    assert account.get(endpoint_of(service)) == (200, "good")


def test_errors_above_one_percent_roll_back(slow: Account) -> None:
    account = slow
    service = account.ready("errors", {"TEXT": "good"})
    arn, endpoint = service["serviceArn"], endpoint_of(service)
    # Nothing but the alarm ends these deployments.
    account.ecs.update_service(service=arn, deploymentConfiguration={"bakeTimeInMinutes": LONGEST_BAKE})
    alarm = account.managed(arn)["metricAlarms"][0]["arn"].partition(":alarm:")[2]
    cloudwatch = account.aws.client("cloudwatch")

    def state() -> str:
        return cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"]

    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            account.get(endpoint)

    clients = [threading.Thread(target=ask) for _number in range(2)]
    for client in clients:
        client.start()
    try:
        for count, status in enumerate(("401", "500"), 2):
            # An alarm that is on when a deployment begins is not looked at during it.
            eventually(lambda: state() == "OK", what="an alarm that is off")
            bad = account.container({"TEXT": "bad", "STATUS": status})
            account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=bad)
            deployment = account.settled(arn, count)
            assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
            assert "CloudWatch alarm" in deployment["statusReason"]
            assert deployment["alarms"]["status"] == "TRIGGERED"
            assert deployment["alarms"]["triggeredAlarmNames"] == deployment["alarms"]["alarmNames"]
            assert account.get(endpoint) == (200, "good")
            assert account.describe(arn)["activeConfigurations"] == service["activeConfigurations"]
    finally:
        done.set()
        for client in clients:
            client.join()


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
    account.ecs.update_service(service=arn, deploymentConfiguration={"bakeTimeInMinutes": LONGEST_BAKE})
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
    # The second one never is healthy, and may be so for long.
    account.ecs.update_service(service=arn, healthCheckGracePeriodSeconds=HELD)
    for text, health in (("two", "500"), ("three", "200")):
        account.ecs.update_express_gateway_service(
            serviceArn=arn, primaryContainer=account.container({"TEXT": text, "HEALTH": health})
        )
    assert account.settled(arn, 3)["status"] == "SUCCESSFUL"
    assert [item["status"] for item in account.deployments(arn)] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]
    assert account.get(endpoint_of(service)) == (200, "three")
    eventually(lambda: account.ecs_service(arn)["runningCount"] == 1, what="one task")


def test_deployments_are_filtered_and_paged(account: Account, ready: Callable[..., Any]) -> None:
    def arns(**filters: Any) -> list[str]:
        found = account.ecs.list_service_deployments(service=arn, **filters)["serviceDeployments"]
        return [item["serviceDeploymentArn"] for item in found]

    service = ready({"TEXT": "one"})
    arn = service["serviceArn"]
    for count in (2, 3):
        account.ecs.update_service(service=arn, forceNewDeployment=True)
        account.settled(arn, count)
    every = account.deployments(arn)
    newest, middle, oldest = (item["serviceDeploymentArn"] for item in every)
    moments = [item["createdAt"] for item in every]
    assert moments == sorted(moments, reverse=True)
    pages, token = [], {}
    while True:
        answer = account.ecs.list_service_deployments(service=arn, maxResults=1, **token)
        pages.append([item["serviceDeploymentArn"] for item in answer["serviceDeployments"]])
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    assert pages == [[newest], [middle], [oldest]]
    assert arns(maxResults=2) == [newest, middle]
    assert arns(status=["PENDING", "ROLLBACK_FAILED"]) == []
    assert arns(status=["SUCCESSFUL", "STOPPED"]) == [newest, middle, oldest]
    second = timedelta(seconds=1)
    assert arns(createdAt={"after": moments[2] - second}) == [newest, middle, oldest]
    assert arns(createdAt={"after": moments[0] + second}) == []
    assert arns(createdAt={"before": moments[2] - second}) == []
    between = moments[1] + (moments[0] - moments[1]) / 2
    assert arns(createdAt={"after": between}) == [newest]
    assert arns(createdAt={"before": between}) == [middle, oldest]
    assert arns(createdAt={"after": moments[2] - second, "before": between}, status=["SUCCESSFUL"]) == [middle, oldest]
    found = account.ecs.list_service_deployments(service=arn.rsplit("/", 1)[-1], cluster="default")
    assert len(found["serviceDeployments"]) == 3


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
