# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that is cut off again and again is completed, with the same passwords.

The scenarios in extensions/molecule validate, destroy and restore one.

One deployment goes through all tests here, in their order: each takes up what the one before has left.
"""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path
from typing import Any
from typing import ClassVar

import botocore.exceptions
import pytest
from bare_client import printed_exports
from bare_client import printed_login
from bare_client import run_bare
from burst import Burst
from conftest import QUICK
from harness import REGION
from harness import ROOT
from harness import LocalAws
from harness import Played
from harness import eventually
from harness import interrupt
from harness import runtime

NAME = "resumed"
# Numbers and switches, as YAML and -e give them.
TYPED = {"mlflow_tags": {"CostCentre": 4711, "Shared": True}, "mlflow_extra_env": {"LEVEL": 1, "VERBOSE": False}}

# How each service words it (botocore's models; EC2 User Guide, "Error codes").
EXPIRED = {
    "ec2:*": "RequestExpired",
    "ecs:*": "ExpiredTokenException",
    "logs:*": "ExpiredTokenException",
    "secretsmanager:*": "ExpiredTokenException",
    "*": "ExpiredToken",
}


class Secret:
    """The secrets' versions, which must stay the same from the run on that made them."""

    first: ClassVar[dict[str, str]] = {}

    @classmethod
    def unchanged(cls, aws: LocalAws) -> None:
        """Assert that."""
        secrets_manager = aws.client("secretsmanager")
        for one in secrets_manager.list_secrets()["SecretList"]:
            if one["Name"].startswith(f"{NAME}/"):
                now = secrets_manager.get_secret_value(SecretId=one["Name"])["VersionId"]
                assert now == cls.first.setdefault(one["Name"], now)
        assert f"{NAME}/database" in cls.first


class Summary:
    """The output of the newest run that ended with a summary."""

    output: ClassVar[str] = ""


def deploy(aws: LocalAws, variables: dict[str, Any] | None = None, **options: Any) -> Played:
    """Run the playbook for the one deployment."""
    played = aws.play("deploy", aws.small(mlflow_name=NAME, **TYPED, **(variables or {})), **options)
    if played.code == 0 and not options.get("check"):
        Summary.output = played.output
    return played


@functools.cache
def client_exports(aws: LocalAws) -> list[str]:
    """What the summary and the playbook login print for a client; transfers are nothing that it would print."""
    return printed_exports(Summary.output) + printed_login(aws.play("login", {"mlflow_name": NAME}).succeeded().output)


def presigned_reads(aws: LocalAws) -> list[str]:
    """The objects' reads that came from MLflow's client itself, by presigned URLs."""
    calls = aws.page("calls")["calls"]
    return [call["api"] for call in calls if call["api"] == "s3:GetObject" and "python-requests" in call["user_agent"]]


def database_status(aws: LocalAws) -> str:
    """As RDS says it."""
    [instance] = aws.client("rds").describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
    return instance["DBInstanceStatus"]


def services(aws: LocalAws) -> list[str]:
    """The statuses of the service's deployments, as ECS says it."""
    try:
        found = aws.client("ecs").describe_services(services=[NAME])["services"]
    except botocore.exceptions.ClientError:
        return []
    return [one["status"] for one in found]


def cut_off(played: Played) -> None:
    """Assert that Ctrl-C was what ended it."""
    assert played.code not in (0, 2), played.output
    assert "Summary" not in played.output


def test_check_mode_on_nothing_says_what_it_would_do_and_does_nothing(calm: LocalAws) -> None:
    played = deploy(calm, check=True).succeeded()
    assert played.changed["localhost"] >= 8
    assert calm.writes() == []


def test_interrupted_right_after_the_password(aws: LocalAws) -> None:
    cut_off(deploy(aws, at="create | Create the subnet group", then=interrupt))
    Secret.unchanged(aws)


def test_credentials_expire_in_the_middle_and_it_is_interrupted_while_it_waits_for_the_database(aws: LocalAws) -> None:
    expired = []

    def expire(_unused: subprocess.Popen) -> None:
        for what, code in EXPIRED.items():
            expired.append(aws.order_fault(what, code=code, message="The security token is expired.", times=0))

    def wait_and_interrupt(process: subprocess.Popen) -> None:
        aws.page("calls", "DELETE")
        eventually(lambda: "rds:DescribeDBInstances" in aws.page("calls")["counts"], "the first poll of the database")
        assert database_status(aws) == "creating"
        interrupt(process)

    # The first of the runs begins to create it, and the second one waits for it, however long each of them takes.
    with aws.held("databases:Create", subject=NAME):
        played = deploy(aws, at="create | Create the bucket for the artifacts", then=expire)
        for fault in expired:
            aws.page(f"faults/{fault}", "DELETE")
        assert "The AWS credentials have expired: renew them and run this again." in played.problem()
        Secret.unchanged(aws)
        cut_off(deploy(aws, at="available | Wait until the instance is available", then=wait_and_interrupt))
        Secret.unchanged(aws)


def test_connection_lost(aws: LocalAws) -> None:
    played = deploy(aws, at="log_group | Create the log group with its retention", then=lambda _unused: aws.kill())
    aws.up(QUICK)
    assert "Could not connect to the endpoint" in played.problem()
    Secret.unchanged(aws)


@pytest.mark.usefixtures("software")
def test_interrupted_while_it_waits_for_the_service(aws: LocalAws) -> None:
    def wait_and_interrupt(process: subprocess.Popen) -> None:
        eventually(lambda: "ACTIVE" in services(aws), "the service")
        interrupt(process)

    # No task is ever healthy meanwhile, so the wait cannot be over before it is interrupted.
    with aws.held("balancer:HealthCheck", subject=f"service:{NAME}"):
        cut_off(
            deploy(
                aws,
                at="deploy | Create or update the MLflow server as an Express Mode service",
                then=wait_and_interrupt,
            )
        )
    Secret.unchanged(aws)


def test_completed_by_running_it_again(aws: LocalAws) -> None:
    played = deploy(aws).succeeded()
    assert f"MLflow '{NAME}' answers at https://" in played.output
    Secret.unchanged(aws)


def test_its_state(calm: LocalAws) -> None:
    """As docs/guides/status.md says, beside a deployment that does not exist."""
    both = {"there": calm.small(mlflow_name=NAME), "nowhere": calm.small(mlflow_name="nowhere")}
    output = calm.play("status", hosts=both).succeeded().output
    assert f"MLflow '{NAME}': running" in output
    assert re.search(r"answers in \d+ ms, 1 of 1 tasks running", output)
    assert "Database:    available" in output
    assert f"MLflow 'nowhere': not deployed in {REGION}" in output
    assert "Not known" not in output
    assert re.findall(rf"\b({NAME}|nowhere) +(running|absent) ", output) == [(NAME, "running"), ("nowhere", "absent")]
    assert calm.writes() == []
    guide = (ROOT / "docs/guides/status.md").read_text(encoding="utf-8")
    path = calm.home / "state.yml"
    path.write_text(guide.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    calm.play(str(path), calm.small(mlflow_name=NAME)).succeeded()


def tags_of_all_resources(aws: LocalAws) -> dict[str, dict[str, str]]:
    """The tags of one resource of each service."""
    [instance] = aws.client("rds").describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
    [group] = aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/ecs/default/{NAME}")["logGroups"]
    [service] = aws.client("ecs").describe_services(services=[NAME], include=["TAGS"])["services"]
    named = [{"Name": "group-name", "Values": [f"{NAME}-service"]}]
    [security] = aws.client("ec2").describe_security_groups(Filters=named)["SecurityGroups"]
    [bucket] = [one["Name"] for one in aws.client("s3").list_buckets()["Buckets"] if one["Name"].startswith(f"{NAME}-")]
    listed = {
        "rds": instance["TagList"],
        "ecs": [{"Key": tag["key"], "Value": tag["value"]} for tag in service["tags"]],
        "ec2": security["Tags"],
        "s3": aws.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"],
        "iam": aws.client("iam").get_role(RoleName=f"{NAME}-task-role")["Role"]["Tags"],
        "secretsmanager": aws.client("secretsmanager").describe_secret(SecretId=f"{NAME}/login")["Tags"],
    }
    tags = {what: {tag["Key"]: tag["Value"] for tag in found} for what, found in listed.items()}
    return tags | {"logs": aws.client("logs").list_tags_log_group(logGroupName=group["logGroupName"])["tags"]}


def test_numbers_and_switches_are_text_everywhere(aws: LocalAws) -> None:
    for what, tags in tags_of_all_resources(aws).items():
        assert {key: tags.get(key) for key in TYPED["mlflow_tags"]} == {"CostCentre": "4711", "Shared": "true"}, what
    [service] = aws.client("ecs").describe_services(services=[NAME])["services"]
    definition = aws.client("ecs").describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    [main] = [one for one in definition["containerDefinitions"] if one["name"] == "Main"]
    environment = {one["name"]: one["value"] for one in main["environment"]}
    assert {name: environment[name] for name in TYPED["mlflow_extra_env"]} == {"LEVEL": "1", "VERBOSE": "false"}


def test_nothing_is_left_to_change(calm: LocalAws) -> None:
    assert deploy(calm).succeeded().changed == {"localhost": 0}
    assert calm.writes() == []
    Secret.unchanged(calm)
    assert set(Secret.first) == {f"{NAME}/database", f"{NAME}/login", f"{NAME}/server"}


def test_what_the_summary_prints_is_all_that_a_client_needs(calm: LocalAws, tmp_path: Path) -> None:
    exports = client_exports(calm)
    assert [line.split()[1].partition("=")[0] for line in exports] == [
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_SERVER_CERT_PATH",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
    ]
    assert "all of it" in run_bare(runtime("3.17.2") / "bin/python", exports, tmp_path)
    assert presigned_reads(calm) == []


def test_each_of_sixty_clients_at_once_gets_its_answers(calm: LocalAws) -> None:
    exported = dict(re.findall(r"export (\w+)='?([^'\s]+)", "\n".join(client_exports(calm))))
    login = (exported["MLFLOW_TRACKING_USERNAME"], exported["MLFLOW_TRACKING_PASSWORD"])
    assert Burst(exported["MLFLOW_TRACKING_URI"], calm.info["ca_bundle"], login).run(60) == {"200": 5 * 60}


@pytest.mark.long
def test_a_server_with_presigned_transfers_sends_its_clients_to_s3(calm: LocalAws, tmp_path: Path) -> None:
    deploy(calm, {"mlflow_artifact_transfers": "presigned"}).succeeded()
    calm.page("calls", "DELETE")
    # S3's certificate is public at AWS, and the local AWS's own here.
    exports = [*client_exports(calm), f"export REQUESTS_CA_BUNDLE='{calm.info['ca_bundle']}'"]
    assert "all of it" in run_bare(runtime("3.17.2") / "bin/python", exports, tmp_path)
    assert presigned_reads(calm)
