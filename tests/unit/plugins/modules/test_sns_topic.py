# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_monitoring import Sns

ARN = "arn:aws:sns:eu-central-1:123456789012:mlflow-tracking"
POLICY = {"Version": "2012-10-17", "Statement": []}
MAIL = {"protocol": "email", "endpoint": "team@example.com"}
QUEUE = {"protocol": "sqs", "endpoint": "arn:aws:sqs:eu-central-1:123456789012:alarms"}
GIVEN = {"topic_name": "mlflow-tracking", "policy": POLICY, "subscriptions": [MAIL, QUEUE], "tags": {"Team": "one"}}


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud(monkeypatch)
    cloud.sns = Sns()
    return cloud


def cycle(cloud, **params):
    return cloud.cycle("sns_topic", cloud.sns, **{**GIVEN, **params})


def test_four_steps(cloud):
    check, applied, _check, again = cycle(cloud)
    assert check["topic_arn"] == applied["topic_arn"] == again["topic_arn"] == ARN
    assert (
        applied["subscriptions"] == again["subscriptions"] == [{**MAIL, "pending": True}, {**QUEUE, "pending": False}]
    )
    topic = cloud.sns.topics[ARN]
    assert json.loads(topic["attributes"]["Policy"]) == POLICY
    assert topic["tags"] == {"Team": "one"}


def test_a_policy_that_was_changed_by_hand(cloud):
    cloud.run("sns_topic", **GIVEN)
    cloud.sns.topics[ARN]["attributes"]["Policy"] = '{"Version": "2008-10-17"}'
    cycle(cloud)


def test_subscriptions_come_and_go(cloud):
    cloud.run("sns_topic", **GIVEN)
    other = {"protocol": "https", "endpoint": "https://hooks.example.com/x"}
    cloud.sns.topics[ARN]["subscriptions"][0]["SubscriptionArn"] = f"{ARN}:confirmed"
    cycle(cloud, subscriptions=[other])
    assert [one["Protocol"] for one in cloud.sns.topics[ARN]["subscriptions"]] == ["https"]


def test_a_subscription_that_waits_cannot_be_removed(cloud):
    cloud.run("sns_topic", **GIVEN)
    result = cloud.run("sns_topic", **{**GIVEN, "subscriptions": [QUEUE]})
    assert not result.get("failed"), result
    assert "unsubscribe" not in cloud.sns.names()


def test_what_is_not_asked_for_is_left_alone(cloud):
    cloud.run("sns_topic", **GIVEN)
    assert not cloud.run("sns_topic", topic_name="mlflow-tracking")["changed"]


def test_tags(cloud):
    cloud.run("sns_topic", **GIVEN)
    cycle(cloud, tags={"Team": "two"})
    assert cloud.sns.topics[ARN]["tags"] == {"Team": "two"}


def test_absent(cloud):
    cloud.run("sns_topic", **GIVEN)
    cloud.cycle("sns_topic", cloud.sns, topic_name="mlflow-tracking", state="absent")
    assert cloud.sns.topics == {}
