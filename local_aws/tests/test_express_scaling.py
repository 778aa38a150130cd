# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of tasks of an Express service: bounds, the desired count, and zero.

Sources: botocore's text on RegisterScalableTarget ("Application Auto Scaling retrieves the current capacity of the
resource. If it's below the minimum capacity or above the maximum capacity, Application Auto Scaling adjusts the
capacity") and on UpdateService (desiredCount "doesn't trigger a new service deployment"); for Express services the
scripts of two users, carrieros scripts/staging-pause.sh (a minimum of 0 alone stops nothing, nothing wakes by itself)
and lamdis-ai ops/deploy-app.sh (0/0 stops the tasks; an update at zero is an empty deployment with a rolloutState; 1/1
before its end starts the old version beside the new one).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from express_support import Account
from express_support import endpoint_of
from express_support import refusal
from express_support import unique
from running import eventually

AT_ZERO = {"minTaskCount": 0, "maxTaskCount": 0, "autoScalingMetric": "AVERAGE_CPU", "autoScalingTargetValue": 60}
# ECS's longest bake time in minutes: such a deployment ends because another one takes its place.
LONGEST = 1440


@pytest.fixture
def service(account: Account, made: list[str]) -> dict[str, Any]:
    """A ready service with one task, removed after the test."""
    ready = account.ready(unique("scaled"), {"TEXT": "one"})
    made.append(ready["serviceArn"])
    return ready


@pytest.fixture
def target(account: Account) -> Callable[..., Any]:
    """RegisterScalableTarget on a service."""
    client = account.aws.client("application-autoscaling")

    def register(arn: str, **more: Any) -> None:
        client.register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=arn.split(":", 5)[5],
            ScalableDimension="ecs:service:DesiredCount",
            **more,
        )

    return register


def tasks(account: Account, arn: str) -> list[str]:
    """The tasks of a service that have not stopped."""
    return account.ecs.list_tasks(serviceName=arn.rsplit("/", 1)[-1])["taskArns"]


def scale(account: Account, arn: str, **bounds: Any) -> None:
    """An update of the bounds alone, whole."""
    account.ecs.update_express_gateway_service(serviceArn=arn, scalingTarget={**AT_ZERO, **bounds})


def expect_no_tasks(account: Account, arn: str) -> None:
    """Waits until the last task is gone."""
    eventually(lambda: not tasks(account, arn), what="no task")
    described = account.ecs_service(arn)
    assert (described["desiredCount"], described["runningCount"], described["pendingCount"]) == (0, 0, 0)


def test_zero_stops_the_tasks_and_one_starts_them(account: Account, service: dict[str, Any]) -> None:
    arn, endpoint = service["serviceArn"], endpoint_of(service)
    scale(account, arn)
    expect_no_tasks(account, arn)
    deployment = account.settled(arn, 2)
    assert deployment["status"] == "SUCCESSFUL"
    assert deployment["targetServiceRevision"]["requestedTaskCount"] == 0
    assert account.describe(arn)["activeConfigurations"][0]["scalingTarget"] == AT_ZERO
    # Nothing wakes it.
    assert {account.get(endpoint)[0] for _number in range(20)} == {503}
    assert not tasks(account, arn)
    client = account.aws.client("application-autoscaling")
    (activity,) = client.describe_scaling_activities(ServiceNamespace="ecs", ResourceId=arn.split(":", 5)[5])[
        "ScalingActivities"
    ]
    assert (activity["Description"], activity["Cause"], activity["StatusCode"]) == (
        "Setting desired count to 0.",
        "maximum capacity was set to 0",
        "Successful",
    )

    # An update at zero: a deployment without a task, which completes.
    container = account.container({"TEXT": "two"})
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=container)
    assert account.settled(arn, 3)["status"] == "SUCCESSFUL"
    (rollout,) = account.ecs_service(arn)["deployments"]
    assert (rollout["rolloutState"], rollout["desiredCount"], rollout["runningCount"]) == ("COMPLETED", 0, 0)
    assert not tasks(account, arn)

    scale(account, arn, minTaskCount=1, maxTaskCount=1)
    assert account.settled(arn, 4)["status"] == "SUCCESSFUL"
    assert account.get(endpoint) == (200, "two")
    eventually(lambda: len(tasks(account, arn)) == 1, what="one task")


def test_minimum_of_zero_alone_stops_nothing(account: Account, service: dict[str, Any]) -> None:
    arn = service["serviceArn"]
    scale(account, arn, maxTaskCount=1)
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    described = account.ecs_service(arn)
    assert (described["desiredCount"], described["runningCount"]) == (1, 1)
    assert account.get(endpoint_of(service)) == (200, "one")


def test_service_created_at_zero_is_an_empty_deployment(account: Account, made: list[str]) -> None:
    created = account.create(unique("zero"), {"TEXT": "one"}, scalingTarget=AT_ZERO)
    arn = created["serviceArn"]
    made.append(arn)
    deployment = account.settled(arn)
    assert deployment["status"] == "SUCCESSFUL"
    described = account.ecs_service(arn)
    assert (described["desiredCount"], described["deployments"][0]["rolloutState"]) == (0, "COMPLETED")
    assert not [event for event in described["events"] if "has started" in event["message"]]
    assert account.get(endpoint_of(account.describe(arn)))[0] == 503
    scale(account, arn, minTaskCount=1, maxTaskCount=1)
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    assert account.get(endpoint_of(account.describe(arn))) == (200, "one")


def test_bounds_that_are_not_sent_along_get_their_defaults(account: Account, made: list[str]) -> None:
    given = {"minTaskCount": 1, "maxTaskCount": 2, "autoScalingMetric": "AVERAGE_MEMORY", "autoScalingTargetValue": 70}
    arn = account.ready(unique("reset"), scalingTarget=given)["serviceArn"]
    made.append(arn)
    answer = account.ecs.update_express_gateway_service(serviceArn=arn, scalingTarget={"minTaskCount": 0})
    assert answer["service"]["targetConfiguration"]["scalingTarget"] == {
        "minTaskCount": 0,
        "maxTaskCount": 20,
        "autoScalingMetric": "AVERAGE_CPU",
        "autoScalingTargetValue": 60,
    }


def test_desired_count_is_obeyed_and_deploys_nothing(account: Account, service: dict[str, Any]) -> None:
    arn = service["serviceArn"]
    answer = account.ecs.update_service(service=arn, desiredCount=0)
    assert answer["service"]["desiredCount"] == 0
    expect_no_tasks(account, arn)
    assert account.get(endpoint_of(service))[0] == 503
    account.ecs.update_service(service=arn, desiredCount=2)
    eventually(lambda: account.ecs_service(arn)["runningCount"] == 2, what="two tasks")
    assert len(account.deployments(arn)) == 1
    with pytest.raises(ClientError) as caught:
        account.ecs.update_service(service=arn, desiredCount=-1)
    assert refusal(caught.value) == ("InvalidParameterException", "desiredCount -1 must be 0 or more.")


def test_scalable_target_moves_the_desired_count(
    account: Account, service: dict[str, Any], target: Callable[..., Any]
) -> None:
    arn = service["serviceArn"]
    target(arn, MinCapacity=0)
    assert account.ecs_service(arn)["desiredCount"] == 1
    target(arn, MaxCapacity=0)
    expect_no_tasks(account, arn)
    target(arn, MinCapacity=1, MaxCapacity=1)
    eventually(lambda: account.ecs_service(arn)["runningCount"] == 1, what="one task")
    # Also a request without bounds brings the count back between them.
    account.ecs.update_service(service=arn, desiredCount=0)
    suspended = {"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": False}
    target(arn, SuspendedState={**suspended, "ScheduledScalingSuspended": False})
    eventually(lambda: account.ecs_service(arn)["runningCount"] == 1, what="one task")
    client = account.aws.client("application-autoscaling")
    (shown,) = client.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[arn.split(":", 5)[5]])[
        "ScalableTargets"
    ]
    assert (shown["MinCapacity"], shown["MaxCapacity"]) == (1, 1)
    assert shown["SuspendedState"] == {**suspended, "ScheduledScalingSuspended": False}
    assert len(account.deployments(arn)) == 1


@pytest.mark.parametrize(
    ("resource", "bounds", "message"),
    [
        ("service/default/nobody-has-this", {}, "ECS service doesn't exist: service/default/nobody-has-this"),
        ("service/no-such-cluster/x", {}, "ECS service doesn't exist: service/no-such-cluster/x"),
        ("table/mine", {}, "Unsupported service namespace, resource type or scalable dimension"),
        ("", {"MinCapacity": 2, "MaxCapacity": 1}, "Maximum capacity cannot be less than minimum capacity"),
        ("", {"MinCapacity": -1}, "MinCapacity (-1) must be 0 or more."),
    ],
)
def test_scalable_targets_that_aws_refuses(
    standing: str, target: Callable[..., Any], resource: str, bounds: dict[str, int], message: str
) -> None:
    with pytest.raises(ClientError) as caught:
        target(f"arn:aws:ecs:eu-west-1:1:{resource}" if resource else standing, **bounds)
    assert refusal(caught.value) == ("ValidationException", message)


@pytest.fixture(scope="module")
def standing(account: Account) -> Any:
    """A service that the refusals leave as it is."""
    arn = account.ready(unique("standing"))["serviceArn"]
    yield arn
    account.all_gone([arn])


def test_old_version_comes_back_before_the_empty_deployment_is_over(account: Account, service: dict[str, Any]) -> None:
    arn = service["serviceArn"]
    scale(account, arn)
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"
    account.ecs.update_service(service=arn, deploymentConfiguration={"bakeTimeInMinutes": LONGEST})
    old = account.describe(arn)["activeConfigurations"][0]["serviceRevisionArn"]
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=account.container({"TEXT": "two"}))
    (current, _stable) = account.ecs_service(arn)["deployments"]
    assert (current["rolloutState"], current["desiredCount"]) == ("IN_PROGRESS", 0)
    scale(account, arn, minTaskCount=1, maxTaskCount=1)

    def both_run() -> bool:
        running = {
            item["arn"]: item["runningTaskCount"] for item in account.ecs_service(arn)["currentServiceRevisions"]
        }
        return len(running) == 2 and running.pop(old) == 1 and set(running.values()) == {1}

    eventually(both_run, what="the old version beside the new one")


def test_restart_keeps_a_service_at_zero(new_local_aws: Callable[..., Any]) -> None:
    aws = new_local_aws()
    aws.up()
    account = Account(aws)
    arn = account.ready("kept", {"TEXT": "one"})["serviceArn"]
    account.ecs.update_service(service=arn, desiredCount=0)
    expect_no_tasks(account, arn)
    aws.down()
    aws.up()
    again = Account(aws)
    assert again.ecs_service(arn)["desiredCount"] == 0
    assert not tasks(again, arn)
    again.ecs.update_service(service=arn, desiredCount=1)
    eventually(lambda: again.ecs_service(arn)["runningCount"] == 1, what="one task")
