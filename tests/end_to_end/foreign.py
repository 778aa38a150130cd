# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources of somebody else, of every type that a deployment creates, under the names that it would use."""

from __future__ import annotations

import json
from typing import Any

from harness import REGION
from harness import LocalAws

NOTHING = json.dumps({"Version": "2012-10-17", "Statement": []})
THEIRS = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
DATABASE = {"Engine": "postgres", "DBInstanceClass": "db.t4g.micro", "AllocatedStorage": 20, "MasterUsername": "theirs"}


def bucket_of(name: str) -> str:
    """The bucket that a deployment would use."""
    return f"{name}-artifacts-123456789012-{REGION}"


def create_all(aws: LocalAws, name: str) -> list[str]:
    """Create one of each type for a deployment that does not exist; return their keys of mlflow_take_over."""
    ec2, rds, iam = aws.client("ec2"), aws.client("rds"), aws.client("iam")
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    for kind in ("task", "execution", "infrastructure"):
        iam.create_role(RoleName=f"{name}-{kind}-role", AssumeRolePolicyDocument=NOTHING)
    iam.put_role_policy(RoleName=f"{name}-task-role", PolicyName="theirs", PolicyDocument=THEIRS)
    aws.client("s3").create_bucket(Bucket=bucket_of(name))
    aws.client("s3").put_bucket_tagging(Bucket=bucket_of(name), Tagging={"TagSet": [{"Key": "Owner", "Value": "them"}]})
    for kind in ("login", "server", "database"):
        aws.client("secretsmanager").create_secret(Name=f"{name}/{kind}", SecretString='{"theirs": "made-up-0001"}')
    for kind in ("service", "database"):
        ec2.create_security_group(GroupName=f"{name}-{kind}", Description="theirs", VpcId=subnets[0]["VpcId"])
    aws.client("logs").create_log_group(logGroupName=f"/ecs/default/{name}")
    rds.create_db_subnet_group(
        DBSubnetGroupName=name, DBSubnetGroupDescription="theirs", SubnetIds=[one["SubnetId"] for one in subnets]
    )
    rds.create_db_parameter_group(
        DBParameterGroupName=f"{name}-postgres16", DBParameterGroupFamily="postgres16", Description="theirs"
    )
    rds.create_db_instance(
        DBInstanceIdentifier=name, DBSubnetGroupName=name, MasterUserPassword="theirs-and-long-enough", **DATABASE
    )
    return [
        *(f"iam_role/{name}-{kind}-role" for kind in ("task", "execution", "infrastructure")),
        f"s3_bucket/{bucket_of(name)}",
        *(f"secret/{name}/{kind}" for kind in ("login", "server", "database")),
        *(f"security_group/{name}-{kind}" for kind in ("service", "database")),
        f"log_group//ecs/default/{name}",
        f"db_subnet_group/{name}",
        f"db_parameter_group/{name}-postgres16",
        f"db_instance/{name}",
    ]


def state_of_all(aws: LocalAws, name: str) -> dict[str, Any]:
    """What a takeover would change: existence, tags, trust and policies."""
    iam, rds, logs = aws.client("iam"), aws.client("rds"), aws.client("logs")
    groups = aws.client("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [f"{name}-service", f"{name}-database"]}]
    )["SecurityGroups"]
    secrets = aws.client("secretsmanager")
    return {
        "roles": [
            (
                role["AssumeRolePolicyDocument"],
                role.get("Tags"),
                iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"],
            )
            for kind in ("task", "execution", "infrastructure")
            for role in [iam.get_role(RoleName=f"{name}-{kind}-role")["Role"]]
        ],
        "bucket": aws.client("s3").get_bucket_tagging(Bucket=bucket_of(name))["TagSet"],
        "secrets": [
            (one.get("Tags"), one.get("DeletedDate"), one["VersionIdsToStages"])
            for kind in ("login", "server", "database")
            for one in [secrets.describe_secret(SecretId=f"{name}/{kind}")]
        ],
        "groups": sorted((one["GroupName"], one.get("Tags"), str(one["IpPermissions"])) for one in groups),
        "logs": logs.list_tags_log_group(logGroupName=f"/ecs/default/{name}")["tags"],
        "subnet_group": rds.describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"],
        "parameter_group": rds.describe_db_parameter_groups(DBParameterGroupName=f"{name}-postgres16")[
            "DBParameterGroups"
        ],
        "instance": [
            (one["DBInstanceArn"], one.get("TagList"), one["DeletionProtection"])
            for one in rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        ],
    }
