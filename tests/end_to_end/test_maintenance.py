# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance on a schedule: the scheduler starts real tasks, which list at first, then delete and archive, and alarm.

One deployment goes through all tests here, in their order, by a user who has the policies for it and nothing else.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import QUICK
from harness import LocalAws
from harness import Played
from harness import eventually
from policies import rendered
from principals import User

pytestmark = pytest.mark.long

NAME = "mlflow"
BUCKET = f"{NAME}-artifacts-123456789012-us-east-1"
GROUP = f"mlflow-{NAME}"
QUEUE = f"mlflow-{NAME}-maintenance"
ROLES = {f"{NAME}-maintenance-gc-role", f"{NAME}-maintenance-archive-role", f"{NAME}-scheduler-role"}
TAG = "mlops.mlflow_aws:maintained"
VARIABLES: dict[str, Any] = {
    "mlflow_maintenance": True,
    # A minute here, and the first at once.
    "mlflow_maintenance_gc_schedule": "rate(1 hour)",
    "mlflow_maintenance_gc_older_than": "0s",
    "mlflow_maintenance_archive": True,
    "mlflow_maintenance_archive_schedule": "rate(1 hour)",
    "mlflow_maintenance_archive_older_than": "1m",
    # Nothing can be restored to, so that what was just deleted may be deleted for good.
    "mlflow_db_backup_retention_days": 0,
    "mlflow_monitoring": True,
    "mlflow_monitoring_dashboard": False,
}


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
    """Who deploys with maintenance, who plans, and who destroys."""
    written = rendered(tmp_path_factory.mktemp("policies"))
    deploy = [written["deploy"], written["deploy-roles"], written["validate"], written["monitoring"]]
    plan = [written["plan"], written["monitoring-verbs"], written["maintenance-plan"]]
    return {
        "deploy": User(own, "maintainer", [*deploy, written["maintenance"]]),
        "plan": User(own, "planner", plan),
        "destroy": User(own, "destroyer", [written["destroy"], written["monitoring"], written["maintenance"]]),
    }


def play(user: User, verb: str, *, check: bool = False, **variables: Any) -> Played:
    """Run a playbook as a user."""
    given = user.aws.small(mlflow_name=NAME, mlflow_demo=False, **{**VARIABLES, **variables})
    return user.aws.play(verb, given, environment=user.environment, check=check)


def report(aws: LocalAws, job: str) -> dict[str, Any]:
    """What the last run of a job has left; empty before the first."""
    s3 = aws.client("s3")
    try:
        found = s3.get_object(Bucket=BUCKET, Key=f"_verbs/{NAME}/maintenance/{job}.json")
    except s3.exceptions.NoSuchKey:
        return {}
    return dict(json.load(found["Body"]))


def roles(aws: LocalAws) -> set[str]:
    return {one["RoleName"] for one in aws.client("iam").list_roles()["Roles"]} & ROLES


def service_tags(aws: LocalAws) -> dict[str, str]:
    arn = f"arn:aws:ecs:us-east-1:{aws.info['account_id']}:service/default/{NAME}"
    found = aws.client("ecs").list_tags_for_resource(resourceArn=arn)["tags"]
    return {one["key"]: one["value"] for one in found}


def queue_url(aws: LocalAws) -> str:
    return str(aws.client("sqs").get_queue_url(QueueName=QUEUE)["QueueUrl"])


def undone(aws: LocalAws) -> list[dict[str, Any]]:
    """What the queue was told of work that could not be done, which stays in it.

    A machine that is busy may have told it of a connection that took too long.
    """
    found = aws.client("sqs").receive_message(QueueUrl=queue_url(aws), MaxNumberOfMessages=10, VisibilityTimeout=0)
    told = [json.loads(one["Body"]) for one in found.get("Messages", [])]
    return [one for one in told if "could not be done" in one["reason"]]


def state_of(aws: LocalAws, alarm: str) -> str:
    name = f"mlflow.{NAME}/{alarm}"
    [found] = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(found["StateValue"])


class Mlflow:
    """The server, as its administrator sees it."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        service = aws.client("ecs").describe_express_gateway_service(
            serviceArn=f"arn:aws:ecs:us-east-1:{aws.info['account_id']}:service/default/{NAME}"
        )["service"]
        self.url = f"https://{service['activeConfigurations'][0]['ingressPaths'][0]['endpoint']}"
        login = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=f"{NAME}/login")["SecretString"])
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = aws.info["ca_bundle"]
        self.session.auth = (login["username"], login["password"])

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.session.post(f"{self.url}/api/{path}", json=body, timeout=120)
        answer.raise_for_status()
        return dict(answer.json())

    def deleted_run(self) -> tuple[str, str]:
        """Make a run with an artifact, and delete it; its id and the prefix of its objects."""
        info = self.post("2.0/mlflow/runs/create", experiment_id="0")["run"]["info"]
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        path = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{folder}/n.txt"
        self.session.put(path, data=b"ten bytes.", timeout=120).raise_for_status()
        self.post("2.0/mlflow/runs/delete", run_id=info["run_id"])
        return info["run_id"], folder

    def is_there(self, run: str) -> bool:
        found = self.session.get(f"{self.url}/api/2.0/mlflow/runs/get", params={"run_id": run}, timeout=120)
        return found.status_code == 200


def is_stored(aws: LocalAws, folder: str) -> bool:
    return "Contents" in aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/")


def test_the_plan_names_what_would_be_made(own: LocalAws, users: dict[str, User]) -> None:
    output = play(users["plan"], "plan", mlflow_monitoring=False).succeeded().output
    assert "schedule gc" in output and QUEUE in output


def test_it_is_made_and_a_second_run_changes_nothing(own: LocalAws, users: dict[str, User]) -> None:
    play(users["deploy"], "deploy").succeeded()
    names = {one["Name"] for one in own.client("scheduler").list_schedules(GroupName=GROUP)["Schedules"]}
    assert names == {"gc", "archive"}
    assert roles(own) == ROLES
    assert service_tags(own)[TAG] == GROUP
    for full in (False, True):
        again = play(users["deploy"], "deploy", mlflow_full_converge=full).succeeded()
        assert again.changed == {"localhost": 0}
    assert play(users["deploy"], "deploy", check=True).succeeded().changed == {"localhost": 0}
    assert "Plan: nothing to change." in play(users["plan"], "plan").succeeded().output


def test_the_first_run_only_lists_and_the_next_one_deletes(own: LocalAws) -> None:
    eventually(lambda: report(own, "gc"), "the first report")
    server = Mlflow(own)
    run, folder = server.deleted_run()
    # A run whose artifact is missing is no obstacle.
    other, other_folder = server.deleted_run()
    own.client("s3").delete_object(Bucket=BUCKET, Key=f"{other_folder}/n.txt")
    eventually(lambda: not report(own, "gc").get("only_listed", True), "a run that deletes")
    eventually(lambda: not is_stored(own, folder) and not server.is_there(run), "the end of the run's files and rows")
    eventually(lambda: not server.is_there(other), "the end of the run without files")
    assert not undone(own)


def test_old_traces_are_archived_and_can_still_be_read(own: LocalAws) -> None:
    server = Mlflow(own)
    trace_id = log_trace(server)
    eventually(
        lambda: report(own, "archive").get("report", {}).get("archived", {}).get("traces"), "a trace that is archived"
    )
    found = own.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"0/traces/{trace_id}/")
    assert found["KeyCount"] == 1
    shown = server.session.get(
        f"{server.url}/ajax-api/3.0/mlflow/get-trace-artifact", params={"request_id": trace_id}, timeout=120
    )
    assert shown.ok and "a span to keep" in shown.text, shown.text
    assert not undone(own)


def log_trace(server: Mlflow) -> str:
    """Log a trace of an hour ago with one span, as OpenTelemetry sends it."""
    begin = time.time_ns() - 3600 * 10**9
    trace = "5b8efff798038103d269b633813fc60c"
    span = {
        "traceId": trace,
        "spanId": "eee19b7ec3c1b174",
        "name": "a span to keep",
        "kind": 1,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + 10**9),
        "status": {"code": 1},
        "attributes": [],
    }
    body: Any = {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}
    answer = server.session.post(
        f"{server.url}/v1/traces", json=body, headers={"x-mlflow-experiment-id": "0"}, timeout=120
    )
    answer.raise_for_status()
    return f"tr-{trace}"


def test_what_fails_is_told_and_fires_an_alarm(own: LocalAws) -> None:
    iam = own.client("iam")
    statement = {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=f"{NAME}-maintenance-gc-role", PolicyName="deny", PolicyDocument=document)
    own.client("scheduler").delete_schedule(Name="archive", GroupName=GROUP)
    own.client("sqs").purge_queue(QueueUrl=queue_url(own))
    server = Mlflow(own)
    run, folder = server.deleted_run()
    [first, *_rest] = eventually(lambda: undone(own), "a message")
    assert first["job"] == "gc" and "1 could not be done" in first["reason"]
    assert is_stored(own, folder) and server.session.get(server.url, timeout=120).ok
    eventually(lambda: state_of(own, "maintenance-failed") == "ALARM", "the alarm")
    iam.delete_role_policy(RoleName=f"{NAME}-maintenance-gc-role", PolicyName="deny")
    eventually(lambda: not server.is_there(run), "the end of the run, at the next time")


def test_what_does_not_start_fires_an_alarm(own: LocalAws) -> None:
    iam = own.client("iam")
    name = f"{NAME}-scheduler-role"
    [policy] = iam.list_role_policies(RoleName=name)["PolicyNames"]
    iam.delete_role_policy(RoleName=name, PolicyName=policy)
    eventually(lambda: state_of(own, "maintenance-not-started") == "ALARM", "the alarm")


def test_what_was_changed_by_hand_comes_back(own: LocalAws, users: dict[str, User]) -> None:
    scheduler = own.client("scheduler")
    scheduler.delete_schedule(Name="gc", GroupName=GROUP)
    output = play(users["deploy"], "deploy").succeeded().output
    assert "compared" in output
    assert {one["Name"] for one in scheduler.list_schedules(GroupName=GROUP)["Schedules"]} == {"gc", "archive"}
    assert own.client("iam").list_role_policies(RoleName=f"{NAME}-scheduler-role")["PolicyNames"]
    assert play(users["deploy"], "deploy").succeeded().changed == {"localhost": 0}


def test_one_job_alone(own: LocalAws, users: dict[str, User]) -> None:
    play(users["deploy"], "deploy", mlflow_maintenance_archive=False).succeeded()
    found = own.client("scheduler").list_schedules(GroupName=GROUP)["Schedules"]
    assert [one["Name"] for one in found] == ["gc"]
    assert roles(own) == ROLES - {f"{NAME}-maintenance-archive-role"}


def assert_nothing_is_left(own: LocalAws) -> None:
    groups = {one["Name"] for one in own.client("scheduler").list_schedule_groups()["ScheduleGroups"]}
    assert GROUP not in groups
    assert roles(own) == set()
    assert own.client("sqs").list_queues(QueueNamePrefix=QUEUE).get("QueueUrls", []) == []
    definitions = own.client("ecs").list_task_definitions(familyPrefix=f"{NAME}-maintenance-gc", status="ACTIVE")
    assert definitions["taskDefinitionArns"] == []


def test_switched_off_it_is_gone(own: LocalAws, users: dict[str, User]) -> None:
    play(users["deploy"], "deploy", mlflow_maintenance=False).succeeded()
    assert_nothing_is_left(own)
    assert TAG not in service_tags(own)
    assert play(users["deploy"], "deploy", mlflow_maintenance=False).succeeded().changed == {"localhost": 0}


def test_destroying_removes_it_even_if_no_variable_asks_for_it(own: LocalAws, users: dict[str, User]) -> None:
    play(users["deploy"], "deploy").succeeded()
    gone = play(users["destroy"], "destroy", mlflow_maintenance=False, mlflow_confirm_destroy=NAME)
    gone.succeeded()
    assert_nothing_is_left(own)
