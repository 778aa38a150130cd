# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollback alarm: its definition, its arithmetic, and what real requests make of a deployment."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from express_support import Account
from express_support import endpoint_of
from express_support import refusal
from running import LocalAws
from running import eventually

from local_aws.services.cloudwatch import metric_math
from local_aws.services.ecs_express import alarm
from local_aws.services.elbv2.metrics import measure
from local_aws.services.elbv2.models import Answers

SCALE = 120
GROUPS = ["arn:aws:elasticloadbalancing:r:1:targetgroup/a/1", "arn:aws:elasticloadbalancing:r:1:targetgroup/b/2"]
QUERIES = alarm.metrics("arn:aws:elasticloadbalancing:r:1:loadbalancer/app/lb/3", GROUPS)
DEFINITION = {
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 1.0,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "TreatMissingData": "notBreaching",
}

# Answers with the status that the path names.
SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(int(self.path[1:]) if self.path[1:].isdigit() else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler).serve_forever()
"""


# Arithmetic ---------------------------------------------------------------------------------------------------------


def minute(ok: int = 0, refused: int = 0, broken: int = 0, own: int = 0) -> Counter[int]:
    return Counter({2: ok, 4: refused, 5: broken, Answers.OWN: own})


def share(*groups: Counter[int] | None, targets: int = 1) -> float | None:
    """The alarm's value for one minute, given what the two groups answered."""
    counts = dict(zip(["targetgroup/a/1", "targetgroup/b/2"], groups, strict=False))

    def read(stat: dict[str, Any]) -> float | None:
        group = stat["Metric"]["Dimensions"][0]["Value"]
        return measure(stat["Metric"]["MetricName"], counts.get(group), targets)

    return metric_math.datapoint(QUERIES, read)


@pytest.mark.parametrize(
    ("groups", "percent"),
    [
        ((minute(ok=95, refused=5),), 5.0),
        ((minute(ok=1, refused=4),), 0.0),
        ((minute(ok=99, broken=1),), 1.0),
        ((minute(ok=49, broken=1),), 2.0),
        ((minute(ok=96, refused=4, broken=0), minute(ok=0, refused=0, broken=1)), 100.0),
        ((minute(ok=5, refused=5), minute(ok=100)), 50.0),
        ((None, None), None),
        ((None, minute(ok=10)), 0.0),
        # The balancer's own answers (502, 504) are requests, but no target's errors.
        ((minute(ok=5, own=5),), 0.0),
    ],
)
def test_share_of_errors_is_that_of_the_worse_group(groups: tuple[Any, ...], percent: float | None) -> None:
    assert share(*groups) == percent


def test_share_is_of_the_requests_per_target() -> None:
    assert share(minute(ok=190, refused=10), targets=2) == 10.0


@pytest.mark.parametrize(
    ("points", "state"),
    [
        ([None, None, None], "OK"),
        ([None, 1.0, 1.0], "OK"),
        ([5.0, 0.0, None], "OK"),
        ([5.0, None, 2.0], "ALARM"),
        ([1.1, 1.1, 0.0], "ALARM"),
    ],
)
def test_alarm_needs_two_of_three_datapoints_above_one_percent(points: list[float | None], state: str) -> None:
    assert metric_math.state(DEFINITION, points) == state


def test_only_complete_minutes_count() -> None:
    answers = Answers(period=1.0)
    for status in (200, 200, 401, 503):
        answers.add("a", status, 10.5)
    answers.add("a", 502, 10.6, own=True)
    answers.add("a", 200, 12.5)
    assert answers.last("a", 13.2, 3) == [Counter({2: 2, 4: 1, 5: 1, 0: 1}), None, Counter({2: 1})]
    assert answers.last("b", 13.2, 3) == [None, None, None]
    answers.forget("a")
    assert answers.last("a", 13.2, 3) == [None, None, None]


@pytest.mark.parametrize("expression", ["SEARCH('x', 'Sum')", "m1 and m2", "m9", "1 +"])
def test_other_metric_math_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="not imitated here"):
        metric_math.calculate(expression, {"m1": 1.0, "m2": 2.0})


def test_expressions_may_stand_in_any_order() -> None:
    assert metric_math.datapoint(list(reversed(QUERIES)), lambda *_asked: 10.0) == 200.0


# A real account -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account whose minutes are long enough for requests to be counted in."""
    aws = LocalAws(tmp_path_factory.mktemp("alarm"))
    aws.up("--scale", str(SCALE))
    try:
        yield Account(aws)
    finally:
        aws.down()


@pytest.fixture(scope="module")
def refusing(account: Account) -> str:
    """The ARN of a service that nothing is done to."""
    return str(account.create("refusing", primaryContainer=container("one"))["serviceArn"])


def container(text: str) -> dict[str, Any]:
    return {**Account.container({"TEXT": text}), "command": ["python", "-c", SERVER]}


def make(account: Account, name: str) -> tuple[str, str]:
    """A service that answers as it is asked to: ARN and endpoint."""
    service = account.ready(name, primaryContainer=container("one"))
    return service["serviceArn"], endpoint_of(service)


def update(account: Account, arn: str, text: str = "two") -> None:
    account.ecs.update_express_gateway_service(serviceArn=arn, primaryContainer=container(text))


@contextlib.contextmanager
def traffic(account: Account, endpoint: str, *statuses: int) -> Iterator[None]:
    """A client that asks for these statuses in turn for as long as the block lasts: hundreds in an AWS minute."""
    over = threading.Event()
    context = ssl.create_default_context(cafile=account.aws.info["ca_bundle"])

    def ask() -> None:
        connection = http.client.HTTPSConnection(endpoint, context=context, timeout=1800)
        number = 0
        while not over.wait(0.004):
            try:
                connection.request("GET", f"/{statuses[number % len(statuses)]}")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
            number += 1
        connection.close()

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield
    finally:
        over.set()
        client.join()


def alarm_of(account: Account, arn: str) -> dict[str, Any]:
    """CloudWatch's description of a service's rollback alarm."""
    name = account.managed(arn)["metricAlarms"][0]["arn"].partition(":alarm:")[2]
    return account.aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]


def settings(account: Account, arn: str) -> dict[str, Any]:
    return account.ecs_service(arn)["deploymentConfiguration"]


def test_definition_is_the_one_of_accounts(account: Account) -> None:
    arn, _endpoint = make(account, "defined")
    found = alarm_of(account, arn)
    assert found["AlarmName"] == "default/defined/RollbackAlarm"
    assert {name: found[name] for name in DEFINITION} == DEFINITION
    assert found["TreatMissingData"] == "notBreaching"
    assert "MetricName" not in found
    expressions = {item["Id"]: item["Expression"] for item in found["Metrics"] if "Expression" in item}
    assert expressions == {
        "em0": "100 * (IF(m0_4xx < 5, 0, m0_4xx) + m0_5xx) / FILL(m0_total, 1)",
        "em1": "100 * (IF(m1_4xx < 5, 0, m1_4xx) + m1_5xx) / FILL(m1_total, 1)",
        "e": "MAX([em0, em1])",
    }
    assert settings(account, arn)["alarms"] == {
        "alarmNames": ["default/defined/RollbackAlarm"],
        "enable": True,
        "rollback": True,
    }
    account.gone(arn)
    left = account.aws.client("cloudwatch").describe_alarms(AlarmNames=[found["AlarmName"]])
    assert left["MetricAlarms"] == []


def test_errors_of_the_old_revision_roll_back_too(account: Account) -> None:
    """Half are refused, whichever revision they come to: of the canary's 5 % there are too few to be counted."""
    arn, endpoint = make(account, "both")
    # Time enough, on a machine that has much else to do: the canary alone would last for a day.
    account.ecs.update_service(
        service=arn,
        deploymentConfiguration={"canaryConfiguration": {"canaryPercent": 0.1, "canaryBakeTimeInMinutes": 1440}},
    )
    update(account, arn)
    with traffic(account, endpoint, 401, 200):
        deployment = account.settled(arn, 2)
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert deployment["alarms"]["triggeredAlarmNames"] == ["default/both/RollbackAlarm"]
    assert "default/both/RollbackAlarm" in deployment["statusReason"]


def test_alarm_that_is_on_already_is_not_looked_at(account: Account) -> None:
    """A deployment that shall mend what is wrong must be possible (developer guide, deployment-alarm-failure)."""
    arn, endpoint = make(account, "noisy")
    assert alarm_of(account, arn)["StateValue"] == "OK"
    with traffic(account, endpoint, 401, 200):
        # A machine that stands still for an AWS minute has no errors in it: the alarm may be over when ECS looks.
        for count in range(2, 12):
            eventually(lambda: alarm_of(account, arn)["StateValue"] == "ALARM", what="the alarm")
            update(account, arn, f"number {count}")
            deployment = account.settled(arn, count)
            if deployment["alarms"]["status"] == "DISABLED":
                break
    assert deployment["alarms"]["status"] == "DISABLED"
    assert deployment["status"] == "SUCCESSFUL"
    page = account.aws.page("status")["balancer"]
    assert page["seconds"] == 60 / SCALE
    told = [counts for minutes in page["minutes"].values() for counts in minutes.values()]
    assert all(any(name in counts for counts in told) for name in ("2xx", "4xx"))
    eventually(lambda: alarm_of(account, arn)["StateValue"] == "OK", what="the alarm's end")


def test_alarms_switched_off_start_no_deployment_and_roll_nothing_back(account: Account) -> None:
    arn, endpoint = make(account, "quiet")
    off = {"alarmNames": [], "enable": False, "rollback": False}
    account.ecs.update_service(service=arn, deploymentConfiguration={"alarms": off})
    assert settings(account, arn)["alarms"] == off
    assert settings(account, arn)["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert len(account.deployments(arn)) == 1
    update(account, arn)
    with traffic(account, endpoint, 401, 200):
        deployment = account.settled(arn, 2)
    assert (deployment["status"], deployment["alarms"]["status"]) == ("SUCCESSFUL", "DISABLED")
    # ECS adds its own alarm at each deployment, and leaves it switched off.
    assert settings(account, arn)["alarms"] == {**off, "alarmNames": ["default/quiet/RollbackAlarm"]}


def test_what_a_user_changed_in_the_alarm_lasts_until_the_next_deployment(account: Account) -> None:
    arn, _endpoint = make(account, "patched")
    found = alarm_of(account, arn)
    cloudwatch = account.aws.client("cloudwatch")
    given = ("AlarmName", "ComparisonOperator", "EvaluationPeriods", "DatapointsToAlarm", "Metrics")
    cloudwatch.put_metric_alarm(**{name: found[name] for name in given}, Threshold=50.0)
    assert alarm_of(account, arn)["Threshold"] == 50.0
    update(account, arn)
    eventually(lambda: alarm_of(account, arn)["Threshold"] == 1.0, what="ECS's own definition")
    assert account.settled(arn, 2)["status"] == "SUCCESSFUL"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"strategy": "ROLLING"},
            "ROLLING deployment strategy is not supported for ExpressGatewayServices.",
        ),
        ({"bakeTimeInMinutes": 1441}, "bakeTimeInMinutes must be between 0 and 1440."),
        ({"canaryConfiguration": {"canaryBakeTimeInMinutes": -1}}, "canaryBakeTimeInMinutes must be between 0 and"),
        ({"canaryConfiguration": {"canaryPercent": 0.0}}, "canaryPercent must be between 0.1 and 100.0."),
        ({"alarms": {"alarmNames": [], "enable": True, "rollback": False}}, "not imitated here"),
    ],
)
def test_settings_that_are_refused(refusing: str, account: Account, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError) as caught:
        account.ecs.update_service(service=refusing, deploymentConfiguration=given)
    code, said = refusal(caught.value)
    assert code == "InvalidParameterException"
    assert message in said


def test_bake_times_and_share_are_those_set(account: Account) -> None:
    arn, _endpoint = make(account, "settings")
    given = {
        "strategy": "CANARY",
        "bakeTimeInMinutes": 0,
        "canaryConfiguration": {"canaryPercent": 50.0, "canaryBakeTimeInMinutes": 0},
    }
    account.ecs.update_service(service=arn, deploymentConfiguration=given)
    assert given.items() <= settings(account, arn).items()
    assert len(account.deployments(arn)) == 1
    update(account, arn)
    deployment = account.settled(arn, 2)
    assert deployment["status"] == "SUCCESSFUL"
    assert given.items() <= deployment["deploymentConfiguration"].items()
