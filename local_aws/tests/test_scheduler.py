# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""EventBridge Scheduler: what it refuses, and that it starts real tasks as the schedule's role."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from express_support import refused
from express_support import unique
from running import LocalAws
from running import eventually

IMAGE = f"public.ecr.aws/docker/library/python:3.{sys.version_info.minor}-slim"
NO_WINDOW = {"Mode": "OFF"}


class Stage:
    """A cluster, a task definition, a queue and the roles of one test."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.name = unique("sched")
        self.scheduler, self.ecs, self.sqs = aws.client("scheduler"), aws.client("ecs"), aws.client("sqs")
        self.iam = aws.client("iam")
        self.ecs.create_cluster(clusterName="default")
        region, account = aws.info["region"], aws.account_id
        self.cluster = f"arn:aws:ecs:{region}:{account}:cluster/default"
        self.group = f"arn:aws:scheduler:{region}:{account}:schedule-group/default"
        self.queue = self.sqs.create_queue(QueueName=self.name)["QueueUrl"]
        self.queue_arn = f"arn:aws:sqs:{region}:{account}:{self.name}"
        self.task_role = self.role("task", "ecs-tasks.amazonaws.com")
        self.definition = self.ecs.register_task_definition(
            family=self.name,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            taskRoleArn=self.task_role,
            containerDefinitions=[
                {"name": "Main", "image": IMAGE, "essential": True, "command": ["python", "-c", "print('done')"]}
            ],
        )["taskDefinition"]["taskDefinitionArn"]
        self.role_arn = self.role("scheduler", "scheduler.amazonaws.com", {"ArnLike": {"aws:SourceArn": self.group}})

    def role(self, kind: str, principal: str, condition: dict[str, Any] | None = None) -> str:
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Principal": {"Service": principal},
            "Action": "sts:AssumeRole",
            **({"Condition": condition} if condition else {}),
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        name = f"{self.name}-{kind}"
        return self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]

    def allow(self, *statements: tuple[str, str]) -> None:
        """Lets the schedule's role do something on something."""
        listed = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
        document = json.dumps({"Version": "2012-10-17", "Statement": listed})
        self.iam.put_role_policy(RoleName=f"{self.name}-scheduler", PolicyName="p", PolicyDocument=document)

    def may_all(self) -> None:
        self.allow(
            ("ecs:RunTask", f"{self.definition.rpartition(':')[0]}:*"),
            ("iam:PassRole", self.task_role),
            ("sqs:SendMessage", self.queue_arn),
        )

    def schedule(self, expression: str = "rate(1 day)", **changes: Any) -> dict[str, Any]:
        """The input of CreateSchedule."""
        network = {"awsvpcConfiguration": {"Subnets": ["subnet-1"], "AssignPublicIp": "ENABLED"}}
        target = {
            "Arn": self.cluster,
            "RoleArn": self.role_arn,
            "EcsParameters": {
                "TaskDefinitionArn": self.definition,
                "LaunchType": "FARGATE",
                "NetworkConfiguration": network,
            },
            "DeadLetterConfig": {"Arn": self.queue_arn},
            "RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60},
            **changes.pop("target", {}),
        }
        return {
            "Name": self.name,
            "ScheduleExpression": expression,
            "FlexibleTimeWindow": NO_WINDOW,
            "Target": target,
            **changes,
        }

    def tasks(self) -> list[str]:
        found: list[str] = []
        for status in ("RUNNING", "STOPPED"):
            found += self.ecs.list_tasks(family=self.name, desiredStatus=status)["taskArns"]
        return found

    def dead_letters(self) -> list[dict[str, Any]]:
        return self.sqs.receive_message(
            QueueUrl=self.queue, MessageAttributeNames=["All"], MaxNumberOfMessages=10, VisibilityTimeout=0
        ).get("Messages", [])

    def clean(self) -> None:
        for one in self.scheduler.list_schedules(NamePrefix=self.name)["Schedules"]:
            self.scheduler.delete_schedule(Name=one["Name"], GroupName=one["GroupName"])


@pytest.fixture(name="stage")
def _stage(local_aws: LocalAws) -> Iterator[Stage]:
    stage = Stage(local_aws)
    yield stage
    stage.clean()


def test_a_task_runs_again_and_again_as_the_role_of_the_schedule(stage: Stage) -> None:
    stage.may_all()
    # Six seconds here, but the first at once.
    stage.scheduler.create_schedule(**stage.schedule("rate(1 hour)"))
    tasks = eventually(lambda: found if len(found := stage.tasks()) >= 2 else None, what="two tasks")
    ended = eventually(
        lambda: one if (one := stage.ecs.describe_tasks(tasks=tasks[:1])["tasks"][0])["lastStatus"] == "STOPPED" else 0,
        what="the end of a task",
    )
    assert ended["containers"][0]["exitCode"] == 0, ended
    assert stage.dead_letters() == []
    calls = stage.aws.page("calls")["calls"]
    callers = {one["principal"].split("/")[1] for one in calls if one["user_agent"].startswith("scheduler.amazonaws")}
    assert f"{stage.name}-scheduler" in callers


def test_once_disabled_or_deleted_nothing_runs(stage: Stage) -> None:
    stage.may_all()
    stage.scheduler.create_schedule(**stage.schedule(State="DISABLED"))
    other = stage.schedule(Name=f"{stage.name}-b")
    stage.scheduler.create_schedule(**other)
    eventually(stage.tasks, what="a task of the other schedule")
    stage.scheduler.delete_schedule(Name=other["Name"])
    before = stage.tasks()
    assert len(before) == 1
    [left] = stage.scheduler.list_schedules(NamePrefix=stage.name)["Schedules"]
    assert (left["Name"], left["State"]) == (stage.name, "DISABLED")
    # Enabled, it is the only one that starts tasks.
    stage.scheduler.update_schedule(**stage.schedule())
    eventually(lambda: len(stage.tasks()) == 2, what="a task of the schedule that is enabled")


def test_one_time_schedule_deletes_itself(stage: Stage) -> None:
    stage.may_all()
    soon = f"{dt.datetime.now(dt.UTC) + dt.timedelta(minutes=2):%Y-%m-%dT%H:%M:%S}"
    stage.scheduler.create_schedule(**stage.schedule(f"at({soon})", ActionAfterCompletion="DELETE"))
    eventually(lambda: not stage.scheduler.list_schedules(NamePrefix=stage.name)["Schedules"], what="its end")
    assert len(eventually(stage.tasks, what="its task")) == 1


@pytest.mark.parametrize(
    ("allowed", "missing"),
    [(("iam:PassRole",), "ecs:RunTask"), (("ecs:RunTask",), "iam:PassRole")],
)
def test_a_role_without_the_right_ends_as_a_dead_letter(stage: Stage, allowed: tuple[str, ...], missing: str) -> None:
    stage.allow(*((action, "*") for action in allowed), ("sqs:SendMessage", stage.queue_arn))
    stage.scheduler.create_schedule(**stage.schedule())
    [first, *_rest] = eventually(stage.dead_letters, what="a dead letter")
    told = {name: value["StringValue"] for name, value in first["MessageAttributes"].items()}
    assert told["ERROR_CODE"] == "AccessDeniedException"
    assert missing in told["ERROR_MESSAGE"]
    assert (told["RETRY_ATTEMPTS"], told["EXHAUSTED_RETRY_CONDITION"]) == ("1", "MaximumRetryAttempts")
    assert json.loads(first["Body"])["taskDefinition"] == stage.definition
    assert stage.tasks() == []


def test_an_alarm_on_dead_letters_fires(stage: Stage) -> None:
    stage.allow(("sqs:SendMessage", stage.queue_arn))
    cloudwatch = stage.aws.client("cloudwatch")
    for name, namespace, metric, dimension in (
        ("queue", "AWS/SQS", "ApproximateNumberOfMessagesVisible", ("QueueName", stage.name)),
        ("group", "AWS/Scheduler", "InvocationsSentToDeadLetterCount", ("ScheduleGroup", stage.name)),
    ):
        cloudwatch.put_metric_alarm(
            AlarmName=f"{stage.name}-{name}",
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": dimension[0], "Value": dimension[1]}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )
    stage.scheduler.create_schedule_group(Name=stage.name)
    group = stage.group.replace("/default", f"/{stage.name}")
    role = stage.role("own", "scheduler.amazonaws.com", {"ArnLike": {"aws:SourceArn": group}})
    stage.iam.put_role_policy(
        RoleName=role.rpartition("/")[2],
        PolicyName="p",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": stage.queue_arn}],
            }
        ),
    )
    stage.scheduler.create_schedule(**stage.schedule(GroupName=stage.name, target={"RoleArn": role}))
    for name in ("queue", "group"):

        def fired(alarm: str = f"{stage.name}-{name}") -> bool:
            return cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"] == "ALARM"

        eventually(fired, what=f"the alarm on the {name}")
    cloudwatch.delete_alarms(AlarmNames=[f"{stage.name}-queue", f"{stage.name}-group"])
    stage.scheduler.delete_schedule_group(Name=stage.name)
    eventually(
        lambda: not stage.scheduler.list_schedules(NamePrefix=stage.name)["Schedules"], what="its schedules' end"
    )


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"ScheduleExpression": "cron(0 0 * * * *)"}, "ValidationException", "Invalid Schedule Expression cron"),
        ({"ScheduleExpressionTimezone": "Mars"}, "ValidationException", "Invalid Schedule Expression Timezone Mars."),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "ValidationException", "MaximumWindowInMinutes"),
        ({"FlexibleTimeWindow": {"Mode": "SOME"}}, "ValidationException", "satisfy enum value set: [OFF, FLEXIBLE]"),
        ({"Name": "a b"}, "ValidationException", "regular expression pattern"),
        ({"GroupName": "absent"}, "ResourceNotFoundException", "Schedule group absent does not exist."),
        ({"target": {"Arn": "arn:aws:lambda:us-east-1:123456789012:function:f"}}, "ValidationException", "target"),
        ({"target": {"Input": "text"}}, "ValidationException", "Input must be the JSON"),
        (
            {"target": {"RetryPolicy": {"MaximumRetryAttempts": 186}}},
            "ValidationException",
            "Value '186' at 'target.retryPolicy.maximumRetryAttempts' failed to satisfy constraint: Member must have"
            " value less than or equal to 185",
        ),
        (
            {"target": {"RoleArn": "arn:aws:iam::123456789012:role/absent"}},
            "ValidationException",
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
        ),
    ],
)
def test_what_cannot_be_is_refused(stage: Stage, changes: dict[str, Any], code: str, message: str) -> None:
    found = refused(stage.scheduler.create_schedule, **stage.schedule(**changes))
    assert found[0] == code
    assert message in found[1]


@pytest.mark.parametrize(
    ("principal", "source"),
    [("ecs-tasks.amazonaws.com", "default"), ("scheduler.amazonaws.com", "another")],
)
def test_a_role_must_trust_scheduler_for_the_group(stage: Stage, principal: str, source: str) -> None:
    condition = {"ArnLike": {"aws:SourceArn": stage.group.replace("/default", f"/{source}")}}
    role = stage.role("other", principal, condition)
    found = refused(stage.scheduler.create_schedule, **stage.schedule(target={"RoleArn": role}))
    assert found == (
        "ValidationException",
        "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
    )


def test_a_schedule_is_kept_as_it_was_given(stage: Stage) -> None:
    given = stage.schedule("cron(0 3 ? * SUN *)", Description="d", ScheduleExpressionTimezone="Europe/Berlin")
    arn = stage.scheduler.create_schedule(**given)["ScheduleArn"]
    found = stage.scheduler.get_schedule(Name=stage.name)
    assert {**found, **given} == found
    assert (found["Arn"], found["GroupName"], found["State"]) == (arn, "default", "ENABLED")
    assert refused(stage.scheduler.create_schedule, **given)[0] == "ConflictException"
    # What is not given again gets its default.
    stage.scheduler.update_schedule(**stage.schedule("rate(1 day)"))
    changed = stage.scheduler.get_schedule(Name=stage.name)
    assert (changed.get("Description"), changed["ScheduleExpressionTimezone"]) == (None, "UTC")
    stage.scheduler.delete_schedule(Name=stage.name)
    assert refused(stage.scheduler.get_schedule, Name=stage.name)[0] == "ResourceNotFoundException"
    assert refused(stage.scheduler.delete_schedule, Name=stage.name)[0] == "ResourceNotFoundException"


def test_groups_have_tags_and_end_with_their_schedules(stage: Stage) -> None:
    arn = stage.scheduler.create_schedule_group(Name=stage.name, Tags=[{"Key": "a", "Value": "b"}])["ScheduleGroupArn"]
    assert refused(stage.scheduler.create_schedule_group, Name=stage.name)[0] == "ConflictException"
    stage.scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "c", "Value": "d"}])
    stage.scheduler.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert stage.scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "c", "Value": "d"}]
    names = [one["Name"] for one in stage.scheduler.list_schedule_groups()["ScheduleGroups"]]
    assert {"default", stage.name} <= set(names)
    assert refused(stage.scheduler.delete_schedule_group, Name="default")[0] == "ValidationException"
    stage.scheduler.delete_schedule_group(Name=stage.name)

    def gone() -> bool:
        try:
            return stage.scheduler.get_schedule_group(Name=stage.name)["State"] != "DELETING"
        except ClientError as e:
            return e.response["Error"]["Code"] == "ResourceNotFoundException"

    eventually(gone, what="the group's end")


def test_iam_is_asked_about_the_schedule_and_the_role_that_is_passed(stage: Stage) -> None:
    user = f"{stage.name}-user"
    stage.iam.create_user(UserName=user)
    key = stage.iam.create_access_key(UserName=user)["AccessKey"]
    scheduler = stage.aws.client("scheduler", key["AccessKeyId"], key["SecretAccessKey"])
    arn = f"{stage.group.replace('schedule-group', 'schedule')}/{stage.name}"

    def allow(*statements: tuple[str, str]) -> None:
        listed = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
        document = json.dumps({"Version": "2012-10-17", "Statement": listed})
        stage.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document)

    allow(("scheduler:CreateSchedule", f"{arn}-other"))
    code, message = refused(scheduler.create_schedule, **stage.schedule("rate(1 day)"))
    assert code == "AccessDeniedException"
    assert f"scheduler:CreateSchedule on resource: {arn}" in message
    allow(("scheduler:CreateSchedule", arn))
    assert "iam:PassRole" in refused(scheduler.create_schedule, **stage.schedule("rate(1 day)"))[1]
    allow(("scheduler:CreateSchedule", arn), ("iam:PassRole", stage.role_arn))
    scheduler.create_schedule(**stage.schedule("rate(1 day)"))
    assert refused(scheduler.get_schedule, Name=stage.name)[0] == "AccessDeniedException"


def test_schedules_outlive_the_daemon(new_local_aws: Callable[..., LocalAws]) -> None:
    aws = new_local_aws()
    aws.up()
    stage = Stage(aws)
    stage.may_all()
    stage.scheduler.create_schedule(**stage.schedule("rate(1 hour)"))
    eventually(stage.tasks, what="a task")
    aws.down()
    aws.up()
    again = aws.client("ecs")
    eventually(lambda: again.list_tasks(family=stage.name)["taskArns"], what="a task after the restart")
    assert aws.client("scheduler").get_schedule(Name=stage.name)["ScheduleExpression"] == "rate(1 hour)"
