# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment on which the users of test_permissions.py work: what it is called, what is read of it, its drift."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from conftest import IMAGE
from conftest import VERSION
from harness import LocalAws
from harness import Played
from policies import rarely_used
from principals import Policy
from principals import User
from principals import actions
from principals import allows
from principals import without

NAME = "mlflow"
BUCKET = f"{NAME}-artifacts-123456789012-us-east-1"
# The version that all tests share, under two names: an upgrade takes all its steps from an image of the user's own,
# whose version it does not know, and no other software is needed. Other versions are those of test_upgrade.py.
OWN_IMAGE = f"registry.example.com/mlflow:v{VERSION}-full"
LOGS = "company-access-logs"
# The verbs whose users have a file of their own.
LONG = ("drill", "gc", "maintenance", "maintenance-plan", "monitoring", "monitoring-verbs", "upgrade")
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

# Of modules of amazon.aws and of our own, in the order in which a run gets there.
MISSING = [
    ("Look", "ec2:DescribeSubnets"),
    ("Bucket", "s3:GetEncryptionConfiguration"),
    ("Database", "rds:DescribeDBSubnetGroups"),
    ("Roles", "iam:GetRolePolicy"),
]


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


def database_subnets(aws: LocalAws) -> list[str]:
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


def backups(aws: LocalAws) -> list[str]:
    """The names of the backups whose manifest is there."""
    found = aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"_backups/{NAME}/").get("Contents", [])
    return [one["Key"].split("/")[2] for one in found if one["Key"].endswith("/manifest.json")]


def instances(aws: LocalAws) -> list[str]:
    """The identifiers of all RDS instances."""
    return sorted(one["DBInstanceIdentifier"] for one in aws.client("rds").describe_db_instances()["DBInstances"])


def company_keys(aws: LocalAws) -> dict[str, str]:
    """Make keys of the company's, by what they are for."""
    owner = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    logs = {**owner, "Principal": {"Service": "logs.us-east-1.amazonaws.com"}}
    kms = aws.client("kms")
    made = {}
    for purpose, statements in (("bucket", [owner]), ("secrets", [owner]), ("log", [owner, logs])):
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        made[purpose] = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return made


def check_what_was_asked(users: Mapping[str, User], documents: Mapping[str, list[Policy]]) -> None:
    """See that policies allow what was asked of them, and nothing that was not, but for what is rarely used."""
    needless, rare = [], set()
    rarely = {(verb, action) for verb, action in rarely_used() if verb in users}
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
                if (verb, action) not in rarely:
                    needless.append(f"{verb}: {action} in {sid}")
    assert not needless, "\n".join(needless)
    assert rarely - rare == set(), "docs/permissions.md calls these rarely used, but they were used"


def image(aws: LocalAws) -> str:
    """The image that the service has."""
    arn = f"arn:aws:ecs:us-east-1:123456789012:service/default/{NAME}"
    service = aws.client("ecs").describe_express_gateway_service(serviceArn=arn)["service"]
    return str(service["activeConfigurations"][0]["primaryContainer"]["image"])


def upgrade_with_a_fault(upgrader: User) -> None:
    """Upgrade to MLflow's own image, first with a fault while the tables are migrated, and take that back."""
    aws = upgrader.aws
    new: dict[str, Any] = {"mlflow_image": IMAGE, "mlflow_version": VERSION}
    # The task that migrates; those before it look and copy.
    what = {"subject": f"family:{NAME}-upgrade", "skip": 2, "message": "OSError: no space left", "data": {"code": 2}}
    aws.order_fault("tasks:Exit", **what)
    failed = play(upgrader, "upgrade", **new).problem()
    assert "The task to migrate the database ended with exit code 2" in failed and "OSError: no space left" in failed
    assert f"{OWN_IMAGE} serves now, with 1 task." in failed and "Undoing" not in failed
    upgraded = play(upgrader, "upgrade", **new).succeeded().output
    assert f"is upgraded from the image {OWN_IMAGE} to {VERSION}." in upgraded
    assert image(aws) == IMAGE


def take_back(upgrader: User) -> None:
    """Take the upgrade back, and drop the database that this replaces."""
    new: dict[str, Any] = {"mlflow_image": IMAGE, "mlflow_version": VERSION, "mlflow_rollback_confirm": True}
    output = play(upgrader, "rollback", **new).succeeded().output
    [replaced] = set(re.findall(r"mlflow_replaced_\d+", output))
    assert f"is back at the image {OWN_IMAGE}" in output and image(upgrader.aws) == OWN_IMAGE
    removed = play(upgrader, "rollback", mlflow_image=OWN_IMAGE, mlflow_rollback_remove=replaced).succeeded().output
    assert f"{replaced} is dropped." in removed
