# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: a service that ECS has given up."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import INFRASTRUCTURE_ROLE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run


def stuck_params(**changes: Any) -> dict[str, Any]:
    return full_params(wait_timeout=3600, **changes)


def test_silent_stuck_service_is_created_again(run: Run, ecs: FakeEcs) -> None:
    ecs.stuck_services = 1
    result = run(stuck_params())
    assert not result.get("failed"), result["msg"]
    assert result["recreated"] is True
    assert result["deployment"]["status"] == "SUCCESSFUL"
    assert ecs.calls["DeleteExpressGatewayService"] == 1
    assert ecs.calls["CreateExpressGatewayService"] == 2
    (warning,) = result["warnings"]
    assert "was stuck" in warning
    assert "created again, once" in warning
    assert 900 <= ecs.now < 1300
    assert any("still PROVISIONING: loadBalancer" in line for line in result["progress"])
    assert run(stuck_params())["changed"] is False


def test_denied_resource_is_noticed_at_once(run: Run, ecs: FakeEcs) -> None:
    deny_resources(ecs, "User: arn is not authorized to perform: elasticloadbalancing:CreateLoadBalancer")
    ecs.stuck_services = 1
    result = run(stuck_params())
    assert result["recreated"] is True
    assert ecs.now < 300


def test_stuck_service_is_created_again_only_once(run: Run, ecs: FakeEcs) -> None:
    ecs.stuck = True
    result = run(stuck_params())
    assert result["failed"]
    assert result["recreated"] is True
    assert result["changed"] is True
    assert ecs.calls["CreateExpressGatewayService"] == 2
    assert "also after it was deleted and created again" in result["msg"]
    assert any("was stuck" in warning for warning in result["warnings"])


def test_stuck_service_is_left_alone_if_asked_for(run: Run, ecs: FakeEcs) -> None:
    ecs.stuck = True
    result = run(stuck_params(recreate_stuck=False))
    assert result["failed"]
    assert ecs.now < 1200, "it was noticed no earlier than by the end of the wait"
    assert "no task was ever started" in result["msg"]
    assert "ECS has given the service up" in result["explanation"]["likely_cause"]
    assert ecs.calls["DeleteExpressGatewayService"] == 0


def test_stuck_service_of_an_earlier_run_is_taken_over(run: Run, ecs: FakeEcs) -> None:
    """What this run does not say is taken from the stuck service; its long silence counts."""
    ecs.stuck_services = 1
    run(stuck_params(wait=False))
    ecs.now += 5000
    result = run({"service_name": "tracking"})
    assert result["recreated"] is True
    assert result["changed"] is True
    assert ecs.now < 5300
    assert ecs.sent["CreateExpressGatewayService"]["primaryContainer"]["image"] == "example.com/app:1"
    assert ecs.sent["CreateExpressGatewayService"]["infrastructureRoleArn"] == INFRASTRUCTURE_ROLE
    assert run(full_params())["changed"] is False


@pytest.mark.parametrize("trace", ["stopped task", "earlier deployment", "may not look"])
def test_service_in_which_something_ran_is_never_deleted(run: Run, ecs: FakeEcs, trace: str) -> None:
    ecs.stuck = True
    if trace == "stopped task":
        task = {"taskArn": f"{ACCOUNT}:task/default/1", "lastStatus": "STOPPED", "createdAt": ecs.moment(10)}
        ecs.tasks = [{**task, "stoppedReason": "Essential container in task exited"}]
    elif trace == "earlier deployment":
        ecs.stuck = False
        run(full_params())
        ecs.stuck = True
    else:
        ecs.errors["ListTasks"] = [Answer("AccessDeniedException", "not authorized")] * 100
    result = run(full_params(wait_timeout=2000, memory="8192"))
    assert result["failed"]
    assert "not ready after 2000 s" in result["msg"]
    assert ecs.calls["DeleteExpressGatewayService"] == 0


def test_task_of_a_deleted_service_of_the_name_does_not_count(run: Run, ecs: FakeEcs) -> None:
    ecs.now = 5000
    ecs.stuck_services = 1
    ecs.tasks = [{"taskArn": f"{ACCOUNT}:task/default/1", "lastStatus": "STOPPED", "createdAt": ecs.moment(4000)}]
    assert run(stuck_params())["recreated"] is True


def test_slow_service_is_not_taken_for_stuck(run: Run, ecs: FakeEcs) -> None:
    """Something moves every ten minutes, and it takes forty."""
    ecs.ready_after = 2400

    def slowly() -> None:
        for revision in ecs.revisions.values():
            for number, leaf in enumerate(revision["_leaves"], start=1):
                if ecs.now >= 600 * number:
                    leaf["status"] = "ACTIVE"

    ecs.on_tick = slowly
    result = run(stuck_params())
    assert not result.get("failed"), result["msg"]
    assert result["recreated"] is False


def test_other_failed_resource_ends_the_wait_early(run: Run, ecs: FakeEcs) -> None:
    deny_resources(ecs, "The Availability Zones of the subnets do not match those of the shared load balancer")
    ecs.stuck = True
    result = run(stuck_params())
    assert result["failed"]
    assert "Availability Zones" in result["msg"]
    assert ecs.now < 120
    assert ecs.calls["DeleteExpressGatewayService"] == 0


def deny_resources(ecs: FakeEcs, reason: str) -> None:
    """The load balancer of the first revision fails."""

    def fail() -> None:
        for revision in list(ecs.revisions.values())[:1]:
            revision["_leaves"][1].update(status="FAILED", statusReason=reason)

    ecs.on_tick = fail
