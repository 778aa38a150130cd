# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_deployment_state: the same state looks the same, and whatever a role would change or refuse does not."""

from __future__ import annotations

import copy
import typing
from collections.abc import Callable

import botocore.session
import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.internal_tags import LOCK_PREFIX
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import canonical
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import observation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import record
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import BOUNDARY
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import BUCKET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import KEY
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import THEIR_SECRET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import Account
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.deployment_state_runs import GIVEN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.deployment_state_runs import make_cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.deployment_state_runs import run


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, account: Account) -> Cloud:
    return make_cloud(monkeypatch, account)


def test_a_recorded_deployment_is_unchanged_until_something_differs(cloud: Cloud, account: Account) -> None:
    first = run(cloud)
    assert (first["applied"], first["unchanged"], first["variables_changed"]) == ({}, False, True)
    assert first["reasons"] == ["there is no record of what was applied last"]
    assert account.writes() == []
    recorded = run(cloud, record=True)
    assert recorded["changed"] is recorded["recorded"] is True
    again = run(cloud)
    assert (again["reasons"], again["unchanged"], again["changed_by_hand"]) == ([], True, [])
    assert again["applied"]["collection_version"] == "0.1.0"
    assert set(again["applied"]["resources"]) == set(again["resources"])
    # The record is no attribute of the service, and the same is not written again.
    assert again["resources"] == first["resources"]
    assert run(cloud, record=True)["recorded"] is False


def test_names_of_the_resources(cloud: Cloud) -> None:
    assert sorted(run(cloud)["resources"]) == [
        "bucket",
        "database",
        "database_parameter_group",
        "database_subnet_group",
        "deployment_settings",
        "elsewhere",
        "iam_role_execution",
        "iam_role_infrastructure",
        "iam_role_task",
        "kms_key_1234",
        "listener_rule",
        "log_group",
        "network",
        "policy_boundary",
        "scaling",
        "secret_database",
        "secret_login",
        "secret_server",
        "secret_theirs-AbCdEf",
        "security_group_database",
        "security_group_service",
        "service",
        "task_definition",
    ]


def leaves(value: typing.Any, path: tuple = ()) -> typing.Iterator[tuple]:
    """Yield where each single value lies."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not items:
        yield path
    for key, one in items:
        yield from leaves(one, (*path, key))


def replaced(state: typing.Any, path: tuple) -> typing.Any:
    """Return the state with another value at one place."""
    if not path:
        if isinstance(state, (bool, int)):
            return state + 1
        return '{"Statement": []}' if str(state).startswith("{") else f"{state}-by-hand"
    changed = copy.copy(state)
    changed[path[0]] = replaced(state[path[0]], path[1:])
    return changed


# The ends of the ways to values that are left out on purpose.
LEFT_OUT = {
    "AttachmentCount",
    "AvailableIpAddressCount",
    "LastAccessedDate",
    "LastUsedDate",
    "LatestRestorableTime",
    "Type",  # of the rule's actions
    "createdAt",
    "get_bucket_logging",  # not managed here
    "currentServiceDeployment",  # another one is looked at
    "message",
    "serviceDeploymentArn",
    "productionListenerRule",  # the rule that it names is an attribute itself
    "serviceRevisionArn",
    "storedBytes",
    "v1",  # a version of a secret that is not the current one
}


def test_each_single_value_that_differs_is_seen(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    scope = Scope(
        *("tracking", "default", ACCOUNT, REGION, "aws", BUCKET),
        database="tracking",
        parameter_group="tracking-postgres16",
        kms_keys=[KEY],
        secrets=[THEIR_SECRET],
        policies=[BOUNDARY],
    )
    inputs = record.Inputs("0.1.0", "aaaa", "bbbb")

    def unchanged() -> bool:
        return not observation.observe(lambda _service, _region="": clients.Client(account), scope, inputs).reasons

    before = account.state
    assert unchanged()
    seen: list[tuple] = []
    unseen: list[tuple] = []
    # But for the record itself.
    for path in (one for one in leaves(before) if one[:2] != ("service", "tags") or one[2] == 0):
        account.state = replaced(before, path)
        (unseen if unchanged() else seen).append(path)
    assert len(seen) > 70
    ends = [next(one for one in reversed(path) if isinstance(one, str)) for path in unseen]
    assert set(ends) == LEFT_OUT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state["deployment"].update(status="IN_PROGRESS"), "the newest deployment of the service is IN"),
        (lambda state: state["deployment"].update(status="ROLLBACK_SUCCESSFUL"), "the newest deployment of the serv"),
        (lambda state: state["ecs_service"].update(runningCount=0, desiredCount=0), "0 of 0 tasks are running"),
        (lambda state: state["ecs_service"].update(runningCount=0), "0 of 1 tasks are running"),
        (lambda state: state["database"].update(DBInstanceStatus="stopped"), "the database is stopped"),
        (
            lambda state: state["database"].update(PendingModifiedValues={"DBInstanceClass": "db.t4g.small"}),
            "the database has changes that are pending",
        ),
        (lambda state: state["key"].update(KeyState="Disabled"), "not as it was left: kms_key_1234"),
        (lambda state: state["subnets"][0].update(AvailableIpAddressCount=3), "not as it was left: network"),
        (lambda state: state["tagged"].append(f"arn:aws:rds:{REGION}:{ACCOUNT}:pg:x"), "not as it was left: elsewh"),
    ],
)
def test_what_is_under_way_or_refused_is_converged(
    cloud: Cloud, account: Account, change: Callable[[dict], None], reason: str
) -> None:
    run(cloud, record=True)
    change(account.state)
    found = run(cloud)
    assert not found["unchanged"]
    assert any(one.startswith(reason) for one in found["reasons"]), found["reasons"]


def test_a_deployment_that_a_verb_works_on_is_converged_which_says_whose_it_is(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    account.state["service"]["tags"].append({"key": f"{LOCK_PREFIX}1", "value": "verb=backup step=2"})
    assert run(cloud)["reasons"] == ["it has the lock of a verb"]


def test_of_the_parameters_those_count_that_somebody_has_set(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    parameters = account.state["parameters"]
    parameters.append({"ParameterName": "work_mem", "ParameterValue": "4", "Source": "engine-default"})
    assert run(cloud)["unchanged"]
    parameters[-1]["Source"] = "user"
    assert run(cloud)["changed_by_hand"] == ["database_parameter_group"]


def test_other_variables_and_another_collection_are_converged(cloud: Cloud) -> None:
    run(cloud, record=True)
    assert run(cloud, variables_hash="cccc")["variables_changed"]
    assert run(cloud, variables_hash="cccc")["reasons"] == ["variables have changed"]
    assert not run(cloud, collection_hash="dddd")["unchanged"]
    assert run(cloud, collection_version="0.2.0")["reasons"] == [
        "it was deployed by another version of the collection (0.1.0)"
    ]


def test_a_denied_request_ends_in_a_full_converge_and_is_not_recorded(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    account.faults["describe_log_groups"] = [error("AccessDeniedException", message="no logs for you")]
    found = run(cloud)
    assert not found["unchanged"]
    assert found["unknown"] == {"log_group": "no logs for you"}
    account.faults["describe_log_groups"] = [error("AccessDeniedException")]
    assert run(cloud, record=True, variables_hash="other")["recorded"] is False


def test_an_answer_that_is_not_understood_fails_nothing(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    account.state["policy"] = "not JSON"
    assert "not understood" in run(cloud)["unknown"]["bucket_policy"]


def test_without_a_record_nothing_else_is_read_unless_asked_for(cloud: Cloud, account: Account) -> None:
    found = run(cloud, read="if_recorded")
    assert account.names() == ["describe_express_gateway_service"]
    assert (found["unchanged"], found["resources"]) == (False, {})
    run(cloud, record=True)
    account.calls.clear()
    assert run(cloud, read="if_recorded")["unchanged"]
    account.calls.clear()
    assert run(cloud, read="if_recorded", variables_hash="other")["reasons"][0] == "variables have changed"
    assert account.names() == ["describe_express_gateway_service"]


# What a deployment is asked for, with the default settings, where there is nothing to do.
def test_in_check_mode_nothing_is_recorded(cloud: Cloud, account: Account) -> None:
    assert cloud.run("mlflow_deployment_state", check=True, **{**GIVEN, "record": True})["recorded"] is True
    assert account.writes() == []


def test_no_service_no_record(cloud: Cloud, account: Account) -> None:
    account.state["service"] = {}
    assert run(cloud, record=True)["recorded"] is False
    assert "service" not in run(cloud)["resources"]


def test_likely_secrets_of_the_environment_are_compared_and_not_shown(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    assert run(cloud)["resources"]["task_definition"]["environment"] == {"PGSSLMODE": "require", "API_KEY": "(hidden)"}
    assert "not-to-be-shown" not in cloud.printed
    account.state["service"]["activeConfigurations"][0]["primaryContainer"]["environment"][1]["value"] = "another"
    assert run(cloud)["changed_by_hand"] == ["task_definition"]


def test_the_order_of_lists_counts_for_commands_alone(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    configuration = account.state["service"]["activeConfigurations"][0]
    configuration["networkConfiguration"]["subnets"].reverse()
    account.state["subnets"].reverse()
    account.state["groups"].reverse()
    assert run(cloud)["unchanged"]
    configuration["primaryContainer"]["command"].reverse()
    assert run(cloud)["changed_by_hand"] == ["task_definition"]


def test_the_record_needs_few_tags_and_old_ones_are_removed(cloud: Cloud, account: Account) -> None:
    account.state["service"]["tags"].append({"key": "mlops.mlflow_aws:resources-9", "value": "gone=1"})
    run(cloud, record=True)
    tags = {one["key"]: one["value"] for one in account.state["service"]["tags"]}
    ours = [key for key in tags if key.startswith("mlops.mlflow_aws:")]
    assert len(ours) <= 5 and "mlops.mlflow_aws:resources-9" not in ours
    assert all(len(tags[key]) <= 256 for key in ours)
    assert run(cloud)["unchanged"]


def test_a_service_without_space_for_the_record(cloud: Cloud, account: Account) -> None:
    account.state["service"]["tags"] = [{"key": f"k{number}", "value": ""} for number in range(48)]
    assert run(cloud, record=True)["recorded"] is False
    assert "tag_resource" not in account.names()


@pytest.mark.parametrize("text", ["", "nonsense", "time= version=", "time=now"])
def test_a_record_that_is_not_understood_is_none(text: str) -> None:
    assert not record.from_tags({"mlops.mlflow_aws:applied": text})


# Where botocore describes what is left out: service, operation, and the way to the structure.
SHAPES = {
    "alarms": ("cloudwatch", "DescribeAlarms", ("MetricAlarms",)),
    "service": ("ecs", "DescribeExpressGatewayService", ("service",)),
    "deployment_settings": ("ecs", "DescribeServices", ("services",)),
    "listener_rule": ("elbv2", "DescribeRules", ("Rules",)),
    "database": ("rds", "DescribeDBInstances", ("DBInstances",)),
    "network": ("ec2", "DescribeSubnets", ("Subnets",)),
    "iam_role": ("iam", "GetRole", ("Role",)),
    "log_group": ("logs", "DescribeLogGroups", ("logGroups",)),
    "secret": ("secretsmanager", "DescribeSecret", ()),
    "policy": ("iam", "GetPolicy", ("Policy",)),
}


@pytest.mark.parametrize("kind", list(canonical.VOLATILE))
def test_what_is_left_out_is_an_attribute_at_aws(kind: str) -> None:
    service, operation, path = SHAPES[kind]
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).output_shape
    for member in path:
        shape = shape.members[member]
        shape = getattr(shape, "member", shape)
    names = {canonical.snake(name) for name in shape.members}
    if kind == "service":
        names |= {canonical.snake(name) for name in shape.members["activeConfigurations"].member.members}
        names.add("task_definition_arn")
    assert set(canonical.VOLATILE[kind]) <= names
