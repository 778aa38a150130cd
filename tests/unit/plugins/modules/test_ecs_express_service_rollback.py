# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: a rollback that no run waited for."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run


def roll_back_unseen(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    ecs.outcome, ecs.reason = "ROLLBACK_SUCCESSFUL", "tasks failed to start"
    run(full_params(memory="8192", wait=False))
    ecs.now += 1000
    ecs._tick()
    ecs.outcome, ecs.reason = "SUCCESSFUL", ""


@pytest.mark.known_issue(22)
def test_unseen_rollback_is_reported_and_the_update_repeated(run: Run, ecs: FakeEcs) -> None:
    roll_back_unseen(run, ecs)
    for check in (True, False):
        result = run(full_params(memory="8192"), check=check)
        assert result["changed"] is True
        assert "ended as ROLLBACK_SUCCESSFUL before this run began" in result["warnings"][0]
        assert "tasks failed to start" in result["warnings"][0]
        assert result["rolled_back"]["status"] == "ROLLBACK_SUCCESSFUL"
    assert ecs.calls["UpdateExpressGatewayService"] == 2
    assert "warnings" not in run(full_params(memory="8192"))


def test_unseen_rollback_fails_if_asked_for(run: Run, ecs: FakeEcs) -> None:
    roll_back_unseen(run, ecs)
    result = run(full_params(memory="8192", rolled_back="fail"))
    assert result["failed"]
    assert result["changed"] is False
    assert "ended as ROLLBACK_SUCCESSFUL before this run began" in result["msg"]
    assert "tasks failed to start" in result["msg"]
    assert "set rolled_back to retry" in result["msg"]
    named = run(full_params(memory="8192", rolled_back="fail", variables={"rolled_back": "mlflow_rolled_back"}))
    assert "set mlflow_rolled_back to retry" in named["msg"]
    assert ecs.calls["UpdateExpressGatewayService"] == 1
    assert run(full_params(memory="8192", rolled_back="fail", force_new_deployment=True))["changed"] is True


def test_another_description_after_a_rollback_is_no_retry(run: Run, ecs: FakeEcs) -> None:
    roll_back_unseen(run, ecs)
    result = run(full_params(memory="6144", rolled_back="fail"))
    assert not result.get("failed"), result["msg"]
    assert "warnings" not in result


def test_rollback_that_cannot_be_compared_is_told_all_the_same(run: Run, ecs: FakeEcs) -> None:
    roll_back_unseen(run, ecs)
    ecs.errors["DescribeTaskDefinition"] = [Answer("AccessDeniedException", "not authorized")]
    result = run(full_params(memory="8192"))
    assert "perhaps of what this task describes" in result["warnings"][0]
