# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks through plain boto3: what a container is given, and how it ends. The image is a bare Python."""

from __future__ import annotations

import json
import sys
import urllib.request
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from running import LocalAws
from running import eventually

IMAGE = f"public.ecr.aws/docker/library/python:3.{sys.version_info.minor}-slim"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


class Stage:
    """Roles, a log group and a secret for one module's tasks."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.ecs = aws.client("ecs")
        self.suffix = uuid.uuid4().hex[:8]
        self.log_group = f"/ecs/test/{self.suffix}"
        aws.client("logs").create_log_group(logGroupName=self.log_group)
        secret = json.dumps({"password": "a$b'c\"d", "port": 5432})
        created = aws.client("secretsmanager").create_secret(Name=f"test/{self.suffix}", SecretString=secret)
        self.secret = created["ARN"]
        aws.client("ssm").put_parameter(Name=f"/test/{self.suffix}", Value="from-ssm", Type="SecureString")
        self.parameter = f"arn:aws:ssm:{aws.info['region']}:{aws.account_id}:parameter/test/{self.suffix}"
        self.execution_role = self.role("execution")
        self.allow("execution", "logs:CreateLogStream", "logs:PutLogEvents", "ssm:GetParameters")
        self.allow("execution", "secretsmanager:GetSecretValue", resource=self.secret)
        self.task_role = self.role("task")
        self.ecs.create_cluster(clusterName="default")

    def role(self, kind: str, trust: dict[str, Any] | None = None) -> str:
        """Makes a role."""
        answer = self.aws.client("iam").create_role(
            RoleName=f"{kind}-{self.suffix}", AssumeRolePolicyDocument=json.dumps(trust or TRUST)
        )
        return answer["Role"]["Arn"]

    def allow(self, kind: str, *actions: str, resource: str = "*") -> None:
        """Adds an inline policy to a role."""
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource}],
        }
        self.aws.client("iam").put_role_policy(
            RoleName=f"{kind}-{self.suffix}",
            PolicyName=f"p{uuid.uuid4().hex[:6]}",
            PolicyDocument=json.dumps(document),
        )

    def run(self, command: list[str], **container: Any) -> dict[str, Any]:
        """Starts a task."""
        memory = container.pop("memory", "512")
        task_role = container.pop("task_role", self.task_role)
        execution_role = container.pop("execution_role", self.execution_role)
        network = {
            "subnets": container.pop("subnets", ["subnet-1"]),
            "securityGroups": container.pop("security_groups", []),
        }
        options = {
            "awslogs-group": container.pop("log_group", self.log_group),
            "awslogs-region": self.aws.info["region"],
            "awslogs-stream-prefix": "app",
        }
        definition = self.ecs.register_task_definition(
            family=f"family-{self.suffix}",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory=memory,
            executionRoleArn=execution_role,
            taskRoleArn=task_role,
            containerDefinitions=[
                {
                    "name": "Main",
                    "image": IMAGE,
                    "essential": True,
                    "command": command,
                    "portMappings": [{"containerPort": 5000}],
                    "logConfiguration": {"logDriver": "awslogs", "options": options},
                    **container,
                }
            ],
        )
        answer = self.ecs.run_task(
            taskDefinition=definition["taskDefinition"]["taskDefinitionArn"],
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": network},
        )
        task = answer["tasks"][0]
        assert task["lastStatus"] == "PROVISIONING"
        return task

    def describe(self, task: dict[str, Any]) -> dict[str, Any]:
        """A task as it is now."""
        return self.ecs.describe_tasks(tasks=[task["taskArn"]])["tasks"][0]

    def reach(self, task: dict[str, Any], status: str, seconds: float = 120) -> dict[str, Any]:
        """Waits for a status."""

        def reached() -> Any:
            now = self.describe(task)
            assert now["lastStatus"] != "STOPPED" or status == "STOPPED", now
            return now if now["lastStatus"] == status else None

        return eventually(reached, seconds, f"the task to be {status}")

    def output(self, task: dict[str, Any]) -> list[str]:
        """What CloudWatch Logs has of a task."""
        stream = f"app/Main/{task['taskArn'].rsplit('/', 1)[-1]}"
        answer = self.aws.client("logs").get_log_events(
            logGroupName=self.log_group, logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in answer["events"]]


@pytest.fixture(scope="module")
def stage(local_aws: LocalAws) -> Iterator[Stage]:
    """The stage; its tasks are stopped at the end."""
    stage = Stage(local_aws)
    yield stage
    for arn in stage.ecs.list_tasks(family=f"family-{stage.suffix}")["taskArns"]:
        stage.ecs.stop_task(task=arn)


def python(code: str) -> list[str]:
    """A command."""
    return ["python", "-u", "-c", code]


def address(task: dict[str, Any]) -> str:
    """A task's private address."""
    return task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]


def test_a_task_ends_with_its_output_in_the_log(stage: Stage) -> None:
    task = stage.reach(stage.run(python("print('one'); print('two'); raise SystemExit(3)")), "STOPPED")
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["stoppedReason"] == "Essential container in task exited"
    assert task["containers"][0]["exitCode"] == 3
    assert task["desiredStatus"] == "STOPPED"
    assert stage.output(task) == ["one", "two"]


def test_a_task_is_run_with_overrides_of_its_definition(stage: Stage) -> None:
    show = python("import os; print(os.environ['KEPT'], os.environ['CHANGED'], os.environ['SECRET'])")
    environment = [{"name": "KEPT", "value": "kept"}, {"name": "CHANGED", "value": "before"}]
    # Only the definition has secrets: botocore's ContainerOverride does not.
    secrets = [{"name": "SECRET", "valueFrom": f"{stage.secret}:password::"}]
    defined = stage.run(python("pass"), environment=environment, secrets=secrets)
    own = {"name": "Main", "command": show, "environment": [{"name": "CHANGED", "value": "after"}]}
    parameters = {
        "taskDefinition": defined["taskDefinitionArn"],
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
    }
    tags = [{"key": "Verb", "value": "upgrade"}]
    (task,) = stage.ecs.run_task(**parameters, overrides={"containerOverrides": [own]}, tags=tags)["tasks"]
    assert task["overrides"]["containerOverrides"] == [own]
    stopped = stage.reach(task, "STOPPED")
    assert (stopped["containers"][0]["exitCode"], stopped["tags"]) == (0, tags)
    assert stage.output(stopped) == ["kept after a$b'c\"d"]
    with pytest.raises(ClientError, match="Override for container named Other is not a container"):
        stage.ecs.run_task(**parameters, overrides={"containerOverrides": [{"name": "Other"}]})


def test_a_container_sees_its_own_environment_only(stage: Stage) -> None:
    show = "import json, os; print(json.dumps(dict(os.environ))); print(os.getcwd())"
    environment = [{"name": "GREETING", "value": "hello"}, {"name": "AWS_REGION", "value": "eu-west-1"}]
    task = stage.reach(stage.run(python(show), environment=environment), "STOPPED")
    printed, folder = stage.output(task)
    seen = json.loads(printed)
    assert seen["GREETING"] == "hello"
    assert seen["AWS_REGION"] == "eu-west-1"
    assert seen["HOME"] == folder
    # The start of the id is enough, and leaves space for the names of sockets.
    assert folder == str(stage.aws.home / "tasks" / task["taskArn"].rsplit("/", 1)[-1][:12])
    foreign = set(seen) - {
        "PATH",
        "HOME",
        "LANG",
        "TMPDIR",
        "GREETING",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_ENDPOINT_URL",
        "AWS_CA_BUNDLE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "ECS_CONTAINER_METADATA_URI_V4",
        "LOCAL_AWS_OWNER",
        "LOCAL_AWS_TASK_NETWORK",
    }
    assert not foreign
    assert stage.aws.info["secret_access_key"] not in printed


def test_secrets_come_from_secrets_manager_and_parameter_store(stage: Stage) -> None:
    secrets = [
        {"name": "WHOLE", "valueFrom": stage.secret},
        {"name": "PASSWORD", "valueFrom": f"{stage.secret}:password::"},
        {"name": "PORT", "valueFrom": f"{stage.secret}:port:AWSCURRENT:"},
        {"name": "BY_ARN", "valueFrom": stage.parameter},
        {"name": "BY_NAME", "valueFrom": f"/test/{stage.suffix}"},
    ]
    show = "import os; print(os.environ['PASSWORD'], os.environ['PORT'], os.environ['BY_ARN'], os.environ['BY_NAME'])"
    task = stage.reach(stage.run(python(show), secrets=secrets), "STOPPED")
    assert stage.output(task) == ["a$b'c\"d 5432 from-ssm from-ssm"]


def test_a_secret_that_the_execution_role_may_not_read_stops_the_task(stage: Stage) -> None:
    other = stage.aws.client("secretsmanager").create_secret(Name=f"other/{stage.suffix}", SecretString="x")["ARN"]
    secrets = [{"name": "OTHER", "valueFrom": other}]
    task = stage.reach(stage.run(python("print()"), secrets=secrets), "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith(
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
        f"unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret {other}"
    )
    assert "AccessDeniedException" in task["stoppedReason"]
    assert "exitCode" not in task["containers"][0]


def test_a_missing_json_key_stops_the_task(stage: Stage) -> None:
    secrets = [{"name": "X", "valueFrom": f"{stage.secret}:nothing::"}]
    task = stage.reach(stage.run(python("print()"), secrets=secrets), "STOPPED")
    assert "did not contain json key nothing" in task["stoppedReason"]


def test_a_missing_log_group_stops_the_task(stage: Stage) -> None:
    task = stage.reach(stage.run(python("print()"), log_group="/nobody/made/it"), "STOPPED")
    assert task["stoppedReason"].startswith(
        "ResourceInitializationError: failed to validate logger args: create stream"
    )
    assert "The specified log group does not exist" in task["stoppedReason"]


@pytest.mark.parametrize("which", ["task_role", "execution_role"])
def test_a_role_that_does_not_trust_tasks_stops_the_task(stage: Stage, which: str) -> None:
    trust = json.loads(json.dumps(TRUST).replace("ecs-tasks.", "ec2."))
    role = stage.role(f"{which.replace('_', '')}{uuid.uuid4().hex[:4]}", trust)
    task = stage.reach(stage.run(python("print()"), **{which: role}), "STOPPED")
    assert f"unable to assume the role '{role}'" in task["stoppedReason"]


def test_an_unknown_image_cannot_be_pulled(stage: Stage) -> None:
    task = stage.reach(stage.run(python("print()"), image="docker.io/library/nginx:latest"), "STOPPED")
    assert task["stoppedReason"].startswith("CannotPullContainerError: ")
    assert "nginx:latest" in task["stoppedReason"]


def test_a_program_that_is_not_there_cannot_be_started(stage: Stage) -> None:
    task = stage.reach(stage.run(["no-such-program"]), "STOPPED")
    assert task["stoppedReason"].startswith("CannotStartContainerError: ")
    assert 'exec: "no-such-program": executable file not found in $PATH' in task["stoppedReason"]


def test_the_task_role_is_what_the_container_acts_as(stage: Stage) -> None:
    fetch = """
import json, os, urllib.request
def get(url, **headers):
    return json.load(urllib.request.urlopen(urllib.request.Request(url, headers=headers)))
url = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
print(json.dumps(get(url, Authorization=os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"])))
try:
    get(url, Authorization="guessed")
except urllib.error.HTTPError as error:
    print(error.code)
print(json.dumps(get(os.environ["ECS_CONTAINER_METADATA_URI_V4"] + "/task")))
"""
    task = stage.reach(stage.run(python(fetch)), "STOPPED")
    credentials, refused, metadata = stage.output(task)
    given = json.loads(credentials)
    assert given["RoleArn"] == stage.task_role
    caller = stage.aws.client("sts", given["AccessKeyId"], given["SecretAccessKey"], given["Token"])
    assert f"assumed-role/task-{stage.suffix}/" in caller.get_caller_identity()["Arn"]
    assert refused == "403"
    assert json.loads(metadata)["TaskARN"] == task["taskArn"]


def test_two_tasks_serve_on_the_same_port_and_a_stop_ends_them(stage: Stage) -> None:
    command = ["python", "-m", "http.server", "5000"]
    groups = [stage.aws.open_group()]
    tasks = [stage.reach(stage.run(command, security_groups=groups), "RUNNING") for _unused in range(2)]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    addresses = [address(task) for task in tasks]
    assert len(set(addresses)) == 2

    def answers(where: str) -> bool:
        try:
            return opener.open(f"http://{where}:5000/", timeout=1800).status == 200
        except OSError:
            return False

    for where in addresses:
        eventually(lambda where=where: answers(where), what=f"a server at {where}")
    family = f"family-{stage.suffix}"
    assert {task["taskArn"] for task in tasks} <= set(stage.ecs.list_tasks(family=family)["taskArns"])
    stage.ecs.stop_task(task=tasks[0]["taskArn"], reason="enough")
    stopped = stage.reach(tasks[0], "STOPPED")
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "enough")
    assert stopped["containers"][0]["exitCode"] == 143
    assert tasks[0]["taskArn"] not in stage.ecs.list_tasks(family=family)["taskArns"]
    assert not answers(addresses[0])
    assert answers(addresses[1])
    stage.ecs.stop_task(task=tasks[1]["taskArn"])
    stage.reach(tasks[1], "STOPPED")


# Twice its limit and no more, as the machine has to hold it until the next measurement.
GROW = "import time; kept = []\nfor _ in range(32):\n kept.append(b'x' * 2**25); time.sleep(0.02)\ntime.sleep(600)"
# Two processes of which each alone would fit; the parent holds nothing.
PAIR = """
import subprocess, sys
grow = "import time; kept = b'x' * (300 * 2**20); time.sleep(600)"
children = [subprocess.Popen([sys.executable, "-c", grow]) for _number in range(2)]
for child in children:
    child.wait()
"""
ALONE = "import time; kept = b'x' * (300 * 2**20); time.sleep(2)"


@pytest.mark.parametrize("program", [GROW, PAIR], ids=["one-process", "process-tree"])
def test_a_task_that_outgrows_its_memory_is_killed(stage: Stage, program: str) -> None:
    task = stage.reach(stage.run(python(program)), "STOPPED")
    container = task["containers"][0]
    assert container["exitCode"] == 137
    assert container["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert task["stoppedReason"] == "Essential container in task exited"
    assert task["stopCode"] == "EssentialContainerExited"


def test_a_task_within_its_memory_is_left_alone(stage: Stage) -> None:
    container = stage.reach(stage.run(python(ALONE)), "STOPPED")["containers"][0]
    assert (container["exitCode"], "reason" in container) == (0, False)


def test_an_unknown_task_is_missing(stage: Stage) -> None:
    arn = f"arn:aws:ecs:{stage.aws.info['region']}:{stage.aws.account_id}:task/default/{'0' * 32}"
    answer = stage.ecs.describe_tasks(tasks=[arn])
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]


def test_only_who_may_pass_the_roles_may_run_a_task(stage: Stage) -> None:
    iam = stage.aws.client("iam")
    user = f"user-{stage.suffix}"
    iam.create_user(UserName=user)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecs:*", "Resource": "*"}]}
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    ecs = stage.aws.client("ecs", key["AccessKeyId"], key["SecretAccessKey"])
    stage.reach(stage.run(python("print()")), "STOPPED")
    with pytest.raises(ClientError) as caught:
        ecs.run_task(
            taskDefinition=f"family-{stage.suffix}",
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        )
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "iam:PassRole" in caught.value.response["Error"]["Message"]


def test_faults_to_order_for_tasks(stage: Stage, faults: Callable[..., str]) -> None:
    faults("tasks:Capacity", subject=f"family:family-{stage.suffix}")
    faults("tasks:Pull", subject="*python*")
    first = stage.reach(stage.run(python("print()")), "STOPPED")
    assert first["stoppedReason"].startswith("Capacity is unavailable at this time")
    second = stage.reach(stage.run(python("print()")), "STOPPED")
    assert second["stoppedReason"].startswith("CannotPullContainerError: ")
    third = stage.reach(stage.run(python("print()")), "STOPPED")
    assert third["stopCode"] == "EssentialContainerExited"
