# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault that can be ordered (docs/local-aws.md), as a client of AWS sees it."""

from __future__ import annotations

import json
import time
import urllib.error
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from express_support import Account
from express_support import endpoint_of
from express_support import leaves
from express_support import refused
from express_support import status_of_newest
from express_support import unique
from running import HELD
from running import LocalAws
from running import create_client
from running import eventually

from local_aws import faults as faults_module

Order = Callable[..., str]


def stopped_task(account: Account, name: str) -> dict[str, Any]:
    """The first task of a service that has stopped."""

    def find() -> dict[str, Any] | None:
        arns = account.ecs.list_tasks(serviceName=name, desiredStatus="STOPPED")["taskArns"]
        tasks = account.ecs.describe_tasks(tasks=arns)["tasks"] if arns else []
        return next((task for task in tasks if task["lastStatus"] == "STOPPED"), None)

    return eventually(find, what="a stopped task")


def never_healthy(account: Account, name: str) -> None:
    """Keeps a service's tasks from passing a health check, so that they end in no other way than on order."""
    account.aws.hold("balancer:HealthCheck", subject=f"service:{name}", times=0)


# --- the order itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "part"),
    [
        ({"what": "task:Capacity"}, "task:Capacity never happens"),
        ({"what": "ecs:CreateExpressService"}, "ecs:CreateExpressService never happens"),
        ({"what": "nothing"}, "nothing never happens"),
        ({"what": "balancer:HealthCheck", "data": {"code": 404}}, "they have status, timeout"),
        ({"what": "ecs:ListClusters", "times": "3"}, "times is '3', which is no int"),
    ],
)
def test_what_could_never_happen_is_refused(local_aws: LocalAws, order: dict[str, Any], part: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        local_aws.page("faults", "POST", order)
    assert caught.value.code == 400
    assert part in json.load(caught.value)["error"]


def test_the_page_says_what_can_be_ordered(local_aws: LocalAws, faults: Order) -> None:
    faults("tasks:Pull", subject="*never*")
    page = local_aws.page("faults")
    assert set(page["events"]) == set(faults_module.EVENTS)
    (fault,) = page["faults"]
    assert (fault["what"], fault["happened"]) == ("tasks:Pull", 0)
    assert local_aws.page(f"faults/{fault['id']}", "DELETE")["faults"] == []


@pytest.mark.parametrize(
    ("former", "name"),
    [("express:wedge", "express:StuckProvisioning"), ("express:deploy-unchanged", "express:DeployUnchanged")],
)
def test_former_names_of_events_are_accepted(former: str, name: str) -> None:
    assert faults_module.Fault.parse({"what": former}).what == name


def test_wildcards_mean_api_calls_and_no_events() -> None:
    fault = faults_module.Fault.parse({"what": "iam:*", "code": "Throttling"})
    assert fault.matches("iam:GetRole")
    assert not fault.matches("iam:Propagation")


# --- API calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("ecs", "list_clusters", "ThrottlingException"),
        ("rds", "describe_db_instances", "Throttling"),
        ("ec2", "describe_vpcs", "RequestLimitExceeded"),
        ("s3", "list_buckets", "SlowDown"),
        ("iam", "list_roles", "Throttling"),
    ],
)
def test_throttling_is_worded_as_each_service_words_it(
    local_aws: LocalAws, faults: Order, service: str, operation: str, code: str
) -> None:
    faults("*", code="Throttling", subject="*:root", times=1)
    call = getattr(local_aws.client(service), operation)
    assert refused(call)[0] == code
    call()


def test_botocore_retries_what_is_throttled(local_aws: LocalAws, faults: Order) -> None:
    faults("ecs:ListClusters", code="Throttling", times=2)
    info = local_aws.info
    patient = create_client(
        "ecs",
        region_name=info["region"],
        endpoint_url=info["endpoint_url"],
        verify=info["ca_bundle"],
        aws_access_key_id=info["access_key_id"],
        aws_secret_access_key=info["secret_access_key"],
        config=Config(retries={"mode": "standard", "total_max_attempts": 5}, proxies={}),
    )
    answer = patient.list_clusters()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2


def test_an_answer_can_be_an_error_some_times_after_some_good_ones(local_aws: LocalAws, faults: Order) -> None:
    faults("rds:DescribeDBInstances", code="InternalFailure", message="It broke.", status=500, skip=1, times=2)
    describe = local_aws.client("rds").describe_db_instances
    describe()
    assert [refused(describe) for _unused in range(2)] == [("InternalFailure", "It broke.")] * 2
    describe()


# --- IAM -------------------------------------------------------------------------------------------------------------


def test_a_new_role_is_not_known_everywhere_at_once(account: Account, made: list[str], faults: Order) -> None:
    faults("iam:Propagation", data={"seconds": 36_000})
    young = account.role("young", "ecs.amazonaws.com")
    code, message = refused(account.create, name=unique("young"), infrastructureRoleArn=young)
    assert code == "AccessDeniedException"
    reason = f"ecs.amazonaws.com is not authorized to perform: sts:AssumeRole on resource: {young}"
    assert message == f"Cannot assume role {young}: {reason}"
    # Its age is what counts, and it is older than this soon.
    account.aws.page("faults", "DELETE")
    faults("iam:Propagation", data={"seconds": 600})

    def create() -> dict[str, Any] | None:
        try:
            return account.create(unique("older"), infrastructureRoleArn=young)
        except account.ecs.exceptions.AccessDeniedException:
            return None

    made.append(eventually(create, what="the role to be known")["serviceArn"])


def test_a_policy_that_does_not_hold_yet_wedges_the_service_for_good(
    account: Account, made: list[str], faults: Order
) -> None:
    faults("iam:PolicyPropagation", data={"seconds": 36_000})
    fresh = Account(account.aws)
    name = unique("wedge")
    made.append(fresh.create(name)["serviceArn"])

    def failed() -> list[dict[str, Any]]:
        return [item for item in leaves(fresh.managed(made[0])).values() if item["status"] == "FAILED"]

    reasons = [item["statusReason"] for item in eventually(failed, what="a failed resource")]
    assert any(" is not authorized to perform: " in reason for reason in reasons), reasons
    # Long after the policy is effective, ECS has not retried.
    elbv2 = account.elbv2
    count = len(elbv2.describe_load_balancers()["LoadBalancers"])
    account.aws.page("faults", "DELETE")
    time.sleep(600 / account.aws.page("status")["scale"])
    assert failed()
    assert fresh.describe(made[0])["status"]["statusCode"] == "ACTIVE"
    eventually(lambda: status_of_newest(fresh, made[0]) == "IN_PROGRESS", what="IN_PROGRESS")
    assert len(elbv2.describe_load_balancers()["LoadBalancers"]) == count
    # Deleted and made again, it works: the role is old enough by now.
    fresh.gone(made[0])
    fresh.ready(name)


# --- tasks -----------------------------------------------------------------------------------------------------------


def test_no_capacity(account: Account, made: list[str], faults: Order) -> None:
    name = unique("capacity")
    faults("tasks:Capacity", subject=f"service:{name}", times=0)
    made.append(account.create(name)["serviceArn"])
    deployment = account.settled(made[0])
    assert deployment["status"] == "ROLLBACK_FAILED"
    assert "Capacity is unavailable at this time" in deployment["statusReason"]
    task = stopped_task(account, name)
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("Capacity is unavailable at this time.")


def test_capacity_that_comes_back_saves_the_deployment(account: Account, made: list[str], faults: Order) -> None:
    name = unique("capacity")
    faults("tasks:Capacity", subject=f"service:{name}", times=2)
    made.append(account.create(name)["serviceArn"])
    assert account.settled(made[0])["status"] == "SUCCESSFUL"


def test_a_task_is_scaled_in_slowly_on_order(account: Account, made: list[str], faults: Order) -> None:
    """It is none of those that should run, takes no new request, and goes on until its connections are drained."""
    name = unique("slow")
    ready = account.ready(name)
    made.append(ready["serviceArn"])
    fault = faults("tasks:Stop", subject=f"service:{name}", delay=24 * 3600.0)
    [arn] = account.ecs.list_tasks(serviceName=name)["taskArns"]
    none = {"minTaskCount": 0, "maxTaskCount": 0, "autoScalingMetric": "AVERAGE_CPU", "autoScalingTargetValue": 60}
    account.ecs.update_express_gateway_service(serviceArn=ready["serviceArn"], scalingTarget=none)

    def is_in(status: str) -> bool:
        (task,) = account.ecs.describe_tasks(tasks=[arn])["tasks"]
        return task["lastStatus"] == status

    eventually(lambda: is_in("DEACTIVATING"), what="the begin of its stop")
    assert account.ecs.list_tasks(serviceName=name)["taskArns"] == []
    assert account.ecs.list_tasks(serviceName=name, desiredStatus="STOPPED")["taskArns"] == [arn]
    (shown,) = account.ecs.describe_tasks(tasks=[arn])["tasks"]
    assert (shown["desiredStatus"], shown["containers"][0]["lastStatus"]) == ("STOPPED", "RUNNING")
    eventually(lambda: account.get(endpoint_of(ready))[0] == 503, what="the refusal of new requests")
    assert is_in("DEACTIVATING")
    account.aws.release(fault)
    eventually(lambda: is_in("STOPPED"), what="its end")


def test_an_image_that_cannot_be_pulled(account: Account, made: list[str], faults: Order) -> None:
    name = unique("pull")
    image = account.container({})["image"]
    message = f"CannotPullContainerError: pull image manifest has been retried 5 time(s): {image}: toomanyrequests"
    faults("tasks:Pull", subject=image, message=message, times=0)
    made.append(account.create(name)["serviceArn"])
    deployment = account.settled(made[0])
    assert deployment["status"] == "ROLLBACK_FAILED"
    assert message in deployment["statusReason"]
    container = stopped_task(account, name)["containers"][0]
    assert container["reason"] == message
    assert "imageDigest" not in container


def test_a_container_that_exits_with_its_last_words_in_the_log(
    account: Account, made: list[str], faults: Order
) -> None:
    name = unique("exit")
    group = f"/ecs/{name}"
    account.aws.client("logs").create_log_group(logGroupName=group)
    container = account.container({})
    container["awsLogsConfiguration"] = {"logGroup": group, "logStreamPrefix": "ecs"}
    faults("tasks:Exit", subject=f"service:{name}", message="first\nlast words", data={"code": 3}, delay=10, times=0)
    never_healthy(account, name)
    made.append(account.create(name, primaryContainer=container)["serviceArn"])
    deployment = account.settled(made[0])
    assert deployment["status"] == "ROLLBACK_FAILED"
    assert "exit code 3" in deployment["statusReason"]
    task = stopped_task(account, name)
    assert (task["stopCode"], task["containers"][0]["exitCode"]) == ("EssentialContainerExited", 3)
    stream = f"ecs/Main/{task['taskArn'].rsplit('/', 1)[-1]}"
    events = account.aws.client("logs").get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    assert [event["message"] for event in events["events"]] == ["first", "last words"]


def test_a_task_that_outgrows_its_memory_on_order(account: Account, made: list[str], faults: Order) -> None:
    name = unique("memory")
    faults("tasks:Memory", subject=f"service:{name}", data={"mib": 2100}, times=0)
    never_healthy(account, name)
    made.append(account.create(name, cpu="1024", memory="2048")["serviceArn"])
    assert account.settled(made[0])["status"] == "ROLLBACK_FAILED"
    container = stopped_task(account, name)["containers"][0]
    assert container["exitCode"] == 137
    assert container["reason"] == "OutOfMemoryError: Container killed due to memory usage"


# --- health ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason", "description"),
    [
        ({"status": 404}, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]"),
        ({"status": 401}, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [401]"),
        ({"status": 500}, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]"),
        ({"timeout": True}, "Target.Timeout", "Request timed out"),
    ],
)
def test_a_health_path_that_answers_wrongly_or_slowly(  # noqa: PLR0917
    account: Account, made: list[str], faults: Order, data: dict[str, Any], reason: str, description: str
) -> None:
    name = unique("health")
    fault = faults("balancer:HealthCheck", subject=f"service:{name}", data=data, times=0)
    made.append(account.create(name)["serviceArn"])
    deployment = account.settled(made[0])
    assert deployment["status"] == "ROLLBACK_FAILED"
    assert description in deployment["statusReason"]
    # Such a task is replaced soon. To look at it, a grace period that lasts.
    account.aws.release(fault)
    account.ecs.update_service(service=made[0], forceNewDeployment=True)
    assert account.settled(made[0], 2)["status"] == "SUCCESSFUL"
    account.ecs.update_service(service=made[0], healthCheckGracePeriodSeconds=HELD)
    faults("balancer:HealthCheck", subject=f"service:{name}", data=data, times=0)

    def health() -> dict[str, Any] | None:
        groups = account.managed(made[0])["ingressPaths"][0]["targetGroups"]
        for group in groups:
            if group.get("arn"):
                answer = account.elbv2.describe_target_health(TargetGroupArn=group["arn"])
                for item in answer["TargetHealthDescriptions"]:
                    if item["TargetHealth"]["State"] == "unhealthy":
                        return item["TargetHealth"]
        return None

    found = eventually(health, what="an unhealthy target")
    assert (found["Reason"], found["Description"]) == (reason, description)


def test_one_failed_health_check_does_no_harm(account: Account, made: list[str], faults: Order) -> None:
    name = unique("health")
    faults("balancer:HealthCheck", subject=f"service:{name}", data={"status": 503})
    service = account.ready(name, {"TEXT": "well"})
    made.append(service["serviceArn"])
    assert account.get(endpoint_of(service)) == (200, "well")
    assert account.aws.page("faults")["faults"][0]["happened"] == 1


# --- services --------------------------------------------------------------------------------------------------------


def test_an_update_that_changes_nothing_can_be_a_deployment(account: Account, made: list[str], faults: Order) -> None:
    service = account.ready(unique("same"))
    made.append(service["serviceArn"])
    same = {"serviceArn": made[0], "healthCheckPath": "/health"}
    account.ecs.update_express_gateway_service(**same)
    assert len(account.deployments(made[0])) == 1
    faults("express:DeployUnchanged", subject=made[0])
    account.ecs.update_express_gateway_service(**same)
    assert len(account.deployments(made[0])) == 2
