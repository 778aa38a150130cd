# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: waits that end, are put off, or outlast an outage."""

from __future__ import annotations

import pytest
from botocore.exceptions import EndpointConnectionError

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import four_steps


@pytest.mark.known_issue(22)
@pytest.mark.parametrize("outcome", ["ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED", "STOPPED"])
def test_failed_update_is_a_failure(run: Run, ecs: FakeEcs, outcome: str) -> None:
    run(full_params())
    ecs.outcome, ecs.reason = outcome, "Service deployment rolled back because of alarm(s) detected"
    result = run(full_params(memory="8192"))
    assert result["failed"]
    assert f"ended as {outcome}" in result["msg"]
    assert ecs.now < 300, "the end of the deployment was not noticed"
    assert ecs.reason in result["msg"]
    assert result["deployment"]["status"] == outcome
    assert result["service_arn"] == ARN


def test_failure_after_wait_false_is_still_seen(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    ecs.outcome, ecs.reason = "ROLLBACK_SUCCESSFUL", "tasks failed to start"
    begun = run(full_params(memory="8192", wait=False))
    assert begun["changed"] is True
    assert begun["deployment"]["target_service_revision_arn"].endswith("/2")
    ecs.now += 1000
    result = run(full_params(memory="8192"))
    assert result["failed"]
    assert "ROLLBACK_SUCCESSFUL" in result["msg"]


def test_wait_false_is_taken_up_by_the_next_run(run: Run, ecs: FakeEcs) -> None:
    run(full_params(wait=False))
    ecs.now += ecs.listed_after
    result = run(full_params())
    assert result["changed"] is False
    assert result["deployment"]["status"] == "SUCCESSFUL"
    begun = run(full_params(memory="8192", wait=False))
    ecs.now += ecs.listed_after
    assert begun["changed"] is True
    result = run(full_params(memory="8192"))
    assert result["changed"] is False, "the update under way was sent again"
    assert result["deployment"]["status"] == "SUCCESSFUL"
    assert ecs.calls["UpdateExpressGatewayService"] == 1


def test_failed_first_deployment_is_tried_again(run: Run, ecs: FakeEcs) -> None:
    ecs.outcome, ecs.reason = "STOPPED", "tasks failed to start"
    assert run(full_params())["failed"]
    ecs.outcome, ecs.reason = "SUCCESSFUL", ""
    result = four_steps(run, ecs, full_params())
    assert result["deployment"]["status"] == "SUCCESSFUL"
    assert ecs.calls["UpdateService"] == 1
    assert ecs.calls["UpdateExpressGatewayService"] == 0


@pytest.mark.parametrize("option", ["wait_timeout", "wait_delay", "stall_timeout"])
def test_no_wait_without_pause_or_end(run: Run, ecs: FakeEcs, option: str) -> None:
    assert f"{option} is 0, but must be" in run(full_params(**{option: 0}))["msg"]
    assert not ecs.calls


@pytest.mark.parametrize(
    "answer", [Answer("ServerException", "Server Exception"), EndpointConnectionError(endpoint_url="x")]
)
def test_outage_during_a_wait_is_tolerated(run: Run, ecs: FakeEcs, answer: Exception) -> None:
    """A wait of twenty minutes must not end because AWS could not be reached for one."""

    def disturb_once(after: float, operation: str) -> None:
        begin = ecs.now + after
        done: list[bool] = []

        def later() -> None:
            if ecs.now >= begin and not done:
                done.append(True)
                ecs.errors[operation] = [answer] * 6

        ecs.on_tick = later

    ecs.ready_after = 120
    disturb_once(10, "ListServiceDeployments")
    result = run(full_params())
    assert not result.get("failed"), result["msg"]
    assert any("AWS is unreachable, still waiting" in line for line in result["progress"])
    disturb_once(10, "DescribeServices")
    result = run({"service_name": "tracking", "state": "absent"})
    assert not result.get("failed"), result["msg"]
    assert any("AWS is unreachable" in line for line in result["progress"])
    assert ecs.services[ARN]["status"] == "INACTIVE"


def test_outage_without_end_is_an_error(run: Run, ecs: FakeEcs) -> None:
    run(full_params(wait=False))
    ecs.now += ecs.listed_after
    ecs.ready_after = 1e6
    ecs.on_tick = lambda: ecs.errors.update(
        {"DescribeServiceDeployments": [Answer("ServerException", "Server Exception")] * 99} if ecs.now > 50 else {}
    )
    result = run(full_params())
    assert "Server Exception" in result["msg"]
    assert 300 <= ecs.now < 450
