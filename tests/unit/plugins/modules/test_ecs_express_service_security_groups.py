# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: which security groups are ECS's."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_behaviour import Behaviour
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import NEW_ROLE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import four_steps

GROUPS = [{"tells_groups": True, "marks_groups": False}, {"tells_groups": False, "marks_groups": True}]


@pytest.mark.known_issue(5)
@pytest.mark.parametrize("how", GROUPS, ids=["by revision", "by tag"])
def test_groups_are_compared_exactly_where_those_of_ecs_are_known(run: Run, ecs: FakeEcs, how: dict[str, bool]) -> None:
    """#47908: ECS's own is no change; a group of the user's that is no longer wanted is one."""
    ecs.behaviour = Behaviour(**how)
    groups = {"security_groups": ["sg-mine", "sg-more"]}
    run(full_params(network_configuration=groups))
    assert run(full_params(network_configuration=groups))["changed"] is False
    four_steps(run, ecs, {"service_name": "tracking", "network_configuration": {"security_groups": ["sg-mine"]}})
    subnets = {"subnets": ["subnet-x", "subnet-y"]}
    four_steps(run, ecs, {"service_name": "tracking", "network_configuration": subnets})
    assert ecs.sent["UpdateExpressGatewayService"]["networkConfiguration"]["securityGroups"] == ["sg-mine"]
    four_steps(run, ecs, {"service_name": "tracking", "network_configuration": {"security_groups": []}})


def test_replace_asks_for_the_groups_where_ecs_own_is_not_known(run: Run, ecs: FakeEcs) -> None:
    ecs.behaviour = Behaviour(tells_groups=False, marks_groups=False)
    ecs.roles["new"] = dict(ecs.roles["infrastructure"])
    run(full_params())
    params = {"service_name": "tracking", "infrastructure_role_arn": NEW_ROLE, "replace": True}
    result = run(params)
    assert "give those that the new service shall have in network_configuration.security_groups" in result["msg"]
    assert ecs.calls["DeleteExpressGatewayService"] == 0
    result = run({**params, "network_configuration": {"security_groups": ["sg-mine"]}})
    assert not result.get("failed"), result["msg"]
    assert ecs.sent["CreateExpressGatewayService"]["networkConfiguration"]["securityGroups"] == ["sg-mine"]


@pytest.mark.known_issue(5)
@pytest.mark.parametrize("denied", [False, True])
def test_groups_are_a_subset_where_those_of_ecs_are_not_known(run: Run, ecs: FakeEcs, denied: bool) -> None:
    ecs.behaviour = Behaviour(tells_groups=False, marks_groups=False)
    run(full_params())
    if denied:
        ecs.errors["DescribeSecurityGroups"] = [Answer("UnauthorizedOperation", "You are not authorized")] * 9
    assert run(full_params())["changed"] is False
    assert run(full_params(network_configuration={"security_groups": ["sg-mine", "sg-more"]}))["changed"] is True
