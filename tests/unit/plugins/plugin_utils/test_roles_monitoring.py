# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import monitoring as inputs
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import monitoring
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import monitoring_dashboard

ELB = "arn:aws:elasticloadbalancing:eu-central-1:123456789012"
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
RESOURCES = [
    {"kind": "loadBalancer", "arn": f"{ELB}:loadbalancer/app/gateway/5"},
    {"kind": "targetGroups", "arn": f"{ELB}:targetgroup/green/2"},
    {"kind": "targetGroups", "arn": f"{ELB}:targetgroup/blue/1"},
    {"kind": "certificate", "arn": CERTIFICATE},
    {"kind": "rule", "arn": None},
]
ANSWERS = {
    "cluster": "default",
    "service_name": "tracking",
    "alarm_prefix": "mlflow.tracking/",
    "topic_name": "mlflow-tracking",
    "context": {"account_id": "123456789012", "partition": "aws", "region": "eu-central-1"},
    "bucket": "tracking-artifacts",
    "database": "tracking",
    "services": [{"managed_resources": RESOURCES}],
    "instances": [{"db_instance_class": "db.t4g.micro", "allocated_storage": 50}],
}
GROUPS = ["targetgroup/blue/1", "targetgroup/green/2"]


def watched(**changes):
    return monitoring.subject({**ANSWERS, **changes})


def alarms(**changes):
    return {one["name"]: one for one in monitoring.alarms(watched(**changes))}


def test_the_set():
    assert sorted(alarms()) == [
        "certificate",
        *("database-connections", "database-cpu", "database-credits", "database-memory", "database-storage"),
        "database-transaction-ids",
        *("service-errors", "service-memory", "service-tasks", "service-unhealthy"),
    ]


def test_what_concerns_the_tasks_is_the_sum_over_both_target_groups():
    for name in ("service-errors", "service-tasks", "service-unhealthy"):
        *metrics, total = alarms()[name]["metrics"]
        assert [one["dimensions"]["TargetGroup"] for one in metrics] == GROUPS
        assert {one["dimensions"]["LoadBalancer"] for one in metrics} == {"app/gateway/5"}
        assert total["expression"] == "SUM([group1, group2])"
        assert [bool(one.get("return_data")) for one in alarms()[name]["metrics"]] == [False, False, True]


def test_a_server_without_any_target_is_one_without_tasks():
    assert alarms()["service-tasks"]["treat_missing_data"] == "breaching"
    assert alarms(wanted_tasks=3)["service-tasks"]["threshold"] == 3


@pytest.mark.parametrize(
    ("storage", "gib"),
    [(20, 2), (50, 5), (1000, 100)],
)
def test_free_storage_is_a_share_and_at_least_two_gibibytes(storage, gib):
    found = alarms(instances=[{"db_instance_class": "db.m7g.large", "allocated_storage": storage}])
    assert found["database-storage"]["threshold"] == gib * 1024**3


def test_credits_of_burstable_classes_alone():
    found = alarms()["database-credits"]
    assert found["metrics"][-1]["expression"] == "IF(credits < 20, cpu, 0)"
    assert found["threshold"] == 10
    assert "database-credits" not in alarms(instances=[{"db_instance_class": "db.m7g.large"}])


def test_a_class_that_is_not_known_has_no_limits():
    found = alarms(instances=[{"db_instance_class": "db.z9.huge", "allocated_storage": 20}])
    assert not {"database-connections", "database-memory", "database-credits"} & set(found)
    assert "database-storage" in found


def test_connections_against_those_that_are_left_for_users():
    # 84 of a db.t4g.micro by a careful estimate, of which five are reserved.
    assert alarms()["database-connections"]["threshold"] == 63


def test_no_alarms_on_a_database_that_is_looked_after_elsewhere():
    assert not [name for name in alarms(database="", instances=[]) if name.startswith("database")]


def test_thresholds_of_ones_own():
    found = alarms(thresholds={"service_errors": "3", "database_cpu_percent": 50, "certificate_days": 7})
    assert found["service-errors"]["threshold"] == 3
    assert found["database-cpu"]["threshold"] == 50
    assert found["certificate"]["threshold"] == 7
    assert found["service-memory"]["threshold"] == 90


def test_before_anything_exists_a_plan_has_the_same_alarms():
    found = alarms(services=[], instances=[], instance_class="db.t4g.micro", allocated_storage=50)
    assert sorted(found) == sorted(alarms())


def test_cloudwatch_takes_the_periods():
    """At most a day, a week for periods of an hour and more (API_PutMetricAlarm)."""
    for one in alarms().values():
        periods = {query["period"] for query in one.get("metrics", [one]) if "period" in query}
        assert len(periods) == 1
        period = periods.pop()
        assert period % 60 == 0
        assert period * one["evaluation_periods"] <= (7 if period >= 3600 else 1) * 86400


def test_the_topic_admits_alarms_of_the_deployment_alone():
    (statement,) = monitoring.topic_policy(ANSWERS)["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == "sns:Publish"
    assert statement["Resource"] == "arn:aws:sns:eu-central-1:123456789012:mlflow-tracking"
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:mlflow.tracking/*"},
    }


# ---- dashboard


def body(**changes):
    return monitoring_dashboard.body(watched(**changes))


def test_no_two_widgets_overlap_and_all_are_within_the_columns():
    taken: set[tuple[int, int]] = set()
    for widget in body()["widgets"]:
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken
        assert widget["x"] + widget["width"] <= 24
        taken |= cells


def test_a_dashboard_that_is_free_has_fifty_metrics_at_most():
    metrics = [
        metric
        for widget in body()["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if isinstance(metric[0], str)
    ]
    assert 20 < len(metrics) <= 50


def test_it_shows_the_alarms_and_their_thresholds():
    shown = {widget["properties"].get("title"): widget["properties"] for widget in body()["widgets"]}
    begin = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:mlflow.tracking/"
    assert [arn.removeprefix(begin) for arn in shown["Alarms"]["alarms"]] == sorted(alarms())
    limits = {
        title: one["annotations"]["horizontal"][0]["value"] for title, one in shown.items() if "annotations" in one
    }
    assert limits["Database: CPU (%)"] == 90
    assert limits["Database: free storage (bytes)"] == 5 * 1024**3


def test_ids_are_unique_in_a_widget_and_expressions_name_them():
    for widget in body()["widgets"]:
        rows = [row[-1] for row in widget["properties"].get("metrics", [])]
        ids = [row["id"] for row in rows]
        assert len(set(ids)) == len(ids)
        for row in rows:
            if "expression" in row:
                named = row["expression"].partition("[")[2].rstrip("])").split(", ")
                assert set(named) <= set(ids)


def test_without_a_database_it_shows_none():
    text = json.dumps(body(database="", instances=[]))
    assert "AWS/RDS" not in text
    assert "AWS/ECS" in text


# ---- variables


@pytest.mark.parametrize(
    ("endpoint", "protocol"),
    [
        ("team@example.com", "email"),
        ("https://hooks.example.com/x", "https"),
        ("http://127.0.0.1:8000/alarms", "http"),
        ("+4930123456", "sms"),
        ("arn:aws:sqs:eu-central-1:123456789012:alarms", "sqs"),
        ("arn:aws-cn:lambda:cn-north-1:123456789012:function:tell", "lambda"),
        ("team", ""),
        ("ftp://example.com", ""),
        ("https://", ""),
    ],
)
def test_an_endpoint_tells_its_protocol(endpoint, protocol):
    assert inputs.protocol_of(endpoint) == protocol
    assert bool(inputs.subscriptions("mlflow_monitoring_subscriptions", [endpoint])) is not bool(protocol)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ""),
        ({"service_errors": "5"}, ""),
        ({"service_erors": 5}, "has no threshold service_erors"),
        ({"database_cpu_percent": 101}, "from 1 to 100"),
        ({"database_cpu_percent": True}, "from 1 to 100"),
        ({"database_cpu_percent": "much"}, "from 1 to 100"),
    ],
)
def test_thresholds(given, said):
    found = " ".join(map(str, inputs.thresholds("mlflow_monitoring_thresholds", given)))
    assert (said in found) if said else not found
