# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service_info against an ECS in memory."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import INFRASTRUCTURE_ROLE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import knows
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run


def test_info(run: Run, ecs: FakeEcs) -> None:
    assert run({"name": "tracking"}, module=ecs_express_service_info)["services"] == []
    run(full_params())
    run(full_params(service_name="another", infrastructure_role_arn=INFRASTRUCTURE_ROLE))
    services = run({}, module=ecs_express_service_info)["services"]
    assert [item["service_name"] for item in services] == ["another", "tracking"]
    assert services[1]["url"].startswith("https://")
    assert services[1]["primary_container"]["environment"] == {"ZONE": "b", "MODE": "plain", "WORKERS": "2"}


def test_info_never_fails_on_the_service_of_another_tool(run: Run, ecs: FakeEcs) -> None:
    """One of nothing but a task definition of its own, one that may not be described, a classic one."""
    run(full_params())
    run(full_params(service_name="foreign"))
    foreign = ecs.services[f"{ACCOUNT}:service/default/foreign"]
    config = ecs.revisions[foreign["_revisions"][0]]["_config"]
    for key in ("primaryContainer", "networkConfiguration", "scalingTarget", "cpu", "healthCheckPath"):
        config[key] = None
    ecs.services["classic"] = {"serviceArn": f"{ACCOUNT}:service/default/classic", "serviceName": "classic"}
    ecs.services["classic"].update(status="ACTIVE", resourceManagementType="CUSTOMER")
    ecs.services[f"{ACCOUNT}:service/default/classic"] = ecs.services.pop("classic")
    services = run({"explain": True}, module=ecs_express_service_info)["services"]
    assert [item["service_name"] for item in services] == ["foreign", "tracking"]
    assert bool(services[0].get("task_definition_arn")) == knows("taskDefinitionArn")
    ecs.errors["DescribeExpressGatewayService"] = [Answer("AccessDeniedException", "not authorized")]
    result = run({}, module=ecs_express_service_info)
    assert [item["service_name"] for item in result["services"]] == ["foreign", "tracking"]
    assert sorted(bool(item["url"]) for item in result["services"]) == [False, True]
    assert "could not be described" in result["warnings"][0]
    ecs.errors["DescribeExpressGatewayService"] = [Answer("AccessDeniedException", "not authorized")]
    assert run({"name": "tracking"}, module=ecs_express_service_info)["failed"]
