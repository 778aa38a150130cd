# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: updates, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import LOCK_PREFIX
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import update
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import knows
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_behaviour import Behaviour
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import four_steps

CONTAINER_CHANGES: dict[str, dict[str, Any]] = {
    "image": {"image": "example.com/app:2"},
    "container_port": {"container_port": 8080},
    "command": {"command": ["other"]},
    "clear the command": {"command": []},
    "environment": {"environment": {"MODE": "other"}},
    "clear the environment": {"environment": {}},
    "secrets": {"secrets": {"TOKEN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:y-AbCdEf"}},
    "clear the secrets": {"secrets": {}},
    "logs": {"aws_logs_configuration": {"log_group": "/other", "log_stream_prefix": "app"}},
}


@pytest.mark.parametrize("changes", CONTAINER_CHANGES.values(), ids=CONTAINER_CHANGES)
def test_update_of_the_container_sends_it_whole(run: Run, ecs: FakeEcs, changes: dict[str, Any]) -> None:
    run(full_params())
    four_steps(run, ecs, {"service_name": "tracking", "primary_container": changes})
    sent = ecs.sent["UpdateExpressGatewayService"]
    assert set(sent) == {"serviceArn", "primaryContainer"}
    whole = {"image", "containerPort", "command", "environment", "secrets", "awsLogsConfiguration"}
    assert set(sent["primaryContainer"]) == whole


LOCK = {"key": f"{LOCK_PREFIX}20261130T110000Z-00000000", "value": "verb=restore state=held step=5 by=arn:of-ana"}


def test_a_service_that_a_verb_works_on_is_not_updated(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    ecs.services[ARN]["tags"].append(LOCK)
    before = ecs.changing_calls
    for changes in ({"cpu": "2048"}, {"tags": {"team": "other"}}, {"force_new_deployment": True}):
        failed = run({"service_name": "tracking", **changes})
        assert failed["failed"] and ecs.changing_calls == before
        for part in ("was not updated", "locked by the verb restore, at step 5", "arn:of-ana", "mlflow_unlock=true"):
            assert part in failed["msg"]
    assert not run({"service_name": "tracking"})["changed"], "nothing to do is no reason to fail"


def test_a_verb_that_begins_just_before_the_update_is_seen(
    run: Run, ecs: FakeEcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(full_params())
    monkeypatch.setattr(update, "configure", lambda *_given: ecs.services[ARN]["tags"].append(LOCK))
    failed = run({"service_name": "tracking", "cpu": "2048"})
    assert "locked by the verb restore" in failed["msg"]


OTHER_CHANGES: dict[str, dict[str, Any]] = {
    "cpu": {"cpu": "2048"},
    "memory": {"memory": "8192"},
    "health_check_path": {"health_check_path": "/ping"},
    "task_role_arn": {"task_role_arn": "arn:aws:iam::123456789012:role/other"},
    "min": {"scaling_target": {"min_task_count": 0}},
    "metric": {"scaling_target": {"auto_scaling_metric": "AVERAGE_MEMORY"}},
    "subnets": {"network_configuration": {"subnets": ["subnet-c", "subnet-a"]}},
    "another group": {"network_configuration": {"security_groups": ["sg-mine", "sg-more"]}},
    "a group less": {"network_configuration": {"security_groups": []}},
}
if knows("cpuArchitecture"):
    OTHER_CHANGES["architecture"] = {"cpu_architecture": "ARM64"}


@pytest.mark.parametrize("changes", OTHER_CHANGES.values(), ids=OTHER_CHANGES)
def test_update_of_other_fields(run: Run, ecs: FakeEcs, changes: dict[str, Any]) -> None:
    run(full_params())
    result = four_steps(run, ecs, {"service_name": "tracking", **changes})
    assert set(result["diff"]["after"]) == set(changes)
    config = ecs.services[ARN]["_revisions"]
    assert len(config) == 1
    kept = ecs.revisions[config[0]]["_config"]
    assert kept["networkConfiguration"]["subnets"], "an update lost the subnets"
    assert kept["scalingTarget"]["maxTaskCount"] == 1, "an update lost the limit of tasks"


def test_cpu_is_sent_with_memory(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    run({"service_name": "tracking", "cpu": "2048"})
    assert ecs.sent["UpdateExpressGatewayService"] == {"serviceArn": ARN, "cpu": "2048", "memory": "4096"}


def test_subnets_alone_keep_own_groups(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    run({"service_name": "tracking", "network_configuration": {"subnets": ["subnet-c", "subnet-a"]}})
    sent = ecs.sent["UpdateExpressGatewayService"]["networkConfiguration"]
    assert sent == {"subnets": ["subnet-c", "subnet-a"], "securityGroups": ["sg-mine"]}


def test_tags(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    ecs.services[ARN]["tags"].append({"key": "AmazonECSManaged", "value": "true"})
    ecs.services[ARN]["tags"].append({"key": "aws:cloudformation:stack-name", "value": "x"})
    four_steps(run, ecs, {"service_name": "tracking", "tags": {"stage": 1}})
    assert ecs.calls["UpdateExpressGatewayService"] == 0, "tags alone deployed something"
    keys = {item["key"] for item in ecs.services[ARN]["tags"]}
    assert keys == {"stage", "AmazonECSManaged", "aws:cloudformation:stack-name"}
    four_steps(run, ecs, {"service_name": "tracking", "tags": {"team": "x"}, "purge_tags": False})
    result = four_steps(run, ecs, {"service_name": "tracking", "tags": {}})
    assert result["service"]["tags"] == {}


@pytest.mark.known_issue(5)
def test_what_ecs_rewrites_is_no_change(run: Run, ecs: FakeEcs) -> None:
    """#45792, #47070, #47436, #47437, #47595, #47908, #49511: the order, null for [], the added group, the defaults."""
    params = full_params()
    params["primary_container"]["command"] = []
    run(params)
    updates = ecs.changing_calls
    assert run(params)["changed"] is False
    assert ecs.changing_calls == updates


def test_force_new_deployment(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    params = full_params(force_new_deployment=True)
    checked = run(params, check=True)
    assert checked["changed"] is True
    assert ecs.calls["UpdateService"] == 0
    result = run(params)
    assert result["changed"] is True
    assert ecs.calls["UpdateService"] == 1
    assert result["deployment"]["service_deployment_arn"].endswith("/2")


def test_scaling_without_deployment(run: Run, ecs: FakeEcs) -> None:
    """An update that needs no deployment must not be waited for until the end of time."""
    run(full_params())
    ecs.deploys_scaling = False
    four_steps(run, ecs, {"service_name": "tracking", "scaling_target": {"max_task_count": 3}})
    assert ecs.now < 600


def test_forced_deployment_with_scaling_alone(run: Run, ecs: FakeEcs) -> None:
    """The update brings no deployment, so it is asked for; without end it would be waited for else."""
    run(full_params())
    ecs.deploys_scaling = False
    result = run({"service_name": "tracking", "scaling_target": {"max_task_count": 3}, "force_new_deployment": True})
    assert not result.get("failed"), result["msg"]
    assert (ecs.calls["UpdateExpressGatewayService"], ecs.calls["UpdateService"]) == (1, 1)
    assert result["deployment"]["service_deployment_arn"].endswith("/2")


@pytest.mark.known_issue(6)
@pytest.mark.parametrize("cluster", ["default", f"{ACCOUNT}:cluster/default", ""])
def test_cluster_as_name_arn_or_left_empty(run: Run, ecs: FakeEcs, cluster: str) -> None:
    """#47277: the same cluster, so the same service; another one is another service, and this one stays."""
    first = run(full_params())
    again = run(full_params(cluster=cluster, force_new_deployment=cluster != "default"))
    assert not again.get("failed"), again["msg"]
    assert (again["service_arn"], again["service"]["cluster"]) == (ARN, "default")
    assert again["diff"]["after"].get("cluster") is None
    ecs.clusters.add("other")
    other = run(full_params(cluster=f"{ACCOUNT}:cluster/other"))
    assert other["service_arn"] == f"{ACCOUNT}:service/other/tracking"
    assert run(full_params())["endpoint"] == first["endpoint"]
    assert ecs.calls["DeleteExpressGatewayService"] == 0


@pytest.mark.known_issue(5)
def test_tags_that_ecs_adds_stay(run: Run, ecs: FakeEcs) -> None:
    ecs.behaviour = Behaviour(own_tags=("aws:ecs:serviceName", "aws:ecs:clusterName", "AmazonECSManaged"))
    run(full_params())
    assert run(full_params())["changed"] is False
    assert run(full_params(tags={}))["changed"] is True
    assert {item["key"] for item in ecs.services[ARN]["tags"]} == set(ecs.behaviour.own_tags)
    assert "AWS's own" in run(full_params(tags={"aws:ecs:serviceName": "x"}))["msg"]
