# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the policies of docs/policies reaches nothing of anybody else's, however much alike its name is.

IAM's ``*`` in a resource stands for "/", ":" and "-" too, so a name with it covers names that only begin alike.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import QUICK
from harness import LocalAws
from policies import attached
from policies import rendered
from principals import User

NAME = "mlflow"
OWN_TAGS = [{"Key": "ManagedBy", "Value": "mlops.mlflow_aws"}, {"Key": "MlflowName", "Value": NAME}]
OTHERS_TAGS = [{"Key": "ManagedBy", "Value": "mlops.mlflow_aws"}, {"Key": "MlflowName", "Value": "mlflow-blue"}]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
ANYBODY = "arn:aws:iam::aws:policy/AdministratorAccess"
READER = "arn:aws:iam::aws:policy/ReadOnlyAccess"
# Name, path and tags of roles that are not the deployment's: its own names come last, in the hands of others.
ROLES = {
    "mlflow-admin-role": ("/", []),
    "x-role": ("/mlflow-team/", []),
    "mlflow-task-role": ("/mlflow-team/", OTHERS_TAGS),
    "mlflow-blue-task-role": ("/", OTHERS_TAGS),
    "mlflow-execution-role": ("/", []),
    "mlflow-infrastructure-role": ("/", OTHERS_TAGS),
}
SECRETS = ("mlflow/users/ana", "mlflow/database-of-others", "mlflow/login-of-others")


@pytest.fixture(scope="module")
def own(software: None) -> Iterator[LocalAws]:
    """A local AWS with what others made, and no deployment."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    home.chmod(0o755)
    aws = LocalAws(home)
    try:
        aws.up(QUICK)
        _make_others(aws)
        yield aws
    finally:
        aws.down()
        shutil.rmtree(home)


def _make_others(aws: LocalAws) -> None:
    iam, secrets, rds = aws.client("iam"), aws.client("secretsmanager"), aws.client("rds")
    for name, (path, tags) in ROLES.items():
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=TRUST, Tags=tags)
        iam.attach_role_policy(RoleName=name, PolicyArn=ANYBODY)
        iam.put_role_policy(RoleName=name, PolicyName="theirs", PolicyDocument=_policy())
    for name in SECRETS:
        secrets.create_secret(Name=name, SecretString="unlikely-secret-of-somebody-else")
    group = {"DBParameterGroupFamily": "postgres16", "Description": "of others"}
    rds.create_db_parameter_group(DBParameterGroupName="mlflow-postgres16-others", **group)
    aws.client("s3").create_bucket(Bucket="mlflow-artifacts-of-others")


def _policy() -> str:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::nothing/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def users(own: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, User]:
    """One for each verb, and a deployer whose roles must have a boundary."""
    bounded = rendered(tmp_path_factory.mktemp("bounded"), mlflow_permissions_boundary_arn=READER)
    verbs = {verb: User(own, f"{verb}er", attached(verb)) for verb in ("plan", "deploy", "validate", "destroy")}
    return {**verbs, "bounded": User(own, "bounded", [bounded["deploy"], bounded["deploy-roles"]])}


def refused(call: Callable[..., Any], **params: Any) -> bool:
    """Whether IAM refuses it; whatever else may be wrong with the call comes after that."""
    try:
        call(**params)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
    return False


def role_attacks(name: str) -> dict[str, dict[str, Any]]:
    """Calls that take a role over, or away."""
    role = {"RoleName": name}
    return {
        "update_assume_role_policy": {**role, "PolicyDocument": TRUST},
        "update_role": {**role, "Description": "taken"},
        "put_role_policy": {**role, "PolicyName": "mine", "PolicyDocument": _policy()},
        "delete_role_policy": {**role, "PolicyName": "theirs"},
        "attach_role_policy": {
            **role,
            "PolicyArn": "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
        },
        "detach_role_policy": {**role, "PolicyArn": ANYBODY},
        "put_role_permissions_boundary": {**role, "PermissionsBoundary": READER},
        "untag_role": {**role, "TagKeys": ["MlflowName"]},
        "delete_role": role,
    }


@pytest.mark.parametrize("name", ROLES)
@pytest.mark.parametrize("who", ["deploy", "bounded", "destroy"])
def test_no_role_of_others_is_changed(users: dict[str, User], who: str, name: str) -> None:
    iam = users[who].client("iam")
    done = [
        operation for operation, params in role_attacks(name).items() if not refused(getattr(iam, operation), **params)
    ]
    assert done == []


@pytest.mark.parametrize("name", sorted(ROLES.keys() - {"mlflow-execution-role"}))
@pytest.mark.parametrize("who", ["deploy", "bounded", "destroy"])
def test_no_role_of_others_is_tagged_as_ones_own(users: dict[str, User], who: str, name: str) -> None:
    """But for one of the deployment's very names that has no tags: IAM cannot tell tagging it from creating it."""
    assert refused(users[who].client("iam").tag_role, RoleName=name, Tags=OWN_TAGS)


@pytest.mark.parametrize("who", ["plan", "deploy", "validate", "destroy"])
@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_of_others_is_reached(users: dict[str, User], who: str, name: str) -> None:
    secrets = users[who].client("secretsmanager")
    assert refused(secrets.describe_secret, SecretId=name)
    assert refused(secrets.get_secret_value, SecretId=name)
    assert refused(secrets.delete_secret, SecretId=name, RecoveryWindowInDays=7)


def test_a_secret_of_ones_own_is_not_deleted_for_good(own: LocalAws, users: dict[str, User]) -> None:
    own.client("secretsmanager").create_secret(Name="mlflow/login", SecretString="unlikely-login-of-a-test")
    secrets = users["destroy"].client("secretsmanager")
    assert refused(secrets.delete_secret, SecretId="mlflow/login", ForceDeleteWithoutRecovery=True)
    secrets.delete_secret(SecretId="mlflow/login", RecoveryWindowInDays=7)


def test_the_planner_reads_no_secret_and_changes_nothing(own: LocalAws, users: dict[str, User]) -> None:
    planner = users["plan"]
    own.client("secretsmanager").create_secret(Name="mlflow/server", SecretString="unlikely-keys-of-a-test")
    assert refused(planner.client("secretsmanager").get_secret_value, SecretId="mlflow/server")
    reading = ("Describe", "Get", "List")
    for document in attached("plan"):
        for statement in document["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert [action for action in actions if not action.partition(":")[2].startswith(reading)] == []
            assert "secretsmanager:GetSecretValue" not in actions


def test_no_group_and_no_bucket_of_others_is_reached(users: dict[str, User]) -> None:
    deployer, destroyer = users["deploy"], users["destroy"]
    group = {"DBParameterGroupName": "mlflow-postgres16-others"}
    assert refused(destroyer.client("rds").delete_db_parameter_group, **group)
    off = {"ParameterName": "rds.force_ssl", "ParameterValue": "0", "ApplyMethod": "immediate"}
    assert refused(deployer.client("rds").modify_db_parameter_group, **group, Parameters=[off])
    bucket = {"Bucket": "mlflow-artifacts-of-others"}
    assert refused(destroyer.client("s3").delete_bucket, **bucket)
    assert refused(deployer.client("s3").delete_bucket_policy, **bucket)
    assert refused(deployer.client("s3").put_bucket_versioning, **bucket, VersioningConfiguration={"Status": "Enabled"})


def test_roles_of_other_names_are_not_made(users: dict[str, User]) -> None:
    for who in ("deploy", "bounded"):
        create = users[who].client("iam").create_role
        for name, path in (
            ("mlflow-other-role", "/"),
            ("mlflow-task-role", "/mlflow-team/"),
            ("y-role", "/mlflow-team/"),
        ):
            more = {"PermissionsBoundary": READER} if who == "bounded" else {}
            params = {"RoleName": name, "Path": path, "AssumeRolePolicyDocument": TRUST, "Tags": OWN_TAGS, **more}
            assert refused(create, **params), (who, path, name)


def test_the_rules_of_the_load_balancer_are_out_of_reach_without_an_allow_list(tmp_path: Path) -> None:
    for document in attached("deploy"):
        assert "elasticloadbalancing:ModifyRule" not in json.dumps(document)
    written = rendered(tmp_path, mlflow_ingress_cidrs=["192.0.2.0/24"])
    [statement] = [one for one in written["deploy"]["Statement"] if one["Sid"] == "AllowList"]
    assert statement["Resource"].endswith(":listener-rule/app/ecs-express-gateway-alb-*/*")
    assert statement["Condition"] == {"StringEquals": {"aws:ResourceTag/AmazonECSManaged": "true"}}
    rule = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/ecs-express-gateway-alb-1/2/3/4"
    written = rendered(tmp_path, mlflow_ingress_cidrs="192.0.2.0/24", mlflow_policies_listener_rule_arn=rule)
    [statement] = [one for one in written["deploy"]["Statement"] if one["Sid"] == "AllowList"]
    assert statement["Resource"] == rule
