# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_deployment_state: what is asked where nothing is to do, and what AWS tells late."""

from __future__ import annotations

from collections import Counter

import botocore.session
import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import secrets
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import Account
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.deployment_state_runs import DEPLOYMENT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.deployment_state_runs import make_cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.deployment_state_runs import run


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, account: Account) -> Cloud:
    return make_cloud(monkeypatch, account)


READ = {
    "describe_db_instances": 1,
    "describe_db_parameters": 1,
    "describe_express_gateway_service": 1,
    "describe_log_groups": 1,
    "describe_route_tables": 1,
    "describe_rules": 1,
    "describe_security_groups": 1,
    "describe_services": 1,
    "describe_subnets": 1,
    "get_bucket_encryption": 1,
    "get_bucket_lifecycle_configuration": 1,
    "get_bucket_ownership_controls": 1,
    "get_bucket_policy": 1,
    "get_bucket_versioning": 1,
    "get_public_access_block": 1,
    "get_resources": 1,
    "get_role": 3,
    "get_role_policy": 3,
    "list_attached_role_policies": 3,
    "list_role_policies": 3,
    "list_secrets": 1,
}


def test_requests_where_there_is_nothing_to_do(cloud: Cloud, account: Account) -> None:
    given = {"deployment": {**DEPLOYMENT, "account_id": ACCOUNT, "partition": "aws"}, "read": "if_recorded"}
    run(cloud, **given, record=True)
    account.calls.clear()
    cloud.sts.calls.clear()
    assert run(cloud, **given)["unchanged"]
    assert Counter(account.names()) == READ
    assert cloud.sts.calls == []


def test_a_deployment_of_the_service_that_is_not_the_recorded_one_is_looked_at(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    account.state["ecs_service"]["currentServiceDeployment"] = "arn:another/one"
    account.state["deployment"].update(serviceDeploymentArn="arn:another/one", status="IN_PROGRESS")
    assert run(cloud, read="if_recorded")["reasons"] == ["the newest deployment of the service is IN_PROGRESS"]
    account.state["deployment"].update(status="SUCCESSFUL")
    account.calls.clear()
    assert run(cloud, read="if_recorded")["unchanged"]
    assert "list_service_deployments" in account.names()
    assert run(cloud, record=True)["recorded"]
    account.calls.clear()
    assert run(cloud, read="if_recorded")["unchanged"]
    assert "list_service_deployments" not in account.names()


@pytest.mark.parametrize("current", ["", "arn:another/one"])
def test_a_deployment_that_ecs_does_not_call_the_present_one_is_always_looked_at(
    cloud: Cloud, account: Account, current: str
) -> None:
    account.state["ecs_service"]["currentServiceDeployment"] = current
    run(cloud, record=True)
    account.calls.clear()
    assert run(cloud, read="if_recorded")["unchanged"]
    assert "list_service_deployments" in account.names()


def test_access_logs_are_read_where_they_are_managed(cloud: Cloud, account: Account) -> None:
    run(cloud, deployment={**DEPLOYMENT, "access_log_bucket": "our-logs"})
    assert "get_bucket_logging" in account.names()


@pytest.mark.parametrize("listed", [None, {"Description": "an older one"}])
def test_secrets_that_are_listed_late_are_no_drift(cloud: Cloud, account: Account, listed: dict | None) -> None:
    account.listed = listed
    run(cloud, record=True)
    found = run(cloud)
    assert (found["unchanged"], found["unknown"]) == (True, {})


def test_who_may_not_list_secrets_asks_for_each(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    account.faults["list_secrets"] = [error("AccessDeniedException")]
    assert run(cloud)["unchanged"]


def test_a_secret_that_is_gone_is_missing(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    account.listed = None
    account.faults["describe_secret"] = [error("ResourceNotFoundException")]
    assert "missing: secret_server" in run(cloud)["reasons"]


def test_what_is_left_out_of_secrets_is_what_only_one_request_tells() -> None:
    model = botocore.session.get_session().get_service_model("secretsmanager")
    described = set(model.operation_model("DescribeSecret").output_shape.members)
    listed = set(model.operation_model("ListSecrets").output_shape.members["SecretList"].member.members)
    assert described - listed <= set(secrets.ONLY_DESCRIBED)
    assert listed - described == set(secrets.ONLY_LISTED)


@pytest.mark.parametrize("tags", [[], [{"Key": "MlflowName", "Value": "an older one"}]])
def test_tags_that_a_search_finds_late_are_no_drift(cloud: Cloud, account: Account, tags: list[dict[str, str]]) -> None:
    account.searched_tags = tags
    assert run(cloud, record=True)["resources"]["log_group"]["tags"] == {"MlflowName": "tracking"}
    assert run(cloud)["unchanged"]
    account.state["log_tags"]["ByHand"] = "yes"
    found = run(cloud)
    assert found["changed_by_hand"] == ["log_group"]
    assert found["resources"]["log_group"]["tags"] == {"MlflowName": "tracking", "ByHand": "yes"}


def test_a_search_that_is_denied_is_not_taken_for_drift(cloud: Cloud, account: Account) -> None:
    run(cloud, record=True)
    account.faults["get_resources"] = [error("AccessDeniedException", message="no tags for you")]
    found = run(cloud)
    assert (found["unknown"], found["changed_by_hand"]) == ({"elsewhere": "no tags for you"}, ["elsewhere"])


def test_a_listener_rule_is_found_by_the_revision_where_the_service_does_not_tell_it(
    cloud: Cloud, account: Account
) -> None:
    with_rule = run(cloud)["resources"]["listener_rule"]
    account.state["ecs_service"].update(loadBalancers=[], currentServiceRevisions=[{"arn": "arn:revision/1"}])
    assert run(cloud)["resources"]["listener_rule"] == with_rule
