# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What destroying removes, leaves alone, asks and says: of a deployment that was begun, and of its namesakes."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import botocore.exceptions
import foreign
import pytest
from conftest import QUICK
from harness import REGION
from harness import LocalAws
from harness import Played
from harness import eventually


@pytest.fixture(scope="module", autouse=True)
def quick(aws: LocalAws) -> None:
    """Nothing here depends on what is slow."""
    aws._run("down")
    aws.up(QUICK)


def destroy(aws: LocalAws, name: str, **options: Any) -> Played:
    """Run the playbook; the name is repeated."""
    variables = {"mlflow_name": name, "mlflow_confirm_destroy": name, "mlflow_poll_seconds": 1}
    return aws.play("destroy", {**variables, **options.pop("variables", {})}, **options).succeeded()


def said(played: Played) -> str:
    """The lines of the end, without Ansible's breaks."""
    return re.sub(r"\s+", " ", played.output.partition("Show what is left and why")[2])


def there(aws: LocalAws, name: str) -> list[str]:
    """The statuses of the instances of a name."""
    try:
        found = aws.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    except botocore.exceptions.ClientError:
        return []
    return [one["DBInstanceStatus"] for one in found]


def test_somebody_elses_database_of_the_same_name_stays(calm: LocalAws) -> None:
    rds = calm.client("rds")
    password = "theirs-and-long-enough"
    rds.create_db_instance(
        DBInstanceIdentifier="shared", MasterUserPassword=password, DeletionProtection=True, **foreign.DATABASE
    )
    eventually(lambda: there(calm, "shared") == ["available"], "their database")
    calm.page("calls", "DELETE")
    problem = calm.play("deploy", calm.small(mlflow_name="shared")).problem()
    assert "mlflow_name is 'shared', and there is an RDS instance of that name" in problem
    problem = calm.play("destroy", {"mlflow_name": "shared", "mlflow_confirm_destroy": "shared"}).problem()
    assert "Nothing was deleted. RDS instance shared exists without the tags" in problem
    assert "set mlflow_take_over to [db_instance/shared]" in problem
    assert calm.writes() == []
    # Not even on demand: it is not in the deployment's subnet group.
    played = destroy(calm, "shared", variables={"mlflow_take_over": ["db_instance/shared"]})
    assert there(calm, "shared") == ["available"]
    assert rds.describe_db_instances(DBInstanceIdentifier="shared")["DBInstances"][0]["DeletionProtection"]
    assert "RDS instance shared: it does not lie in the subnet group shared, so it is not of this deployment." in said(
        played
    )


def test_a_deployment_of_that_name_in_another_region_keeps_its_roles(calm: LocalAws) -> None:
    """They are the account's; its policies name what lies in that region."""
    iam = calm.client("iam")
    role = "twin-task-role"
    tags = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "twin", "MlflowRegion": "eu-west-1"}
    iam.create_role(
        RoleName=role,
        AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}',
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    calm.page("calls", "DELETE")
    problem = calm.play("deploy", calm.small(mlflow_name="twin")).problem()
    assert "mlflow_name is 'twin', which is the name of a deployment in eu-west-1" in problem
    problem = calm.play("destroy", {"mlflow_name": "twin", "mlflow_confirm_destroy": "twin"}).problem()
    assert "The deployment 'twin' is in eu-west-1" in problem
    assert "set AWS_REGION to eu-west-1" in problem
    assert calm.writes() == []
    # What was left here of an earlier deployment of that name can be deleted.
    del tags["MlflowRegion"]
    calm.client("secretsmanager").create_secret(
        Name="twin/server", SecretString="{}", Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    told = said(destroy(calm, "twin"))
    assert "IAM roles of that name: they are those of the deployment in eu-west-1." in told
    assert iam.get_role(RoleName=role)


def test_the_role_iam_alone_keeps_the_region_of_the_roles(calm: LocalAws) -> None:
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [
            {
                "ansible.builtin.import_role": {"name": "mlops.mlflow_aws.iam"},
                "vars": {"iam_name": "alone", "iam_bucket_arn": "arn:aws:s3:::alone"},
            }
        ],
    }
    path = calm.home / "iam-alone.yml"
    path.write_text(json.dumps([play]), encoding="utf-8")
    iam = calm.client("iam")
    tags = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "alone", "MlflowRegion": REGION}
    for kind in ("task", "execution", "infrastructure"):
        iam.create_role(
            RoleName=f"alone-{kind}-role",
            AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}',
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
    assert calm.play(str(path)).succeeded().changed["localhost"] > 0
    for kind in ("task", "execution", "infrastructure"):
        found = iam.get_role(RoleName=f"alone-{kind}-role")["Role"]["Tags"]
        assert {tag["Key"]: tag["Value"] for tag in found} == tags


def test_a_log_group_of_another_deployment_is_not_taken_for_one_that_is_left(calm: LocalAws) -> None:
    calm.client("logs").create_log_group(logGroupName="/ecs/default/vision-trial")
    assert "vision-trial" not in said(destroy(calm, "vision"))


def test_a_name_that_nothing_has_is_doubted(calm: LocalAws) -> None:
    told = said(destroy(calm, "mispelt"))
    assert f"gone from account 123456789012, region {REGION}" in told
    assert "check mlflow_name" in told


@pytest.mark.long
def test_check_mode_names_what_a_run_would_leave(calm: LocalAws) -> None:
    calm.order_fault("iam:CreateRole", code="LimitExceeded", status=409, message="Cannot exceed quota.", times=0)
    assert "begun-task-role" in calm.play("deploy", calm.small(mlflow_name="begun")).problem()
    calm.page("faults", "DELETE")
    eventually(lambda: there(calm, "begun") == ["available"], "the database")
    tags = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "begun"}
    calm.client("logs").create_log_group(logGroupName="/ecs/default/begun", tags=tags)
    bucket = f"Bucket begun-artifacts-123456789012-{REGION}"

    told = said(destroy(calm, "begun", check=True))
    assert bucket in told
    assert "Database snapshot begun-final-" in told
    assert "Log group /ecs/default/begun" in told
    everything = {
        "mlflow_delete_artifacts": True,
        "mlflow_delete_logs": True,
        "mlflow_skip_final_snapshot": True,
        "mlflow_confirm_data_loss": "begun",
    }
    told = said(destroy(calm, "begun", check=True, variables=everything))
    assert bucket not in told
    assert "Database snapshot" not in told
    assert "Log group" not in told

    # As deployed with another engine version than it is destroyed with.
    told = said(destroy(calm, "begun", variables={"mlflow_db_engine_version": "17"}))
    assert bucket in told
    assert "Database snapshot begun-final-" in told
    groups = calm.client("rds").describe_db_parameter_groups()["DBParameterGroups"]
    assert [one["DBParameterGroupName"] for one in groups if one["DBParameterGroupName"].startswith("begun")] == []
    assert destroy(calm, "begun").changed == {"localhost": 0}


def test_several_are_not_asked_for_with_one_question(calm: LocalAws) -> None:
    played = calm.play("destroy", hosts={"one": {"mlflow_name": "one"}, "two": {"mlflow_name": "two"}})
    for host in ("one", "two"):
        assert f"mlflow_confirm_destroy={host}" in played.problem(host)
        assert "--limit" in played.problem(host)
    assert "Type its name" not in played.output
    assert calm.writes() == []


def test_the_strategy_free_destroys_too(calm: LocalAws) -> None:
    destroy(calm, "free", environment={"ANSIBLE_STRATEGY": "free"})


def test_what_is_not_the_deployments_is_refused_whatever_its_type(calm: LocalAws) -> None:
    keys = foreign.create_all(calm, "taken")
    before = foreign.state_of_all(calm, "taken")
    calm.page("calls", "DELETE")
    problem = calm.play("deploy", calm.small(mlflow_name="taken")).problem()
    assert [key for key in keys if key not in problem] == []
    assert "choose another mlflow_name, or, to let the deployment manage them" in problem
    lost = {"mlflow_delete_artifacts": True, "mlflow_delete_logs": True, "mlflow_skip_final_snapshot": True}
    confirmed = {"mlflow_name": "taken", "mlflow_confirm_destroy": "taken", "mlflow_confirm_data_loss": "taken"}
    problem = calm.play("destroy", {**confirmed, **lost}).problem()
    assert problem.startswith("Nothing was deleted.")
    # Security groups are only ever looked for by the deployment's tags when it is destroyed.
    assert [key for key in keys if key not in problem and not key.startswith("security_group/")] == []
    assert calm.writes() == []
    assert foreign.state_of_all(calm, "taken") == before


@pytest.fixture(scope="module")
def moved(aws: LocalAws) -> str:
    """The name of a deployment whose service is in the cluster trial."""
    ecs, tags = aws.client("ecs"), {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "moved"}
    ecs.create_cluster(clusterName="trial")
    ecs.register_task_definition(family="moved", containerDefinitions=[{"name": "Main", "image": "server"}])
    ecs.create_service(
        cluster="trial",
        serviceName="moved",
        taskDefinition="moved",
        desiredCount=0,
        tags=[{"key": key, "value": value} for key, value in tags.items()],
    )
    aws.client("secretsmanager").create_secret(
        Name="moved/login",
        SecretString='{"username": "admin", "password": "made-up-and-long-enough-0001"}',
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    return "moved"


@pytest.mark.parametrize(
    "verb",
    [
        "destroy",
        *(pytest.param(verb, marks=pytest.mark.long) for verb in ("deploy", "validate", "rotate_login")),
        pytest.param("rotate_session_keys", marks=pytest.mark.long),
    ],
)
def test_a_deployment_in_another_cluster_is_found_by_its_tags(calm: LocalAws, moved: str, verb: str) -> None:
    problem = calm.play(verb, calm.small(mlflow_name=moved, mlflow_confirm_destroy=moved)).problem()
    assert "mlflow_cluster is 'default', but the service of the deployment 'moved' is in the cluster 'trial'" in problem
    assert "set mlflow_cluster to trial" in problem
    assert calm.writes() == []


def test_the_parameter_group_of_a_former_major_version_is_removed(calm: LocalAws) -> None:
    """Once no instance uses it: the one of a copy of the database stays."""
    rds = calm.client("rds")
    for major in ("14", "15", "16"):
        rds.create_db_parameter_group(
            DBParameterGroupName=f"upgraded-postgres{major}",
            DBParameterGroupFamily=f"postgres{major}",
            Description="ours",
        )
    rds.create_db_instance(
        DBInstanceIdentifier="upgraded",
        DBParameterGroupName="upgraded-postgres16",
        MasterUserPassword="made-up-and-long-enough",
        EngineVersion="16",
        **foreign.DATABASE,
    )
    task = {
        "ansible.builtin.import_role": {"name": "mlops.mlflow_aws.rds", "tasks_from": "wait.yml"},
        "vars": {
            "rds_name": "upgraded",
            "rds_checked": True,
            "rds_parameter_groups": ["upgraded-postgres14", "upgraded-postgres15", "upgraded-postgres16", "others"],
            "rds_poll_seconds": 1,
        },
    }
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    path = calm.home / "rds-upgraded.yml"
    path.write_text(json.dumps([{**play, "vars": {"ansible_python_interpreter": sys.executable}}]), encoding="utf-8")
    in_use = {"code": "InvalidDBParameterGroupState", "message": "still members of this parameter group", "status": 400}
    calm.order_fault("rds:DeleteDBParameterGroup", times=1, **in_use)
    assert calm.play(str(path)).succeeded().changed == {"localhost": 1}
    left = [one["DBParameterGroupName"] for one in rds.describe_db_parameter_groups()["DBParameterGroups"]]
    assert sorted(name for name in left if name.startswith("upgraded-")) == [
        "upgraded-postgres14",
        "upgraded-postgres16",
    ]
