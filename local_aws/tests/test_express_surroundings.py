# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Express services have around them: cluster, digests, service-linked roles, addresses, botocore's waiters."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.exceptions import WaiterError
from express_support import Account
from express_support import leaves
from express_support import refusal
from express_support import unique
from running import LocalAws
from running import eventually

from local_aws.services.ecs_express import store
from local_aws.services.ecs_express.models import Service

FAST = {"Delay": 1, "MaxAttempts": 1800}


# --- botocore's own waiters ------------------------------------------------------------------------------------------


def test_waiters_of_other_clients_see_the_service_come_and_go(account: Account) -> None:
    name = unique("waiters")
    arn = account.create(name)["serviceArn"]
    account.ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=FAST)
    assert account.ecs_service(arn)["runningCount"] == 1
    account.ecs.delete_express_gateway_service(serviceArn=arn)
    # services_stable gives up on a service that is going, services_inactive waits for its end.
    with pytest.raises(WaiterError, match="terminal failure"):
        account.ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=FAST)
    account.ecs.get_waiter("services_inactive").wait(services=[arn], WaiterConfig=FAST)
    assert account.ecs_service(arn)["status"] == "INACTIVE"


def test_waiters_give_up_on_a_service_that_never_was(account: Account) -> None:
    for waiter in ("services_stable", "services_inactive"):
        with pytest.raises(WaiterError, match="terminal failure"):
            account.ecs.get_waiter(waiter).wait(services=[unique("nobody")], WaiterConfig=FAST)


def test_tasks_waiters(account: Account, made: list[str]) -> None:
    made.append(account.ready(unique("tasks"))["serviceArn"])
    tasks = account.ecs.list_tasks(serviceName=made[0].rsplit("/", 1)[-1])["taskArns"]
    account.ecs.get_waiter("tasks_running").wait(tasks=tasks, WaiterConfig=FAST)
    account.ecs.stop_task(task=tasks[0])
    account.ecs.get_waiter("tasks_stopped").wait(tasks=tasks, WaiterConfig=FAST)


# --- cluster, images, logs -------------------------------------------------------------------------------------------


def test_a_cluster_counts_express_services_and_their_tasks(account: Account) -> None:
    def counts() -> tuple[int, int, int]:
        found = account.ecs.describe_clusters(clusters=[cluster])["clusters"][0]
        return found["activeServicesCount"], found["runningTasksCount"], found["pendingTasksCount"]

    cluster = unique("counted")
    account.ecs.create_cluster(clusterName=cluster)
    assert counts() == (0, 0, 0)
    arn = account.create("one", cluster=cluster)["serviceArn"]
    assert counts()[0] == 1
    assert account.settled(arn)["status"] == "SUCCESSFUL"
    assert counts() == (1, 1, 0)
    account.ecs.delete_express_gateway_service(serviceArn=arn)
    eventually(lambda: counts() == (0, 0, 0), what="an empty cluster")
    account.ecs.delete_cluster(cluster=cluster)


def test_tags_are_resolved_to_digests_when_the_first_task_starts(account: Account, made: list[str]) -> None:
    def images() -> list[dict[str, Any]]:
        revision = account.describe(made[0])["activeConfigurations"][0]["serviceRevisionArn"]
        shown = account.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"][0]
        return shown["containerImages"]

    held = account.aws.hold("elbv2:CreateRule")
    made.append(account.create(unique("digest"))["serviceArn"])
    image = account.container({})["image"]
    assert images() == [{"containerName": "Main", "image": image}]
    account.aws.release(held)
    account.settled(made[0])
    (shown,) = images()
    assert shown["image"] == image
    assert shown["imageDigest"].startswith("sha256:")
    assert len(shown["imageDigest"]) == 71
    tasks = account.ecs.list_tasks(serviceName=made[0].rsplit("/", 1)[-1])["taskArns"]
    container = account.ecs.describe_tasks(tasks=tasks)["tasks"][0]["containers"][0]
    assert (container["image"], container["imageDigest"]) == (image, shown["imageDigest"])


def test_a_digest_of_ones_own_is_kept(account: Account, made: list[str]) -> None:
    digest = "sha256:" + "ab" * 32
    container = {**account.container({}), "image": f"{account.container({})['image']}@{digest}"}
    service = account.ready(unique("pinned"), primaryContainer=container)
    made.append(service["serviceArn"])
    revision = service["activeConfigurations"][0]["serviceRevisionArn"]
    shown = account.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"][0]
    assert shown["containerImages"][0]["imageDigest"] == digest


def test_a_definition_without_logging_runs(account: Account, made: list[str]) -> None:
    container = {**account.container({"TEXT": "quiet"}), "name": "Main", "essential": True}
    container["portMappings"] = [{"name": "web", "containerPort": container.pop("containerPort")}]
    definition = account.ecs.register_task_definition(
        family=unique("quiet"),
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        executionRoleArn=account.execution,
        containerDefinitions=[container],
    )["taskDefinition"]
    answer = account.ecs.create_express_gateway_service(
        serviceName=unique("quiet"),
        infrastructureRoleArn=account.infrastructure,
        healthCheckPath="/health",
        taskDefinitionArn=definition["taskDefinitionArn"],
    )
    made.append(answer["service"]["serviceArn"])
    assert account.settled(made[0])["status"] == "SUCCESSFUL"
    assert "logGroups" not in account.managed(made[0])
    # A later update of the container makes a managed definition out of it, still without logging.
    account.ecs.update_express_gateway_service(
        serviceArn=made[0],
        primaryContainer={"image": container["image"], "environment": [{"name": "TEXT", "value": "loud"}]},
    )
    assert account.settled(made[0], count=2)["status"] == "SUCCESSFUL"
    managed = account.describe(made[0])["activeConfigurations"][0]["taskDefinitionArn"]
    assert managed != definition["taskDefinitionArn"]
    shown = account.ecs.describe_task_definition(taskDefinition=managed)["taskDefinition"]
    assert "logConfiguration" not in shown["containerDefinitions"][0]


def test_inactive_services_are_forgotten_in_the_end() -> None:
    service = Service("arn:service", "one", "default", "arn:cluster", "arn:role", "host", status="INACTIVE")
    gone = Service("arn:gone", "two", "default", "arn:cluster", "arn:role", "host", status="DRAINING", updated=0)
    clock = SimpleNamespace(real=lambda seconds: seconds / 60)
    ctx: Any = SimpleNamespace(clock=clock, changed=lambda: None)
    made = store.ServiceStore(ctx)
    made.services = {item.arn: item for item in (service, gone)}
    day = store.KEEP_INACTIVE_SECONDS / 60
    assert made.forget_old(service.updated + day - 1) == []
    assert "arn:service" in made.services
    assert made.forget_old(service.updated + day + 1) == ["arn:service"]
    # Only what is over is forgotten, however old.
    assert set(made.services) == {"arn:gone"}


# --- service-linked roles --------------------------------------------------------------------------------------------


def linked_roles(aws: LocalAws) -> set[str]:
    """The names of all service-linked roles."""
    found = aws.client("iam").list_roles(PathPrefix="/aws-service-role/")["Roles"]
    return {role["RoleName"] for role in found}


def test_service_linked_roles_are_made_when_they_are_first_needed(new_local_aws: Callable[..., LocalAws]) -> None:
    aws = new_local_aws()
    aws.up()
    account = Account(aws, linked=False)
    assert linked_roles(aws) == set()
    # Who may not have it made gets ECS's own sentence.
    actions = ["ecs:*", "iam:PassRole"]
    key, secret = account.user(actions)
    limited = aws.client("ecs", key, secret)
    with pytest.raises(ClientError) as caught:
        limited.create_express_gateway_service(**account.parameters("linked"))
    assert refusal(caught.value) == (
        "InvalidParameterException",
        "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
    )
    key, secret = account.user([*actions, "iam:CreateServiceLinkedRole"])
    account.link("elasticloadbalancing.amazonaws.com")
    arn = aws.client("ecs", key, secret).create_express_gateway_service(**account.parameters("linked"))["service"][
        "serviceArn"
    ]
    assert "AWSServiceRoleForECS" in linked_roles(aws)
    assert account.settled(arn)["status"] == "SUCCESSFUL"
    # The infrastructure role had the one for scaling made.
    assert linked_roles(aws) == {
        "AWSServiceRoleForECS",
        "AWSServiceRoleForElasticLoadBalancing",
        "AWSServiceRoleForApplicationAutoScaling_ECSService",
    }
    database: dict[str, Any] = {
        "DBInstanceIdentifier": "linked",
        "Engine": "postgres",
        "DBInstanceClass": "db.t4g.micro",
        "AllocatedStorage": 20,
        "MasterUsername": "master",
        "MasterUserPassword": f"made-up-{uuid.uuid4().hex}",
    }
    key, secret = account.user(["rds:*"])
    with pytest.raises(ClientError) as caught:
        aws.client("rds", key, secret).create_db_instance(**database)
    assert refusal(caught.value)[0] == "InvalidParameterValue"
    assert "permission to create service linked role" in refusal(caught.value)[1]
    aws.client("rds").create_db_instance(**database)
    assert "AWSServiceRoleForRDS" in linked_roles(aws)


# --- addresses -------------------------------------------------------------------------------------------------------


def test_a_load_balancer_needs_eight_free_addresses_in_each_subnet(account: Account, made: list[str]) -> None:
    vpc = account.ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        account.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.77.0.{16 * number}/28", AvailabilityZone=f"us-east-1{zone}")
        for number, zone in enumerate("ab")
    ]
    names = [item["Subnet"]["SubnetId"] for item in subnets]

    def free() -> list[int]:
        found = account.ec2.describe_subnets(SubnetIds=names)["Subnets"]
        return [next(item["AvailableIpAddressCount"] for item in found if item["SubnetId"] == name) for name in names]

    assert free() == [11, 11]
    taken = [account.ec2.create_network_interface(SubnetId=names[1])["NetworkInterface"] for _unused in range(4)]
    assert free() == [11, 7]
    made.append(account.create(unique("crowded"), networkConfiguration={"subnets": names})["serviceArn"])

    def failed() -> dict[str, Any] | None:
        found = leaves(account.managed(made[0]))["loadBalancer"]
        return found if found["status"] == "FAILED" else None

    reason = eventually(failed, what="a failed load balancer")["statusReason"]
    assert reason == (
        f"InvalidSubnet: Not enough IP space available in {names[1]}. "
        "ELB requires at least 8 free IP addresses in each subnet."
    )
    account.gone(made[0])
    account.ec2.delete_network_interface(NetworkInterfaceId=taken[0]["NetworkInterfaceId"])
    made.append(account.ready(unique("roomy"), networkConfiguration={"subnets": names})["serviceArn"])
