# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure logic of Express services: defaults, merging, comparing, names, IAM conditions, stages of a saved service."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import pytest

from local_aws.iam import request_context
from local_aws.service import ApiError
from local_aws.services.ecs_express import network
from local_aws.services.ecs_express import transformations
from local_aws.services.ecs_express.models import Deployment
from local_aws.services.ecs_express.models import ManagedResource
from local_aws.services.ecs_express.models import Revision
from local_aws.services.ecs_express.models import Service
from local_aws.services.ecs_express.task_set import SILENT_REAL_SECONDS
from local_aws.services.ecs_express.task_set import TaskSet
from local_aws.services.elbv2.models import Target
from local_aws.services.elbv2.models import TargetGroup

ROLE = "arn:aws:iam::123456789012:role/execution"


def configured(**more: Any) -> dict[str, Any]:
    given = {"executionRoleArn": ROLE, "primaryContainer": {"image": "x"}, **more}
    return transformations.configuration(given, "/aws/ecs/x")


@pytest.mark.parametrize(
    ("cpu", "memory", "fits"),
    [
        ("256", "512", True),
        ("256", "4096", False),
        ("512", "4096", True),
        ("1024", "2048", True),
        ("1024", "9216", False),
        ("8192", "16384", True),
        ("8192", "17408", False),
        ("16384", "122880", True),
        ("1", "2", False),
        ("1 vCPU", "2048", False),
    ],
)
def test_sizes_that_fargate_has(cpu: str, memory: str, fits: bool) -> None:
    if fits:
        transformations.check_size(cpu, memory)
    else:
        with pytest.raises(ApiError):
            transformations.check_size(cpu, memory)


def test_merging_keeps_what_is_not_given() -> None:
    current = configured(
        cpu="512",
        memory="1024",
        primaryContainer={"image": "a", "command": ["x"], "environment": [{"name": "A", "value": "1"}]},
        scalingTarget={"minTaskCount": 2, "maxTaskCount": 4, "autoScalingTargetValue": 70},
    )
    merged = transformations.merged(current, {"primaryContainer": {"image": "b"}})
    assert merged["primaryContainer"] == {**current["primaryContainer"], "image": "b"}
    assert merged["scalingTarget"] == current["scalingTarget"]
    assert (merged["cpu"], merged["memory"]) == ("512", "1024")


def test_merging_replaces_the_scaling_target_whole() -> None:
    current = configured(scalingTarget={"minTaskCount": 2, "maxTaskCount": 4, "autoScalingTargetValue": 70})
    merged = transformations.merged(current, {"scalingTarget": {"maxTaskCount": 5}})
    assert merged["scalingTarget"] == {**transformations.DEFAULT_SCALING, "maxTaskCount": 5}


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0, 0, ""),
        (0, 1, ""),
        (2, 1, "minTaskCount (2) must not be above maxTaskCount (1)."),
        (0, -1, "minTaskCount (0) must not be above maxTaskCount (-1)."),
        (-1, 1, "minTaskCount (-1) must be 0 or more."),
    ],
)
def test_bounds_that_express_mode_takes(low: int, high: int, message: str) -> None:
    bounds = {"minTaskCount": low, "maxTaskCount": high}
    if not message:
        assert configured(scalingTarget=bounds)["scalingTarget"] == {**transformations.DEFAULT_SCALING, **bounds}
        return
    with pytest.raises(ApiError) as caught:
        configured(scalingTarget=bounds)
    assert str(caught.value.message) == message


def test_merging_replaces_lists_and_clears_with_empty_ones() -> None:
    current = configured(
        primaryContainer={"image": "a", "command": ["x"], "secrets": [{"name": "S", "valueFrom": "arn"}]}
    )
    merged = transformations.merged(current, {"primaryContainer": {"image": "a", "command": [], "secrets": []}})
    assert "command" not in merged["primaryContainer"]
    assert "secrets" not in merged["primaryContainer"]


def test_comparison_ignores_the_order_of_lists_without_order() -> None:
    one = configured(
        networkConfiguration={"subnets": ["a", "b"], "securityGroups": []},
        primaryContainer={"image": "x", "environment": [{"name": "B"}, {"name": "A"}]},
    )
    other = configured(
        networkConfiguration={"subnets": ["b", "a"]},
        primaryContainer={"image": "x", "environment": [{"name": "A"}, {"name": "B"}], "command": []},
    )
    assert transformations.same(one, other)
    assert not transformations.same(one, configured())


def test_names() -> None:
    assert transformations.default_name("public.ecr.aws/nginx/nginx:latest", "1234") == "nginx-1234"
    assert transformations.default_name("localhost:5000/a/b@sha256:0", "1234") == "b-1234"
    assert re.fullmatch(r"ml-0f\.ecs\.eu-west-1\.on\.aws", transformations.endpoint_host("MLflow", "0f", "eu-west-1"))


def test_one_name_cannot_be_environment_and_secret() -> None:
    container = {"environment": [{"name": "A"}], "secrets": [{"name": "A"}]}
    with pytest.raises(ApiError, match="must be unique"):
        transformations.check_unique(container)


def test_definition_excludes_what_it_says() -> None:
    with pytest.raises(ApiError, match="taskDefinitionArn cannot be provided with primaryContainer"):
        transformations.check_definition_alone({"taskDefinitionArn": "x", "cpu": "256"})
    transformations.check_definition_alone({"taskDefinitionArn": "x", "healthCheckPath": "/"})


def test_public_by_own_table_else_by_the_main_one() -> None:
    internet = {"Routes": [{"GatewayId": "local"}, {"GatewayId": "igw-1"}]}
    inside = {"Routes": [{"GatewayId": "local"}]}
    tables = [{**internet, "Associations": [{"Main": True}]}, {**inside, "Associations": [{"SubnetId": "own"}]}]
    assert network.is_public("other", tables)
    assert not network.is_public("own", tables)
    assert not network.is_public("any", [])


def test_service_survives_json() -> None:
    service = Service("arn", "n", "c", "carn", "role", "host")
    service.revisions["r"] = Revision("r", {"a": 1}, color="blue")
    service.deployments.append(Deployment("d", "r"))
    service.managed["alarm"] = ManagedResource("arn", "ACTIVE")
    service.event("1", "hello")
    assert Service.from_json(service.to_json()) == service


def test_active_revisions_newest_first_until_the_deployment_is_over() -> None:
    service = Service("arn", "n", "c", "carn", "role", "host", stable="old", latest="new")
    service.revisions = {name: Revision(name, {}) for name in ("old", "new")}
    service.deployments = [Deployment("d", "new", ["old"], status="IN_PROGRESS")]
    assert [item.arn for item in service.active()] == ["new", "old"]
    service.deployments[0].becomes("ROLLBACK_SUCCESSFUL", "why")
    assert [item.arn for item in service.active()] == ["old"]


def test_tags_of_a_create_request_count_as_the_resources_own() -> None:
    tags = {"aws:requesttag/amazonecsmanaged": "true", "aws:TagKeys": ["AmazonECSManaged"]}
    found = request_context.context_of("elasticloadbalancing", "CreateLoadBalancer", {}, tags)
    assert found == {"aws:ResourceTag/amazonecsmanaged": "true"}
    # … but not where a resource exists already: its own tags decide.
    assert request_context.context_of("elasticloadbalancing", "AddTags", {}, tags) == {}
    assert request_context.context_of("rds", "CreateDBInstance", {}, tags) == {}


def test_resources_that_ministack_does_not_name() -> None:
    def arn(service: str, body: bytes = b"", **params: str) -> str:
        return request_context.resource_of(service, dict(params), body, "us-east-1", "1")

    elb = "arn:aws:elasticloadbalancing:us-east-1:1"
    assert arn("elasticloadbalancing", Action="CreateLoadBalancer", Name="x") == f"{elb}:loadbalancer/app/x/new"
    assert arn("elasticloadbalancing", Action="CreateTargetGroup", Name="x") == f"{elb}:targetgroup/x/new"
    assert arn("elasticloadbalancing", Action="DeleteRule", RuleArn="r") == "r"
    assert arn("elasticloadbalancing", Action="DescribeLoadBalancers") == "*"
    assert arn("acm", b'{"DomainName": "x"}') == "arn:aws:acm:us-east-1:1:certificate/new"
    assert arn("acm", b"{}") == "*"
    assert arn("s3") == "*"


def test_a_task_that_starts_slowly_is_not_replaced_at_its_first_answer() -> None:
    task = SimpleNamespace(arn="made-up")
    task_set: Any = SimpleNamespace(
        ctx=SimpleNamespace(clock=SimpleNamespace(real=lambda seconds: seconds / 60)),
        service=Service("arn", "n", "c", "carn", "role", "host"),
        _since={task.arn: 0.0},
    )
    group, target = TargetGroup("made-up"), Target("127.64.0.1", 5000, 5000)
    group.observe(target, None, 1)
    group.observe(target, None, 2)
    assert target.state == "unhealthy"
    assert not TaskSet._beyond_grace(task_set, task, target, 100)
    group.observe(target, 200, 100)
    assert target.state == "unhealthy"
    assert not TaskSet._beyond_grace(task_set, task, target, 101)
    group.observe(target, None, 102)
    assert not TaskSet._beyond_grace(task_set, task, target, 103)
    assert TaskSet._beyond_grace(task_set, task, target, 101 + SILENT_REAL_SECONDS)


def test_a_task_that_is_being_stopped_is_stopped_although_its_task_set_is_closed() -> None:
    async def scenario() -> None:
        stopped: list[str] = []
        deregistering = asyncio.Event()

        async def deregister(*_unused: Any) -> None:
            deregistering.set()
            await asyncio.sleep(60)

        async def stop_task(arn: str, _reason: str) -> None:
            stopped.append(arn)

        ctx: Any = SimpleNamespace(
            clock=SimpleNamespace(real=lambda seconds: seconds),
        )
        balancer: Any = SimpleNamespace(groups={}, deregister=lambda *_unused: None)
        tasks: Any = SimpleNamespace(stop_task=stop_task)
        target_groups: Any = SimpleNamespace(deregister=deregister)
        make_spec: Any = None
        service = Service("arn", "n", "c", "carn", "role", "host")
        task_set = TaskSet(
            ctx,
            service,
            Revision("r", {}),
            balancer=balancer,
            tasks=tasks,
            target_groups=target_groups,
            make_spec=make_spec,
            add_event=lambda _message: None,
        )
        task_set.tasks["task"] = SimpleNamespace(arn="task", last_status="RUNNING")  # type: ignore[assignment]
        task_set._registered["task"] = ("group", "127.64.0.1", 5000)
        # One task too many; while it leaves its target group, the service is deleted.
        task_set.start()
        await deregistering.wait()
        await task_set.close("The service is deleted.")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert stopped == ["task"]

    asyncio.run(scenario())


def test_a_service_in_the_state_of_an_older_version_is_taken_back() -> None:
    kept = {
        "subnets": ["subnet-1"],
        "zones": ["us-east-1a"],
        "ports": [5000],
        "grace": 77,
        "deployment": {"alarms": {}},
    }
    state = {**Service("arn", "n", "c", "carn", "role", "host").to_json(), "overrides": kept}
    service = Service.from_json(state)
    assert (service.placement.subnets, service.placement.zones) == (["subnet-1"], ["us-east-1a"])
    assert (service.placement.ports, service.placement.log_group, service.placement.shared) == ([5000], "", False)
    assert (service.overrides.grace, service.overrides.deployment) == (77, {"alarms": {}})
    assert service.to_json()["overrides"] == {**kept, "log_group": "", "shared": False}
    assert Service.from_json(service.to_json()) == service
