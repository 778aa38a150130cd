# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_maintenance import Sqs

GIVEN = {"queue_name": "failures", "message_retention_period": 1209600, "tags": {"Team": "one"}}


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud(monkeypatch)
    cloud.sqs = Sqs()
    return cloud


def test_four_steps(cloud):
    check, applied, _check, again = cloud.cycle("sqs_queue", cloud.sqs, **GIVEN)
    assert check["queue_arn"] == again["queue_arn"] == "arn:aws:sqs:eu-central-1:123456789012:failures"
    assert (check["queue_url"], applied["queue_url"], again["queue_url"]) == ("", *[Sqs.url("failures")] * 2)
    queue = cloud.sqs.queues["failures"]
    assert queue == {"attributes": {"MessageRetentionPeriod": "1209600"}, "tags": {"Team": "one"}}


def test_changes(cloud):
    cloud.run("sqs_queue", **GIVEN)
    cloud.cycle("sqs_queue", cloud.sqs, **{**GIVEN, "message_retention_period": 60, "tags": {"Owner": "two"}})
    queue = cloud.sqs.queues["failures"]
    assert queue == {"attributes": {"MessageRetentionPeriod": "60"}, "tags": {"Owner": "two"}}


def test_what_is_not_asked_for_is_left_alone(cloud):
    cloud.run("sqs_queue", **GIVEN)
    assert not cloud.run("sqs_queue", queue_name="failures")["changed"]


def test_absent(cloud):
    cloud.run("sqs_queue", **GIVEN)
    cloud.cycle("sqs_queue", cloud.sqs, queue_name="failures", state="absent")
    assert cloud.sqs.queues == {}


def test_a_queue_that_was_deleted_a_moment_ago(cloud):
    cloud.run("sqs_queue", **GIVEN)
    cloud.run("sqs_queue", queue_name="failures", state="absent")
    assert "run this again in a minute" in cloud.run("sqs_queue", **GIVEN)["msg"]
