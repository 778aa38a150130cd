# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Express modules survive: expired credentials, stuck services, fresh roles, throttling and errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from express import INFRASTRUCTURE_POLICY
from express import ExpressAws
from harness import eventually
from page import keep
from together import Together

from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service

# All of them are on the same local AWS.
GROUP = "express"
at_once = Together()


@pytest.fixture(scope="module")
def begun(cloud: ExpressAws, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Any]]]:
    """All scenarios of this module."""
    try:
        yield at_once.begin([item.name for item in request.session.items], cloud)
    finally:
        at_once.end()
        cloud.page("faults", "DELETE")


@at_once
def test_credentials_that_expire_during_the_wait(cloud: ExpressAws) -> None:
    name = "explained-expired"
    arguments = {**cloud.arguments(name), **cloud.user(name)}
    message = "The security token included in the request is expired"
    expired = {"code": "ExpiredTokenException", "message": message, "subject": f"*:user/{name}"}
    cloud.order_fault("ecs:DescribeServiceDeployments", skip=2, times=0, **expired)
    # There is something to wait for as long as they are valid.
    with cloud.held("balancer:HealthCheck", subject=f"service:{name}"):
        result = cloud.run(ecs_express_service, arguments)
    assert result.get("failed")
    keep("The credentials expire during the wait", "The service goes on without them.", result["msg"])
    assert "The AWS credentials expired" in result["msg"]
    assert "run the same task again" in result["msg"]
    assert result["changed"] is True
    assert result["progress"]
    again = cloud.run(ecs_express_service, cloud.arguments(name))
    assert (again.get("failed"), again["changed"]) == (None, False), again
    assert again["deployment"]["status"] == "SUCCESSFUL"
    cloud.remove(name, ecs_express_service)


def created_again(cloud: ExpressAws, how: str, **more: Any) -> None:
    name = f"explained-stuck-{how}"
    result = cloud.run(ecs_express_service, cloud.arguments(name, {"TEXT": "late"}, **more))
    assert not result.get("failed"), result["msg"]
    assert result["recreated"] is True
    (warning,) = result["warnings"]
    keep(f"A stuck service that is created again ({how})", "This is a warning; the task succeeds.", warning)
    assert eventually(lambda: cloud.get(result["url"]) == (200, "late"), "the answer")
    assert cloud.run(ecs_express_service, cloud.arguments(name, {"TEXT": "late"}))["changed"] is False
    cloud.remove(name, ecs_express_service)


@at_once
def test_silent_stuck_service_is_created_again(cloud: ExpressAws) -> None:
    cloud.order_fault("express:StuckProvisioning", subject="*/explained-stuck-silent")
    created_again(cloud, "silent", stall_timeout=20)


@at_once
def test_denied_stuck_service_is_created_again(cloud: ExpressAws) -> None:
    role = cloud.role("ecs.amazonaws.com", INFRASTRUCTURE_POLICY)
    denied = {"code": "AccessDenied", "message": "not authorized (yet)", "status": 403}
    cloud.order_fault("elbv2:CreateTargetGroup", subject=f"*:assumed-role/{role.rpartition('/')[2]}/*", **denied)
    created_again(cloud, "denied", infrastructure_role_arn=role)


@at_once
def test_roles_of_this_moment_throttling_and_errors_are_lived_with(cloud: ExpressAws) -> None:
    name = "explained-fresh"
    role = cloud.role("ecs.amazonaws.com")
    arguments = {**cloud.arguments(name, infrastructure_role_arn=role), **cloud.user(name)}
    subject = f"*:user/{name}"

    def asked() -> bool:
        calls = cloud.page("calls")["calls"]
        return any(item["api"] == "iam:SimulatePrincipalPolicy" and name in item["principal"] for item in calls)

    def attach_late() -> None:
        eventually(asked, "a question to IAM")
        cloud.iam.attach_role_policy(RoleName=role.rsplit("/", 1)[-1], PolicyArn=INFRASTRUCTURE_POLICY)

    late = threading.Thread(target=attach_late)
    late.start()
    cloud.order_fault("iam:Propagation", subject=role, times=3)
    throttled = {"code": "ThrottlingException", "message": "Rate exceeded"}
    cloud.order_fault("ecs:CreateExpressGatewayService", subject=subject, times=2, **throttled)
    broken = {"code": "ServerException", "message": "Service Unavailable. Please try again later.", "status": 500}
    cloud.order_fault("ecs:DescribeServiceDeployments", subject=subject, times=12, **broken)
    result = cloud.run(ecs_express_service, arguments)
    late.join()
    assert not result.get("failed"), result["msg"]
    assert result["warnings"] == []
    assert any("does not allow it" in line for line in result["progress"]), result["progress"]
    assert any("still waiting" in line for line in result["progress"]), result["progress"]
    cloud.remove(name, ecs_express_service)
