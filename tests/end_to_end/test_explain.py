# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Express modules say when something goes wrong, on a local AWS where it really does.

All of it goes wrong at the same time. With WRITE_TROUBLESHOOTING=1 (make troubleshooting) what the modules said is
written into docs/troubleshooting.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import pytest
from conftest import IMAGE as MLFLOW
from express import ExpressAws
from page import keep

from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info

CONNECT = """
import psycopg2, sys
sys.tracebacklimit = 0
psycopg2.connect(host="127.0.0.1", port=1, user="mlflow", dbname="mlflow", connect_timeout=60)
"""
SMALL_MLFLOW = ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"]
SMALL_MLFLOW += ["--backend-store-uri", "sqlite:///mlflow.db"]


@dataclass(frozen=True)
class Case:
    """Something that goes wrong with a new service.

    :arg title: for the page.
    :arg why: for the page, a sentence: when it happens.
    :arg cause: what the line "Likely cause" must say.
    :arg expect: regular expressions that the message must hold, in this order.
    :arg remedy: what the line "Remedy" must say, in this service's numbers and names.
    :arg fault: what is ordered for the service: name, and further fields.
    """

    name: str
    title: str
    why: str
    cause: str
    expect: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    fault: tuple[str, dict[str, Any]] | None = None
    arrange: Callable[[ExpressAws], dict[str, Any]] = lambda cloud: {}
    remedy: str = ""

    @property
    def service(self) -> str:
        """The service's name."""
        return f"explained-{self.name}"


def missing_secret(cloud: ExpressAws) -> dict[str, Any]:
    """A secret that is there, and an execution role that may not read it."""
    secret = cloud.client("secretsmanager").create_secret(Name="explained/token", SecretString='{"token": "unread"}')
    return {"container": {"secrets": {"TOKEN": f"{secret['ARN']}:token::"}}}


def role_without_policy(cloud: ExpressAws) -> dict[str, Any]:
    return {"infrastructure_role_arn": cloud.role("ecs.amazonaws.com"), "recreate_stuck": False}


CASES = [
    Case(
        "image",
        "The image cannot be pulled",
        "A typing error in the image's name or tag, or a registry that the subnets have no way to.",
        "the image cannot be pulled",
        (r"ECS says: deployment ROLLBACK_FAILED", r"Task: .*CannotPullContainerError"),
        container={"image": "example.com/app:1"},
        remedy="name and tag (example.com/app:1)",
    ),
    Case(
        "registry",
        "The registry wants a login",
        "",
        "the image cannot be pulled",
        (r"Task: .*CannotPullContainerError: .*pull access denied",),
        container={"image": "private.example.com/python:3.11"},
        fault=("tasks:Pull", {"subject": "private.example.com/*", "times": 0}),
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
        "exit",
        "The container ends after a while",
        "Here by the fault `tasks:Exit`.",
        "the container ends by itself",
        (r"Task: .*container Main: exit code 7", r"Last lines of the log", r"  lost the lease"),
        fault=("tasks:Exit", {"message": "lost the lease", "data": {"code": 7}, "times": 0}),
    ),
    Case(
        "architecture",
        "The image is for another processor",
        "An image built on an ARM machine, run on X86_64. (The local AWS has one processor only; it tells images for "
        "another one by Docker Hub's namespaces `arm64v8` and `amd64`, and ends their containers as Fargate does.)",
        "the image is built for another processor architecture",
        (r"exit code 255", r"exec /usr/local/bin/python: exec format error"),
        container={"image": "docker.io/arm64v8/python:3.11"},
    ),
    Case(
        "secret",
        "A secret cannot be read",
        "The execution role lacks the permission, or there is no such secret.",
        "the execution role cannot read one of the secrets",
        (r"Task: .*ResourceInitializationError", r"secretsmanager:GetSecretValue"),
        arrange=missing_secret,
        remedy="secret:explained/token-",
    ),
    Case(
        "log-group",
        "The log group is missing",
        "A log group of one's own must exist before the service.",
        "the container's log group is missing or the execution role may not write to it",
        (r"Task: .*log group does not exist",),
        container={"aws_logs_configuration": {"log_group": "/not/there", "log_stream_prefix": "x"}},
        remedy="create the log group /not/there before",
    ),
    Case(
        "database",
        "The database cannot be reached",
        "PostgreSQL's client says so in the container's log before it ends.",
        "the container cannot reach or log in to its database",
        (r"exit code 1", r"psycopg2.OperationalError: connection to server .* failed: Connection refused"),
        container={"image": MLFLOW, "command": ["python", "-c", CONNECT]},
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
        "the health check is answered with 401: the path needs a login",
        (r"\[401\]",),
        fault=("balancer:HealthCheck", {"data": {"status": 401}, "times": 0}),
    ),
    Case(
        "host",
        "The server refuses the host name",
        "MLflow with `--allowed-hosts`, and a health check path other than `/health`, which alone is exempt.",
        "the server refuses the host name it is called by",
        (r"\[403\]", r"Rejected request with invalid Host header"),
        {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        {"image": MLFLOW, "command": [*SMALL_MLFLOW, "--allowed-hosts", "tracking.example.com"]},
        {"health_check_path": "/", "cpu": "1024", "memory": "2048"},
        remedy="/health for MLflow, not /)",
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
        fault=("balancer:HealthCheck", {"data": {"timeout": True}, "times": 0}),
    ),
    Case(
        "port",
        "The server listens on another port",
        "Nothing answers, so ECS waits long before it gives up; here the wait ended before.",
        "the container does not pass the load balancer's health check",
        (r"not ready after 90 s",),
        {"PORT": "8080"},
        more={"wait_timeout": 90},
        remedy="container_port (5000)",
    ),
    Case(
        "memory",
        "The task outgrows its memory",
        "",
        "the container needs more memory than the task has",
        (r"OutOfMemory",),
        {"HOARD": "700"},
        remedy="used all of its 512 MiB (cpu 256): set memory to 1024 or more",
    ),
    Case(
        "capacity",
        "AWS has no capacity",
        "",
        "AWS has no Fargate capacity for the task now",
        (r"Capacity is unavailable",),
        fault=("tasks:Capacity", {"times": 0}),
    ),
    Case(
        "denied",
        "The infrastructure role has no policy",
        "ECS is denied a call and does not repeat it. By default the module deletes such a service and creates it "
        "again, once (`recreate_stuck`); here it was told not to.",
        "the infrastructure role was not allowed to make the service's resources",
        (r"ECS was denied what it needs and does not try again", r"not authorized to perform"),
        # IAM is asked for the role's policy as long as the wait may last, a minute at most.
        more={"wait_timeout": 30},
        arrange=role_without_policy,
    ),
    Case(
        "silent",
        "Nothing happens at all",
        "As users report it: all resources stay PROVISIONING for ever, and nothing says why. The module takes a "
        "service for stuck after `stall_timeout` seconds (here 20, at AWS 900).",
        "ECS has given the service up",
        (r"No progress for \d+ s and no task was ever started",),
        more={"recreate_stuck": False, "stall_timeout": 20},
        fault=("express:StuckProvisioning", {"subject": "*/explained-silent"}),
    ),
]


# As causes.py says it.
UNFINISHED = "ECS has not finished making the service's resources; the first service of a VPC takes 10 to 25 minutes"


def _parameters(item: pytest.Item) -> dict[str, Any]:
    return getattr(getattr(item, "callspec", None), "params", {})


def _is_case(item: pytest.Item) -> bool:
    return item.path == Path(__file__) and "case" in _parameters(item)


@pytest.fixture(scope="module")
def begun(cloud: ExpressAws, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[tuple[Any, Any]]]]:
    """All the cases that were chosen, on their way: what the module says, and what the other one says of it."""
    chosen = {_parameters(item)["case"].name for item in request.session.items if _is_case(item)}
    cases = [case for case in CASES if case.name in chosen]
    if any(MLFLOW in str(case.container) for case in cases):
        cloud.prepare(MLFLOW)

    def go(case: Case) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        arranged = case.arrange(cloud)
        if case.fault:
            what, fields = case.fault
            cloud.order_fault(what, **{"subject": f"service:{case.service}", **fields})
        container = {**case.container, **arranged.pop("container", {})}
        arguments = cloud.arguments(case.service, case.environment, container=container, **{**case.more, **arranged})
        result = cloud.run(ecs_express_service, arguments)
        while result["explanation"]["likely_cause"] == UNFINISHED:
            # On a busy machine the first wait may end too early. The message says: wait longer (run again).
            result = {**cloud.run(ecs_express_service, arguments), "changed": result["changed"]}
        # On its own, too, as long as there is something to be seen.
        info = cloud.run(ecs_express_service_info, {"service_name": case.service, "explain": True})
        cloud.remove(case.service, ecs_express_service)
        return result, info["services"]

    with ThreadPoolExecutor(len(CASES)) as threads:
        yield {case.name: threads.submit(go, case) for case in cases}
    cloud.page("faults", "DELETE")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_explanation(begun: dict[str, Future[tuple[Any, Any]]], case: Case) -> None:
    result, services = begun[case.name].result()
    assert result.get("failed"), result
    message = result["msg"]
    assert case.cause in result["explanation"]["likely_cause"], message
    position = 0
    for pattern in (*case.expect, r"\nLikely cause: ", r"\nRemedy: "):
        found = re.compile(pattern).search(message, position)
        assert found, f"{pattern} is not where it belongs in\n{message}"
        position = found.start()
    assert case.remedy in result["explanation"]["remedy"]
    keep(case.title, case.why, message)
    assert result["changed"] is True
    assert len(result["explanation"]["log"]) <= 20
    (service,) = services
    assert service["explanation"]["says"]
    assert "unread" not in json.dumps([result, services])
