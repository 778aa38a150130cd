# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: how updates are carried out."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import SETTINGS
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import NEW_ROLE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import four_steps

HOW = {
    "rollback_on_alarm": False,
    "canary_percent": 50,
    "canary_bake_time_in_minutes": 0,
    "bake_time_in_minutes": 1,
}


def how_of(ecs: FakeEcs) -> dict[str, Any]:
    return dict(ecs.services[ARN]["deploymentConfiguration"])


def test_settings_of_a_new_service_are_set_after_its_first_deployment(run: Run, ecs: FakeEcs) -> None:
    result = four_steps(run, ecs, full_params(deployment_configuration=HOW))
    assert result["deployment_configuration"] == HOW
    assert result["diff"]["after"]["deployment_configuration"] == HOW
    assert how_of(ecs) == {
        **SETTINGS,
        "bakeTimeInMinutes": 1,
        "canaryConfiguration": {"canaryPercent": 50.0, "canaryBakeTimeInMinutes": 0},
        "alarms": {"alarmNames": [], "enable": False, "rollback": False},
    }, "what was not asked for must stay"
    assert len(ecs.deployments) == 1


@pytest.mark.parametrize("name", sorted(HOW))
def test_each_setting_alone_changes_just_itself_and_deploys_nothing(run: Run, ecs: FakeEcs, name: str) -> None:
    run(full_params())
    result = four_steps(run, ecs, full_params(deployment_configuration={name: HOW[name]}))
    default = {"rollback_on_alarm": True, "canary_percent": 5.0}.get(name, 3)
    assert result["diff"] == {
        "before": {"deployment_configuration": {name: default}},
        "after": {"deployment_configuration": {name: HOW[name]}},
    }
    assert len(ecs.deployments) == 1
    assert how_of(ecs)["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    back = four_steps(run, ecs, full_params(deployment_configuration={name: default}))
    assert back["deployment_configuration"][name] == default
    assert how_of(ecs)["alarms"]["alarmNames"] == ["default/tracking/RollbackAlarm"]


def test_settings_hold_for_the_update_that_they_come_with(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    order: list[str] = []
    for name in ("UpdateService", "UpdateExpressGatewayService"):
        original = getattr(ecs, f"do_{name}")

        def noted(*args: Any, name: str = name, original: Any = original, **kwargs: Any) -> Any:
            order.append(name)
            return original(*args, **kwargs)

        setattr(ecs, f"do_{name}", noted)
    four_steps(run, ecs, full_params(cpu="2048", memory="4096", deployment_configuration=HOW))
    assert order == ["UpdateService", "UpdateExpressGatewayService"]
    assert ecs.sent["UpdateService"]["deploymentConfiguration"]["strategy"] == "CANARY"


def test_settings_that_a_deployment_lost_are_restored(run: Run, ecs: FakeEcs) -> None:
    ecs.behaviour = dataclasses.replace(ecs.behaviour, forgets_settings=True)
    run(full_params(deployment_configuration={"rollback_on_alarm": False}))
    assert how_of(ecs)["alarms"]["enable"] is False
    four_steps(run, ecs, full_params(cpu="2048", memory="4096", deployment_configuration={"rollback_on_alarm": False}))
    assert how_of(ecs)["alarms"]["enable"] is False
    # Changed elsewhere.
    ecs.services[ARN]["deploymentConfiguration"]["alarms"] |= {"enable": True, "rollback": True}
    found = run(full_params(cpu="2048", memory="4096", deployment_configuration={"rollback_on_alarm": False}))
    assert (found["changed"], how_of(ecs)["alarms"]["enable"]) == (True, False)


def test_settings_wait_for_the_next_run_without_wait(run: Run, ecs: FakeEcs) -> None:
    params = full_params(deployment_configuration=HOW)
    started = run({**params, "wait": False})
    assert "deployment_configuration" not in started
    assert how_of(ecs)["bakeTimeInMinutes"] == 3
    waited = run(params)
    assert (waited["changed"], waited["deployment_configuration"]) == (True, HOW)
    assert waited["diff"]["after"] == {"deployment_configuration": HOW}
    assert run(params)["changed"] is False


def test_settings_move_to_the_replacement(run: Run, ecs: FakeEcs) -> None:
    run(full_params(deployment_configuration={"rollback_on_alarm": False}))
    ecs.roles["new"] = {}
    replaced = run(full_params(infrastructure_role_arn=NEW_ROLE, replace=True))
    assert not replaced.get("failed"), replaced
    assert ecs.services[ARN]["infrastructureRoleArn"] == NEW_ROLE
    assert how_of(ecs)["alarms"]["enable"] is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("canary_percent", 0),
        ("canary_percent", 101),
        ("bake_time_in_minutes", -1),
        ("canary_bake_time_in_minutes", 1441),
    ],
)
def test_settings_that_ecs_cannot_take(run: Run, ecs: FakeEcs, name: str, value: float) -> None:
    result = run(full_params(deployment_configuration={name: value}))
    assert result["failed"]
    assert f"deployment_configuration.{name} is" in result["msg"]
    assert "must be" in result["msg"]
    assert ecs.changing_calls == 0


def test_settings_that_ecs_refuses_are_ecs_s_own_words(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    ecs.services[ARN]["deploymentConfiguration"]["strategy"] = "LINEAR"
    result = run(full_params(deployment_configuration=HOW))
    assert result["failed"]
    assert "change how the service's updates are carried out" in result["msg"]
    assert "not supported for ExpressGatewayServices" in result["msg"]
