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
from harness import REGION
from harness import LocalAws
from harness import Played
from harness import eventually


def destroy(aws: LocalAws, name: str, **options: Any) -> Played:
    """Run the playbook; the name is repeated."""
    variables = {"mlflow_name": name, "mlflow_confirm_destroy": name, "mlflow_poll_seconds": 1}
    return aws.play("destroy", {**variables, **options.pop("variables", {})}, **options).succeeded()


def said(played: Played, host: str = "localhost") -> str:
    """What a host's run shows in the end, without Ansible's breaks."""
    shown = re.findall(r"^TASK \[[^\]]*Show what is left and why\].*?(?=^TASK |^PLAY )", played.output, re.M | re.S)
    found = re.findall(rf"^ok: \[{host}\] => .*?(?=^ok: |\Z)", "".join(shown), re.M | re.S)
    return re.sub(r"\s+", " ", "".join(found))


def there(aws: LocalAws, name: str) -> list[str]:
    """The statuses of the instances of a name."""
    try:
        found = aws.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    except botocore.exceptions.ClientError:
        return []
    return [one["DBInstanceStatus"] for one in found]


# Names of which something is there that is not the deployment's own.
SHARED, TWIN, TAKEN, MOVED = NAMES = ("shared", "twin", "taken", "moved")
TWIN_TAGS = {"ManagedBy": "mlops.mlflow_aws", "MlflowName": TWIN}
LOST = {"mlflow_delete_artifacts": True, "mlflow_delete_logs": True, "mlflow_skip_final_snapshot": True}


def as_list(tags: dict[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags as most services take them."""
    return [{key: name, value: text} for name, text in tags.items()]


def create_moved(aws: LocalAws) -> None:
    """A deployment whose service is in the cluster trial."""
    ecs, tags = aws.client("ecs"), {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "moved"}
    ecs.create_cluster(clusterName="trial")
    ecs.register_task_definition(family="moved", containerDefinitions=[{"name": "Main", "image": "server"}])
    ecs.create_service(
        cluster="trial",
        serviceName="moved",
        taskDefinition="moved",
        desiredCount=0,
        tags=as_list(tags, "key", "value"),
    )
    aws.client("secretsmanager").create_secret(
        Name="moved/login",
        SecretString='{"username": "admin", "password": "made-up-and-long-enough-0001"}',
        Tags=as_list(tags),
    )


@pytest.fixture(scope="module")
def keys(aws: LocalAws) -> list[str]:
    """All that is of others; the keys of mlflow_take_over of those who have taken a whole name."""
    password = "theirs-and-long-enough"
    aws.client("rds").create_db_instance(
        DBInstanceIdentifier=SHARED, MasterUserPassword=password, DeletionProtection=True, **foreign.DATABASE
    )
    # The roles are the account's; their policies name what lies in that region.
    aws.client("iam").create_role(
        RoleName=f"{TWIN}-task-role",
        AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}',
        Tags=as_list({**TWIN_TAGS, "MlflowRegion": "eu-west-1"}),
    )
    create_moved(aws)
    made = foreign.create_all(aws, TAKEN)
    eventually(lambda: there(aws, SHARED) == ["available"], "their database")
    return made


def confirmed(name: str, **more: Any) -> dict[str, Any]:
    """The variables with which a deployment is destroyed."""
    return {"mlflow_name": name, "mlflow_confirm_destroy": name, "mlflow_poll_seconds": 1, **more}


@pytest.fixture(scope="module")
def refused(aws: LocalAws, keys: list[str]) -> dict[str, Played]:
    """A deploy and a destroy of each of the names, from the playbook's name to how it ended; nothing is changed."""
    before = foreign.state_of_all(aws, TAKEN)
    aws.page("calls", "DELETE")
    hosts = {name: confirmed(name) for name in NAMES}
    hosts[TAKEN] |= {"mlflow_confirm_data_loss": TAKEN, **LOST}
    played = {
        "deploy": aws.play("deploy", hosts={name: aws.small(mlflow_name=name) for name in NAMES}),
        "destroy": aws.play("destroy", hosts=hosts),
    }
    assert aws.writes() == []
    assert foreign.state_of_all(aws, TAKEN) == before
    return played


@pytest.fixture(scope="module")
def destroyed(aws: LocalAws, refused: dict[str, Played]) -> Played:
    """What is destroyed after all, and names of which nothing is there; with the strategy free."""
    # What was left here of an earlier deployment of that name can be deleted.
    aws.client("secretsmanager").create_secret(Name=f"{TWIN}/server", SecretString="{}", Tags=as_list(TWIN_TAGS))
    aws.client("logs").create_log_group(logGroupName="/ecs/default/vision-trial")
    hosts = {name: confirmed(name) for name in (TWIN, "vision", "mispelt")}
    hosts[SHARED] = confirmed(SHARED, mlflow_take_over=[f"db_instance/{SHARED}"])
    return aws.play("destroy", hosts=hosts, environment={"ANSIBLE_STRATEGY": "free"}).succeeded()


def test_somebody_elses_database_of_the_same_name_stays(
    aws: LocalAws, refused: dict[str, Played], destroyed: Played
) -> None:
    problem = refused["deploy"].problem(SHARED)
    assert "mlflow_name is 'shared', and there is an RDS instance of that name" in problem
    problem = refused["destroy"].problem(SHARED)
    assert "Nothing was deleted. RDS instance shared exists without the tags" in problem
    assert "set mlflow_take_over to [db_instance/shared]" in problem
    # Not even on demand: it is not in the deployment's subnet group.
    assert there(aws, SHARED) == ["available"]
    [instance] = aws.client("rds").describe_db_instances(DBInstanceIdentifier=SHARED)["DBInstances"]
    assert instance["DeletionProtection"]
    told = said(destroyed, SHARED)
    assert "RDS instance shared: it does not lie in the subnet group shared, so it is not of this deployment." in told


def test_a_deployment_of_that_name_in_another_region_keeps_its_roles(
    aws: LocalAws, refused: dict[str, Played], destroyed: Played
) -> None:
    problem = refused["deploy"].problem(TWIN)
    assert "mlflow_name is 'twin', which is the name of a deployment in eu-west-1" in problem
    problem = refused["destroy"].problem(TWIN)
    assert "The deployment 'twin' is in eu-west-1" in problem
    assert "set AWS_REGION to eu-west-1" in problem
    assert "IAM roles of that name: they are those of the deployment in eu-west-1." in said(destroyed, TWIN)
    assert aws.client("iam").get_role(RoleName=f"{TWIN}-task-role")
    secrets = aws.client("secretsmanager").list_secrets()["SecretList"]
    assert f"{TWIN}/server" not in {one["Name"] for one in secrets}


def test_what_is_not_the_deployments_is_refused_whatever_its_type(refused: dict[str, Played], keys: list[str]) -> None:
    problem = refused["deploy"].problem(TAKEN)
    assert [key for key in keys if key not in problem] == []
    assert "choose another mlflow_name, or, to let the deployment manage them" in problem
    problem = refused["destroy"].problem(TAKEN)
    assert problem.startswith("Nothing was deleted.")
    # Security groups are only ever looked for by the deployment's tags when it is destroyed.
    assert [key for key in keys if key not in problem and not key.startswith("security_group/")] == []


def assert_elsewhere(problem: str) -> None:
    """The sentence about a service in another cluster."""
    assert "mlflow_cluster is 'default', but the service of the deployment 'moved' is in the cluster 'trial'" in problem
    assert "set mlflow_cluster to trial" in problem


@pytest.mark.parametrize("verb", ["destroy", "deploy"])
def test_a_deployment_in_another_cluster_is_found_by_its_tags(refused: dict[str, Played], verb: str) -> None:
    assert_elsewhere(refused[verb].problem(MOVED))


@pytest.mark.long
@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("verb", ["validate", "rotate_login", "rotate_session_keys"])
def test_a_deployment_in_another_cluster_is_found_by_other_playbooks(calm: LocalAws, verb: str) -> None:
    assert_elsewhere(calm.play(verb, calm.small(mlflow_name=MOVED)).problem())
    assert calm.writes() == []


def test_a_log_group_of_another_deployment_is_not_taken_for_one_that_is_left(destroyed: Played) -> None:
    assert "vision" in said(destroyed, "vision")
    assert "vision-trial" not in said(destroyed, "vision")


def test_a_name_that_nothing_has_is_doubted(destroyed: Played) -> None:
    told = said(destroyed, "mispelt")
    assert f"gone from account 123456789012, region {REGION}" in told
    assert "check mlflow_name" in told


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
