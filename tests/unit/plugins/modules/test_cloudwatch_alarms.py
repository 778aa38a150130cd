# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_monitoring import CloudWatch

TOPIC = "arn:aws:sns:eu-central-1:123456789012:mlflow-tracking"
PREFIX = "mlflow.tracking/"
STORAGE = {
    "name": "database-storage",
    "alarm_description": "Give it more.",
    "namespace": "AWS/RDS",
    "metric_name": "FreeStorageSpace",
    "dimensions": {"DBInstanceIdentifier": "tracking"},
    "statistic": "Average",
    "period": 300,
    "threshold": 2147483648,
    "comparison_operator": "LessThanThreshold",
    "evaluation_periods": 3,
}
GROUP = {
    "namespace": "AWS/ApplicationELB",
    "metric_name": "HTTPCode_Target_5XX_Count",
    "statistic": "Sum",
    "period": 300,
}
ERRORS = {
    "name": "service-errors",
    "metrics": [
        {"id": "group1", **GROUP, "dimensions": {"TargetGroup": "targetgroup/a/1", "LoadBalancer": "app/x/1"}},
        {"id": "group2", **GROUP, "dimensions": {"TargetGroup": "targetgroup/b/2", "LoadBalancer": "app/x/1"}},
        {"id": "total", "expression": "SUM([group1, group2])", "label": "Errors", "return_data": True},
    ],
    "threshold": 10,
    "comparison_operator": "GreaterThanThreshold",
    "evaluation_periods": 1,
    "treat_missing_data": "notBreaching",
}
SET = {"prefix": PREFIX, "alarms": [STORAGE, ERRORS], "actions": [TOPIC], "tags": {"Team": "one"}}


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud(monkeypatch)
    cloud.cloudwatch = CloudWatch()
    return cloud


def cycle(cloud, **params):
    return cloud.cycle("cloudwatch_alarms", cloud.cloudwatch, **{**SET, **params})


def test_four_steps(cloud):
    check, applied, _check, again = cycle(cloud)
    names = [f"{PREFIX}database-storage", f"{PREFIX}service-errors"]
    assert check["alarm_names"] == applied["alarm_names"] == again["alarm_names"] == names
    assert set(check["diff"]["after"]) == {"database-storage", "service-errors"}
    storage, errors = (cloud.cloudwatch.alarms[name] for name in names)
    assert storage["Dimensions"] == [{"Name": "DBInstanceIdentifier", "Value": "tracking"}]
    assert (storage["AlarmActions"], storage["OKActions"]) == ([TOPIC], [TOPIC])
    assert storage["DatapointsToAlarm"] == 3
    assert "Metrics" not in storage
    assert [one["Id"] for one in errors["Metrics"]] == ["group1", "group2", "total"]
    assert [one["ReturnData"] for one in errors["Metrics"]] == [False, False, True]
    assert errors["Metrics"][0]["MetricStat"]["Metric"]["Dimensions"] == [
        {"Name": "LoadBalancer", "Value": "app/x/1"},
        {"Name": "TargetGroup", "Value": "targetgroup/a/1"},
    ]
    assert "MetricName" not in errors
    assert cloud.cloudwatch.tags[CloudWatch.arn(names[0])] == {"Team": "one"}


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 1},
        {"alarm_description": "Other words."},
        {"dimensions": {"DBInstanceIdentifier": "other"}},
        {"evaluation_periods": 4},
        {"datapoints_to_alarm": 2},
        {"treat_missing_data": "breaching"},
        {"period": 60},
    ],
)
def test_each_change_of_an_alarm(cloud, change):
    cloud.run("cloudwatch_alarms", **SET)
    check, _applied, _check, _again = cycle(cloud, alarms=[{**STORAGE, **change}, ERRORS])
    before, after = (check["diff"][side]["database-storage"] for side in ("before", "after"))
    assert before != after
    assert check["diff"]["before"]["service-errors"] == check["diff"]["after"]["service-errors"]
    assert cloud.cloudwatch.names().count("put_metric_alarm") == 3, "the other alarm is left alone"


def test_a_query_that_was_changed_by_hand(cloud):
    cloud.run("cloudwatch_alarms", **SET)
    metrics = cloud.cloudwatch.alarms[f"{PREFIX}service-errors"]["Metrics"]
    metrics[2]["Expression"] = "MAX([group1, group2])"
    cycle(cloud)
    assert cloud.cloudwatch.alarms[f"{PREFIX}service-errors"]["Metrics"][2]["Expression"] == "SUM([group1, group2])"


def test_actions_that_were_muted_are_switched_on(cloud):
    cloud.run("cloudwatch_alarms", **SET)
    cloud.cloudwatch.alarms[f"{PREFIX}database-storage"]["ActionsEnabled"] = False
    cycle(cloud)
    assert cloud.cloudwatch.alarms[f"{PREFIX}database-storage"]["ActionsEnabled"] is True


def test_alarms_that_are_not_in_the_set_are_deleted_and_those_of_others_are_not(cloud):
    cloud.run("cloudwatch_alarms", **SET)
    cloud.run("cloudwatch_alarms", **{**SET, "prefix": "mlflow.tracking-two/"})
    cycle(cloud, alarms=[STORAGE])
    assert sorted(cloud.cloudwatch.alarms) == [
        "mlflow.tracking-two/database-storage",
        "mlflow.tracking-two/service-errors",
        f"{PREFIX}database-storage",
    ]


def test_tags_of_alarms_that_are_there(cloud):
    cloud.run("cloudwatch_alarms", **SET)
    cycle(cloud, tags={"Team": "two"})
    assert set(map(str, cloud.cloudwatch.tags.values())) == {"{'Team': 'two'}"}


def test_absent(cloud):
    cloud.run("cloudwatch_alarms", **SET)
    cloud.cycle("cloudwatch_alarms", cloud.cloudwatch, prefix=PREFIX, state="absent")
    assert cloud.cloudwatch.alarms == {}


@pytest.mark.parametrize(
    ("alarm", "message"),
    [
        ({**STORAGE, "metrics": ERRORS["metrics"]}, "mutually exclusive"),
        ({key: value for key, value in STORAGE.items() if key != "metric_name"}, "metric_name"),
    ],
)
def test_an_alarm_is_on_a_metric_or_on_queries(cloud, alarm, message):
    result = cloud.run("cloudwatch_alarms", **{**SET, "alarms": [alarm]})
    assert result["failed"]
    assert message in result["msg"]
    assert cloud.cloudwatch.writes() == []
