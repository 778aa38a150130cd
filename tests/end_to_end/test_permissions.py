# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has one of the policies of docs/policies and nothing else can do what it is for, and no action in it is in vain.

The users go through all tests here in their order; what was asked of their policies is checked in the end.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK
from harness import ROOT
from harness import LocalAws
from harness import Played
from policies import FILES
from policies import VERBS
from policies import policy
from policies import rarely_used
from policies import read_only_allows
from policies import rendered
from principals import Policy
from principals import User
from principals import actions
from principals import allows
from principals import without
from scanners import BY_DEFAULT
from scanners import NEVER
from scanners import PASSES
from scanners import Found
from scanners import Row
from scanners import rows

NAME = "mlflow"
BUCKET = f"{NAME}-artifacts-123456789012-us-east-1"
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MANAGED_POLICY_CHARACTERS = 6144
ALLOWED = ["127.0.0.0/8"]
ANYBODY = "arn:aws:iam::aws:policy/AdministratorAccess"
LOGS = "company-access-logs"
ROWS = rows()
# What was read of the deployment as it is by default, and with the options.
FOUND: dict[str, Found] = {}


# What scanners ask for and is not on by default; a key is named by what it is for.
OPTIONS: dict[str, Any] = {
    "mlflow_bucket_access_log_bucket": LOGS,
    "mlflow_bucket_kms_key_arn": "bucket",
    "mlflow_bucket_noncurrent_days": 90,
    "mlflow_db_log_exports": ["postgresql", "upgrade", "iam-db-auth-error"],
    "mlflow_db_multi_az": True,
    "mlflow_log_kms_key_arn": "log",
    "mlflow_log_retention_days": 365,
    "mlflow_secrets_kms_key_arn": "secrets",
}


def test_the_files_are_what_the_playbook_writes(tmp_path: Path) -> None:
    written = rendered(tmp_path)
    for file in FILES:
        there = json.loads((ROOT / "docs/policies" / f"{file}.json").read_text(encoding="utf-8"))
        assert written[file] == there, f"docs/policies/{file}.json differs: run make generate"


def test_policies_for_one_account_fit_into_a_managed_policy(tmp_path: Path) -> None:
    boundary = "arn:aws:iam::123456789012:policy/company/boundary-of-mlflow"
    written = rendered(
        tmp_path,
        mlflow_name="the-data-scientists-of-analytics",
        mlflow_policies_account="123456789012",
        mlflow_policies_region="ap-southeast-1",
        mlflow_permissions_boundary_arn=boundary,
        mlflow_iam_path="/company/",
        mlflow_admin_login_secret="users/ana",
        mlflow_ingress_cidrs=["192.0.2.0/24"],
        mlflow_secrets_kms_key_arn=f"arn:aws:kms:ap-southeast-1:123456789012:key/{'0' * 36}",
    )
    [login] = [one for one in written["validate"]["Statement"] if "secretsmanager:GetSecretValue" in actions_of(one)]
    arn = "arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:users/ana"
    assert login["Resource"] == [arn, f"{arn}-??????"]
    for file in FILES:
        text = "".join(json.dumps(written[file]).split())
        assert len(text) <= MANAGED_POLICY_CHARACTERS, file
        assert not re.search(r"arn:aws:\w+:\*|arn:aws:\w+:[\w-]*:\*", text)
    for statement in written["deploy-roles"]["Statement"]:
        if {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"} & set(actions_of(statement)):
            assert statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"] == boundary
            assert all(arn.startswith("arn:aws:iam::123456789012:role/company/") for arn in statement["Resource"])


def actions_of(statement: dict[str, Any]) -> list[str]:
    """Of one statement."""
    return [action for _unused, action in actions({"Statement": [statement]})]


def test_roles_are_passed_to_ecs_only_and_service_linked_roles_are_named() -> None:
    passing = [one for one in policy("deploy")["Statement"] if "iam:PassRole" in actions_of(one)]
    assert {one["Condition"]["StringEquals"]["iam:PassedToService"] for one in passing} == {
        "ecs.amazonaws.com",
        "ecs-tasks.amazonaws.com",
    }
    roles = [
        arn for one in passing for arn in ([one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"])
    ]
    assert sorted(arn.rpartition("/")[2] for arn in roles) == [
        f"{NAME}-execution-role",
        f"{NAME}-infrastructure-role",
        f"{NAME}-task-role",
    ]
    for verb in VERBS:
        for statement in policy(verb)["Statement"]:
            assert not [action for action in actions_of(statement) if "*" in action]
            changing = [
                action for action in actions_of(statement) if re.match("iam:(?!Get|List|Simulate|CreateServ)", action)
            ]
            arns = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            assert not changing or not [arn for arn in arns if re.search(r":role/.*[*?]", arn)]
            if "iam:CreateServiceLinkedRole" in actions_of(statement):
                assert statement["Condition"]["StringEquals"]["iam:AWSServiceName"]


# --- the users -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(software: None) -> Iterator[LocalAws]:
    """A local AWS in which nobody has deployed anything."""
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
def keys(own: LocalAws) -> dict[str, str]:
    """Keys of the company's, by what they are for."""
    owner = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    logs = {**owner, "Principal": {"Service": "logs.us-east-1.amazonaws.com"}}
    kms = own.client("kms")
    made = {}
    for purpose, statements in (("bucket", [owner]), ("secrets", [owner]), ("log", [owner, logs])):
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        made[purpose] = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return made


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str]) -> dict[str, list[Policy]]:
    """The policies for a deployment with an allow list and a key of its own, each of which adds statements."""
    written = rendered(
        tmp_path_factory.mktemp("policies"),
        mlflow_ingress_cidrs=ALLOWED,
        mlflow_secrets_kms_key_arn=keys["secrets"],
    )
    return {verb: [written[file] for file in files] for verb, files in VERBS.items()}


@pytest.fixture(scope="module")
def users(own: LocalAws, documents: dict[str, list[Policy]]) -> dict[str, User]:
    """One for each verb."""
    return {verb: User(own, f"{verb}er", parts) for verb, parts in documents.items()}


def play(user: User, verb: str, *, check: bool = False, diff: bool = False, **variables: Any) -> Played:
    """Run a playbook as a user."""
    environment = {**user.environment, "ANSIBLE_DIFF_ALWAYS": "1" if diff else "0"}
    return user.aws.play(verb, user.aws.small(mlflow_name=NAME, **variables), environment=environment, check=check)


def drift(aws: LocalAws) -> None:
    """Change by hand what a deployment repairs."""
    iam, s3, ec2, rds = aws.client("iam"), aws.client("s3"), aws.client("ec2"), aws.client("rds")
    role = f"{NAME}-execution-role"
    nothing = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::nothing/*"}
    iam.update_role(RoleName=role, Description="changed by hand")
    document = json.dumps({"Version": "2012-10-17", "Statement": [nothing]})
    iam.put_role_policy(RoleName=role, PolicyName="by-hand", PolicyDocument=document)
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=document)
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    kms = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [kms]})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.delete_bucket_lifecycle(Bucket=BUCKET)
    [group] = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"{NAME}-service"]}])[
        "SecurityGroups"
    ]
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
    ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
    [database] = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"{NAME}-database"]}])[
        "SecurityGroups"
    ]
    ec2.authorize_security_group_egress(GroupId=database["GroupId"], IpPermissions=group["IpPermissionsEgress"])
    off = {"ParameterName": "rds.force_ssl", "ParameterValue": "0", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=f"{NAME}-postgres16", Parameters=[off])
    [subnets] = rds.describe_db_subnet_groups(DBSubnetGroupName=NAME)["DBSubnetGroups"]
    rds.modify_db_subnet_group(
        DBSubnetGroupName=NAME, SubnetIds=[one["SubnetIdentifier"] for one in subnets["Subnets"]][:2]
    )
    aws.client("logs").delete_retention_policy(logGroupName=f"/ecs/default/{NAME}")
    aws.client("secretsmanager").delete_secret(SecretId=f"{NAME}/server", RecoveryWindowInDays=7)


def test_the_planner_sees_what_would_be_created(own: LocalAws, users: dict[str, User]) -> None:
    assert play(users["plan"], "deploy", check=True, diff=True).succeeded().changed["localhost"] >= 8
    assert own.writes() == [api for api in own.writes() if api.startswith(("iam:", "kms:"))]


def test_the_deployer_deploys(users: dict[str, User]) -> None:
    play(users["deploy"], "deploy").succeeded()
    assert not [check for check in users["deploy"].checks() if not check["allowed"]]


def test_the_planner_sees_that_nothing_would_change(users: dict[str, User]) -> None:
    assert play(users["plan"], "deploy", check=True, diff=True).succeeded().changed == {"localhost": 0}


def test_the_planner_sees_the_whole_state(users: dict[str, User]) -> None:
    output = play(users["plan"], "status").succeeded().output
    assert f"MLflow '{NAME}': running" in output
    assert "Not known" not in output


def test_the_planner_can_check_every_other_playbook(own: LocalAws, users: dict[str, User]) -> None:
    """But for login and rotate_login, which are about the value of a secret."""
    before = own.writes()
    others = own.home / "others.yml"
    imports = [f"- import_playbook: mlops.mlflow_aws.{name}" for name in ("validate", "rotate_session_keys", "destroy")]
    others.write_text("\n".join(imports), encoding="utf-8")
    assert play(users["plan"], str(others), check=True, diff=True).succeeded().changed["localhost"] > 0
    assert own.writes() == before


def test_the_planner_needs_no_more_than_aws_s_read_only_access(users: dict[str, User]) -> None:
    checks = users["plan"].checks()
    assert [check for check in checks if not check["allowed"]] == []
    assert sorted({check["action"] for check in checks if not read_only_allows(check["action"])}) == []


def test_the_table_of_scanners_and_the_assertions_name_the_same_checks() -> None:
    assert {(row.subject, row.check) for row in ROWS} == PASSES.keys()
    assert len(ROWS) == len(PASSES), "a check is in the table twice"
    variables = {row.answer for row in ROWS} - {BY_DEFAULT, *NEVER}
    assert variables <= {name for name in OPTIONS if name.startswith("mlflow_")}


def test_the_database_opens_no_connections(own: LocalAws) -> None:
    FOUND["default"] = Found(own, NAME, BUCKET)
    assert FOUND["default"].groups["database"]["IpPermissionsEgress"] == []
    assert FOUND["default"].database_log_groups, "the database's log goes to CloudWatch Logs"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.subject}-{row.check}")
def test_a_scanner_finds_what_the_table_says(row: Row) -> None:
    passes = bool(PASSES[row.subject, row.check](FOUND["default"]))
    assert passes == (row.answer == BY_DEFAULT), f"{row}: a scanner says {'PASSED' if passes else 'FAILED'}"


def _database_subnets(aws: LocalAws) -> list[str]:
    """Two of the subnets that the database may be in, where it is and elsewhere."""
    [instance] = aws.client("rds").describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
    zones = {
        one["AvailabilityZone"]: one["SubnetId"]
        for one in aws.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])[
            "Subnets"
        ]
    }
    here = instance["AvailabilityZone"]
    return sorted([zones[here], max(subnet for zone, subnet in zones.items() if zone != here)])


def test_subnets_in_which_the_database_is_cannot_be_left_out(own: LocalAws, users: dict[str, User]) -> None:
    subnets = own.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    [instance] = own.client("rds").describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
    others = [one["SubnetId"] for one in subnets if one["AvailabilityZone"] != instance["AvailabilityZone"]]
    own.page("calls", "DELETE")
    said = play(users["deploy"], "deploy", mlflow_db_subnet_ids=others).problem()
    assert f"in {instance['AvailabilityZone']}:" in said and "mlflow_db_subnet_ids" in said
    assert own.writes() == []


def test_the_deployer_repairs_and_changes(own: LocalAws, users: dict[str, User], keys: dict[str, str]) -> None:
    drift(own)
    own.client("s3").create_bucket(Bucket=LOGS)
    given = {name: keys[value] if name.endswith("_kms_key_arn") else value for name, value in OPTIONS.items()}
    changed: dict[str, Any] = {
        **given,
        "mlflow_db_subnet_ids": _database_subnets(own),
        "mlflow_tags": {"Team": "one"},
        "mlflow_permissions_boundary_arn": ANYBODY,
        "mlflow_db_backup_retention_days": 9,
        "mlflow_ingress_cidrs": ALLOWED,
        "mlflow_extra_env": {"SOMETHING": "else"},
    }
    assert play(users["deploy"], "deploy", **changed).succeeded().changed["localhost"] >= 8
    FOUND["options"] = Found(own, NAME, BUCKET)
    assert FOUND["options"].groups["database"]["IpPermissionsEgress"] == []
    assert play(users["deploy"], "deploy", check=True, **changed).succeeded().changed == {"localhost": 0}


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.answer not in (BY_DEFAULT, *NEVER)], ids=lambda row: f"{row.subject}-{row.check}"
)
def test_an_option_does_what_a_scanner_asks_for(row: Row) -> None:
    assert PASSES[row.subject, row.check](FOUND["options"])


def test_the_options_reach_what_they_are_for(own: LocalAws, keys: dict[str, str]) -> None:
    found = FOUND["options"]
    subnets = [one["SubnetIdentifier"] for one in found.instance["DBSubnetGroup"]["Subnets"]]
    assert sorted(subnets) == _database_subnets(own)
    assert found.access_log["TargetBucket"] == LOGS
    days = [rule["NoncurrentVersionExpiration"] for rule in found.lifecycle if "NoncurrentVersionExpiration" in rule]
    assert days == [{"NoncurrentDays": OPTIONS["mlflow_bucket_noncurrent_days"]}]
    assert found.log_group["kmsKeyId"] == keys["log"]
    assert {secret["KmsKeyId"] for secret in found.secrets} == {keys["secrets"]}
    decrypting = [
        statement
        for document in found.roles["execution"]["inline"]
        for statement in document["Statement"]
        if statement["Action"] == "kms:Decrypt"
    ]
    assert [(one["Resource"], one["Condition"]) for one in decrypting] == [
        (keys["secrets"], {"StringLike": {"kms:ViaService": "secretsmanager.us-east-1.*"}})
    ]
    assert found.instance["EnabledCloudwatchLogsExports"] == ["iam-db-auth-error", "postgresql", "upgrade"]


def test_the_validator_validates(users: dict[str, User]) -> None:
    played = play(users["validate"], "validate", mlflow_demo=False).succeeded()
    assert "is ready: version 3.17.2" in played.output


# Of modules of amazon.aws and of our own, in the order in which a run gets there.
MISSING = [
    ("Look", "ec2:DescribeSubnets"),
    ("Bucket", "s3:GetEncryptionConfiguration"),
    ("Database", "rds:DescribeDBSubnetGroups"),
    ("Roles", "iam:GetRolePolicy"),
]


@pytest.mark.parametrize(("sid", "action"), MISSING)
def test_what_is_missing_is_said_in_a_sentence(
    users: dict[str, User], documents: dict[str, list[Policy]], sid: str, action: str
) -> None:
    deployer = users["deploy"]
    deployer.change([without(part, sid, action) for part in documents["deploy"]])
    try:
        played = play(deployer, "deploy", check=True)
    finally:
        deployer.change(documents["deploy"])
    assert played.failures["localhost"]
    for said in played.failures["localhost"]:
        assert f"not authorized to perform: {action}" in said
        assert "\n" not in said
        assert len(said) < 700


def test_the_deployer_takes_tags_and_options_away_and_is_told_why_a_start_failed(
    own: LocalAws, users: dict[str, User]
) -> None:
    play(users["deploy"], "deploy").succeeded()
    found = Found(own, NAME, BUCKET)
    assert not [row for row in ROWS if row.answer != BY_DEFAULT and PASSES[row.subject, row.check](found)]
    assert not [rule for rule in found.lifecycle if "NoncurrentVersionExpiration" in rule]
    assert not [one for one in found.statements if one["Action"] == "kms:Decrypt"]
    assert found.instance["EnabledCloudwatchLogsExports"] == ["postgresql", "upgrade"]
    said = play(users["deploy"], "deploy", mlflow_extra_args=["--no-such-option"]).problem()
    assert "no-such-option" in said


def test_the_destroyer_destroys(own: LocalAws, users: dict[str, User]) -> None:
    play(users["destroy"], "destroy", mlflow_confirm_destroy=NAME).succeeded()
    own.client("s3").put_object(Bucket=BUCKET, Key="left", Body=b"left")
    own.client("s3").create_multipart_upload(Bucket=BUCKET, Key="begun")
    everything: dict[str, Any] = {
        "mlflow_confirm_destroy": NAME,
        "mlflow_confirm_data_loss": NAME,
        "mlflow_delete_artifacts": True,
        "mlflow_delete_logs": True,
    }
    play(users["destroy"], "destroy", **everything).succeeded()


# --- what was asked --------------------------------------------------------------------------------------------------


def test_no_action_is_there_in_vain(users: dict[str, User], documents: dict[str, list[Policy]]) -> None:
    needless, rare = [], set()
    for verb, user in users.items():
        asked = [check for check in user.checks() if check["allowed"]]
        document = {"Statement": [one for part in documents[verb] for one in part["Statement"]]}
        assert [
            check for check in asked if not allows(document, check) and not check["action"].startswith("sts:")
        ] == []
        for sid, action in actions(document):
            less = without(document, sid, action)
            if all(allows(less, check) for check in asked if check["action"] == action):
                rare.add((verb, action))
                if (verb, action) not in rarely_used():
                    needless.append(f"{verb}: {action} in {sid}")
    assert needless == []
    assert rarely_used() - rare == set(), "docs/permissions.md calls these rarely used, but they were used"


def test_the_policies_reach_nothing_else(own: LocalAws, users: dict[str, User]) -> None:
    """The same calls on things that are not the deployment's."""
    ec2 = own.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = ec2.create_security_group(GroupName="others", Description="of others", VpcId=vpc)["GroupId"]
    own.client("s3").create_bucket(Bucket="others-artifacts")
    tags = [{"Key": "ManagedBy", "Value": "mlops.mlflow_aws"}, {"Key": "MlflowName", "Value": NAME}]
    deployer, destroyer = users["deploy"], users["destroy"]
    attempts = [
        (deployer.client("ec2").create_tags, {"Resources": [group], "Tags": tags}),
        (destroyer.client("ec2").delete_security_group, {"GroupId": group}),
        (destroyer.client("s3").delete_bucket, {"Bucket": "others-artifacts"}),
        (destroyer.client("s3").list_object_versions, {"Bucket": "others-artifacts"}),
        (deployer.client("iam").put_role_policy, {"RoleName": "others", "PolicyName": "x", "PolicyDocument": "{}"}),
        (
            deployer.client("iam").create_role,
            {"RoleName": "others", "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": []})},
        ),
        (deployer.client("iam").create_service_linked_role, {"AWSServiceName": "autoscaling.amazonaws.com"}),
        (deployer.client("secretsmanager").get_secret_value, {"SecretId": "others"}),
        (destroyer.client("secretsmanager").get_secret_value, {"SecretId": f"{NAME}/login"}),
        (destroyer.client("rds").delete_db_subnet_group, {"DBSubnetGroupName": "others"}),
        (users["validate"].client("s3").list_buckets, {}),
        (users["validate"].client("secretsmanager").get_secret_value, {"SecretId": f"{NAME}/database"}),
    ]
    for call, params in attempts:
        with pytest.raises(Exception, match=r"AccessDenied|UnauthorizedOperation"):
            call(**params)
