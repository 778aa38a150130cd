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
from harness import LocalAws
from permitted import BUCKET
from permitted import LOGS
from permitted import LONG
from permitted import MISSING
from permitted import NAME
from permitted import OPTIONS
from permitted import backups
from permitted import check_what_was_asked
from permitted import company_keys
from permitted import database_subnets
from permitted import drift
from permitted import instances
from permitted import play
from policies import VERBS
from policies import read_only_allows
from policies import rendered
from principals import Policy
from principals import User
from principals import without
from scanner_table import BY_DEFAULT
from scanner_table import NEVER
from scanner_table import Row
from scanner_table import rows
from scanners import PASSES
from scanners import Found

ALLOWED = ["127.0.0.0/8"]
ANYBODY = "arn:aws:iam::aws:policy/AdministratorAccess"
ARTIFACT = "0/kept.txt"
ROWS = rows()
# What was read of the deployment as it is by default, and with the options.
FOUND: dict[str, Found] = {}
# The variables with which it was deployed last.
CHANGED: dict[str, Any] = {}


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
    return company_keys(own)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str]) -> dict[str, list[Policy]]:
    """The policies for a deployment with an allow list and a key of its own, each of which adds statements."""
    written = rendered(
        tmp_path_factory.mktemp("policies"),
        mlflow_ingress_cidrs=ALLOWED,
        mlflow_secrets_kms_key_arn=keys["secrets"],
    )
    # The others' work takes minutes: test_verbs_permissions.py.
    return {verb: [written[file] for file in files] for verb, files in VERBS.items() if verb not in LONG}


@pytest.fixture(scope="module")
def users(own: LocalAws, documents: dict[str, list[Policy]]) -> dict[str, User]:
    """One for each verb."""
    return {verb: User(own, f"{verb}er", parts) for verb, parts in documents.items()}


def test_the_planner_sees_what_would_be_created(own: LocalAws, users: dict[str, User]) -> None:
    played = play(users["plan"], "plan", diff=True).succeeded()
    assert played.changed["localhost"] >= 8
    assert re.search(r"Plan: \d+ to create, 0 to change, 0 to replace; \+\$\d+\.\d\d a month; about", played.output)
    assert own.writes() == [api for api in own.writes() if api.startswith(("iam:", "kms:"))]


def test_the_deployer_deploys(users: dict[str, User]) -> None:
    play(users["deploy"], "deploy").succeeded()
    assert not [check for check in users["deploy"].checks() if not check["allowed"]]


def test_the_planner_sees_that_nothing_would_change(users: dict[str, User]) -> None:
    played = play(users["plan"], "plan", check=True, diff=True, mlflow_plan_fail_on_change=True).succeeded()
    assert played.changed == {"localhost": 0}
    assert "Plan: nothing to change." in played.output


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
        "mlflow_db_subnet_ids": database_subnets(own),
        "mlflow_tags": {"Team": "one"},
        "mlflow_permissions_boundary_arn": ANYBODY,
        "mlflow_db_backup_retention_days": 9,
        "mlflow_ingress_cidrs": ALLOWED,
        "mlflow_extra_env": {"SOMETHING": "else"},
    }
    assert play(users["deploy"], "deploy", **changed).succeeded().changed["localhost"] >= 8
    CHANGED.update(changed)
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
    assert sorted(subnets) == database_subnets(own)
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


def test_the_backuper_takes_backups_and_keeps_as_many_as_asked(own: LocalAws, users: dict[str, User]) -> None:
    backuper = users["backup"]
    assert "would take 3 steps" in play(backuper, "backup", check=True, mlflow_backup_name="first").succeeded().output
    assert own.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="_backups/").get("Contents", []) == []
    play(backuper, "backup", mlflow_backup_name="first", mlflow_backup_portable=True).succeeded()
    assert play(backuper, "backup", mlflow_backup_name="first").succeeded().changed == {"localhost": 0}
    own.client("rds").create_db_snapshot(DBInstanceIdentifier=NAME, DBSnapshotIdentifier=f"{NAME}-by-hand")
    own.client("s3").put_object(Bucket=BUCKET, Key=ARTIFACT, Body=b"kept")
    play(backuper, "backup", mlflow_backup_name="second", mlflow_backup_keep=1).succeeded()
    assert backups(own) == ["second"]
    snapshots = own.client("rds").describe_db_snapshots(DBInstanceIdentifier=NAME, SnapshotType="manual")["DBSnapshots"]
    names = {one["DBSnapshotIdentifier"] for one in snapshots}
    assert {f"{NAME}-backup-second", f"{NAME}-by-hand"} <= names and f"{NAME}-backup-first" not in names
    shown = play(backuper, "backups").succeeded().output
    assert re.search(r"second +complete", shown) and "first" not in shown.partition("BACKUP")[2]


def test_a_backup_says_what_is_in_it_and_no_secret(own: LocalAws) -> None:
    text = own.client("s3").get_object(Bucket=BUCKET, Key=f"_backups/{NAME}/second/manifest.json")["Body"].read()
    manifest = json.loads(text)
    assert manifest["mlflow"]["version"] == "3.17.2" and manifest["mlflow"]["image_digest"].startswith("sha256:")
    assert manifest["revisions"].keys() == {"alembic_version", "alembic_version_auth"}
    assert manifest["counts"]["users"] == manifest["counts"]["experiments"] == 1
    for secret in own.client("secretsmanager").list_secrets()["SecretList"]:
        read = own.client("secretsmanager").get_secret_value(SecretId=secret["ARN"])
        assert {"arn": secret["ARN"], "version_id": read["VersionId"]} in manifest["secrets"]
        assert [one for one in json.loads(read["SecretString"]).values() if len(one) > 8 and one.encode() in text] == []


def test_the_server_cannot_touch_backups(own: LocalAws) -> None:
    role = f"arn:aws:iam::123456789012:role/{NAME}-task-role"
    simulate = own.client("iam").simulate_principal_policy
    for key, denied in {
        f"_backups/{NAME}/second/manifest.json": {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"},
        f"_verbs/{NAME}/second/dump.sql.gz": {"s3:GetObject", "s3:DeleteObject"},
        "1/model.pkl": set(),
    }.items():
        answer = simulate(
            PolicySourceArn=role,
            ActionNames=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            ResourceArns=[f"arn:aws:s3:::{BUCKET}/{key}"],
        )
        found = {one["EvalActionName"] for one in answer["EvaluationResults"] if one["EvalDecision"] != "allowed"}
        assert found == denied, key


def test_a_deployment_is_stopped_left_alone_and_started(own: LocalAws, users: dict[str, User]) -> None:
    power = users["power"]
    play(power, "stop").succeeded()
    assert own.client("ecs").list_tasks(cluster="default", serviceName=NAME)["taskArns"] == []
    [instance] = own.client("rds").describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
    assert instance["DBInstanceStatus"] == "stopped"
    assert play(power, "stop", check=True).succeeded().changed == {"localhost": 0}
    assert "start it first, with the playbook start" in play(users["deploy"], "deploy").problem()
    assert "start it first, with the playbook start" in play(users["backup"], "backup").problem()
    assert "is ready: version 3.17.2" in play(power, "start").succeeded().output
    assert play(power, "start").succeeded().changed == {"localhost": 0}
    assert play(users["plan"], "deploy", check=True, **CHANGED).succeeded().changed == {"localhost": 0}


def test_the_restorer_restores_and_removes_what_was_replaced(own: LocalAws, users: dict[str, User]) -> None:
    restorer, rds, s3 = users["restore"], own.client("rds"), own.client("s3")
    planned = play(restorer, "restore", check=True, mlflow_restore_backup="second").succeeded()
    assert "would take 9 steps" in planned.output and instances(own) == [NAME]
    play(restorer, "restore", mlflow_restore_backup="second").succeeded()
    [replaced] = [name for name in instances(own) if name != NAME]
    s3.delete_object(Bucket=BUCKET, Key=ARTIFACT)
    again = play(restorer, "restore", mlflow_restore_backup="second", mlflow_restore_artifacts=True).succeeded()
    assert f"Replaced:  {replaced} is kept, $" in again.output and "were brought back: 1." in again.output
    assert s3.get_object(Bucket=BUCKET, Key=ARTIFACT)["Body"].read() == b"kept"
    play(restorer, "restore", mlflow_restore_confirm=replaced).succeeded()
    assert play(restorer, "restore", mlflow_restore_confirm=replaced).succeeded().changed == {"localhost": 0}
    assert instances(own) == [NAME]
    moment = rds.describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"][0]["LatestRestorableTime"]
    wanted = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    planned = play(restorer, "restore", check=True, mlflow_restore_time=wanted).succeeded()
    assert "would take 9 steps" in planned.output
    assert play(users["plan"], "deploy", check=True, **CHANGED).succeeded().changed == {"localhost": 0}


def test_what_is_missing_is_said_in_a_sentence(own: LocalAws, documents: dict[str, list[Policy]]) -> None:
    """Each by a deployer of its own, who lacks one action."""
    hosts = {}
    for sid, action in MISSING:
        lacking = User(
            own, f"deployer-without-{sid.lower()}", [without(part, sid, action) for part in documents["deploy"]]
        )
        hosts[sid] = own.small(mlflow_name=NAME, mlflow_environment=lacking.environment)
    played = own.play("deploy", hosts=hosts, check=True)
    for sid, action in MISSING:
        assert played.failures[sid]
        for said in played.failures[sid]:
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


def test_the_destroyer_destroys_also_what_is_stopped(own: LocalAws, users: dict[str, User]) -> None:
    own.client("rds").stop_db_instance(DBInstanceIdentifier=NAME)
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
    check_what_was_asked(users, documents)


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
