# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms and a dashboard: made, told to a subscriber, right after the next deployment too, and gone when switched off.

One deployment goes through all tests here, in their order, by a user who has the policies for it and nothing else.
"""

from __future__ import annotations

import http.server
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK
from harness import LocalAws
from harness import Played
from harness import eventually
from policies import rendered
from principals import User

pytestmark = pytest.mark.long

NAME = "mlflow"
PREFIX = f"mlflow.{NAME}/"
TAG = "mlops.mlflow_aws:monitored"
ALARMS = {
    "certificate",
    *("database-connections", "database-cpu", "database-credits", "database-memory", "database-storage"),
    "database-transaction-ids",
    *("service-errors", "service-memory", "service-tasks", "service-unhealthy"),
}
#: A value of the metric with which each alarm fires that a test cannot make fire by what really goes on.
FIRING = {
    "certificate": ("AWS/CertificateManager/DaysToExpiry/*", 3),
    "database-connections": (f"AWS/RDS/DatabaseConnections/{NAME}", 500),
    "database-cpu": (f"AWS/RDS/CPUUtilization/{NAME}", 99),
    "database-memory": (f"AWS/RDS/FreeableMemory/{NAME}", 1000),
    "database-storage": (f"AWS/RDS/FreeStorageSpace/{NAME}", 1000),
    "database-transaction-ids": (f"AWS/RDS/MaximumUsedTransactionIDs/{NAME}", 1_500_000_000),
    "service-errors": ("AWS/ApplicationELB/HTTPCode_Target_5XX_Count/*", 50),
    "service-memory": (f"AWS/ECS/MemoryUtilization/default/{NAME}", 99),
    "service-tasks": ("AWS/ApplicationELB/HealthyHostCount/*", 0),
    "service-unhealthy": ("AWS/ApplicationELB/UnHealthyHostCount/*", 1),
}


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

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}/alarms"

    def told(self, state: str) -> set[str]:
        """The alarms of which this state was told."""
        messages = [json.loads(one["Message"]) for one in self.received if one["Type"] == "Notification"]
        return {one["AlarmName"].removeprefix(PREFIX) for one in messages if one["NewStateValue"] == state}


@pytest.fixture(scope="module")
def subscriber() -> Iterator[Subscriber]:
    """Who is told."""
    made = Subscriber()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def own(software: None) -> Iterator[LocalAws]:
    """A local AWS without any deployment."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    home.chmod(0o755)
    aws = LocalAws(home)
    try:
        aws.up(QUICK)
        yield aws
    finally:
        aws.down()
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def users(own: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, User]:
    """Who deploys without alarms, who deploys and destroys with them, and who runs verbs."""
    written = rendered(tmp_path_factory.mktemp("policies"))
    deploy = [written["deploy"], written["deploy-roles"], written["validate"]]
    return {
        "deploy": User(own, "deployer", deploy),
        "monitor": User(own, "monitorer", [*deploy, written["monitoring"]]),
        "verbs": User(own, "backuper", [written["backup"], written["plan"], written["monitoring-verbs"]]),
        "destroy": User(own, "destroyer", [written["destroy"], written["monitoring"]]),
    }


def play(user: User, verb: str, *, check: bool = False, **variables: Any) -> Played:
    """Run a playbook as a user."""
    given = user.aws.small(mlflow_name=NAME, mlflow_demo=False, **variables)
    return user.aws.play(verb, given, environment=user.environment, check=check)


def alarms(aws: LocalAws) -> dict[str, dict[str, Any]]:
    """The alarms, by name."""
    found = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=PREFIX)["MetricAlarms"]
    return {one["AlarmName"].removeprefix(PREFIX): one for one in found}


def dimensions(aws: LocalAws) -> set[tuple[str, str]]:
    """All dimensions of all alarms."""
    stats = [
        stat
        for one in alarms(aws).values()
        for stat in [one, *(query["MetricStat"]["Metric"] for query in one.get("Metrics", []) if "MetricStat" in query)]
    ]
    return {(item["Name"], item["Value"]) for stat in stats for item in stat.get("Dimensions", [])}


def existing(aws: LocalAws) -> set[tuple[str, str]]:
    """What there is that alarms can be on, as their dimensions have it."""
    elbv2 = aws.client("elbv2")
    groups = [one["TargetGroupArn"].rpartition(":")[2] for one in elbv2.describe_target_groups()["TargetGroups"]]
    balancers = [one["LoadBalancerArn"] for one in elbv2.describe_load_balancers()["LoadBalancers"]]
    certificates = aws.client("acm").list_certificates()["CertificateSummaryList"]
    instances = aws.client("rds").describe_db_instances()["DBInstances"]
    return {
        *(("TargetGroup", one) for one in groups),
        *(("LoadBalancer", arn.rpartition("loadbalancer/")[2]) for arn in balancers),
        *(("CertificateArn", one["CertificateArn"]) for one in certificates),
        *(("DBInstanceIdentifier", one["DBInstanceIdentifier"]) for one in instances),
        ("ClusterName", "default"),
        ("ServiceName", NAME),
    }


def tags(aws: LocalAws) -> dict[str, str]:
    """The tags of the service."""
    arn = f"arn:aws:ecs:us-east-1:{aws.info['account_id']}:service/default/{NAME}"
    found = aws.client("ecs").list_tags_for_resource(resourceArn=arn)["tags"]
    return {one["key"]: one["value"] for one in found}


def monitored(subscriber: Subscriber, **more: Any) -> dict[str, Any]:
    """The variables of a deployment with alarms."""
    return {"mlflow_monitoring": True, "mlflow_monitoring_subscriptions": [subscriber.endpoint], **more}


def test_without_it_nothing_is_asked_for_and_nobody_needs_its_policy(own: LocalAws, users: dict[str, User]) -> None:
    play(users["deploy"], "deploy").succeeded()
    again = play(users["deploy"], "deploy", mlflow_full_converge=True).succeeded()
    assert again.changed == {"localhost": 0}
    asked = {call["api"] for call in own.page("calls")["calls"] if users["deploy"].name in call["principal"]}
    assert not {api for api in asked if api.startswith(("sns:", "cloudwatch:"))}
    assert TAG not in tags(own)


def test_the_plan_shows_what_it_costs(users: dict[str, User], subscriber: Subscriber) -> None:
    output = play(users["monitor"], "plan", **monitored(subscriber)).succeeded().output
    assert "4 to create" in output
    assert "+$4.50 a month" in output


def test_it_is_made_and_a_second_run_changes_nothing(
    own: LocalAws, users: dict[str, User], subscriber: Subscriber
) -> None:
    output = play(users["monitor"], "deploy", **monitored(subscriber)).succeeded().output
    assert subscriber.endpoint in output, "who must confirm"
    assert set(alarms(own)) == ALARMS
    assert dimensions(own) <= existing(own)
    assert len([one for one in dimensions(own) if one[0] == "TargetGroup"]) == 2
    assert tags(own)[TAG] == PREFIX
    [asked] = eventually(lambda: [one for one in subscriber.received if "SubscribeURL" in one], "the question")
    own.client("sns").confirm_subscription(TopicArn=asked["TopicArn"], Token=asked["Token"])
    for full in (False, True):
        again = play(users["monitor"], "deploy", **monitored(subscriber, mlflow_full_converge=full)).succeeded()
        assert again.changed == {"localhost": 0}
    assert play(users["monitor"], "deploy", check=True, **monitored(subscriber)).succeeded().changed == {"localhost": 0}
    # Of 50 tags of a service, users are left 40.
    assert len([key for key in tags(own) if key.startswith("mlops.mlflow_aws:")]) <= 5


# That of the certificate looks at a day at a time, so it takes a day (24 minutes here) to recover.
@pytest.mark.parametrize("alarm", sorted(FIRING, key=lambda name: (name == "certificate", name)))
def test_each_alarm_fires_and_recovers(own: LocalAws, subscriber: Subscriber, alarm: str) -> None:
    subject, value = FIRING[alarm]
    fault = own.order_fault("cloudwatch:Metric", subject=subject, times=0, data={"value": value})
    eventually(lambda: alarm in subscriber.told("ALARM"), f"{alarm} to fire")
    own.page(f"faults/{fault}", "DELETE")
    eventually(lambda: alarms(own)[alarm]["StateValue"] == "OK", f"{alarm} to recover")
    eventually(lambda: alarm in subscriber.told("OK"), f"{alarm} to be told as over")


def test_few_credits_alone_are_no_alarm(own: LocalAws) -> None:
    busy = own.order_fault("cloudwatch:Metric", subject=f"AWS/RDS/CPUUtilization/{NAME}", times=0, data={"value": 50})
    own.order_fault("cloudwatch:Metric", subject=f"AWS/RDS/CPUCreditBalance/{NAME}", times=0, data={"value": 3})
    eventually(lambda: alarms(own)["database-credits"]["StateValue"] == "ALARM", "the alarm")
    own.page(f"faults/{busy}", "DELETE")
    eventually(lambda: alarms(own)["database-credits"]["StateValue"] == "OK", "its end")
    own.page("faults", "DELETE")


def test_a_server_without_a_healthy_task_is_told(own: LocalAws, subscriber: Subscriber) -> None:
    """For real: the load balancer's checks fail, and ECS replaces the task again and again."""
    before = len(subscriber.received)
    own.order_fault("balancer:HealthCheck", subject=f"service:{NAME}", times=0, data={"status": 500})
    eventually(lambda: alarms(own)["service-tasks"]["StateValue"] == "ALARM", "the alarm")
    own.page("faults", "DELETE")
    eventually(lambda: alarms(own)["service-tasks"]["StateValue"] == "OK", "its end")
    assert len(subscriber.received) > before


def test_after_the_next_deployment_it_is_on_what_exists(
    own: LocalAws, users: dict[str, User], subscriber: Subscriber
) -> None:
    changed = monitored(subscriber, mlflow_extra_env={"COLOR": "green"})
    play(users["monitor"], "deploy", **changed).succeeded()
    assert dimensions(own) <= existing(own)
    assert set(alarms(own)) == ALARMS
    eventually(lambda: alarms(own)["service-tasks"]["StateValue"] == "OK", "healthy tasks in the other group")


def test_muted_while_a_verb_works_and_told_again_afterwards(
    own: LocalAws, users: dict[str, User], subscriber: Subscriber
) -> None:
    seen: list[bool] = []

    def read_actions(_process: Any) -> None:
        seen.extend(one["ActionsEnabled"] for one in alarms(own).values())

    given = own.small(mlflow_name=NAME, mlflow_backup_name="first", mlflow_demo=False)
    own.play("backup", given, environment=users["verbs"].environment, at="step 2", then=read_actions).succeeded()
    assert seen == [False] * len(ALARMS)
    assert all(one["ActionsEnabled"] for one in alarms(own).values())


def test_what_was_muted_or_changed_by_hand_is_put_right(
    own: LocalAws, users: dict[str, User], subscriber: Subscriber
) -> None:
    cloudwatch = own.client("cloudwatch")
    cloudwatch.disable_alarm_actions(AlarmNames=[f"{PREFIX}service-tasks"])
    cloudwatch.delete_alarms(AlarmNames=[f"{PREFIX}database-cpu"])
    output = play(users["verbs"], "status", **monitored(subscriber)).succeeded().output
    assert "changed alarms" in output
    play(users["monitor"], "deploy", **monitored(subscriber, mlflow_extra_env={"COLOR": "green"})).succeeded()
    assert set(alarms(own)) == ALARMS
    assert all(one["ActionsEnabled"] for one in alarms(own).values())
    output = play(users["verbs"], "status", **monitored(subscriber)).succeeded().output
    assert "Not known" not in output
    # 85.09 of docs/cost.md for twice the memory, which costs 6.49 more, and the default VPC's further zones.
    assert "a month, plus usage" in output


def test_other_thresholds_and_no_dashboard(own: LocalAws, users: dict[str, User], subscriber: Subscriber) -> None:
    other = monitored(
        subscriber, mlflow_monitoring_thresholds={"service_errors": 50}, mlflow_monitoring_dashboard=False
    )
    play(users["monitor"], "deploy", **other).succeeded()
    assert alarms(own)["service-errors"]["Threshold"] == 50
    assert own.client("cloudwatch").list_dashboards()["DashboardEntries"] == []


def nothing_is_left(aws: LocalAws) -> bool:
    """Whether there is no alarm, no topic and no dashboard."""
    cloudwatch = aws.client("cloudwatch")
    return not (
        alarms(aws) or cloudwatch.list_dashboards()["DashboardEntries"] or aws.client("sns").list_topics()["Topics"]
    )


def test_switched_off_it_is_gone(own: LocalAws, users: dict[str, User]) -> None:
    play(users["monitor"], "deploy").succeeded()
    assert nothing_is_left(own)
    assert TAG not in tags(own)
    assert play(users["monitor"], "deploy").succeeded().changed == {"localhost": 0}


def test_destroyed_it_is_gone_whatever_the_variables_say(
    own: LocalAws, users: dict[str, User], subscriber: Subscriber
) -> None:
    play(users["monitor"], "deploy", **monitored(subscriber)).succeeded()
    confirmed: dict[str, Any] = {"mlflow_confirm_destroy": NAME, "mlflow_confirm_data_loss": NAME}
    play(users["destroy"], "destroy", mlflow_skip_final_snapshot=True, **confirmed).succeeded()
    assert nothing_is_left(own)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"mlflow_monitoring_thresholds": {"service_erors": 5}}, "has no threshold service_erors"),
        ({"mlflow_monitoring_subscriptions": ["team"]}, "must be an e-mail address"),
    ],
)
def test_bad_input_is_refused_before_anything_is_created(
    own: LocalAws, users: dict[str, User], variables: dict[str, Any], sentence: str
) -> None:
    own.page("calls", "DELETE")
    assert sentence in play(users["monitor"], "deploy", mlflow_monitoring=True, **variables).problem()
    assert own.writes() == []
