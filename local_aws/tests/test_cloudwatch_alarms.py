# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms: their arithmetic, and that they fire and recover by what really goes on, muted or not."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from express_support import Account
from express_support import endpoint_of
from running import LocalAws
from running import eventually
from test_database_instances import connect
from test_database_instances import create
from test_database_instances import wait_for

from local_aws.services.cloudwatch import metric_math
from local_aws.services.cloudwatch.models import Metric
from local_aws.services.cloudwatch.models import Samples
from local_aws.services.cloudwatch.models import evaluate

REGION = "eu-west-1"
ALARM = {
    "AlarmName": "a",
    "Namespace": "AWS/RDS",
    "MetricName": "FreeStorageSpace",
    "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": "x"}],
    "Statistic": "Average",
    "Period": 120,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 10.0,
    "ComparisonOperator": "LessThanThreshold",
    "StateValue": "INSUFFICIENT_DATA",
}
POLICY = {
    "Effect": "Allow",
    "Principal": {"Service": "cloudwatch.amazonaws.com"},
    "Action": "sns:Publish",
}


# Arithmetic ---------------------------------------------------------------------------------------------------------


def state(values: list[float | None], **changes: Any) -> str:
    alarm = {**ALARM, **changes}
    samples = Samples()
    samples.add(values)
    metric = Metric(REGION, "AWS/RDS", "FreeStorageSpace", (("DBInstanceIdentifier", "x"),), "Average")
    return evaluate(alarm, REGION, {metric: samples})


@pytest.mark.parametrize(
    ("values", "changes", "expected"),
    [
        ([20.0, 20.0, 5.0, 5.0, 5.0, 5.0], {}, "ALARM"),
        ([20.0, 20.0, 20.0, 20.0, 5.0, 5.0], {}, "OK"),
        # The average of each period, not each minute.
        ([20.0, 20.0, 5.0, 30.0, 5.0, 30.0], {}, "OK"),
        # What was before the first minute that was seen decides nothing.
        ([5.0, 5.0], {}, "OK"),
        ([], {}, "INSUFFICIENT_DATA"),
        ([None, None], {}, "INSUFFICIENT_DATA"),
        ([None, None], {"TreatMissingData": "notBreaching"}, "OK"),
        ([None] * 6, {"TreatMissingData": "breaching"}, "ALARM"),
        ([None] * 2, {"TreatMissingData": "breaching"}, "OK"),
        ([None] * 6, {"TreatMissingData": "ignore", "StateValue": "ALARM"}, "ALARM"),
        ([None, None, 5.0, 5.0, 5.0, 5.0], {}, "ALARM"),
    ],
)
def test_state_by_m_out_of_n_periods(values: list[float | None], changes: dict[str, Any], expected: str) -> None:
    assert state(values, **changes) == expected


def test_a_sum_over_two_groups_is_there_if_one_of_them_has_a_value() -> None:
    queries = [
        {"Id": "a", "MetricStat": {"name": "a"}, "ReturnData": False},
        {"Id": "b", "MetricStat": {"name": "b"}, "ReturnData": False},
        {"Id": "e", "Expression": "SUM([a, b])"},
    ]
    values = {"a": None, "b": 3.0}
    assert metric_math.datapoint(queries, lambda stat: values[stat["name"]]) == 3.0


def test_comparisons_are_numbers() -> None:
    assert metric_math.calculate("(a < 20) * (b > 10)", {"a": 5.0, "b": 11.0}) == 1
    assert metric_math.calculate("(a < 20) * (b > 10)", {"a": 5.0, "b": 9.0}) == 0


# Notifications ------------------------------------------------------------------------------------------------------


class Subscriber:
    """An HTTP server that keeps what SNS sends."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        received = self.received

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/alarms"

    def states(self, name: str) -> list[str]:
        """The states of an alarm that were told, in their order."""
        told = [json.loads(one["Message"]) for one in self.received if one["Type"] == "Notification"]
        return [one["NewStateValue"] for one in told if one["AlarmName"] == name]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(name="subscriber")
def _subscriber() -> Iterator[Subscriber]:
    subscriber = Subscriber()
    yield subscriber
    subscriber.close()


def topic(aws: LocalAws, name: str, subscriber: Subscriber, *, admits: bool = True) -> str:
    """A topic whose subscriber is confirmed."""
    sns = aws.client("sns")
    arn = sns.create_topic(Name=name)["TopicArn"]
    statements = [{**POLICY, "Resource": arn}] if admits else []
    document = {"Version": "2012-10-17", "Statement": statements}
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(document))
    answer = sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=subscriber.url)
    assert answer["SubscriptionArn"] == "pending confirmation"
    asked = eventually(lambda: [one for one in subscriber.received if one["TopicArn"] == arn], what="the question")
    # A subscriber has no credentials of the account.
    aws.opener().open(asked[0]["SubscribeURL"]).read()
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"][0]["SubscriptionArn"].startswith(arn)
    return arn


def put(aws: LocalAws, name: str, **changes: Any) -> None:
    """An alarm that fires as soon as a value is above 10."""
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        **{
            "Namespace": "tests",
            "MetricName": name,
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 10.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            **changes,
        },
    )


def state_of(aws: LocalAws, name: str) -> str:
    return aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def await_state(aws: LocalAws, name: str, expected: str) -> None:
    eventually(lambda: state_of(aws, name) == expected, what=f"{name} to be {expected}")


def fire(aws: LocalAws, name: str) -> str:
    """Gives the metric of an alarm a value above its threshold; the fault's id."""
    fault = aws.order_fault("cloudwatch:Metric", subject=f"tests/{name}", data={"value": 11})
    await_state(aws, name, "ALARM")
    return fault


def test_an_alarm_tells_its_topic_when_it_fires_and_when_it_recovers(
    local_aws: LocalAws, subscriber: Subscriber
) -> None:
    arn = topic(local_aws, "told", subscriber)
    put(local_aws, "told", AlarmActions=[arn], OKActions=[arn])
    await_state(local_aws, "told", "OK")
    local_aws.release(fire(local_aws, "told"))
    await_state(local_aws, "told", "OK")
    eventually(lambda: subscriber.states("told")[-2:] == ["ALARM", "OK"], what="both messages")


def test_actions_that_are_disabled_tell_nothing(local_aws: LocalAws, subscriber: Subscriber) -> None:
    cloudwatch = local_aws.client("cloudwatch")
    arn = topic(local_aws, "muted", subscriber)
    put(local_aws, "muted", AlarmActions=[arn])
    cloudwatch.disable_alarm_actions(AlarmNames=["muted"])
    local_aws.release(fire(local_aws, "muted"))
    await_state(local_aws, "muted", "OK")
    cloudwatch.enable_alarm_actions(AlarmNames=["muted"])
    local_aws.release(fire(local_aws, "muted"))
    eventually(lambda: subscriber.states("muted"), what="the second alarm")
    assert subscriber.states("muted") == ["ALARM"]


def test_a_topic_that_does_not_admit_cloudwatch_gets_nothing(local_aws: LocalAws, subscriber: Subscriber) -> None:
    arn = topic(local_aws, "closed", subscriber, admits=False)
    put(local_aws, "closed", AlarmActions=[arn])
    local_aws.release(fire(local_aws, "closed"))
    history = local_aws.client("cloudwatch").describe_alarm_history(AlarmName="closed", HistoryItemType="Action")
    assert [item["HistorySummary"] for item in history["AlarmHistoryItems"]] == [f"Failed to execute action {arn}"]
    assert subscriber.states("closed") == []


def test_a_subscription_by_email_waits_for_its_confirmation(local_aws: LocalAws) -> None:
    sns = local_aws.client("sns")
    arn = sns.create_topic(Name="mailed")["TopicArn"]
    first = sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="team@example.com")
    assert first["SubscriptionArn"] == "pending confirmation"
    assert sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="team@example.com")["SubscriptionArn"]
    listed = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert [one["SubscriptionArn"] for one in listed] == ["PendingConfirmation"]
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["SubscriptionsPending"] == "1"


# Metrics ------------------------------------------------------------------------------------------------------------


def test_custom_metrics_by_name_and_dimensions(local_aws: LocalAws) -> None:
    cloudwatch = local_aws.client("cloudwatch")
    for server in ("a", "b"):
        where = [{"Name": "server", "Value": server}]
        put(local_aws, f"custom-{server}", MetricName="custom", Dimensions=where, Period=86400)
    await_state(local_aws, "custom-a", "OK")

    def fired() -> bool:
        data = {"MetricName": "custom", "Dimensions": [{"Name": "server", "Value": "b"}], "Value": 12.0}
        cloudwatch.put_metric_data(Namespace="tests", MetricData=[data])
        return state_of(local_aws, "custom-b") == "ALARM"

    eventually(fired, what="the alarm on b")
    assert state_of(local_aws, "custom-a") == "OK"


def test_metrics_of_a_database_are_those_of_its_postgresql(local_aws: LocalAws) -> None:
    create(local_aws, "watched")
    instance = wait_for(local_aws, "watched")
    where = [{"Name": "DBInstanceIdentifier", "Value": "watched"}]

    def on(metric: str, comparison: str, threshold: float) -> None:
        names = {"Namespace": "AWS/RDS", "MetricName": metric, "Dimensions": where}
        put(local_aws, metric, **names, ComparisonOperator=comparison, Threshold=threshold)
        await_state(local_aws, metric, "ALARM")

    try:
        # Each of them has a value of the right size.
        on("FreeStorageSpace", "GreaterThanThreshold", 19 * 1024**3)
        on("FreeStorageSpace", "LessThanThreshold", 20 * 1024**3)
        on("FreeableMemory", "LessThanThreshold", 1024**3)
        on("CPUUtilization", "LessThanOrEqualToThreshold", 100.0)
        on("CPUCreditBalance", "LessThanOrEqualToThreshold", 288.0)
        on("MaximumUsedTransactionIDs", "GreaterThanThreshold", 1.0)
        names = {"Namespace": "AWS/RDS", "MetricName": "DatabaseConnections", "Dimensions": where}
        put(local_aws, "DatabaseConnections", **names, ComparisonOperator="GreaterThanThreshold", Threshold=1.0)
        await_state(local_aws, "DatabaseConnections", "OK")
        connections = [connect(local_aws, instance) for _number in range(3)]
        await_state(local_aws, "DatabaseConnections", "ALARM")
        for connection in connections:
            connection.close()
        await_state(local_aws, "DatabaseConnections", "OK")
    finally:
        local_aws.client("rds").delete_db_instance(DBInstanceIdentifier="watched", SkipFinalSnapshot=True)


def test_days_until_a_certificate_expires(local_aws: LocalAws) -> None:
    arn = local_aws.client("acm").request_certificate(DomainName="x.ecs.us-east-1.on.aws", ValidationMethod="DNS")
    where = [{"Name": "CertificateArn", "Value": arn["CertificateArn"]}]
    names = {"Namespace": "AWS/CertificateManager", "MetricName": "DaysToExpiry", "Dimensions": where}
    put(local_aws, "certificate", **names, Threshold=300.0)
    await_state(local_aws, "certificate", "ALARM")
    put(local_aws, "certificate", **names, Threshold=400.0)
    await_state(local_aws, "certificate", "OK")


def test_metrics_of_a_service_are_those_of_its_tasks_and_targets(account: Account, made: list[str]) -> None:
    arn = account.ready("measured", {"STATUS": "503"})["serviceArn"]
    made.append(arn)
    aws, managed = account.aws, account.managed(arn)["ingressPaths"][0]
    group = next(one for one in managed["targetGroups"] if targets_of(account, one["arn"]))
    balancer = [
        {"Name": "TargetGroup", "Value": group["arn"].rpartition(":")[2]},
        {"Name": "LoadBalancer", "Value": managed["loadBalancer"]["arn"].rpartition("loadbalancer/")[2]},
    ]
    service = [{"Name": "ClusterName", "Value": "default"}, {"Name": "ServiceName", "Value": "measured"}]
    of_group = {"Namespace": "AWS/ApplicationELB", "Dimensions": balancer, "Statistic": "Sum"}
    put(aws, "unhealthy", **of_group, MetricName="UnHealthyHostCount", Threshold=0.0)
    put(aws, "errors", **of_group, MetricName="HTTPCode_Target_5XX_Count", Threshold=2.0, Period=300)
    of_service = {"Namespace": "AWS/ECS", "Dimensions": service, "Statistic": "Average"}
    put(aws, "memory", **of_service, MetricName="MemoryUtilization", Threshold=0.1)
    put(aws, "cpu", **of_service, MetricName="CPUUtilization", Threshold=-1.0)
    await_state(aws, "memory", "ALARM")
    await_state(aws, "cpu", "ALARM")
    await_state(aws, "unhealthy", "OK")
    await_state(aws, "errors", "OK")
    endpoint = endpoint_of(account.describe(arn))

    def errors_are_told() -> bool:
        account.get(endpoint)
        return state_of(aws, "errors") == "ALARM"

    eventually(errors_are_told, what="the alarm on errors")
    await_state(aws, "errors", "OK")
    fault = aws.order_fault("balancer:HealthCheck", subject="service:measured", times=0, data={"status": 500})
    await_state(aws, "unhealthy", "ALARM")
    aws.release(fault)
    await_state(aws, "unhealthy", "OK")


def targets_of(account: Account, group: str) -> list[dict[str, Any]]:
    return account.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]


def test_policies_name_alarms_dashboards_and_topics(account: Account) -> None:
    aws = account.aws
    region, number = aws.info["region"], aws.account_id
    allowed = {
        "cloudwatch:DisableAlarmActions": f"arn:aws:cloudwatch:{region}:{number}:alarm:own/*",
        "cloudwatch:GetDashboard": f"arn:aws:cloudwatch::{number}:dashboard/own",
        "sns:ListTagsForResource": f"arn:aws:sns:{region}:{number}:own",
    }
    statements = [{"Effect": "Allow", "Action": action, "Resource": arn} for action, arn in allowed.items()]
    name = "watcher-of-own"
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="it", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    body = json.dumps({"widgets": []})
    for one in ("own", "other"):
        put(aws, f"{one}/alarm")
        aws.client("cloudwatch").put_dashboard(DashboardName=one, DashboardBody=body)
        aws.client("sns").create_topic(Name=one)
    cloudwatch, sns = (
        aws.client(service, key["AccessKeyId"], key["SecretAccessKey"]) for service in ("cloudwatch", "sns")
    )
    calls = (
        lambda one: cloudwatch.disable_alarm_actions(AlarmNames=[f"{one}/alarm"]),
        lambda one: cloudwatch.get_dashboard(DashboardName=one),
        lambda one: sns.list_tags_for_resource(ResourceArn=f"arn:aws:sns:{region}:{number}:{one}"),
    )
    for call in calls:
        call("own")
        with pytest.raises(ClientError) as caught:
            call("other")
        assert "not authorized to perform" in caught.value.response["Error"]["Message"]
