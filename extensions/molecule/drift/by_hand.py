# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change by hand, through boto3, every attribute that the roles manage."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from deployment import GROUPS
from deployment import ROLES
from deployment import SECRETS
from deployment import Deployment
from snapshot import tags_of

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
EXECUTION = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"


def add_unmanaged_settings(here: Deployment) -> None:
    """Add what the roles do not manage, such as another team's bucket policy statement: all of it must stay."""
    bucket = {"Bucket": here.bucket}
    policy = json.loads(here.s3.get_bucket_policy(**bucket)["Policy"])
    others = {
        "Sid": "OtherTeam",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObjectAcl",
        "Resource": f"arn:aws:s3:::{here.bucket}/*",
    }
    policy["Statement"] = [item for item in policy["Statement"] if item["Sid"] != others["Sid"]] + [others]
    here.s3.put_bucket_policy(**bucket, Policy=json.dumps(policy))
    rules = here.s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    rule = {"ID": "other-team", "Status": "Enabled", "Filter": {"Prefix": "old/"}, "Expiration": {"Days": 400}}
    rules = [item for item in rules if item["ID"] != rule["ID"]] + [rule]
    here.s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": rules})
    parameter = {"ParameterName": "log_min_duration_statement", "ParameterValue": "500", "ApplyMethod": "immediate"}
    here.rds.modify_db_parameter_group(DBParameterGroupName=here.parameter_group, Parameters=[parameter])


def _by_hand(tags: dict[str, str]) -> tuple[dict[str, str], str]:
    """Return tags to set, one changed and one new, and the key of one to remove.

    Leave out the tags that mark the deployment's resources: without them a resource is refused, not repaired.
    """
    gone = "Purpose"
    assert {gone, "Team"} <= tags.keys()
    return {"Team": "hand", "ByHand": "yes"}, gone


def _listed(tags: dict[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in tags.items()]


def other_role(here: Deployment) -> str:
    """Create another role with which a task can start; return its ARN."""
    name = f"{here.name}-by-hand"
    trust = _policy(Action="sts:AssumeRole", Principal={"Service": "ecs-tasks.amazonaws.com"})
    with contextlib.suppress(here.iam.exceptions.EntityAlreadyExistsException):
        here.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    here.iam.attach_role_policy(RoleName=name, PolicyArn=EXECUTION)
    return here.iam.get_role(RoleName=name)["Role"]["Arn"]


def change_service(here: Deployment, before: dict[str, Any]) -> None:
    """Change every setting of the container, and wait until ECS has rolled it out."""
    arn = here.service()["serviceArn"]
    [vpc] = here.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    filters = [{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    [group] = here.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    role = other_role(here)
    with contextlib.suppress(here.logs.exceptions.ResourceAlreadyExistsException):
        here.logs.create_log_group(logGroupName=f"/by-hand/{here.name}")
    here.ecs.update_express_gateway_service(
        serviceArn=arn,
        executionRoleArn=role,
        taskRoleArn=role,
        primaryContainer={
            "image": "public.ecr.aws/docker/library/python:3.11",
            "containerPort": 5001,
            "command": ["python", "-m", "http.server", "5001"],
            "environment": [{"name": "BY_HAND", "value": "yes"}],
            "secrets": [],
            "awsLogsConfiguration": {"logGroup": f"/by-hand/{here.name}", "logStreamPrefix": "by-hand"},
        },
        healthCheckPath="/",
        networkConfiguration={
            "subnets": sorted(before["service"]["networkConfiguration"]["subnets"])[:2],
            "securityGroups": [group["GroupId"]],
        },
        cpu="512",
        memory="1024",
        scalingTarget={
            "minTaskCount": 2,
            "maxTaskCount": 3,
            "autoScalingMetric": "AVERAGE_MEMORY",
            "autoScalingTargetValue": 70,
        },
    )
    _await(lambda: _rolled_out(here, arn), "the service that was changed by hand")
    settings = here.service()["deploymentConfiguration"]
    alarms = [f"{here.name}-by-hand"]
    here.ecs.update_service(
        service=here.name,
        deploymentConfiguration={
            **settings,
            "bakeTimeInMinutes": 1,
            "canaryConfiguration": {"canaryPercent": 20.0, "canaryBakeTimeInMinutes": 1},
            "alarms": {"alarmNames": alarms, "enable": True, "rollback": True},
        },
    )
    tags, gone = _by_hand(before["service_tags"])
    here.ecs.tag_resource(resourceArn=arn, tags=_listed(tags, "key", "value"))
    here.ecs.untag_resource(resourceArn=arn, tagKeys=[gone])
    rule = here.rule()
    conditions = [_given(item) for item in rule["Conditions"] if item["Field"] != "source-ip"]
    other = {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}
    here.elbv2.modify_rule(RuleArn=rule["RuleArn"], Conditions=[*conditions, other])


def _given(condition: dict[str, Any]) -> dict[str, Any]:
    """Return a condition as ModifyRule takes it: with its values in one place only."""
    if "HostHeaderConfig" in condition:
        return {"Field": condition["Field"], "HostHeaderConfig": condition["HostHeaderConfig"]}
    return {"Field": condition["Field"], "Values": condition["Values"]}


def _rolled_out(here: Deployment, arn: str) -> bool:
    newest = here.ecs.list_service_deployments(service=arn)["serviceDeployments"][0]
    assert newest["status"] in ("PENDING", "IN_PROGRESS", "SUCCESSFUL"), newest
    return newest["status"] == "SUCCESSFUL"


def change_bucket(here: Deployment, before: dict[str, Any]) -> None:
    """Change all settings of the bucket."""
    s3, bucket = here.s3, {"Bucket": here.bucket}
    blocks = dict.fromkeys(before["bucket"]["public_access_block"], False)
    s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=blocks)
    s3.put_bucket_ownership_controls(**bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    keys = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(**bucket, ServerSideEncryptionConfiguration={"Rules": [keys]})
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Suspended"})
    policy = json.loads(json.dumps(before["bucket"]["policy"]))
    for statement in policy["Statement"]:
        if "Condition" in statement:
            statement["Condition"] = {"Bool": {"aws:SecureTransport": "true"}}
            statement["Action"] = "s3:PutBucketAcl"
    s3.put_bucket_policy(**bucket, Policy=json.dumps(policy))
    rules = json.loads(json.dumps(before["bucket"]["lifecycle_rules"]))
    for rule in rules:
        if "AbortIncompleteMultipartUpload" in rule:
            rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] = 99
            rule["Status"] = "Disabled"
    s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": rules})
    tags, gone = _by_hand(before["bucket"]["tags"])
    kept = {key: value for key, value in before["bucket"]["tags"].items() if key != gone}
    s3.put_bucket_tagging(**bucket, Tagging={"TagSet": _listed({**kept, **tags})})


def _policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def change_roles(here: Deployment, before: dict[str, Any]) -> None:
    """Change who may assume the roles, and what the roles may do."""
    iam = here.iam
    for kind in ROLES:
        name, role = here.role(kind), before["roles"][kind]
        iam.update_role(RoleName=name, Description="by hand", MaxSessionDuration=role["max_session_duration"] + 3600)
        trust = _policy(Action="sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
        iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=READ_ONLY)
        for arn in role["managed_policies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        iam.attach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
        # Change the existing policies, and add one.
        for policy in (*role["inline_policies"], "ByHand"):
            document = _policy(Action="s3:ListBucket", Resource="*")
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)
        tags, gone = _by_hand(role["tags"])
        iam.tag_role(RoleName=name, Tags=_listed(tags))
        iam.untag_role(RoleName=name, TagKeys=[gone])


def change_groups(here: Deployment, before: dict[str, Any]) -> None:
    """Replace all rules of the security groups: other ingress, egress for the database and none for the tasks."""
    service = here.group("service")
    assert service["IpPermissionsEgress"]
    here.ec2.revoke_security_group_egress(GroupId=service["GroupId"], IpPermissions=service["IpPermissionsEgress"])
    out = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    here.ec2.authorize_security_group_egress(GroupId=here.group("database")["GroupId"], IpPermissions=[out])
    for kind in GROUPS:
        group = here.group(kind)
        tell = {"GroupId": group["GroupId"]}
        assert group["IpPermissions"]
        here.ec2.revoke_security_group_ingress(**tell, IpPermissions=group["IpPermissions"])
        rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}
        here.ec2.authorize_security_group_ingress(**tell, IpPermissions=[rule])
        tags, gone = _by_hand(before["groups"][kind]["tags"])
        here.ec2.create_tags(Resources=[group["GroupId"]], Tags=_listed(tags))
        here.ec2.delete_tags(Resources=[group["GroupId"]], Tags=[{"Key": gone}])


def new_key(here: Deployment) -> str:
    """Create a KMS key that CloudWatch Logs may use; return its ARN."""
    own = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    region = here.logs.meta.region_name
    logs = {**own, "Principal": {"Service": f"logs.{region}.amazonaws.com"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [own, logs]})
    return here.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]


def change_secrets(here: Deployment, before: dict[str, Any]) -> None:
    """Change the metadata of the secrets. The roles do not restore their values."""
    key = new_key(here)
    for kind in SECRETS:
        name = here.secret(kind)
        here.secrets.update_secret(SecretId=name, Description="by hand", KmsKeyId=key)
        tags, gone = _by_hand(before["secrets"][kind]["tags"])
        here.secrets.tag_resource(SecretId=name, Tags=_listed(tags))
        here.secrets.untag_resource(SecretId=name, TagKeys=[gone])


def change_logs(here: Deployment, before: dict[str, Any]) -> None:
    """Change retention, key and tags of the log group."""
    here.logs.put_retention_policy(logGroupName=here.log_group, retentionInDays=1)
    here.logs.associate_kms_key(logGroupName=here.log_group, kmsKeyId=new_key(here))
    tags, gone = _by_hand(before["log_group"]["tags"])
    here.logs.tag_log_group(logGroupName=here.log_group, tags=tags)
    here.logs.untag_log_group(logGroupName=here.log_group, tags=[gone])


def change_database(here: Deployment, before: dict[str, Any]) -> None:
    """Change the RDS instance and its groups."""
    rds = here.rds
    rds.modify_db_subnet_group(
        DBSubnetGroupName=here.name,
        DBSubnetGroupDescription="by hand",
        SubnetIds=before["subnet_group"]["subnets"][:2],
    )
    parameter = {"ParameterName": "rds.force_ssl", "ParameterValue": "0", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=here.parameter_group, Parameters=[parameter])
    rds.modify_db_instance(
        DBInstanceIdentifier=here.name,
        ApplyImmediately=True,
        DBInstanceClass="db.t4g.small",
        MaxAllocatedStorage=200,
        StorageType="io2",
        Iops=20000,
        StorageThroughput=1000,
        AutoMinorVersionUpgrade=False,
        MultiAZ=True,
        PubliclyAccessible=True,
        VpcSecurityGroupIds=[before["groups"]["service"]["id"]],
        DBParameterGroupName="default.postgres16",
        BackupRetentionPeriod=1,
        DeletionProtection=False,
        CopyTagsToSnapshot=False,
        CloudwatchLogsExportConfiguration={"EnableLogTypes": ["iam-db-auth-error"], "DisableLogTypes": ["upgrade"]},
    )
    arns = (
        before["subnet_group"]["arn"],
        before["parameter_group"]["arn"],
        before["instance"]["DBInstanceArn"],
    )
    for arn in arns:
        tags, gone = _by_hand(tags_of(here, arn))
        rds.add_tags_to_resource(ResourceName=arn, Tags=_listed(tags))
        rds.remove_tags_from_resource(ResourceName=arn, TagKeys=[gone])
    _await(lambda: _at_rest(here), "the database that was changed by hand")


def _at_rest(here: Deployment) -> bool:
    instance = here.instance()
    return instance["DBInstanceStatus"] == "available" and not instance.get("PendingModifiedValues")


def _await(done: Callable[[], bool], what: str, seconds: float = 1800) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            sys.exit(f"Waited {seconds:g} s for {what} in vain.")
        time.sleep(0.5)
