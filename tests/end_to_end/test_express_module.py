# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Express modules do about what AWS may do to a service, on a local AWS that does it; all at the same time."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from express import INFRASTRUCTURE_POLICY
from express import ExpressAws
from harness import eventually
from page import keep
from together import Together

from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service
from ansible_collections.mlops.mlflow_aws.plugins.modules import resource_ownership

# Where this collection was found is where ansible-playbook shall find it.
COLLECTIONS = Path(ecs_express_service.__file__).parents[5]

# All of them are on the same local AWS.
GROUP = "express"
at_once = Together()


def _answers(cloud: ExpressAws, url: str, text: str) -> bool:
    return cloud.get(url) == (200, text)


@pytest.fixture(scope="module")
def begun(cloud: ExpressAws, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Any]]]:
    """All scenarios of this module."""
    try:
        yield at_once.begin([item.name for item in request.session.items], cloud)
    finally:
        at_once.end()
        cloud.page("faults", "DELETE")


@pytest.mark.known_issue(12)
@at_once
def test_clients_without_login_trip_the_alarm(cloud: ExpressAws) -> None:
    """4xx counts: clients that are refused roll a healthy update back."""
    name = "explained-alarm"
    good = cloud.run(ecs_express_service, cloud.arguments(name, {"TEXT": "good"}))
    assert not good.get("failed"), good["msg"]
    # Time enough for the alarm, whose minutes are short here, on a machine that has much else to do.
    patient = {"deployment_configuration": {"bake_time_in_minutes": 1440}}
    over = threading.Event()

    def visit() -> None:
        with cloud.visitor(good["url"]) as ask:
            while not over.wait(0.01):
                ask()

    visitors = [threading.Thread(target=visit) for _number in range(4)]
    for visitor in visitors:
        visitor.start()
    try:
        result = cloud.run(ecs_express_service, cloud.arguments(name, {"TEXT": "good", "STATUS": "401"}, **patient))
    finally:
        over.set()
        for visitor in visitors:
            visitor.join()
    assert result.get("failed"), result
    keep(
        "Clients are refused during an update",
        "More than 1 % of 4xx and 5xx answers roll an update back, clients that have not logged in included.",
        result["msg"],
    )
    assert "ended as ROLLBACK_SUCCESSFUL" in result["msg"]
    assert "4xx or 5xx" in result["explanation"]["likely_cause"]
    wanted = cloud.arguments(name, {"TEXT": "good", "STATUS": "401"}, rolled_back="fail", **patient)
    again = cloud.run(ecs_express_service, wanted)
    assert "before this run began" in again["msg"], "the roll-back of an earlier run was not recognised"
    keep("The same update again, with `rolled_back: fail`", "", again["msg"])
    cloud.remove(name, ecs_express_service)


@at_once
def test_nobody_outside_the_allowed_networks_is_ever_answered(cloud: ExpressAws) -> None:
    """Somebody asks again and again, from before the service is created until it runs; also when a run is cut off."""
    name = "restricted"
    arn = f"arn:aws:ecs:{cloud.info['region']}:{cloud.info['account_id']}:service/default/{name}"
    over, answers, ready = threading.Event(), set(), threading.Event()

    def ask() -> None:
        url = ""
        while not over.wait(0.02):
            with contextlib.suppress(Exception):
                described = cloud.ecs.describe_express_gateway_service(serviceArn=arn)["service"]
                url = f"https://{described['activeConfigurations'][0]['ingressPaths'][0]['endpoint']}"
                break
        while not over.wait(0.02):
            with contextlib.suppress(OSError):
                answers.add(cloud.get(url))
                ready.set()

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        arguments = {**cloud.arguments(name, {"TEXT": "for the few"}), **cloud.user(name)}
        arguments["allowed_cidrs"] = ["192.0.2.0/24"]
        denied = cloud.order_fault("elbv2:ModifyRule", code="AccessDenied", times=0, subject=f"*:user/{name}")
        cut_off = cloud.run(ecs_express_service, arguments)
        assert "change the service's listener rule" in cut_off["msg"]
        [service] = cloud.ecs.describe_services(services=[name])["services"]
        assert (service["desiredCount"], service["runningCount"], service["pendingCount"]) == (0, 0, 0)
        cloud.page(f"faults/{denied}", "DELETE")
        made = cloud.run(ecs_express_service, arguments)
        assert not made.get("failed"), made["msg"]
        assert made["diff"]["after"]["allowed_cidrs"] == ["192.0.2.0/24"]
        assert made["service"]["scaling_target"]["min_task_count"] == 1
        assert eventually(ready.is_set, "the caller's first answer")
        assert cloud.run(ecs_express_service, arguments)["changed"] is False
    finally:
        over.set()
        caller.join()
    assert cloud.get(made["url"])[0] == 404
    assert {status for status, _text in answers} <= {404, 503}
    assert [text for _status, text in answers if "for the few" in text] == []
    # Those who are admitted are answered.
    wider = {**arguments, "allowed_cidrs": ["127.0.0.0/8", "192.0.2.0/24"]}
    assert cloud.run(ecs_express_service, wider)["diff"] == {
        "before": {"allowed_cidrs": ["192.0.2.0/24"]},
        "after": {"allowed_cidrs": ["127.0.0.0/8", "192.0.2.0/24"]},
    }
    assert cloud.get(made["url"]) == (200, "for the few")
    cloud.remove(name, ecs_express_service)


@at_once
def test_a_service_in_another_cluster_is_found_by_its_tags(cloud: ExpressAws) -> None:
    """At once, and however late the Resource Groups Tagging API is; a deleted one is not."""
    name, tags = "astray", {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "astray"}
    cloud.ecs.create_cluster(clusterName="trial")
    made = cloud.run(ecs_express_service, cloud.arguments(name, cluster="trial", tags=tags, wait=False))
    assert not made.get("failed"), made["msg"]
    asked = {
        "owner_tags": tags,
        "resources": [{"type": "ecs_service", "name": f"default/{name}"}],
        "look_elsewhere": ["ecs_service"],
        "purpose": "delete",
        "variables": {"ecs_service": "mlflow_cluster"},
        "values": {"ecs_service": "default"},
    }
    assert cloud.run(resource_ownership, asked)["msg"] == (
        "Nothing was deleted. mlflow_cluster is 'default', but the service of the deployment 'astray' is in the cluster"
        " 'trial', as its tags say: set mlflow_cluster to trial."
    )
    removed = {"service_name": name, "cluster": "trial", "state": "absent", "wait_delay": 1, "wait_timeout": 600}
    assert not cloud.run(ecs_express_service, removed).get("failed")
    assert cloud.run(resource_ownership, asked)["elsewhere"] == []


@at_once
def test_subnets_in_other_zones_than_the_shared_load_balancer(cloud: ExpressAws) -> None:
    name = "explained-zones"
    first = cloud.run(ecs_express_service, cloud.arguments(f"{name}-first"))
    assert not first.get("failed"), first["msg"]
    have = set(first["service"]["network_configuration"]["subnets"])
    subnets = cloud.client("ec2").describe_subnets()["Subnets"]
    zones = {item["AvailabilityZone"] for item in subnets if item["SubnetId"] in have}
    vpc = next(item["VpcId"] for item in subnets if item["SubnetId"] in have)
    by_zone = {item["AvailabilityZone"]: item["SubnetId"] for item in subnets if item["VpcId"] == vpc}
    other = sorted(by_zone)[: len(zones) - 1]
    assert len(other) >= 2, "the VPC has too few zones for this test"
    result = cloud.run(
        ecs_express_service,
        cloud.arguments(name, network_configuration={"subnets": [by_zone[zone] for zone in other]}),
    )
    assert result.get("failed"), result
    keep(
        "The subnets do not match the shared load balancer",
        "All Express services of a VPC share load balancers, and the first one's Availability Zones are those of all.",
        result["msg"],
    )
    assert "other Availability Zones" in result["explanation"]["likely_cause"]
    assert result["recreated"] is False, "nothing is gained by creating it again"
    for each in (name, f"{name}-first"):
        cloud.remove(each, ecs_express_service)


@at_once
def test_the_architectures_remedy_helps(cloud: ExpressAws) -> None:
    """What the explanation of an image for another processor recommends."""
    name = "explained-arm"
    image = {"image": "docker.io/arm64v8/python:3.11"}
    result = cloud.run(
        ecs_express_service, cloud.arguments(name, {"TEXT": "arm"}, container=image, cpu_architecture="ARM64")
    )
    assert not result.get("failed"), result["msg"]
    assert eventually(lambda: cloud.get(result["url"]) == (200, "arm"), "the answer")
    cloud.remove(name, ecs_express_service)


@pytest.mark.known_issue(6)
@at_once
def test_replace_with_another_role(cloud: ExpressAws) -> None:
    name = "explained-replaced"
    arguments = cloud.arguments(name, {"TEXT": "kept"})
    first = cloud.run(ecs_express_service, arguments)
    other = cloud.role("ecs.amazonaws.com", INFRASTRUCTURE_POLICY)
    refused = cloud.run(ecs_express_service, {**arguments, "infrastructure_role_arn": other})
    assert "cannot be changed" in refused["msg"]
    assert "replace" in refused["msg"]
    minimal = {k: arguments[k] for k in ("service_name", "wait_timeout", "wait_delay")}
    wanted = {**minimal, "infrastructure_role_arn": other, "replace": True}
    checked = cloud.run(ecs_express_service, wanted, check=True)
    assert checked["changed"] is True
    second = cloud.run(ecs_express_service, wanted)
    assert not second.get("failed"), second["msg"]
    assert second["diff"] == checked["diff"]
    assert second["url"] != first["url"]
    assert second["service"]["infrastructure_role_arn"] == other
    assert eventually(lambda: cloud.get(second["url"]) == (200, "kept"), "the answer")
    assert cloud.run(ecs_express_service, wanted)["changed"] is False
    cloud.remove(name, ecs_express_service)


@at_once
def test_task_definition_of_ones_own_and_architecture(cloud: ExpressAws) -> None:
    name = "explained-definition"
    logs = "/explained/definition"
    cloud.client("logs").create_log_group(logGroupName=logs)
    arguments = cloud.arguments(name)
    command = arguments["primary_container"]["command"]

    def define(text: str) -> str:
        options = {"awslogs-group": logs, "awslogs-region": cloud.info["region"], "awslogs-stream-prefix": "own"}
        definition = cloud.ecs.register_task_definition(
            family=name,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            executionRoleArn=cloud.execution,
            containerDefinitions=[
                {
                    "name": "Main",
                    "image": arguments["primary_container"]["image"],
                    "essential": True,
                    "command": command,
                    "environment": [{"name": "TEXT", "value": text}],
                    "portMappings": [{"name": "main", "containerPort": 5000, "protocol": "tcp"}],
                    "logConfiguration": {"logDriver": "awslogs", "options": options},
                }
            ],
        )
        return str(definition["taskDefinition"]["taskDefinitionArn"])

    kept = ("service_name", "infrastructure_role_arn", "health_check_path", "wait_timeout", "wait_delay")
    basic = {k: arguments[k] for k in kept}
    for text in ("one", "two"):
        wanted = {**basic, "task_definition_arn": define(text)}
        assert cloud.run(ecs_express_service, wanted, check=True)["changed"] is True
        result = cloud.run(ecs_express_service, wanted)
        assert not result.get("failed"), result["msg"]
        assert eventually(functools.partial(_answers, cloud, result["url"], text), "the answer")
        assert cloud.run(ecs_express_service, wanted)["changed"] is False
    # Back to a definition that ECS manages, with an architecture.
    managed = {**arguments, "cpu_architecture": "X86_64"}
    managed["primary_container"] = {**arguments["primary_container"], "environment": {"TEXT": "three"}}
    result = cloud.run(ecs_express_service, managed)
    assert not result.get("failed"), result["msg"]
    assert eventually(lambda: cloud.get(result["url"]) == (200, "three"), "the answer")
    assert cloud.run(ecs_express_service, managed)["changed"] is False
    changed = cloud.run(ecs_express_service, {**managed, "cpu_architecture": "ARM64"}, check=True)
    assert changed["diff"]["after"] == {"cpu_architecture": "ARM64"}
    cloud.remove(name, ecs_express_service)


@pytest.mark.known_issue(9)
@at_once
def test_egress_only_group_of_ones_own(cloud: ExpressAws) -> None:
    """The load balancer reaches the tasks through the group that ECS adds; the user's one need not let it in."""
    name = "explained-egress"
    ec2 = cloud.client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    group = ec2.create_security_group(GroupName=name, Description="egress only", VpcId=vpc)["GroupId"]
    arguments = cloud.arguments(name, {"TEXT": "let in"}, network_configuration={"security_groups": [group]})
    result = cloud.run(ecs_express_service, arguments)
    assert not result.get("failed"), result["msg"]
    assert group in result["service"]["network_configuration"]["security_groups"]
    assert len(result["service"]["network_configuration"]["security_groups"]) == 2
    assert eventually(lambda: cloud.get(result["url"]) == (200, "let in"), "the answer")
    assert cloud.run(ecs_express_service, arguments)["changed"] is False
    cloud.remove(name, ecs_express_service)


@at_once
def test_progress_is_shown_while_a_service_is_made_and_changed(cloud: ExpressAws) -> None:
    """By ansible-playbook: the stage, the percentage of traffic, and what is still in the making."""
    name = "explained-progress"
    own = {
        "endpoint_url": cloud.info["endpoint_url"],
        "region": cloud.info["region"],
        "access_key": cloud.info["access_key_id"],
        "secret_key": cloud.info["secret_access_key"],
        "aws_ca_bundle": cloud.info["ca_bundle"],
    }
    # So long that nobody can miss them: half a minute and a quarter of one here.
    times = {"canary_bake_time_in_minutes": 60, "bake_time_in_minutes": 30}
    slow: dict[str, Any] = {"deployment_configuration": times}
    slow["infrastructure_role_arn"] = role = cloud.role("ecs.amazonaws.com", INFRASTRUCTURE_POLICY)
    subject = f"*:assumed-role/{role.rpartition('/')[2]}/*"
    first = {**cloud.arguments(name, {"TEXT": "one"}), **own, **slow}
    second = {**cloud.arguments(name, {"TEXT": "two"}), **own, **slow}
    tasks = [{"mlops.mlflow_aws.ecs_express_service": arguments} for arguments in (first, second)]
    interpreter = {"ansible_python_interpreter": sys.executable}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": interpreter, "tasks": tasks}
    path = cloud.home / "progress.json"
    path.write_text(json.dumps([play]), encoding="utf-8")
    shown = f"^  Express service {name}: "
    making = rf"{shown}.*; still PROVISIONING: .*targetGroups.* \(\d+:\d\d, at AWS usually 6 to 25 minutes\)$"
    output, errors = cloud.home / "progress.txt", ""
    with output.open("w", encoding="utf-8") as stream, contextlib.ExitStack() as held:
        held.enter_context(cloud.held("elbv2:CreateTargetGroup", subject=subject))
        process = subprocess.Popen(
            [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", str(path)],
            env={
                **os.environ,
                "ANSIBLE_HOME": str(cloud.home / "ansible"),
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
                "ANSIBLE_NOCOLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
        )
        alarm = threading.Timer(1200, process.kill)
        alarm.start()
        assert process.stderr is not None
        for line in process.stderr:
            errors += line
            if re.search(making, line):
                held.close()
        alarm.cancel()
    assert process.wait() == 0, output.read_text(encoding="utf-8") + errors
    for pattern in (
        making,
        rf"{shown}.*, 100 % of traffic, 1 of 1 tasks running .*\(\d+:\d\d, ",
        rf"{shown}.*PRODUCTION_TRAFFIC_SHIFT, 5 % of traffic.* \(\d+:\d\d, at AWS usually 93 to 99 minutes\)$",
        rf"{shown}SUCCESSFUL",
    ):
        assert re.search(pattern, errors, re.M), f"{pattern} is not in\n{errors}"
    cloud.remove(name, ecs_express_service)
