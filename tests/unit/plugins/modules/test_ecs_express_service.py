# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service as a user runs it, against an ECS in memory.

Names with numbers refer to issues of hashicorp/terraform-provider-aws.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.common import warnings as ansible_warnings
from ansible.module_utils.testing import patch_module_args
from botocore.exceptions import EndpointConnectionError

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import THROTTLING_CODES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import INFRASTRUCTURE_ROLE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import SETTINGS
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import Behaviour
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import knows

ARN = f"{ACCOUNT}:service/default/tracking"
NEW_ROLE = "arn:aws:iam::123456789012:role/new"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def ecs() -> FakeEcs:
    return FakeEcs()


@pytest.fixture
def run(ecs: FakeEcs, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the module with the arguments given; its JSON result. Time is the fake's."""

    def clients(_module: Any) -> Any:
        return functools.cache(lambda service: Client(ecs.wrapped_client(service), attempts=3, delay=0))

    for module in (ecs_express_service, ecs_express_service_info):
        monkeypatch.setattr(module, "make_clients", clients)
    make_waiter = functools.partial(Waiter, sleep=ecs.sleep, clock=ecs.clock, wall=ecs.moment)

    def go(params: dict[str, Any], check: bool = False, module: Any = ecs_express_service) -> dict[str, Any]:
        arguments = {
            "region": "eu-central-1",
            "access_key": "AKIAFAKEFAKEFAKEFAKE",
            "secret_key": "a-made-up-key-that-is-long-enough",
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **params,
        }
        out = io.StringIO()
        # Where ansible-core takes this process for a controller, warnings go to the screen and not into the result.
        monkeypatch.setattr(_internal, "is_controller", False)
        with patch_module_args(arguments), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            module.main(**({"make_waiter": make_waiter} if module is ecs_express_service else {}))
        result: dict[str, Any] = json.loads(out.getvalue())
        assert "deprecations" not in result
        # Ansible collects them for the whole process.
        for warning in result.pop("warnings", []):
            text = warning["event"]["msg"] if isinstance(warning, dict) else warning
            result.setdefault("warnings", []).append(text)
        forget_warnings()
        return result

    return go


def forget_warnings() -> None:
    if hasattr(ansible_warnings, "_global_warnings"):
        ansible_warnings._global_warnings.clear()
        ansible_warnings._global_deprecations.clear()


def four_steps(run: Run, ecs: FakeEcs, params: dict[str, Any]) -> dict[str, Any]:
    """check, apply, check, apply: the first two say changed, the last two do nothing. Returns the second's result."""
    before = ecs.changing_calls
    checked = run(params, check=True)
    assert not checked.get("failed"), checked
    assert checked["changed"] is True
    assert ecs.changing_calls == before, "check mode changed something"
    applied = run(params)
    assert not applied.get("failed"), applied["msg"]
    assert applied["changed"] is True
    assert applied["diff"] == checked["diff"], "check mode predicted another change"
    done = ecs.changing_calls
    assert done > before
    for check in (True, False):
        again = run(params, check=check)
        assert not again.get("failed"), again
        assert again["changed"] is False, again["diff"]
        assert again["diff"] == {"before": {}, "after": {}}
    assert ecs.changing_calls == done, "a run without change changed something"
    return applied


# ---- the four steps


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


def test_tags_of_a_new_service_in_check_mode(run: Run, ecs: FakeEcs) -> None:
    given = full_params(tags={"stage": 1, "temporary": True})
    checked = run(given, check=True)
    assert checked["service"]["tags"] == run(given)["service"]["tags"] == {"stage": "1", "temporary": "true"}
    assert checked["diff"]["after"]["tags"] == {"stage": "1", "temporary": "true"}


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


def test_delete(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    params = {"service_name": "tracking", "state": "absent"}
    result = four_steps(run, ecs, params)
    assert ecs.services[ARN]["status"] == "INACTIVE"
    assert result["diff"]["before"]["service_name"] == "tracking"
    assert (result["service"], result["url"]) == ({}, "")
    assert ecs.now >= ecs.drained_after, "did not wait for INACTIVE"


# ---- traps


def test_trap_05_ecs_rewriting_is_no_change(run: Run, ecs: FakeEcs) -> None:
    """#45792, #47070, #47436, #47437, #47595, #47908, #49511: the order, null for [], the added group, the defaults."""
    params = full_params()
    params["primary_container"]["command"] = []
    run(params)
    updates = ecs.changing_calls
    assert run(params)["changed"] is False
    assert ecs.changing_calls == updates


def test_trap_06_infrastructure_role_is_immutable(run: Run, ecs: FakeEcs) -> None:
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


def test_trap_07_create_over_inactive_and_draining(run: Run, ecs: FakeEcs) -> None:
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


def test_trap_08_endpoint_without_configuration_yet(run: Run, ecs: FakeEcs) -> None:
    result = run(full_params(), check=True)
    assert result["url"] == ""
    assert result["service_arn"] == ""


FRESH = {
    "trust": Answer("AccessDeniedException", "Cannot assume role arn:aws:iam::1:role/x"),
    "sts": Answer("AccessDeniedException", "ecs is not authorized to perform: sts:AssumeRole on resource x"),
    "keys": Answer("ClientException", "AWS was not able to validate the provided access credentials"),
    "slr": Answer(
        "InvalidParameterException",
        "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
    ),
}


@pytest.mark.parametrize("answer", FRESH.values(), ids=FRESH)
def test_trap_21_fresh_roles_are_awaited(run: Run, ecs: FakeEcs, answer: Answer) -> None:
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


def test_throttling_is_repeated(run: Run, ecs: FakeEcs) -> None:
    ecs.errors["CreateExpressGatewayService"] = [Answer("ThrottlingException", "Rate exceeded")]
    assert run(full_params())["changed"] is True


def test_throttling_is_repeated_with_jitter(ecs: FakeEcs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules' own clients: the pauses grow, and are not those of whoever else was throttled at the same moment."""
    pauses: list[float] = []
    monkeypatch.setattr("ansible_collections.amazon.aws.plugins.module_utils.cloud.time.sleep", pauses.append)

    class Module:
        params: dict[str, Any] = {}

        def client(self, service: str) -> Any:
            return ecs.wrapped_client(service)

    for number, code in enumerate(THROTTLING_CODES):
        ecs.errors["DescribeServices"] = [Answer(code, "Rate exceeded")] * 6
        client = make_clients(Module())("ecs")
        assert api.find_service(client, cluster="default", name="none") is None
        assert len(pauses) == 6 * (number + 1)
    rounds = [pauses[start : start + 6] for start in range(0, len(pauses), 6)]
    assert len({tuple(pauses) for pauses in rounds}) == len(rounds), "all wait the same time"
    assert all(pause <= 60 for pause in pauses)


@pytest.mark.parametrize("outcome", ["ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED", "STOPPED"])
def test_trap_22_failed_update_is_a_failure(run: Run, ecs: FakeEcs, outcome: str) -> None:
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


def test_timeout_explains(run: Run, ecs: FakeEcs) -> None:
    ecs.stuck = True
    result = run(full_params(wait_timeout=120))
    assert result["failed"]
    assert "not ready after 120 s" in result["msg"]
    assert "loadBalancer" in result["msg"]
    assert "Likely cause" in result["msg"]


def test_expired_credentials_are_named(run: Run, ecs: FakeEcs) -> None:
    expired = Answer("ExpiredTokenException", "The security token included in the request is expired")
    ecs.errors["DescribeServiceDeployments"] = [expired]
    result = run(full_params())
    assert "credentials expired" in result["msg"]


def test_a_region_without_express_mode_is_named(run: Run, ecs: FakeEcs) -> None:
    ecs.errors["CreateExpressGatewayService"] = [Answer("UnknownOperationException", "None")]
    result = run(full_params())
    assert "no Express Mode in this region" in result["msg"]


def test_classic_service_is_left_alone(run: Run, ecs: FakeEcs) -> None:
    ecs.clusters.add("default")
    ecs.services[ARN] = {
        "serviceArn": ARN,
        "serviceName": "tracking",
        "status": "ACTIVE",
        "resourceManagementType": "CUSTOMER",
    }
    for state in ("present", "absent"):
        result = run(full_params(state=state))
        assert "classic" in result["msg"]
    assert ecs.changing_calls == 0
    assert run({}, module=ecs_express_service_info)["services"] == []


GONE = {
    "inactive": Answer("ServiceNotActiveException", "Cannot perform this operation on a service in INACTIVE status"),
    "unknown": Answer("ServiceNotFoundException", "Service not found."),
    "resource": Answer("InvalidParameterException", "Resource not found"),
    "declared": Answer("ResourceNotFoundException", "not there"),
    "cluster": Answer("ClusterNotFoundException", "Cluster not found."),
    "draining": Answer("ServiceNotActiveException", "Service is in DRAINING status"),
}


@pytest.mark.parametrize("answer", GONE.values(), ids=GONE)
def test_already_gone_is_success(run: Run, ecs: FakeEcs, answer: Answer) -> None:
    run(full_params())
    ecs.errors["DeleteExpressGatewayService"] = [answer]
    result = run({"service_name": "tracking", "state": "absent", "wait": False})
    assert not result.get("failed"), result


def test_absent_in_an_unknown_cluster(run: Run, ecs: FakeEcs) -> None:
    result = run({"service_name": "tracking", "cluster": "none", "state": "absent"})
    assert result["changed"] is False


def test_create_in_an_unknown_cluster(run: Run, ecs: FakeEcs) -> None:
    result = run(full_params(cluster="none"))
    assert "cluster 'none' does not exist" in result["msg"]
    assert "create the cluster before" in result["msg"]
    assert run({"cluster": "none"}, module=ecs_express_service_info)["services"] == []


@pytest.mark.parametrize("cluster", ["default", f"{ACCOUNT}:cluster/default", ""])
def test_trap_06_cluster_as_name_arn_or_left_empty(run: Run, ecs: FakeEcs, cluster: str) -> None:
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


def test_trap_06_another_name_is_another_service(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    assert run(full_params(service_name="renamed"))["service_arn"] == f"{ACCOUNT}:service/default/renamed"
    assert ecs.services[ARN]["status"] == "ACTIVE"
    assert "service_name is 'no good'" in run(full_params(service_name="no good"), check=True)["msg"]


@pytest.mark.parametrize("option", ["wait_timeout", "wait_delay", "stall_timeout"])
def test_no_wait_without_pause_or_end(run: Run, ecs: FakeEcs, option: str) -> None:
    assert f"{option} is 0, but must be" in run(full_params(**{option: 0}))["msg"]
    assert not ecs.calls


@pytest.mark.parametrize(
    "answer", [Answer("ServerException", "Server Exception"), EndpointConnectionError(endpoint_url="x")]
)
def test_disturbance_in_a_wait_is_borne(run: Run, ecs: FakeEcs, answer: Exception) -> None:
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
    assert any("cannot be asked at present, the wait goes on" in line for line in result["progress"])
    disturb_once(10, "DescribeServices")
    result = run({"service_name": "tracking", "state": "absent"})
    assert not result.get("failed"), result["msg"]
    assert any("cannot be asked" in line for line in result["progress"])
    assert ecs.services[ARN]["status"] == "INACTIVE"


def test_disturbance_without_end_is_an_error(run: Run, ecs: FakeEcs) -> None:
    run(full_params(wait=False))
    ecs.now += ecs.listed_after
    ecs.ready_after = 1e6
    ecs.on_tick = lambda: ecs.errors.update(
        {"DescribeServiceDeployments": [Answer("ServerException", "Server Exception")] * 99} if ecs.now > 50 else {}
    )
    result = run(full_params())
    assert "Server Exception" in result["msg"]
    assert 300 <= ecs.now < 450


def test_delete_times_out(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    result = run({"service_name": "tracking", "state": "absent", "wait_timeout": 20})
    assert "still DRAINING after 20 s" in result["msg"]


def test_trap_07_create_says_if_the_old_service_drains_too_long(run: Run, ecs: FakeEcs) -> None:
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


def test_secrets_in_the_environment_are_hidden(run: Run, ecs: FakeEcs) -> None:
    password = "correct-horse-battery"
    params = full_params()
    params["primary_container"]["environment"] = {"DB_PASSWORD": password, "URI": f"postgresql://u:{password}@h/db"}
    results = [run(params), run(params, module=ecs_express_service), run({}, module=ecs_express_service_info)]
    params["primary_container"]["environment"]["DB_PASSWORD"] = "another-secret-value"
    results.append(run(params))
    assert results[-1]["diff"]["before"] == {"primary_container": {"environment": {"DB_PASSWORD": "(hidden)"}}}
    assert results[-1]["diff"]["after"] == {"primary_container": {"environment": {"DB_PASSWORD": "(hidden, changed)"}}}
    assert password not in json.dumps(results)
    assert "another-secret-value" not in json.dumps(results)


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


def test_explanation_has_its_order(run: Run, ecs: FakeEcs) -> None:
    ecs.outcome, ecs.reason = "STOPPED", "deployment failed: tasks failed to start"
    ecs.events = [
        "(service tracking) has started 1 tasks: (task abc).",
        "(service tracking) (task abc) stopped: Essential container in task exited (exit code 255).",
        "(service tracking) (port 5000) is unhealthy in (target-group x)",
    ]
    ecs.tasks = [
        {
            "taskArn": f"{ACCOUNT}:task/default/{name}",
            "lastStatus": "STOPPED",
            "stoppedReason": "Essential container in task exited",
            "containers": [{"name": "Main", "exitCode": 255}],
        }
        for name in ("abc", "def")
    ]
    ecs.targets = [
        {
            "Target": {"Id": "10.0.0.1", "Port": 5000},
            "TargetHealth": {"State": "unhealthy", "Reason": "Target.FailedHealthChecks"},
        }
    ]
    ecs.log = [f"line {n}" for n in range(30)] + ["exec /bin/serve: exec format error"]
    result = run(full_params())
    message = result["msg"]
    marks = ["ECS says: ", "Event: ", "Resource: ", "Task: ", "Health: ", "Last lines", "Likely cause: ", "Remedy: "]
    places = [message.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "architecture" in result["explanation"]["likely_cause"]
    assert result["explanation"]["events"] == [ecs.events[-1]], "routine, and what the tasks' lines say, is no news"
    assert len(result["explanation"]["log"]) == 20
    fate = "STOPPED: Essential container in task exited; container Main: exit code 255"
    assert result["explanation"]["tasks"] == [f"task abc (and 1 more likewise) {fate}"]
    info = run({"service_name": "tracking", "explain": True}, module=ecs_express_service_info)["services"][0]
    assert "exec format error" in info["explanation"]["text"]


def test_explanation_survives_what_cannot_be_read(run: Run, ecs: FakeEcs) -> None:
    ecs.outcome, ecs.reason = "STOPPED", "tasks failed to start"
    denied = Answer("AccessDeniedException", "not allowed")
    for operation in ("ListTasks", "DescribeTargetHealth"):
        ecs.errors[operation] = [denied] * 9
    result = run(full_params())
    assert "tasks failed to start" in result["msg"]
    assert "the tasks could not be read" in result["msg"]


def test_tasks_and_events_of_an_older_service_of_the_name_are_not_blamed(run: Run, ecs: FakeEcs) -> None:
    ecs.now, ecs.stuck = 1000, True
    reason = "CannotPullContainerError: none"
    task = {"taskArn": f"{ACCOUNT}:task/default/old", "lastStatus": "STOPPED", "stoppedReason": reason}
    ecs.tasks = [{**task, "createdAt": ecs.moment(900), "containers": []}]
    ecs.events = ["(service tracking) " + reason]
    ecs.events_at = 900
    result = run(full_params(wait_timeout=30))
    assert "CannotPull" not in result["msg"]
    assert "still PROVISIONING: serviceSecurityGroups, loadBalancer, targetGroups" in result["explanation"]["resources"]


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


def test_log_is_found_by_the_task_definition(run: Run, ecs: FakeEcs) -> None:
    """The configuration of a revision that was rolled back is gone, and its log is elsewhere."""
    run(full_params())
    ecs.outcome, ecs.reason = "ROLLBACK_SUCCESSFUL", "tasks failed to start"
    task = {"taskArn": f"{ACCOUNT}:task/default/new", "lastStatus": "STOPPED", "stoppedReason": "x", "containers": []}
    ecs.tasks, ecs.log = [task], ["the last words"]
    params = full_params()
    params["primary_container"]["aws_logs_configuration"] = {"log_group": "/new", "log_stream_prefix": "other"}
    result = run(params)
    assert "Last lines of the log (/new other/Main/new)" in result["msg"]


# ---- which security groups are ECS's


GROUPS = [{"tells_groups": True, "marks_groups": False}, {"tells_groups": False, "marks_groups": True}]


@pytest.mark.parametrize("how", GROUPS, ids=["by revision", "by tag"])
def test_trap_05_groups_are_compared_exactly_where_ecs_own_is_known(
    run: Run, ecs: FakeEcs, how: dict[str, bool]
) -> None:
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


@pytest.mark.parametrize("denied", [False, True])
def test_trap_05_groups_are_a_subset_where_it_is_not_known(run: Run, ecs: FakeEcs, denied: bool) -> None:
    ecs.behaviour = Behaviour(tells_groups=False, marks_groups=False)
    run(full_params())
    if denied:
        ecs.errors["DescribeSecurityGroups"] = [Answer("UnauthorizedOperation", "You are not authorized")] * 9
    assert run(full_params())["changed"] is False
    assert run(full_params(network_configuration={"security_groups": ["sg-mine", "sg-more"]}))["changed"] is True


def test_trap_05_tags_that_ecs_adds_stay(run: Run, ecs: FakeEcs) -> None:
    ecs.behaviour = Behaviour(own_tags=("aws:ecs:serviceName", "aws:ecs:clusterName", "AmazonECSManaged"))
    run(full_params())
    assert run(full_params())["changed"] is False
    assert run(full_params(tags={}))["changed"] is True
    assert {item["key"] for item in ecs.services[ARN]["tags"]} == set(ecs.behaviour.own_tags)
    assert "AWS's own" in run(full_params(tags={"aws:ecs:serviceName": "x"}))["msg"]


# ---- a service that ECS has given up


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


# ---- what IAM is asked before the creation


def test_trap_21_creation_waits_for_a_role_of_this_moment(run: Run, ecs: FakeEcs) -> None:
    ecs.roles["infrastructure"]["CreateDate"] = ecs.moment()
    ecs.allowed_at = 20.0
    result = run(full_params())
    assert not result.get("failed"), result["msg"]
    assert any("does not allow it elasticloadbalancing:DescribeLoadBalancers" in line for line in result["progress"])
    assert ecs.calls["SimulatePrincipalPolicy"] >= 3
    assert "warnings" not in result


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


# ---- a roll-back that nobody waited for


def roll_back_unseen(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    ecs.outcome, ecs.reason = "ROLLBACK_SUCCESSFUL", "tasks failed to start"
    run(full_params(memory="8192", wait=False))
    ecs.now += 1000
    ecs._tick()
    ecs.outcome, ecs.reason = "SUCCESSFUL", ""


def test_trap_22_unseen_rollback_is_told_and_tried_again(run: Run, ecs: FakeEcs) -> None:
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


# ---- credentials that expire, secrets that look like some


def test_credentials_that_expire_during_the_wait_are_named(run: Run, ecs: FakeEcs) -> None:
    expired = Answer("ExpiredTokenException", "The security token included in the request is expired")

    def later() -> None:
        if ecs.now >= 15:
            for operation in ("ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions"):
                ecs.errors[operation] = [expired] * 10

    ecs.on_tick = later
    result = run(full_params())
    assert result["failed"]
    assert "credentials expired" in result["msg"]
    assert "run the same task again" in result["msg"]
    assert result["changed"] is True
    assert any("IN_PROGRESS" in line for line in result["progress"])


def test_trap_24_short_secrets_are_not_echoed(run: Run, ecs: FakeEcs, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.log", lambda self, msg, log_args=None: logged.append(str(msg))
    )
    params = full_params()
    container = {**params["primary_container"], "environment": {"DB_PASSWORD": "q7x", "API_KEY": "a-long-secret"}}
    given = {**params, "primary_container": container}
    wrong = {**given, "cpu_architecture": "VAX"}
    as_text = {**wrong, "primary_container": json.dumps(container)}
    for arguments in (given, wrong, as_text):
        result = run(arguments)
        text = json.dumps(result)
        assert "invocation" in result
        assert "q7x" not in text
        assert "a-long-secret" not in text
    assert logged
    assert "q7x" not in "".join(logged)
    environment = ecs.sent["CreateExpressGatewayService"]["primaryContainer"]["environment"]
    assert {"name": "DB_PASSWORD", "value": "q7x"} in environment, "the service itself must get it"


def test_trap_18_network_that_does_not_do_is_said_in_the_words_of_aws(run: Run, ecs: FakeEcs) -> None:
    """No default VPC, too few zones or addresses: nothing of that is awaited or created."""
    message = "No subnets were given, and the default VPC is missing or has no public subnets."
    ecs.errors["CreateExpressGatewayService"] = [Answer("InvalidParameterException", message)]
    result = run(full_params())
    assert result["failed"]
    assert message in result["msg"]
    assert result["changed"] is False
    assert ecs.calls["CreateExpressGatewayService"] == 1
    assert not ecs.services


# ---- how updates are carried out

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
    # By somebody else's hand.
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
