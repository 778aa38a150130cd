# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: attributes that only a replacement changes."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import NEW_ROLE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import four_steps


@pytest.mark.known_issue(6)
def test_infrastructure_role_is_immutable(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    result = run(full_params(infrastructure_role_arn="arn:aws:iam::123456789012:role/new"))
    assert result["failed"]
    assert "infrastructure_role_arn" in result["msg"]
    assert "replace" in result["msg"]


@pytest.mark.parametrize(
    ("group", "kept"), [("/aws/ecs/default/tracking-1234", False), ("/ecs/default/tracking", True)]
)
def test_replace_leaves_the_log_group_of_ecs_to_ecs(run: Run, ecs: FakeEcs, group: str, kept: bool) -> None:
    """ECS does not make a log group that it is asked for by name."""
    params = full_params()
    params["primary_container"]["aws_logs_configuration"]["log_group"] = group
    run(params)
    role = "arn:aws:iam::123456789012:role/other"
    ecs.roles["other"] = dict(ecs.roles["infrastructure"])
    run({"service_name": "tracking", "infrastructure_role_arn": role, "replace": True, "wait": False})
    assert ecs.calls["CreateExpressGatewayService"] == 2
    assert ("awsLogsConfiguration" in ecs.sent["CreateExpressGatewayService"]["primaryContainer"]) is kept


def test_replace_takes_over_what_was_not_given(run: Run, ecs: FakeEcs) -> None:
    first = run(full_params())
    new_role = "arn:aws:iam::123456789012:role/new"
    ecs.roles["new"] = dict(ecs.roles["infrastructure"])
    params = {"service_name": "tracking", "infrastructure_role_arn": new_role, "replace": True}
    result = four_steps(run, ecs, params)
    assert ecs.calls["DeleteExpressGatewayService"] == 1
    sent = ecs.sent["CreateExpressGatewayService"]
    assert sent["infrastructureRoleArn"] == new_role
    assert sent["primaryContainer"]["image"] == "example.com/app:1"
    assert sent["networkConfiguration"]["securityGroups"] == ["sg-mine"], "ECS's own group was asked for"
    assert sent["tags"] == [{"key": "team", "value": "research"}]
    assert result["endpoint"] != first["endpoint"]


@pytest.mark.parametrize("why", ["unknown", "distrusted", "incomplete"])
def test_replace_gives_up_no_service_that_could_not_be_made_again(run: Run, ecs: FakeEcs, why: str) -> None:
    run(full_params())
    params: dict[str, Any] = {"service_name": "tracking", "replace": True, "infrastructure_role_arn": NEW_ROLE}
    if why == "distrusted":
        ecs.roles["new"] = {"AssumeRolePolicyDocument": "ecs-tasks.amazonaws.com"}
    elif why == "incomplete":
        ecs.roles["new"] = dict(ecs.roles["infrastructure"])
        del ecs.revisions[ecs.services[ARN]["_revisions"][-1]]["_config"]["executionRoleArn"]
    result = run(params)
    assert result["failed"]
    expected = {"unknown": "does not know it", "distrusted": "does not trust", "incomplete": "execution_role_arn"}
    assert expected[why] in result["msg"]
    assert result["changed"] is False
    assert ecs.services[ARN]["status"] == "ACTIVE"
    assert ecs.calls["DeleteExpressGatewayService"] == 0


@pytest.mark.known_issue(6)
def test_another_name_is_another_service(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    assert run(full_params(service_name="renamed"))["service_arn"] == f"{ACCOUNT}:service/default/renamed"
    assert ecs.services[ARN]["status"] == "ACTIVE"
    assert "service_name is 'no good'" in run(full_params(service_name="no good"), check=True)["msg"]
