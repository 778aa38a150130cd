# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes by hand, through boto3, every attribute that the roles manage, and tells whether a converge restores it.

    drift.py change NAME FILE    keeps all attributes of the deployment NAME in FILE, and changes those that are managed
    drift.py diffs NAME FILE     fails unless the output of --check --diff in FILE, as the callback ansible.posix.json
                                 writes it, shows each of them from old to new, and no secret
    drift.py compare NAME FILE   fails if an attribute differs from what FILE says

Which attributes are managed is not this file's to say: tests/unit/roles/test_drift.py reads it out of the roles' tasks
and the module of the bucket, and fails if one is neither in ATTRIBUTES nor, with a reason, in LEFT_OUT.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

ROLES = ("task", "execution", "infrastructure")
GROUPS = ("service", "database")
SECRETS = ("database", "login", "server")
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
EXECUTION = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"

# module.option -> where the attribute lies in what snapshot() returns; * stands for each.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "s3_artifact_bucket.public_access_block.BlockPublicAcls": ("bucket.public_access_block.BlockPublicAcls",),
    "s3_artifact_bucket.public_access_block.BlockPublicPolicy": ("bucket.public_access_block.BlockPublicPolicy",),
    "s3_artifact_bucket.public_access_block.IgnorePublicAcls": ("bucket.public_access_block.IgnorePublicAcls",),
    "s3_artifact_bucket.public_access_block.RestrictPublicBuckets": (
        "bucket.public_access_block.RestrictPublicBuckets",
    ),
    "s3_artifact_bucket.encryption": ("bucket.encryption",),
    "s3_artifact_bucket.versioning": ("bucket.versioning",),
    "s3_artifact_bucket.policy": ("bucket.policy",),
    "s3_artifact_bucket.object_ownership": ("bucket.object_ownership",),
    "s3_artifact_bucket.lifecycle_rules": ("bucket.lifecycle_rules",),
    "s3_artifact_bucket.abort_incomplete_multipart_days": ("bucket.lifecycle_rules",),
    "s3_artifact_bucket.tags": ("bucket.tags",),
    "iam_service_role.description": ("roles.*.description",),
    "iam_service_role.service": ("roles.*.trust",),
    "iam_service_role.condition": ("roles.task.trust", "roles.execution.trust"),
    "iam_service_role.max_session_duration": ("roles.*.max_session_duration",),
    "iam_service_role.permissions_boundary": ("roles.*.permissions_boundary",),
    "iam_service_role.managed_policies": ("roles.*.managed_policies",),
    "iam_service_role.inline_policies": ("roles.*.inline_policies",),
    "iam_service_role.tags": ("roles.*.tags",),
    "secretsmanager_secret.description": ("secrets.*.description",),
    "secretsmanager_secret.kms_key_id": ("secrets.*.key",),
    "secretsmanager_secret.tags": ("secrets.*.tags",),
    "ec2_security_group.ip_permissions": ("groups.*.ingress",),
    "ec2_security_group.ip_permissions_egress": ("groups.*.egress",),
    "ec2_security_group.tags": ("groups.*.tags",),
    "rds_db_subnet_group.db_subnet_group_description": ("subnet_group.description",),
    "rds_db_subnet_group.subnet_ids": ("subnet_group.subnets",),
    "rds_db_subnet_group.tags": ("subnet_group.tags",),
    "rds_db_parameter_group.parameters": ("parameter_group.parameters.rds.force_ssl",),
    "rds_db_parameter_group.tags": ("parameter_group.tags",),
    "rds_postgresql_instance.db_instance_class": ("instance.DBInstanceClass",),
    "rds_postgresql_instance.max_allocated_storage": ("instance.MaxAllocatedStorage",),
    "rds_postgresql_instance.storage_type": ("instance.StorageType",),
    "rds_postgresql_instance.iops": ("instance.Iops",),
    "rds_postgresql_instance.storage_throughput": ("instance.StorageThroughput",),
    "rds_postgresql_instance.auto_minor_version_upgrade": ("instance.AutoMinorVersionUpgrade",),
    "rds_postgresql_instance.multi_az": ("instance.MultiAZ",),
    "rds_postgresql_instance.publicly_accessible": ("instance.PubliclyAccessible",),
    "rds_postgresql_instance.vpc_security_group_ids": ("instance.VpcSecurityGroups",),
    "rds_postgresql_instance.db_parameter_group_name": ("instance.DBParameterGroups",),
    "rds_postgresql_instance.backup_retention_period": ("instance.BackupRetentionPeriod",),
    "rds_postgresql_instance.deletion_protection": ("instance.DeletionProtection",),
    "rds_postgresql_instance.copy_tags_to_snapshot": ("instance.CopyTagsToSnapshot",),
    "rds_postgresql_instance.enable_cloudwatch_logs_exports": ("instance.EnabledCloudwatchLogsExports",),
    "rds_postgresql_instance.tags": ("instance.TagList",),
    "logs_log_group.retention_in_days": ("log_group.retention",),
    "logs_log_group.kms_key_id": ("log_group.key",),
    "logs_log_group.tags": ("log_group.tags",),
    "ecs_express_service.execution_role_arn": ("service.executionRoleArn",),
    "ecs_express_service.task_role_arn": ("service.taskRoleArn",),
    "ecs_express_service.primary_container.image": ("service.primaryContainer.image",),
    "ecs_express_service.primary_container.container_port": ("service.primaryContainer.containerPort",),
    "ecs_express_service.primary_container.command": ("service.primaryContainer.command",),
    "ecs_express_service.primary_container.environment": ("service.primaryContainer.environment",),
    "ecs_express_service.primary_container.secrets": ("service.primaryContainer.secrets",),
    "ecs_express_service.primary_container.aws_logs_configuration.log_group": (
        "service.primaryContainer.awsLogsConfiguration.logGroup",
    ),
    "ecs_express_service.primary_container.aws_logs_configuration.log_stream_prefix": (
        "service.primaryContainer.awsLogsConfiguration.logStreamPrefix",
    ),
    "ecs_express_service.health_check_path": ("service.healthCheckPath",),
    "ecs_express_service.network_configuration.subnets": ("service.networkConfiguration.subnets",),
    "ecs_express_service.network_configuration.security_groups": ("service.networkConfiguration.securityGroups",),
    "ecs_express_service.cpu": ("service.cpu",),
    "ecs_express_service.memory": ("service.memory",),
    "ecs_express_service.scaling_target.min_task_count": ("service.scalingTarget.minTaskCount",),
    "ecs_express_service.scaling_target.max_task_count": ("service.scalingTarget.maxTaskCount",),
    "ecs_express_service.scaling_target.auto_scaling_metric": ("service.scalingTarget.autoScalingMetric",),
    "ecs_express_service.scaling_target.auto_scaling_target_value": ("service.scalingTarget.autoScalingTargetValue",),
    "ecs_express_service.tags": ("service_tags",),
    "ecs_express_service.deployment_configuration.rollback_on_alarm": ("deployments.alarms.enable",),
    "ecs_express_service.deployment_configuration.canary_percent": ("deployments.canaryConfiguration.canaryPercent",),
    "ecs_express_service.deployment_configuration.canary_bake_time_in_minutes": (
        "deployments.canaryConfiguration.canaryBakeTimeInMinutes",
    ),
    "ecs_express_service.deployment_configuration.bake_time_in_minutes": ("deployments.bakeTimeInMinutes",),
    "ecs_express_service.allowed_cidrs": ("listener_conditions",),
}

_NAME = "names the thing"
_HOW = "says how the module works"
_FIXED = "AWS cannot change it"
LEFT_OUT: dict[str, str] = {
    "s3_artifact_bucket.name": _NAME,
    "s3_artifact_bucket.adopt": _HOW,
    "s3_artifact_bucket.kms_key_id": "not given without a key of one's own; then encryption is the same attribute",
    "s3_artifact_bucket.noncurrent_version_days": "off unless it is asked for; lifecycle_rules is the same attribute",
    "s3_artifact_bucket.access_log_bucket": "off unless it is asked for; then logging_enabled is the same attribute",
    "s3_artifact_bucket.logging_enabled": "logs that somebody else has switched on are left alone",
    "iam_service_role.name": _NAME,
    "iam_service_role.path": _FIXED,
    "iam_service_role.purge_managed_policies": _HOW,
    "iam_service_role.purge_inline_policies": _HOW,
    "iam_service_role.wait": _HOW,
    "iam_service_linked_role.aws_service_name": _NAME,
    "secretsmanager_secret.name": _NAME,
    "secretsmanager_secret.generate": "made once; a value that differs is left alone, as what uses it would break",
    "ec2_security_group.group_name": _NAME,
    "ec2_security_group.description": _FIXED,
    "ec2_security_group.vpc_id": _FIXED,
    "ec2_security_group.purge_ip_permissions_egress": _HOW,
    "rds_db_subnet_group.db_subnet_group_name": _NAME,
    "rds_db_parameter_group.db_parameter_group_name": _NAME,
    "rds_db_parameter_group.description": _FIXED,
    "rds_db_parameter_group.db_parameter_group_family": _FIXED,
    "rds_postgresql_instance.db_instance_identifier": _NAME,
    "rds_postgresql_instance.engine_version": "RDS cannot go back; what is newer is told in a warning",
    "rds_postgresql_instance.allocated_storage": "RDS cannot shrink it; what is more may have grown by itself",
    "rds_postgresql_instance.storage_encrypted": _FIXED,
    "rds_postgresql_instance.kms_key_id": _FIXED,
    "rds_postgresql_instance.db_subnet_group_name": _FIXED,
    "rds_postgresql_instance.port": "only given where it is not 5432; the server gets the port that there is",
    "rds_postgresql_instance.db_name": _FIXED,
    "rds_postgresql_instance.master_username": _FIXED,
    "rds_postgresql_instance.master_user_secret_arn": "only read when the instance is made",
    "rds_postgresql_instance.apply_immediately": _HOW,
    "rds_postgresql_instance.wait": _HOW,
    "logs_log_group.log_group_name": _NAME,
    "ecs_express_service.service_name": _NAME,
    "ecs_express_service.cluster": _NAME,
    "ecs_express_service.infrastructure_role_arn": _FIXED,
    "ecs_express_service.wait": _HOW,
    "ecs_express_service.wait_timeout": _HOW,
    "ecs_express_service.wait_delay": _HOW,
    "ecs_express_service.stall_timeout": _HOW,
    "ecs_express_service.recreate_stuck": _HOW,
    "ecs_express_service.rolled_back": _HOW,
}

# Where a diff shows an attribute under another name than the option's.
SHOWN_AS = {
    "iam_service_role.service": "assume_role_policy_document",
    "iam_service_role.condition": "assume_role_policy_document",
    "s3_artifact_bucket.abort_incomplete_multipart_days": "lifecycle_rules",
}

# What passes by itself, and says nothing about how a thing is meant to be.
_VOLATILE = {
    "createdAt",
    "serviceRevisionArn",
    "taskDefinitionArn",
    "LatestRestorableTime",
    "PendingModifiedValues",
    "ResponseMetadata",
    "ApplyMethod",
}


class Deployment:
    """The AWS resources of one deployment, by their names."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._session = boto3.session.Session()
        account = self.client("sts").get_caller_identity()["Account"]
        self.bucket = f"{name}-artifacts-{account}-{self._session.region_name}"
        self.iam, self.s3, self.ec2, self.rds = (self.client(service) for service in ("iam", "s3", "ec2", "rds"))
        self.ecs, self.logs, self.elbv2 = (self.client(service) for service in ("ecs", "logs", "elbv2"))
        self.secrets = self.client("secretsmanager")
        self.parameter_group = f"{name}-postgres16"
        self.log_group = f"/ecs/default/{name}"

    def client(self, service: str) -> Any:
        """A client of a service."""
        return self._session.client(service)

    def role(self, kind: str) -> str:
        """The name of a role."""
        return f"{self.name}-{kind}-role"

    def secret(self, kind: str) -> str:
        """The name of a secret."""
        return f"{self.name}/{kind}"

    def group(self, kind: str) -> dict[str, Any]:
        """A security group."""
        filters = [{"Name": "group-name", "Values": [f"{self.name}-{kind}"]}]
        return self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]

    def instance(self) -> dict[str, Any]:
        """The database."""
        return self.rds.describe_db_instances(DBInstanceIdentifier=self.name)["DBInstances"][0]

    def service(self) -> dict[str, Any]:
        """The service as DescribeServices shows it."""
        return self.ecs.describe_services(services=[self.name], include=["TAGS"])["services"][0]

    def configuration(self) -> dict[str, Any]:
        """The one configuration of the service that is active."""
        described = self.ecs.describe_express_gateway_service(serviceArn=self.service()["serviceArn"])
        [active] = described["service"]["activeConfigurations"]
        return active

    def rule(self) -> dict[str, Any]:
        """The service's listener rule."""
        revision = self.configuration()["serviceRevisionArn"]
        [found] = self.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
        arn = found["ecsManagedResources"]["ingressPaths"][0]["rule"]["arn"]
        return self.elbv2.describe_rules(RuleArns=[arn])["Rules"][0]


# ---- looking


def snapshot(here: Deployment) -> dict[str, Any]:
    """All attributes of the deployment, whether the roles manage them or not."""
    found = {
        "bucket": _bucket(here),
        "roles": {kind: _role(here, here.role(kind)) for kind in ROLES},
        "groups": {kind: _group(here.group(kind)) for kind in GROUPS},
        "secrets": {kind: _secret(here, here.secret(kind)) for kind in SECRETS},
        "subnet_group": _subnet_group(here),
        "parameter_group": _parameter_group(here),
        "instance": here.instance(),
        "log_group": _log_group(here),
        "service": here.configuration(),
        "service_tags": _tags(here.service()["tags"]),
        "deployments": _deployments(here.service()["deploymentConfiguration"]),
        "listener_conditions": sorted(here.rule()["Conditions"], key=lambda item: item["Field"]),
    }
    return json.loads(json.dumps(_settled(found), default=str, sort_keys=True))


def _deployments(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of deployments without the name of ECS's own alarm, which ECS adds at each deployment."""
    alarms = settings["alarms"]
    names = [name for name in alarms["alarmNames"] if not name.endswith("/RollbackAlarm")]
    return {**settings, "alarms": {**alarms, "alarmNames": names}}


def _settled(value: Any) -> Any:
    """Without what passes by itself; lists of names and of things with a name in order."""
    if isinstance(value, dict):
        return {key: _settled(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        items = [_settled(item) for item in value]
        ordered = all(isinstance(item, dict) for item in items) or all(_is_reference(item) for item in items)
        return sorted(items, key=lambda item: json.dumps(item, default=str, sort_keys=True)) if ordered else items
    return value


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("sg-", "subnet-", "arn:"))


def _tags(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag.get("Key", tag.get("key", "")): tag.get("Value", tag.get("value", "")) for tag in tags}


def _bucket(here: Deployment) -> dict[str, Any]:
    s3, bucket = here.s3, {"Bucket": here.bucket}
    lifecycle = s3.get_bucket_lifecycle_configuration(**bucket)
    [encryption] = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return {
        "public_access_block": s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"],
        "encryption": {"BucketKeyEnabled": False, **encryption},
        "versioning": s3.get_bucket_versioning(**bucket).get("Status"),
        "policy": json.loads(s3.get_bucket_policy(**bucket)["Policy"]),
        "object_ownership": s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"],
        "lifecycle_rules": lifecycle["Rules"],
        "transition_size": lifecycle.get("TransitionDefaultMinimumObjectSize"),
        "tags": _tags(s3.get_bucket_tagging(**bucket)["TagSet"]),
    }


def _role(here: Deployment, name: str) -> dict[str, Any]:
    role = here.iam.get_role(RoleName=name)["Role"]
    attached = here.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    inline = here.iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        "arn": role["Arn"],
        "id": role["RoleId"],
        "description": role.get("Description", ""),
        "trust": role["AssumeRolePolicyDocument"],
        "max_session_duration": role["MaxSessionDuration"],
        "permissions_boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        "managed_policies": sorted(policy["PolicyArn"] for policy in attached),
        "inline_policies": {
            policy: here.iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in inline
        },
        "tags": _tags(here.iam.list_role_tags(RoleName=name)["Tags"]),
    }


def _group(group: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": group["GroupId"],
        "description": group["Description"],
        "ingress": group["IpPermissions"],
        "egress": group["IpPermissionsEgress"],
        "tags": _tags(group.get("Tags", [])),
    }


def _secret(here: Deployment, name: str) -> dict[str, Any]:
    secret = here.secrets.describe_secret(SecretId=name)
    return {
        "arn": secret["ARN"],
        "description": secret.get("Description", ""),
        "key": secret.get("KmsKeyId", ""),
        "versions": {key: sorted(stages) for key, stages in secret["VersionIdsToStages"].items()},
        "tags": _tags(secret.get("Tags", [])),
    }


def _tags_of(here: Deployment, arn: str) -> dict[str, str]:
    return _tags(here.rds.list_tags_for_resource(ResourceName=arn)["TagList"])


def _subnet_group(here: Deployment) -> dict[str, Any]:
    [group] = here.rds.describe_db_subnet_groups(DBSubnetGroupName=here.name)["DBSubnetGroups"]
    return {
        "arn": group["DBSubnetGroupArn"],
        "description": group["DBSubnetGroupDescription"],
        "subnets": sorted(subnet["SubnetIdentifier"] for subnet in group["Subnets"]),
        "tags": _tags_of(here, group["DBSubnetGroupArn"]),
    }


def _parameter_group(here: Deployment) -> dict[str, Any]:
    name = {"DBParameterGroupName": here.parameter_group}
    [group] = here.rds.describe_db_parameter_groups(**name)["DBParameterGroups"]
    pages = here.rds.get_paginator("describe_db_parameters").paginate(**name)
    parameters = [item for page in pages for item in page["Parameters"]]
    return {
        "arn": group["DBParameterGroupArn"],
        "description": group["Description"],
        "family": group["DBParameterGroupFamily"],
        # What is 1 by default need not be asked for, until somebody has set it to 0.
        "parameters": {
            item["ParameterName"]: item.get("ParameterValue")
            for item in parameters
            if item["Source"] == "user" or item["ParameterName"] == "rds.force_ssl"
        },
        "tags": _tags_of(here, group["DBParameterGroupArn"]),
    }


def _log_group(here: Deployment) -> dict[str, Any]:
    [group] = here.logs.describe_log_groups(logGroupNamePrefix=here.log_group)["logGroups"]
    return {
        "retention": group.get("retentionInDays"),
        "key": group.get("kmsKeyId", ""),
        "tags": here.logs.list_tags_log_group(logGroupName=here.log_group)["tags"],
    }


# ---- changing


def settle_bystanders(here: Deployment) -> None:
    """What others have added to the same things, and what the roles do not manage: all of it must stay."""
    bucket = {"Bucket": here.bucket}
    policy = json.loads(here.s3.get_bucket_policy(**bucket)["Policy"])
    others = {
        "Sid": "SomebodyElses",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObjectAcl",
        "Resource": f"arn:aws:s3:::{here.bucket}/*",
    }
    policy["Statement"] = [item for item in policy["Statement"] if item["Sid"] != others["Sid"]] + [others]
    here.s3.put_bucket_policy(**bucket, Policy=json.dumps(policy))
    rules = here.s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    rule = {"ID": "somebody-elses", "Status": "Enabled", "Filter": {"Prefix": "old/"}, "Expiration": {"Days": 400}}
    rules = [item for item in rules if item["ID"] != rule["ID"]] + [rule]
    here.s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": rules})
    parameter = {"ParameterName": "log_min_duration_statement", "ParameterValue": "500", "ApplyMethod": "immediate"}
    here.rds.modify_db_parameter_group(DBParameterGroupName=here.parameter_group, Parameters=[parameter])


def _by_hand(tags: dict[str, str]) -> tuple[dict[str, str], str]:
    """Tags to set, and one to take away: one is changed, one is gone, one is new.

    Not those that tell the deployment's resources from others: without them a resource is refused, not repaired.
    """
    gone = "Purpose"
    assert {gone, "Team"} <= tags.keys()
    return {"Team": "hand", "ByHand": "yes"}, gone


def _listed(tags: dict[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in tags.items()]


def other_role(here: Deployment) -> str:
    """A role of somebody else's with which a task can start as well."""
    name = f"{here.name}-by-hand"
    trust = _policy(Action="sts:AssumeRole", Principal={"Service": "ecs-tasks.amazonaws.com"})
    with contextlib.suppress(here.iam.exceptions.EntityAlreadyExistsException):
        here.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    here.iam.attach_role_policy(RoleName=name, PolicyArn=EXECUTION)
    return here.iam.get_role(RoleName=name)["Role"]["Arn"]


def change_service(here: Deployment, before: dict[str, Any]) -> None:
    """Another container in all that there is of it; ECS rolls it out, and it answers."""
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
    """A condition as ModifyRule takes it: values stand in one place only."""
    if "HostHeaderConfig" in condition:
        return {"Field": condition["Field"], "HostHeaderConfig": condition["HostHeaderConfig"]}
    return {"Field": condition["Field"], "Values": condition["Values"]}


def _rolled_out(here: Deployment, arn: str) -> bool:
    newest = here.ecs.list_service_deployments(service=arn)["serviceDeployments"][0]
    assert newest["status"] in ("PENDING", "IN_PROGRESS", "SUCCESSFUL"), newest
    return newest["status"] == "SUCCESSFUL"


def change_bucket(here: Deployment, before: dict[str, Any]) -> None:
    """All settings of the bucket."""
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
        # One that is there says something else, and there is one more.
        for policy in (*role["inline_policies"], "ByHand"):
            document = _policy(Action="s3:ListBucket", Resource="*")
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)
        tags, gone = _by_hand(role["tags"])
        iam.tag_role(RoleName=name, Tags=_listed(tags))
        iam.untag_role(RoleName=name, TagKeys=[gone])


def change_groups(here: Deployment, before: dict[str, Any]) -> None:
    """Who may come in: what was there is gone, and there is something else. The database may go out, the tasks not."""
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
    """The ARN of a key that CloudWatch Logs may use, too."""
    own = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    region = here.logs.meta.region_name
    logs = {**own, "Principal": {"Service": f"logs.{region}.amazonaws.com"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [own, logs]})
    return here.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]


def change_secrets(here: Deployment, before: dict[str, Any]) -> None:
    """What is written about the secrets; their values are not the roles' to restore."""
    key = new_key(here)
    for kind in SECRETS:
        name = here.secret(kind)
        here.secrets.update_secret(SecretId=name, Description="by hand", KmsKeyId=key)
        tags, gone = _by_hand(before["secrets"][kind]["tags"])
        here.secrets.tag_resource(SecretId=name, Tags=_listed(tags))
        here.secrets.untag_resource(SecretId=name, TagKeys=[gone])


def change_logs(here: Deployment, before: dict[str, Any]) -> None:
    """The log group."""
    here.logs.put_retention_policy(logGroupName=here.log_group, retentionInDays=1)
    here.logs.associate_kms_key(logGroupName=here.log_group, kmsKeyId=new_key(here))
    tags, gone = _by_hand(before["log_group"]["tags"])
    here.logs.tag_log_group(logGroupName=here.log_group, tags=tags)
    here.logs.untag_log_group(logGroupName=here.log_group, tags=[gone])


def change_database(here: Deployment, before: dict[str, Any]) -> None:
    """The instance and its groups."""
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
        tags, gone = _by_hand(_tags_of(here, arn))
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


# ---- comparing


def pick(found: Any, where: str) -> dict[str, Any]:
    """The values at a place, by their full paths; a key may itself have a point in it."""
    if not where:
        return {"": found}
    picked: dict[str, Any] = {}
    for key in found if isinstance(found, dict) else []:
        if where == key or where.startswith(f"{key}."):
            rest = where[len(key) + 1 :]
        elif where == "*" or where.startswith("*."):
            rest = where[2:]
        else:
            continue
        picked.update({f"{key}.{path}".rstrip("."): value for path, value in pick(found[key], rest).items()})
    return picked


def untouched(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The managed attributes that are the same in both, each with where that is."""
    same = []
    for attribute, places in ATTRIBUTES.items():
        for where in places:
            old, new = pick(before, where), pick(after, where)
            if not old:
                same.append(f"{attribute}: there is nothing at {where}")
            same += [f"{attribute}: {path} is still {value!r}" for path, value in old.items() if new.get(path) == value]
    return same


def diffs_of(output: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Task, module and diff of all that a check run would change; None where it shows no difference."""
    for play in output["plays"]:
        for task in play["tasks"]:
            for result in task["hosts"].values():
                module = str(result.get("action", "")).rpartition(".")[2]
                for item in result.get("results") or [result]:
                    if item.get("changed"):
                        shown = item.get("diff") or {}
                        parts = shown if isinstance(shown, list) else [shown]
                        real = [one for one in parts if one.get("before") != one.get("after")]
                        yield task["task"]["name"], module, real[0] if real else None


def undisclosed(output: dict[str, Any]) -> list[str]:
    """What a check run would change without showing it from old to new."""
    found = list(diffs_of(output))
    silent = [f"{name}: {module} shows no difference" for name, module, diff in found if diff is None]
    for attribute in ATTRIBUTES:
        module, _point, option = attribute.partition(".")
        member = SHOWN_AS.get(attribute, option).partition(".")[0]
        shown = [diff for _name, by, diff in found if by == module and diff is not None]
        if not any(diff["before"].get(member) != diff["after"].get(member) for diff in shown):
            silent.append(f"{attribute}: no diff shows {member}")
    return silent


def diffs(here: Deployment, file: Path) -> None:
    """Fail unless a check run shows each attribute from old to new, and no secret."""
    text = file.read_text(encoding="utf-8")
    problems = undisclosed(json.loads(text))
    for kind in SECRETS:
        value = here.secrets.get_secret_value(SecretId=here.secret(kind))["SecretString"]
        members = {
            name: item for name, item in json.loads(value).items() if name.endswith(("password", "key", "passphrase"))
        }
        problems += [f"The secret {kind} is shown: {name}" for name, item in members.items() if item in text]
    if problems:
        sys.exit("Not shown from old to new:\n" + "\n".join(problems))
    print(f"{len(ATTRIBUTES)} attributes are shown from old to new.")


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """What differs anywhere."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    elif before != after:
        yield f"{path}: was {before!r}, is {after!r}"


def change(here: Deployment, file: Path) -> None:
    """Keep what is there, then change what is managed, and make sure that nothing of it is as before."""
    settle_bystanders(here)
    before = snapshot(here)
    file.write_text(json.dumps(before, indent=1), encoding="utf-8")
    change_service(here, before)
    change_database(here, before)
    change_bucket(here, before)
    change_groups(here, before)
    change_secrets(here, before)
    change_logs(here, before)
    # Last, for ECS acts with these.
    change_roles(here, before)
    same = untouched(before, snapshot(here))
    if same:
        sys.exit("Not changed by hand:\n" + "\n".join(same))
    print(f"{len(ATTRIBUTES)} attributes were changed by hand.")


def compare(here: Deployment, file: Path) -> None:
    """Fail if anything is not as it was."""
    found = list(differences(json.loads(file.read_text(encoding="utf-8")), snapshot(here)))
    if found:
        sys.exit("Not as before the drift:\n" + "\n".join(found))
    print("Everything is as before the drift.")


if __name__ == "__main__":
    VERBS = {"change": change, "diffs": diffs, "compare": compare}
    VERBS[sys.argv[1]](Deployment(sys.argv[2]), Path(sys.argv[3]))
