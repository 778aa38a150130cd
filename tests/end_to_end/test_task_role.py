# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server does all that it does with S3 under the task role's policy, needs each action, and reaches no more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import QUICK
from harness import ROOT
from harness import LocalAws
from harness import prepare_software
from harness import runtime
from principals import Policy
from principals import actions
from principals import allows
from principals import client_of
from principals import without
from servers import MlflowServer

BUCKET = "mlflow-artifacts-of-a-task-5e0c"
CLIENT = Path(__file__).with_name("task_role_client.py")
MULTIPART = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(5 * 1024 * 1024),
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(5 * 1024 * 1024),
}


def task_policy() -> Policy:
    """The inline policy that the role iam renders."""
    text = (ROOT / "roles/iam/vars/main.yml").read_text(encoding="utf-8")
    policy = yaml.safe_load(text)["__iam_artifacts_policy"]
    return json.loads(json.dumps(policy).replace("{{ iam_bucket_arn }}", f"arn:aws:s3:::{BUCKET}"))


class Task:
    """Credentials of a task role.

    :arg aws: where the role is.
    """

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        iam = aws.client("iam")
        caller = iam.create_user(UserName="ecs-stand-in")["User"]["Arn"]
        key = iam.create_access_key(UserName="ecs-stand-in")["AccessKey"]
        # ECS assumes the role for a task; here a user may, who can do nothing else.
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": caller}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName="mlflow-task-role", AssumeRolePolicyDocument=document)["Role"]
        iam.put_role_policy(RoleName="mlflow-task-role", PolicyName="one", PolicyDocument=json.dumps(task_policy()))
        may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role["Arn"]}
        document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
        iam.put_user_policy(UserName="ecs-stand-in", PolicyName="assume", PolicyDocument=document)
        sts = client_of(aws, "sts", key["AccessKeyId"], key["SecretAccessKey"])
        found = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="task")["Credentials"]
        self.secrets = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    def environment(self) -> dict[str, str]:
        """What a task's process has."""
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return {
            **self.aws.user_environment(),
            **dict(zip(names, self.secrets, strict=True)),
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self, service: str) -> Any:
        """A client with the role's permissions."""
        return client_of(self.aws, service, *self.secrets)

    def checks(self) -> list[dict[str, Any]]:
        """What the role's policies were asked."""
        return [one for one in self.aws.page("permissions")["checks"] if "mlflow-task-role" in one["principal"]]


@pytest.fixture(scope="module")
def task(software: None) -> Iterator[Task]:
    """A task role, and the bucket that it is for."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    home.chmod(0o755)
    aws = LocalAws(home)
    try:
        aws.up(QUICK)
        aws.client("s3").create_bucket(Bucket=BUCKET)
        yield Task(aws)
    finally:
        aws.down()
        shutil.rmtree(home)


def collect_garbage(server: MlflowServer, version: str, environment: dict[str, str]) -> None:
    """Delete for good what was deleted, as an administrator does in the task."""
    command = [str(runtime(version) / "bin/mlflow"), "gc"]
    command += ["--backend-store-uri", f"sqlite:///{server.folder}/mlflow.db"]
    if version != "3.10.0":
        command += ["--tracking-uri", server.url]
    done = subprocess.run(
        command, env={**environment, "MLFLOW_TRACKING_URI": server.url}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", ["3.17.2", "3.10.0"])
def test_five_actions_are_enough_and_each_is_needed(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    prepare_software(version, tmp_path / "owner")
    task.aws.page("permissions", "DELETE")
    for name, value in task.environment().items():
        monkeypatch.setenv(name, value)
    server = MlflowServer(
        tmp_path / "server", version, "", auth=False, options=("--artifacts-destination", f"s3://{BUCKET}/{version}")
    )
    try:
        server.wait()
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
        plain |= {
            "REQUESTS_CA_BUNDLE": task.aws.info["ca_bundle"],
            "MLFLOW_TRACKING_URI": server.url,
            "HOME": str(tmp_path),
        }
        python = str(runtime(version) / "bin/python")
        done = subprocess.run(
            [python, str(CLIENT)], env={**plain, **MULTIPART}, capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stderr
        begin = "/api/2.0/mlflow-artifacts/mpu"
        status, begun = server.ask(
            "POST", f"{begin}/create/given-up.bin", {"path": "given-up.bin", "num_parts": 1}, None
        )
        assert status == 200, begun
        body = {"path": "given-up.bin", "upload_id": begun["upload_id"]}
        assert server.call("POST", f"{begin}/abort/given-up.bin", body, None) == 200
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        collect_garbage(server, version, environment)
    finally:
        server.stop()
    s3 = task.aws.client("s3")
    left = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{version}/").get("Contents", [])]
    assert not [key for key in left if done.stdout.strip() in key], "mlflow gc left artifacts"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    asked = task.checks()
    assert [check for check in asked if not check["allowed"]] == []
    policy = task_policy()
    for sid, action in actions(policy):
        less = without(policy, sid, action)
        assert [check for check in asked if check["action"] == action and not allows(less, check)], f"{action} in vain"


def test_the_task_role_reaches_nothing_else(task: Task) -> None:
    task.aws.client("s3").create_bucket(Bucket="somebody-elses-5e0c")
    task.aws.client("s3").put_object(Bucket="somebody-elses-5e0c", Key="theirs", Body=b"theirs")
    theirs = {"Bucket": "somebody-elses-5e0c", "Key": "theirs"}
    attempts: list[tuple[str, str, dict[str, Any]]] = [
        ("s3", "get_object", theirs),
        ("s3", "put_object", {**theirs, "Body": b"ours"}),
        ("s3", "delete_object", theirs),
        ("s3", "list_objects_v2", {"Bucket": "somebody-elses-5e0c"}),
        ("s3", "list_buckets", {}),
        ("s3", "delete_bucket", {"Bucket": BUCKET}),
        ("s3", "put_bucket_policy", {"Bucket": BUCKET, "Policy": "{}"}),
        ("secretsmanager", "list_secrets", {}),
        ("secretsmanager", "get_secret_value", {"SecretId": "mlflow/database"}),
        ("iam", "list_roles", {}),
        ("rds", "describe_db_instances", {}),
        ("ecs", "list_services", {}),
        ("logs", "describe_log_groups", {}),
        ("ec2", "describe_vpcs", {}),
    ]
    for service, operation, params in attempts:
        with pytest.raises(Exception, match=r"AccessDenied|UnauthorizedOperation|not authorized"):
            getattr(task.client(service), operation)(**params)
