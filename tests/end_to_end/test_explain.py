# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Express modules say when something goes wrong, on a local AWS where it really does.

With WRITE_TROUBLESHOOTING=1 (make troubleshooting) what they said is written into docs/troubleshooting.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import pytest
from express import INFRASTRUCTURE_POLICY
from express import ExpressAws
from harness import ROOT
from harness import eventually

from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info

PAGE = ROOT / "docs" / "troubleshooting.md"
BEGIN = "<!-- explanations: begin (written by make troubleshooting) -->"
END = "<!-- explanations: end -->"

said: dict[str, str] = {}


@pytest.fixture(scope="module")
def cloud() -> Iterator[ExpressAws]:
    """A local AWS for this module, faster than that of the other tests."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    aws = ExpressAws(home)
    try:
        aws.up()
        yield aws
    finally:
        aws.down()
        shutil.rmtree(home)
    if os.environ.get("WRITE_TROUBLESHOOTING"):
        write_page()


@pytest.fixture(autouse=True)
def _no_faults(cloud: ExpressAws) -> Iterator[None]:
    cloud.page("faults", "DELETE")
    yield
    cloud.page("faults", "DELETE")


@dataclass(frozen=True)
class Case:
    """Something that goes wrong with a new service.

    :arg title: for the page.
    :arg why: for the page, a sentence: when it happens.
    :arg cause: what the line "Likely cause" must say.
    :arg expect: regular expressions that the message must hold, in this order.
    """

    name: str
    title: str
    why: str
    cause: str
    expect: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    arrange: Callable[[ExpressAws], dict[str, Any]] = lambda cloud: {}


def missing_secret(cloud: ExpressAws) -> dict[str, Any]:
    """A secret that is there, and an execution role that may not read it."""
    secret = cloud.client("secretsmanager").create_secret(Name="explained/token", SecretString='{"token": "unread"}')
    return {"container": {"secrets": {"TOKEN": f"{secret['ARN']}:token::"}}}


def no_capacity(cloud: ExpressAws) -> dict[str, Any]:
    cloud.order_fault("tasks:Capacity", subject="*explained-capacity", times=0)
    return {}


def role_without_policy(cloud: ExpressAws) -> dict[str, Any]:
    return {"infrastructure_role_arn": cloud.role("ecs.amazonaws.com"), "recreate_stuck": False}


def silent(cloud: ExpressAws) -> dict[str, Any]:
    cloud.order_fault("express:wedge", subject="*/explained-silent")
    return {"recreate_stuck": False}


CASES = [
    Case(
        "image",
        "The image cannot be pulled",
        "A typing error in the image's name or tag, or a registry that the subnets have no way to.",
        "the image cannot be pulled",
        (r"ECS says: deployment ROLLBACK_FAILED", r"Task: .*CannotPullContainerError"),
        container={"image": "example.com/app:1"},
    ),
    Case(
        "crash",
        "The container ends by itself",
        "The end of the container's log says why.",
        "the container ends by itself",
        (r"Task: .*container Main: exit code 3", r"Last lines of the log", r"  KeyError: 'SETTINGS'"),
        {"CRASH": "3", "SAY": "reading the settings\nTraceback (most recent call last):\nKeyError: 'SETTINGS'"},
    ),
    Case(
        "architecture",
        "The image is for another processor",
        "An image built on an ARM machine, run on X86_64. (The local AWS has no other processors: here the container "
        "just says what the real one says.)",
        "the image is built for another processor architecture",
        (r"exit code 255", r"exec format error"),
        {"CRASH": "255", "SAY": "exec /usr/local/bin/mlflow: exec format error"},
    ),
    Case(
        "secret",
        "A secret cannot be read",
        "The execution role lacks the permission, or there is no such secret.",
        "the execution role cannot read one of the secrets",
        (r"Task: .*ResourceInitializationError", r"secretsmanager:GetSecretValue"),
        arrange=missing_secret,
    ),
    Case(
        "log-group",
        "The log group is missing",
        "A log group of one's own must exist before the service.",
        "the container's log group is missing or the execution role may not write to it",
        (r"Task: .*log group does not exist",),
        container={"aws_logs_configuration": {"log_group": "/not/there", "log_stream_prefix": "x"}},
    ),
    Case(
        "database",
        "The database cannot be reached",
        "The container says so in its log before it ends, MLflow in these words.",
        "the container cannot reach or log in to its database",
        (r"exit code 1", r"Connection refused"),
        {
            "CRASH": "1",
            "SAY": "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server at "
            '"mlflow.c0ffee.us-east-1.rds.amazonaws.com" (10.0.0.7), port 5432 failed: Connection refused',
        },
    ),
    Case(
        "path",
        "The health check path does not exist",
        "Each target must answer 200 on it.",
        "the health check path does not exist in the container",
        (r"Health: target .*health check path /health.*codes: \[404\]|Event: .*404",),
        {"HEALTH": "404"},
    ),
    Case(
        "login",
        "The health check path wants a login",
        "The load balancer's checks have none.",
        "the health check is answered with 401 or 403",
        (r"\[401\]",),
        {"HEALTH": "401"},
    ),
    Case(
        "error",
        "The server has an error of its own",
        "",
        "the container answers the health check with a server error",
        (r"\[500\]",),
        {"HEALTH": "500"},
    ),
    Case(
        "slow",
        "The server answers too slowly",
        "A health check waits for 5 seconds.",
        "the container does not answer the load balancer in time",
        (r"Target\.Timeout|timed out",),
        {"SLOW": "8"},
    ),
    Case(
        "port",
        "The server listens on another port",
        "",
        "the container does not pass the load balancer's health check",
        (),
        {"PORT": "8080"},
    ),
    Case(
        "memory",
        "The task outgrows its memory",
        "",
        "the container needs more memory than the task has",
        (r"OutOfMemory",),
        {"HOARD": "700"},
    ),
    Case(
        "capacity",
        "AWS has no capacity",
        "",
        "AWS has no Fargate capacity for the task now",
        (r"Capacity is unavailable",),
        arrange=no_capacity,
    ),
    Case(
        "denied",
        "The infrastructure role has no policy",
        "ECS is denied a call and does not repeat it. By default the module deletes such a service and creates it "
        "again, once (`recreate_stuck`); here it was told not to.",
        "the infrastructure role was not allowed to make the service's resources",
        (r"ECS was denied what it needs and does not try again", r"not authorized to perform"),
        arrange=role_without_policy,
    ),
    Case(
        "silent",
        "Nothing happens at all",
        "As users report it: all resources stay PROVISIONING for ever, and nothing says why. The module takes a "
        "service for stuck after `stall_timeout` seconds (here 20, at AWS 900).",
        "ECS has given the service up",
        (r"Nothing has moved for \d+ s and no task was ever started",),
        arrange=silent,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_explanation(cloud: ExpressAws, case: Case) -> None:
    arranged = case.arrange(cloud)
    container = {**case.container, **arranged.pop("container", {})}
    name = f"explained-{case.name}"
    result = cloud.run(
        ecs_express_service,
        cloud.arguments(name, case.environment, container=container, **{**case.more, **arranged}),
    )
    assert result.get("failed"), result
    message = result["msg"]
    keep(case.title, case.why, message)
    assert case.cause in result["explanation"]["likely_cause"], message
    position = 0
    for pattern in (*case.expect, r"\nLikely cause: ", r"\nRemedy: "):
        found = re.compile(pattern).search(message, position)
        assert found, f"{pattern} is not where it belongs in\n{message}"
        position = found.start()
    assert result["changed"] is True
    # On its own, too, as long as there is something to be seen.
    (service,) = cloud.run(ecs_express_service_info, {"service_name": name, "explain": True})["services"]
    assert service["explanation"]["says"]
    assert "unread" not in json.dumps(result)
    cloud.remove(name, ecs_express_service)


def test_trap_12_clients_without_login_trip_the_alarm(cloud: ExpressAws) -> None:
    """4xx counts: clients that are refused roll a healthy update back."""
    name = "explained-alarm"
    good = cloud.run(ecs_express_service, cloud.arguments(name, {"TEXT": "good"}))
    assert not good.get("failed"), good["msg"]
    over = threading.Event()

    def visit() -> None:
        while not over.wait(0.02):
            cloud.get(good["url"])

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        result = cloud.run(ecs_express_service, cloud.arguments(name, {"TEXT": "good", "STATUS": "401"}))
    finally:
        over.set()
        visitor.join()
    assert result.get("failed"), result
    keep(
        "Clients are refused during an update",
        "More than 1 % of 4xx and 5xx answers roll an update back, clients that have not logged in included.",
        result["msg"],
    )
    assert "ended as ROLLBACK_SUCCESSFUL" in result["msg"]
    assert "4xx or 5xx" in result["explanation"]["likely_cause"]
    again = cloud.run(ecs_express_service, cloud.arguments(name, {"TEXT": "good", "STATUS": "401"}, rolled_back="fail"))
    assert "before this run began" in again["msg"], "the roll-back of an earlier run was not recognised"
    keep("The same update again, with `rolled_back: fail`", "", again["msg"])
    cloud.remove(name, ecs_express_service)


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


def test_credentials_that_expire_during_the_wait(cloud: ExpressAws) -> None:
    name = "explained-expired"
    message = "The security token included in the request is expired"
    cloud.order_fault("ecs:DescribeServiceDeployments", code="ExpiredTokenException", message=message, skip=2, times=0)
    result = cloud.run(ecs_express_service, cloud.arguments(name))
    assert result.get("failed")
    keep("The credentials expire during the wait", "The service goes on without them.", result["msg"])
    assert "The AWS credentials expired" in result["msg"]
    assert "run the same task again" in result["msg"]
    assert result["changed"] is True
    assert result["progress"]
    cloud.page("faults", "DELETE")
    again = cloud.run(ecs_express_service, cloud.arguments(name))
    assert (again.get("failed"), again["changed"]) == (None, False), again
    assert again["deployment"]["status"] == "SUCCESSFUL"
    cloud.remove(name, ecs_express_service)


@pytest.mark.parametrize("how", ["silent", "denied"])
def test_stuck_service_is_created_again(cloud: ExpressAws, how: str) -> None:
    name = f"explained-stuck-{how}"
    if how == "silent":
        cloud.order_fault("express:wedge", subject=f"*/{name}")
    else:
        cloud.order_fault("elbv2:CreateTargetGroup", code="AccessDenied", message="not authorized (yet)", status=403)
    result = cloud.run(ecs_express_service, cloud.arguments(name, {"TEXT": "late"}))
    assert not result.get("failed"), result["msg"]
    assert result["recreated"] is True
    (warning,) = result["warnings"]
    keep(f"A stuck service that is created again ({how})", "This is a warning; the task succeeds.", warning)
    assert eventually(lambda: cloud.get(result["url"]) == (200, "late"), "the answer")
    assert cloud.run(ecs_express_service, cloud.arguments(name, {"TEXT": "late"}))["changed"] is False
    cloud.remove(name, ecs_express_service)


def test_roles_of_this_moment_and_throttling_are_lived_with(cloud: ExpressAws) -> None:
    name = "explained-fresh"
    role = cloud.role("ecs.amazonaws.com")
    cloud.page("calls", "DELETE")

    def attach_late() -> None:
        asked = "iam:SimulatePrincipalPolicy"
        eventually(lambda: cloud.page("calls")["counts"].get(asked), "a question to IAM")
        cloud.iam.attach_role_policy(RoleName=role.rsplit("/", 1)[-1], PolicyArn=INFRASTRUCTURE_POLICY)

    late = threading.Thread(target=attach_late)
    late.start()
    cloud.order_fault("iam:Propagation", subject=role, times=3)
    cloud.order_fault("ecs:CreateExpressGatewayService", code="ThrottlingException", message="Rate exceeded", times=2)
    result = cloud.run(ecs_express_service, cloud.arguments(name, infrastructure_role_arn=role))
    late.join()
    assert not result.get("failed"), result["msg"]
    assert result["warnings"] == []
    assert any("does not allow it" in line for line in result["progress"]), result["progress"]
    cloud.remove(name, ecs_express_service)


def test_trap_06_replace_with_another_role(cloud: ExpressAws) -> None:
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
        assert eventually(lambda url=result["url"], text=text: cloud.get(url) == (200, text), "the answer")
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


def test_trap_09_egress_only_group_of_ones_own(cloud: ExpressAws) -> None:
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


# ---- the page


def keep(title: str, why: str, message: str) -> None:
    said[title] = f"## {title}\n\n" + (f"{why}\n\n" if why else "") + f"```text\n{message}\n```\n"


def write_page() -> None:
    """Put what was said between the marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    head, _unused, rest = page.partition(BEGIN)
    present, _unused, tail = rest.partition(END)
    # What this run did not come to stays as it was.
    found = re.split(r"^## (.*)$", present, flags=re.M)[1:]
    sections = {title: f"## {title}{text.rstrip()}\n" for title, text in zip(found[::2], found[1::2], strict=True)}
    sections.update(said)
    PAGE.write_text(f"{head}{BEGIN}\n\n" + "\n".join(sections.values()) + f"\n{END}{tail}", encoding="utf-8")
