# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_network import Logs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

NAME = "/ecs/default/mlflow"
ARN = "arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/default/mlflow"
GROUP = {"log_group_name": NAME, "retention_in_days": 30, "tags": {"Project": "mlflow"}}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud(monkeypatch)
    cloud.logs = Logs()
    return cloud


def cycle(cloud, **params):
    return cloud.cycle("logs_log_group", cloud.logs, **params)


def test_four_steps(cloud):
    check, applied, _check, again = cycle(cloud, **GROUP)
    assert check["log_group"] == applied["log_group"] == again["log_group"]
    assert check["log_group"]["arn"] == ARN
    assert check["diff"] == {
        "before": {},
        "after": {"retention_in_days": 30, "kms_key_id": "", "tags": {"Project": "mlflow"}},
    }


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ({"retention_in_days": 7}, {"retention_in_days": 30}, {"retention_in_days": 7}),
        ({"retention_in_days": 0}, {"retention_in_days": 30}, {"retention_in_days": 0}),
        ({"kms_key_id": KEY}, {"kms_key_id": ""}, {"kms_key_id": KEY}),
        ({"tags": {"Team": "one"}}, {"tags": {"Project": "mlflow"}}, {"tags": {"Team": "one"}}),
        (
            {"tags": {"Team": "one"}, "purge_tags": False},
            {"tags": {"Project": "mlflow"}},
            {"tags": {"Project": "mlflow", "Team": "one"}},
        ),
    ],
)
def test_each_change_is_shown_from_old_to_new(cloud, change, before, after):
    cloud.run("logs_log_group", **GROUP)
    check, applied, _check, _again = cycle(cloud, **{**GROUP, **change})
    assert check["diff"] == applied["diff"]
    shown = check["diff"]
    assert {key: shown["before"][key] for key in before} == before
    assert {key: shown["after"][key] for key in after} == after
    assert [key for key in shown["before"] if shown["before"][key] != shown["after"][key]] == list(after)


def test_a_key_is_taken_away(cloud):
    cloud.run("logs_log_group", **GROUP, kms_key_id=KEY)
    assert not cloud.run("logs_log_group", **GROUP)["changed"], "what is not asked for is left alone"
    cycle(cloud, **GROUP, kms_key_id="")


def test_a_group_whose_name_only_begins_so_is_another(cloud):
    cloud.run("logs_log_group", log_group_name=f"{NAME}-of-others", retention_in_days=1)
    check, _applied, _check, _again = cycle(cloud, **GROUP)
    assert check["diff"]["before"] == {}
    assert cloud.logs.groups[f"{NAME}-of-others"]["retentionInDays"] == 1


def test_made_meanwhile_with_other_settings(cloud):
    original = cloud.logs.call_create_log_group

    def late(**params):
        original(logGroupName=NAME, tags={"By": "ecs"})
        raise error("ResourceAlreadyExistsException")

    cloud.logs.call_create_log_group = late
    assert cloud.run("logs_log_group", **GROUP)["changed"]
    assert cloud.logs.groups[NAME]["retentionInDays"] == 30
    assert cloud.logs.tags[ARN] == {"Project": "mlflow"}


def test_a_retention_that_there_is_not(cloud):
    assert "takes one of 0, 1, 3, 5" in cloud.run("logs_log_group", log_group_name=NAME, retention_in_days=31)["msg"]
    assert cloud.logs.writes() == []


def test_absent(cloud):
    cloud.run("logs_log_group", **GROUP)
    check, _applied, _check, _again = cycle(cloud, log_group_name=NAME, state="absent")
    assert check["diff"]["before"]["retention_in_days"] == 30
    assert cloud.logs.groups == {}


def test_gone_meanwhile(cloud):
    cloud.run("logs_log_group", **GROUP)
    cloud.logs.faults["delete_log_group"] = [error("ResourceNotFoundException")]
    assert cloud.run("logs_log_group", log_group_name=NAME, state="absent")["changed"]
