# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_maintenance import Scheduler

TASK = {"task_definition_arn": "arn:aws:ecs:eu-central-1:123456789012:task-definition/gc:1", "subnets": ["subnet-2"]}
TARGET = {
    "arn": "arn:aws:ecs:eu-central-1:123456789012:cluster/default",
    "role_arn": "arn:aws:iam::123456789012:role/scheduler",
    "ecs_parameters": TASK,
}
GIVEN = {"schedule_name": "gc", "schedule_expression": "rate(7 days)", "target": TARGET}
ARN = "arn:aws:scheduler:eu-central-1:123456789012:schedule/default/gc"


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud(monkeypatch)
    cloud.scheduler = Scheduler()
    return cloud


def cycle(cloud, **params):
    return cloud.cycle("scheduler_schedule", cloud.scheduler, **{**GIVEN, **params})


def test_four_steps(cloud):
    results = cycle(cloud)
    assert {one["schedule_arn"] for one in results} == {ARN}
    made = cloud.scheduler.schedules["default", "gc"]
    assert made["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert made["State"] == "ENABLED"
    network = made["Target"]["EcsParameters"]["NetworkConfiguration"]["awsvpcConfiguration"]
    assert network == {"Subnets": ["subnet-2"], "AssignPublicIp": "DISABLED"}
    assert "DeadLetterConfig" not in made["Target"] and "Input" not in made["Target"]


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule_expression": "rate(1 day)"},
        {"schedule_expression_timezone": "Europe/Berlin"},
        {"enabled": False},
        {"description": "weekly"},
        {"flexible_time_window_minutes": 15},
        {"target": {**TARGET, "dead_letter_arn": "arn:aws:sqs:eu-central-1:123456789012:failures"}},
        {"target": {**TARGET, "maximum_retry_attempts": 3}},
        {"target": {**TARGET, "input": "{}"}},
        {"target": {**TARGET, "ecs_parameters": {**TASK, "security_groups": ["sg-1"], "assign_public_ip": True}}},
        {"target": {**TARGET, "ecs_parameters": {**TASK, "task_definition_arn": "arn:aws:ecs:::other:2"}}},
    ],
)
def test_each_setting_can_be_changed(cloud, changes):
    cloud.run("scheduler_schedule", **GIVEN)
    cycle(cloud, **changes)


def test_the_order_of_subnets_is_no_difference(cloud):
    cloud.run("scheduler_schedule", **GIVEN | {"target": {**TARGET, "ecs_parameters": {**TASK, "subnets": ["b", "a"]}}})
    swapped = {**TARGET, "ecs_parameters": {**TASK, "subnets": ["a", "b"]}}
    assert not cloud.run("scheduler_schedule", **{**GIVEN, "target": swapped})["changed"]


def test_an_update_keeps_what_it_does_not_set(cloud):
    cloud.run("scheduler_schedule", **GIVEN)
    kept = {"EndDate": datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC), "ActionAfterCompletion": "DELETE"}
    cloud.scheduler.schedules["default", "gc"].update(kept)
    cloud.run("scheduler_schedule", **{**GIVEN, "description": "new"})
    made = cloud.scheduler.schedules["default", "gc"]
    assert {name: made[name] for name in kept} == kept


def test_absent(cloud):
    cloud.run("scheduler_schedule", **GIVEN)
    cloud.cycle("scheduler_schedule", cloud.scheduler, schedule_name="gc", state="absent")
    assert cloud.scheduler.schedules == {}


def test_group(cloud):
    given = {"schedule_group_name": "mlflow-tracking", "tags": {"Team": "one"}}
    cloud.cycle("scheduler_schedule_group", cloud.scheduler, **given)
    cloud.cycle("scheduler_schedule_group", cloud.scheduler, **{**given, "tags": {"Owner": "two"}})
    assert cloud.scheduler.groups["mlflow-tracking"]["tags"] == {"Owner": "two"}
    cloud.cycle("scheduler_schedule_group", cloud.scheduler, schedule_group_name="mlflow-tracking", state="absent")
    assert cloud.scheduler.groups == {} and cloud.sleeps


def test_a_group_that_is_being_deleted_is_made_again(cloud):
    given = {"schedule_group_name": "mlflow-tracking", "tags": {"Team": "one"}}
    cloud.run("scheduler_schedule_group", **given)
    cloud.scheduler.groups["mlflow-tracking"]["State"] = "DELETING"
    assert cloud.run("scheduler_schedule_group", **given)["changed"]
    assert cloud.scheduler.groups["mlflow-tracking"]["State"] == "ACTIVE"


def test_a_group_whose_end_does_not_come(cloud):
    cloud.scheduler.reads_until_gone = 10**6
    cloud.run("scheduler_schedule_group", schedule_group_name="g")
    result = cloud.run("scheduler_schedule_group", schedule_group_name="g", state="absent", wait_timeout=30)
    assert "is not deleted after 30 seconds (wait_timeout)" in result["msg"]
