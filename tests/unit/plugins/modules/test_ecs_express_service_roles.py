# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: roles that are new, missing or not allowed enough."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run

FRESH = {
    "trust": Answer("AccessDeniedException", "Cannot assume role arn:aws:iam::1:role/x"),
    "sts": Answer("AccessDeniedException", "ecs is not authorized to perform: sts:AssumeRole on resource x"),
    "keys": Answer("ClientException", "AWS was not able to validate the provided access credentials"),
    "slr": Answer(
        "InvalidParameterException",
        "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
    ),
}


@pytest.mark.known_issue(21)
@pytest.mark.parametrize("answer", FRESH.values(), ids=FRESH)
def test_fresh_roles_are_awaited(run: Run, ecs: FakeEcs, answer: Answer) -> None:
    ecs.errors["CreateExpressGatewayService"] = [answer] * 3
    assert run(full_params())["changed"] is True
    assert ecs.calls["CreateExpressGatewayService"] == 4


def test_fresh_roles_are_awaited_within_a_bound(run: Run, ecs: FakeEcs) -> None:
    ecs.errors["CreateExpressGatewayService"] = [FRESH["trust"]] * 1000
    result = run(full_params())
    assert "Cannot assume role" in result["msg"]
    assert 240 <= ecs.now <= 260


def test_missing_permission_is_not_awaited(run: Run, ecs: FakeEcs) -> None:
    text = "User: x is not authorized to perform: ecs:CreateExpressGatewayService on resource: y"
    ecs.errors["CreateExpressGatewayService"] = [Answer("AccessDeniedException", text)]
    assert text in run(full_params())["msg"]
    assert ecs.calls["CreateExpressGatewayService"] == 1


@pytest.mark.known_issue(21)
def test_creation_waits_for_a_new_role(run: Run, ecs: FakeEcs) -> None:
    ecs.roles["infrastructure"]["CreateDate"] = ecs.moment()
    ecs.allowed_at = 20.0
    result = run(full_params())
    assert not result.get("failed"), result["msg"]
    assert any("does not allow it elasticloadbalancing:DescribeLoadBalancers" in line for line in result["progress"])
    assert ecs.calls["SimulatePrincipalPolicy"] >= 3
    assert "warnings" not in result


@pytest.mark.parametrize(("age", "polls"), [(0, 3), (9, 2), (10, 1), (600, 1)])
def test_only_a_role_made_moments_ago_is_confirmed_again(run: Run, ecs: FakeEcs, age: int, polls: int) -> None:
    ecs.roles["infrastructure"]["CreateDate"] = ecs.moment() - timedelta(seconds=age)
    assert run(full_params())["changed"] is True
    assert ecs.calls["SimulatePrincipalPolicy"] == polls


def test_role_that_is_never_allowed_is_a_warning(run: Run, ecs: FakeEcs) -> None:
    ecs.allowed_at = 1e9
    result = run(full_params())
    assert not result.get("failed"), result["msg"]
    assert "AmazonECSInfrastructureRoleforExpressGatewayServices" in result["warnings"][0]


def test_missing_service_linked_role_is_a_warning(run: Run, ecs: FakeEcs) -> None:
    del ecs.roles["AWSServiceRoleForElasticLoadBalancing"]
    (warning,) = run(full_params())["warnings"]
    assert "--aws-service-name elasticloadbalancing.amazonaws.com" in warning


@pytest.mark.parametrize("operation", ["GetRole", "SimulatePrincipalPolicy"])
def test_caller_who_may_not_ask_creates_all_the_same(run: Run, ecs: FakeEcs, operation: str) -> None:
    ecs.errors[operation] = [Answer("AccessDenied", "not authorized")]
    result = run(full_params())
    assert not result.get("failed"), result["msg"]
    assert any(f"may not call iam:{operation}" in line for line in result["progress"])
    assert "warnings" not in result


def test_infrastructure_role_that_does_not_trust_ecs(run: Run, ecs: FakeEcs) -> None:
    ecs.roles["infrastructure"]["AssumeRolePolicyDocument"] = "ecs-tasks.amazonaws.com"
    (warning,) = run(full_params())["warnings"]
    assert "does not trust ecs.amazonaws.com" in warning


def test_check_mode_asks_nothing_of_iam(run: Run, ecs: FakeEcs) -> None:
    ecs.roles.clear()
    assert "warnings" not in run(full_params(), check=True)
