# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: creation, and descriptions that are refused before it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import knows
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import four_steps


def test_create(run: Run, ecs: FakeEcs) -> None:
    result = four_steps(run, ecs, full_params())
    assert result["service"]["status"]["status_code"] == "ACTIVE"
    assert result["deployment"]["status"] == "SUCCESSFUL"
    assert result["service_arn"] == ARN
    assert result["url"] == f"https://{result['endpoint']}"
    assert result["endpoint"].endswith(".ecs.eu-central-1.on.aws")
    assert "://" not in result["endpoint"]
    assert any("IN_PROGRESS" in line for line in result["progress"])
    assert ecs.sent["CreateExpressGatewayService"]["tags"] == [{"key": "team", "value": "research"}]


def test_environment_variable_that_is_empty_is_created(run: Run, ecs: FakeEcs) -> None:
    params = full_params()
    params["primary_container"]["environment"] = {"EMPTY": "", "MODE": "plain"}
    four_steps(run, ecs, params)
    sent = ecs.sent["CreateExpressGatewayService"]["primaryContainer"]["environment"]
    assert {item["name"]: item["value"] for item in sent} == {"EMPTY": "", "MODE": "plain"}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"tags": {"Owner": None}}, "tags['Owner'] is null"),
        (
            {"primary_container": {"image": "x", "environment": {"A": None}}},
            "primary_container.environment['A'] is null",
        ),
        ({"primary_container": {"image": "x", "secrets": {"A": None}}}, "primary_container.secrets['A'] is null"),
        ({"primary_container": {"image": "x", "command": ["run", None]}}, "primary_container.command[1] is null"),
    ],
)
def test_null_is_refused_by_name(run: Run, ecs: FakeEcs, given: dict[str, Any], name: str) -> None:
    for check in (True, False):
        assert name in run(full_params(**given), check=check)["msg"]
    assert ecs.calls["CreateExpressGatewayService"] == 0


def test_numbers_and_switches_become_text(run: Run, ecs: FakeEcs) -> None:
    params = full_params(tags={"CostCentre": 4711, "Shared": True})
    params["primary_container"] |= {"environment": {"LEVEL": 1, "ON": False}, "command": ["run", 80, True]}
    four_steps(run, ecs, params)
    sent = ecs.sent["CreateExpressGatewayService"]
    assert sent["tags"] == [{"key": "CostCentre", "value": "4711"}, {"key": "Shared", "value": "true"}]
    assert sent["primaryContainer"]["command"] == ["run", "80", "true"]
    assert sent["primaryContainer"]["environment"] == [
        {"name": "LEVEL", "value": "1"},
        {"name": "ON", "value": "false"},
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"health_check_path": "health"}, "health_check_path is 'health', but must be a path that begins with a slash"),
        ({"primary_container": {"image": "x", "container_port": 70000}}, "container_port is 70000, but must be"),
        ({"primary_container": {"image": "x", "environment": {"A": "x" * 70_000}}}, "ECS takes 65536"),
        ({"tags": {f"k{number}": "v" for number in range(51)}}, "tags has 51 tags; 50 are allowed"),
    ],
)
def test_what_ecs_refuses_is_said_in_check_mode_too(run: Run, ecs: FakeEcs, given: dict[str, Any], words: str) -> None:
    for check in (True, False):
        assert words in run(full_params(**given), check=check)["msg"]
    assert ecs.calls["CreateExpressGatewayService"] == 0


def test_tags_of_a_new_service_in_check_mode(run: Run, ecs: FakeEcs) -> None:
    given = full_params(tags={"stage": 1, "temporary": True})
    checked = run(given, check=True)
    assert checked["service"]["tags"] == run(given)["service"]["tags"] == {"stage": "1", "temporary": "true"}
    assert checked["diff"]["after"]["tags"] == {"stage": "1", "temporary": "true"}


@pytest.mark.known_issue(7)
def test_create_over_inactive_and_draining(run: Run, ecs: FakeEcs) -> None:
    """#47743: an INACTIVE name is free; a DRAINING one is waited for."""
    run(full_params())
    run({"service_name": "tracking", "state": "absent"})
    assert run(full_params())["changed"] is True
    run({"service_name": "tracking", "state": "absent", "wait": False})
    assert ecs.services[ARN]["status"] == "DRAINING"
    result = run(full_params())
    assert result["changed"] is True
    assert result["deployment"]["status"] == "SUCCESSFUL"
    assert ecs.services[ARN]["status"] == "ACTIVE"


def test_create_repeats_while_the_old_one_drains(run: Run, ecs: FakeEcs) -> None:
    draining = Answer("InvalidParameterException", "Unable to Start a service that is still Draining.")
    ecs.errors["CreateExpressGatewayService"] = [draining, draining]
    assert run(full_params())["changed"] is True
    assert ecs.calls["CreateExpressGatewayService"] == 3


def test_old_deployments_of_the_name_are_not_taken_for_new_ones(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    run({"service_name": "tracking", "state": "absent"})
    ecs.listed_after = 25
    result = run(full_params())
    assert result["deployment"]["service_deployment_arn"].endswith("/2")


@pytest.mark.known_issue(8)
def test_url_is_empty_before_the_service_exists(run: Run, ecs: FakeEcs) -> None:
    result = run(full_params(), check=True)
    assert result["url"] == ""
    assert result["service_arn"] == ""


def test_create_in_an_unknown_cluster(run: Run, ecs: FakeEcs) -> None:
    result = run(full_params(cluster="none"))
    assert "cluster 'none' does not exist" in result["msg"]
    assert "create the cluster before" in result["msg"]
    assert run({"cluster": "none"}, module=ecs_express_service_info)["services"] == []


@pytest.mark.known_issue(7)
def test_create_reports_an_old_service_that_drains_too_long(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    ecs.drained_after = 1e6
    run({"service_name": "tracking", "state": "absent", "wait": False})
    assert run(full_params(), check=True)["changed"] is True
    result = run(full_params(wait_timeout=30, wait=False))
    assert "Service 'tracking': The service is still DRAINING after 30 s" in result["msg"]
    assert result["changed"] is False
    assert ecs.calls["CreateExpressGatewayService"] == 1


def test_create_says_what_is_missing_but_not_in_check_mode(run: Run, ecs: FakeEcs) -> None:
    params = {"service_name": "tracking", "primary_container": {"container_port": 5000}}
    result = run(params)
    for name in ("infrastructure_role_arn", "execution_role_arn", "primary_container.image"):
        assert name in result["msg"]
    checked = run(params, check=True)
    assert checked["changed"] is True
    assert checked["warnings"]


@pytest.mark.parametrize(("option", "value"), [("cpu", "2"), ("memory", "4"), ("cpu", "1 vCPU")])
def test_sizes_are_units(run: Run, ecs: FakeEcs, option: str, value: str) -> None:
    result = run(full_params(**{option: value}))
    assert f"{option} is '{value}'" in result["msg"]


def test_task_definition_excludes_the_container(run: Run, ecs: FakeEcs) -> None:
    result = run(full_params(task_definition_arn="arn:aws:ecs:eu-central-1:1:task-definition/x:1"))
    assert "mutually exclusive" in result["msg"]


def test_member_unknown_to_botocore_is_said(run: Run, ecs: FakeEcs, monkeypatch: pytest.MonkeyPatch) -> None:
    # With the oldest botocore it is so by itself.
    if knows("cpuArchitecture"):
        monkeypatch.setattr(api, "supports", lambda *_args: False)
    result = run(full_params(cpu_architecture="ARM64"))
    assert "cpu_architecture" in result["msg"]
    assert "update boto3" in result["msg"]
    assert run(full_params())["changed"] is True


@pytest.mark.known_issue(18)
def test_unfit_network_is_reported_in_the_words_of_aws(run: Run, ecs: FakeEcs) -> None:
    """No default VPC, too few zones or addresses: nothing of that is awaited or created."""
    message = "No subnets were given, and the default VPC is missing or has no public subnets."
    ecs.errors["CreateExpressGatewayService"] = [Answer("InvalidParameterException", message)]
    result = run(full_params())
    assert result["failed"]
    assert message in result["msg"]
    assert result["changed"] is False
    assert ecs.calls["CreateExpressGatewayService"] == 1
    assert not ecs.services
