# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What scanners of AWS accounts and of templates ask of a deployment's resources, read through boto3.

The table of docs/security.md says for each check what a scanner would find. Here stands, for each of the same checks,
how to find it; a check that is in one of the two places alone is a mistake. What a check asks was read in its source:
https://github.com/bridgecrewio/checkov, checkov/terraform/checks, and https://github.com/prowler-cloud/prowler,
prowler/providers/aws/services.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

import botocore.exceptions
from harness import LocalAws

_ANYWHERE = {"0.0.0.0/0", "::/0"}
_KEPT_A_YEAR = 365
_MODERN_AUTHORITIES = ("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")


class Found:
    """The settings of a deployment at one moment."""

    def __init__(self, aws: LocalAws, name: str, bucket: str) -> None:
        self.name = name
        self._read_bucket(aws.client("s3"), bucket)
        self._read_database(aws.client("rds"))
        self._read_groups(aws.client("ec2"))
        self._read_logs(aws.client("logs"))
        self._read_roles(aws.client("iam"))
        self._read_service(aws.client("ecs"), aws.client("elbv2"))
        manager = aws.client("secretsmanager")
        self.secrets = [manager.describe_secret(SecretId=f"{name}/{one}") for one in ("database", "login", "server")]
        self.secret_policies = [
            manager.get_resource_policy(SecretId=one["Name"]).get("ResourcePolicy") for one in self.secrets
        ]
        values = [manager.get_secret_value(SecretId=one["Name"])["SecretString"] for one in self.secrets]
        self.hidden = [member for value in values for member in json.loads(value).values() if len(str(member)) > 16]

    def _read_bucket(self, s3: Any, bucket: str) -> None:
        place = {"Bucket": bucket}
        self.blocks = s3.get_public_access_block(**place)["PublicAccessBlockConfiguration"]
        self.ownership = s3.get_bucket_ownership_controls(**place)["OwnershipControls"]["Rules"][0]["ObjectOwnership"]
        rule = s3.get_bucket_encryption(**place)["ServerSideEncryptionConfiguration"]["Rules"][0]
        self.bucket_algorithm = rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
        self.versioning = s3.get_bucket_versioning(**place)
        self.bucket_policy = json.loads(s3.get_bucket_policy(**place)["Policy"])["Statement"]
        self.lifecycle = s3.get_bucket_lifecycle_configuration(**place)["Rules"]
        self.access_log = s3.get_bucket_logging(**place).get("LoggingEnabled")
        answer = s3.get_bucket_notification_configuration(**place)
        self.notifications = [key for key in answer if key != "ResponseMetadata"]
        self.replication = self.object_lock = None
        with contextlib.suppress(botocore.exceptions.ClientError):
            self.replication = s3.get_bucket_replication(**place)
        with contextlib.suppress(botocore.exceptions.ClientError):
            self.object_lock = s3.get_object_lock_configuration(**place)

    def _read_database(self, rds: Any) -> None:
        [self.instance] = rds.describe_db_instances(DBInstanceIdentifier=self.name)["DBInstances"]
        group = self.instance["DBParameterGroups"][0]["DBParameterGroupName"]
        pages = rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=group)
        listed = [one for page in pages for one in page["Parameters"]]
        self.parameters = {one["ParameterName"]: one.get("ParameterValue") for one in listed}
        self.set_parameters = {one["ParameterName"] for one in listed if one.get("Source") == "user"}

    def _read_groups(self, ec2: Any) -> None:
        everything = ec2.describe_security_groups()["SecurityGroups"]
        self.groups = {
            kind: next(one for one in everything if one["GroupName"] == f"{self.name}-{kind}")
            for kind in ("service", "database")
        }
        managed = {"Key": "AmazonECSManaged", "Value": "true"}
        self.managed_groups = [one for one in everything if managed in one.get("Tags", [])]

    def _read_logs(self, logs: Any) -> None:
        [self.log_group] = logs.describe_log_groups(logGroupNamePrefix=f"/ecs/default/{self.name}")["logGroups"]
        found = logs.describe_log_groups(logGroupNamePrefix=f"/aws/rds/instance/{self.name}/")["logGroups"]
        self.database_log_groups = found
        self.lines = [
            event["message"]
            for group in (self.log_group, *found)
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        ]

    def _read_roles(self, iam: Any) -> None:
        self.roles = {}
        for kind in ("task", "execution", "infrastructure"):
            role = iam.get_role(RoleName=f"{self.name}-{kind}-role")["Role"]
            name = {"RoleName": role["RoleName"]}
            inline = [
                iam.get_role_policy(**name, PolicyName=policy)["PolicyDocument"]
                for policy in iam.list_role_policies(**name)["PolicyNames"]
            ]
            attached = [one["PolicyName"] for one in iam.list_attached_role_policies(**name)["AttachedPolicies"]]
            self.roles[kind] = {"role": role, "inline": inline, "attached": attached}

    def _read_service(self, ecs: Any, elbv2: Any) -> None:
        [self.service] = ecs.describe_services(services=[self.name])["services"]
        arn = self.service["serviceArn"]
        express = ecs.describe_express_gateway_service(serviceArn=arn)["service"]
        [self.configuration] = express["activeConfigurations"]
        revision = self.configuration["serviceRevisionArn"]
        [found] = ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
        self.task = ecs.describe_task_definition(taskDefinition=found["taskDefinition"])["taskDefinition"]
        self.networks = found.get("networkConfiguration") or self.service["networkConfiguration"]
        [self.cluster] = ecs.describe_clusters(clusters=["default"], include=["SETTINGS"])["clusters"]
        path = found["ecsManagedResources"]["ingressPaths"][0]
        balancer = path["loadBalancer"]["arn"]
        [self.balancer] = elbv2.describe_load_balancers(LoadBalancerArns=[balancer])["LoadBalancers"]
        listed = elbv2.describe_load_balancer_attributes(LoadBalancerArn=balancer)["Attributes"]
        self.balancer_attributes = {one["Key"]: one["Value"] for one in listed}
        self.listeners = elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
        arns = [group["arn"] for group in path["targetGroups"]]
        self.target_groups = elbv2.describe_target_groups(TargetGroupArns=arns)["TargetGroups"]

    @cached_property
    def container(self) -> dict[str, Any]:
        """The one with the server."""
        [container] = self.task["containerDefinitions"]
        return dict(container)

    def admits_the_internet(self, *ports: int) -> bool:
        """Whether a group of ours lets the whole internet in; ports: to one of them, otherwise to any."""
        rules = [rule for group in self.groups.values() for rule in group["IpPermissions"]]
        return any(
            not ports or rule["IpProtocol"] == "-1" or any(rule["FromPort"] <= port <= rule["ToPort"] for port in ports)
            for rule in rules
            if _anywhere(rule)
        )

    @property
    def statements(self) -> list[dict[str, Any]]:
        """Of all policies that are written into the roles."""
        documents = [document for role in self.roles.values() for document in role["inline"]]
        return [statement for document in documents for statement in document["Statement"]]

    @property
    def trusted(self) -> list[dict[str, Any]]:
        """Who may assume the roles."""
        documents = [role["role"]["AssumeRolePolicyDocument"] for role in self.roles.values()]
        return [statement["Principal"] for document in documents for statement in document["Statement"]]


def _anywhere(rule: dict[str, Any]) -> bool:
    named = {one["CidrIp"] for one in rule.get("IpRanges", [])}
    return bool(_ANYWHERE & (named | {one["CidrIpv6"] for one in rule.get("Ipv6Ranges", [])}))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _secure_transport(found: Found) -> bool:
    return any(
        one["Effect"] == "Deny"
        and one["Principal"] == "*"
        and one["Action"] == "s3:*"
        and len(one["Resource"]) == 2
        and one["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for one in found.bucket_policy
    )


def _only_denies(found: Found) -> bool:
    return all(one["Effect"] == "Deny" for one in found.bucket_policy)


def _allows(found: Found, *patterns: str) -> bool:
    actions = [action for one in found.statements if one["Effect"] == "Allow" for action in _listed(one["Action"])]
    return any(re.fullmatch(pattern, action) for pattern in patterns for action in actions)


def _any_resource(found: Found) -> bool:
    return any("*" in _listed(one["Resource"]) for one in found.statements if one["Effect"] == "Allow")


def _are_used(found: Found) -> bool:
    used = {one["VpcSecurityGroupId"] for one in found.instance["VpcSecurityGroups"]}
    used |= set(found.configuration["networkConfiguration"]["securityGroups"])
    return all(group["GroupId"] in used for group in found.groups.values())


def _attached(found: Found) -> list[str]:
    return [policy for role in found.roles.values() for policy in role["attached"]]


def _address(found: Found) -> str:
    return str(found.networks["awsvpcConfiguration"].get("assignPublicIp"))


def _insights(found: Found) -> str:
    settings = {one["name"]: one["value"] for one in found.cluster.get("settings", [])}
    return str(settings.get("containerInsights", "disabled"))


def _attribute(found: Found, key: str) -> bool:
    return found.balancer_attributes.get(key) == "true"


Passes = Callable[[Found], bool]

_SUBJECTS: dict[str, dict[str, Passes]] = {
    "bucket": {
        "CKV_AWS_53": lambda found: found.blocks["BlockPublicAcls"],
        "CKV_AWS_54": lambda found: found.blocks["BlockPublicPolicy"],
        "CKV_AWS_55": lambda found: found.blocks["IgnorePublicAcls"],
        "CKV_AWS_56": lambda found: found.blocks["RestrictPublicBuckets"],
        "CKV2_AWS_6": lambda found: all(found.blocks.values()),
        "s3_bucket_level_public_access_block": lambda found: all(found.blocks.values()),
        "s3_bucket_public_access": lambda found: found.blocks["RestrictPublicBuckets"],
        "CKV_AWS_70": _only_denies,
        "s3_bucket_policy_public_write_access": _only_denies,
        "s3_bucket_cross_account_access": _only_denies,
        "CKV2_AWS_65": lambda found: found.ownership == "BucketOwnerEnforced",
        "CKV_AWS_20": lambda found: found.ownership == "BucketOwnerEnforced",
        "CKV_AWS_57": lambda found: found.ownership == "BucketOwnerEnforced",
        "s3_bucket_acl_prohibited": lambda found: found.ownership == "BucketOwnerEnforced",
        "CKV_AWS_19": lambda found: found.bucket_algorithm in ("AES256", "aws:kms"),
        "s3_bucket_default_encryption": lambda found: found.bucket_algorithm in ("AES256", "aws:kms"),
        "CKV_AWS_145": lambda found: found.bucket_algorithm == "aws:kms",
        "s3_bucket_kms_encryption": lambda found: found.bucket_algorithm == "aws:kms",
        "CKV_AWS_21": lambda found: found.versioning.get("Status") == "Enabled",
        "s3_bucket_object_versioning": lambda found: found.versioning.get("Status") == "Enabled",
        "s3_bucket_no_mfa_delete": lambda found: found.versioning.get("MFADelete") == "Enabled",
        "CKV_AWS_379": _secure_transport,
        "s3_bucket_secure_transport_policy": _secure_transport,
        "CKV_AWS_300": lambda found: any("AbortIncompleteMultipartUpload" in rule for rule in found.lifecycle),
        "CKV2_AWS_61": lambda found: bool(found.lifecycle),
        "s3_bucket_lifecycle_enabled": lambda found: any(rule["Status"] == "Enabled" for rule in found.lifecycle),
        "CKV_AWS_18": lambda found: bool(found.access_log),
        "s3_bucket_server_access_logging_enabled": lambda found: bool(found.access_log),
        "CKV_AWS_143": lambda found: bool(found.object_lock),
        "s3_bucket_object_lock": lambda found: bool(found.object_lock),
        "CKV_AWS_144": lambda found: bool(found.replication),
        "s3_bucket_cross_region_replication": lambda found: bool(found.replication),
        "CKV2_AWS_62": lambda found: bool(found.notifications),
        "s3_bucket_event_notifications_enabled": lambda found: bool(found.notifications),
    },
    "database": {
        "CKV_AWS_16": lambda found: found.instance["StorageEncrypted"],
        "rds_instance_storage_encrypted": lambda found: found.instance["StorageEncrypted"],
        "CKV_AWS_17": lambda found: not found.instance["PubliclyAccessible"],
        "rds_instance_no_public_access": lambda found: not found.instance["PubliclyAccessible"],
        "rds_instance_inside_vpc": lambda found: bool(found.instance["DBSubnetGroup"]["VpcId"]),
        "CKV2_AWS_69": lambda found: found.parameters["rds.force_ssl"] == "1",
        "rds_instance_transport_encrypted": lambda found: found.parameters["rds.force_ssl"] == "1",
        "CKV_AWS_129": lambda found: bool(found.instance["EnabledCloudwatchLogsExports"]),
        "rds_instance_integration_cloudwatch_logs": lambda found: bool(found.instance["EnabledCloudwatchLogsExports"]),
        "CKV_AWS_133": lambda found: found.instance["BackupRetentionPeriod"] > 0,
        "rds_instance_backup_enabled": lambda found: found.instance["BackupRetentionPeriod"] > 0,
        "CKV2_AWS_60": lambda found: found.instance["CopyTagsToSnapshot"],
        "rds_instance_copy_tags_to_snapshots": lambda found: found.instance["CopyTagsToSnapshot"],
        "CKV_AWS_226": lambda found: found.instance["AutoMinorVersionUpgrade"],
        "rds_instance_minor_version_upgrade_enabled": lambda found: found.instance["AutoMinorVersionUpgrade"],
        "CKV_AWS_293": lambda found: found.instance["DeletionProtection"],
        "rds_instance_deletion_protection": lambda found: found.instance["DeletionProtection"],
        "CKV_AWS_211": lambda found: found.instance["CACertificateIdentifier"] in _MODERN_AUTHORITIES,
        "rds_instance_default_admin": lambda found: found.instance["MasterUsername"] not in ("admin", "postgres"),
        "CKV_AWS_157": lambda found: found.instance["MultiAZ"],
        "rds_instance_multi_az": lambda found: found.instance["MultiAZ"],
        "CKV_AWS_161": lambda found: found.instance["IAMDatabaseAuthenticationEnabled"],
        "rds_instance_iam_authentication_enabled": lambda found: found.instance["IAMDatabaseAuthenticationEnabled"],
        "CKV_AWS_118": lambda found: found.instance["MonitoringInterval"] > 0,
        "rds_instance_enhanced_monitoring_enabled": lambda found: found.instance["MonitoringInterval"] > 0,
        "CKV_AWS_353": lambda found: found.instance["PerformanceInsightsEnabled"],
        "CKV2_AWS_30": lambda found: {"log_statement", "log_min_duration_statement"} <= found.set_parameters,
    },
    "security groups": {
        "CKV_AWS_24": lambda found: not found.admits_the_internet(22),
        "CKV_AWS_25": lambda found: not found.admits_the_internet(3389),
        "CKV_AWS_260": lambda found: not found.admits_the_internet(80),
        "CKV_AWS_277": lambda found: not found.admits_the_internet(),
        "ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_postgres_5432": lambda found: (
            not found.admits_the_internet(5432)
        ),
        "ec2_securitygroup_allow_ingress_from_internet_to_all_ports": lambda found: not found.admits_the_internet(),
        "CKV2_AWS_5": _are_used,
        "ec2_securitygroup_not_used": _are_used,
        "CKV_AWS_23": lambda found: all(
            peer.get("Description")
            for group in found.groups.values()
            for rule in (*group["IpPermissions"], *group["IpPermissionsEgress"])
            for peer in (*rule.get("IpRanges", []), *rule.get("UserIdGroupPairs", []))
        ),
        "CKV_AWS_382": lambda found: (
            not any(_anywhere(rule) for group in found.groups.values() for rule in group["IpPermissionsEgress"])
        ),
    },
    "security groups of ECS": {
        "ec2_securitygroup_allow_ingress_from_internet_to_any_port": lambda found: (
            not any(_anywhere(rule) for group in found.managed_groups for rule in group["IpPermissions"])
        ),
    },
    "secrets": {
        "secretsmanager_not_publicly_accessible": lambda found: not any(found.secret_policies),
        "CKV_AWS_149": lambda found: all(one.get("KmsKeyId", "").startswith("arn:") for one in found.secrets),
        "CKV2_AWS_57": lambda found: all(one.get("RotationEnabled") for one in found.secrets),
        "secretsmanager_automatic_rotation_enabled": lambda found: all(
            one.get("RotationEnabled") for one in found.secrets
        ),
        "secretsmanager_has_restrictive_resource_policy": lambda found: all(found.secret_policies),
    },
    "log group": {
        "CKV_AWS_66": lambda found: bool(found.log_group.get("retentionInDays")),
        "CKV_AWS_338": lambda found: found.log_group.get("retentionInDays", 0) >= _KEPT_A_YEAR,
        "cloudwatch_log_group_retention_policy_specific_days_enabled": lambda found: (
            found.log_group.get("retentionInDays", _KEPT_A_YEAR) >= _KEPT_A_YEAR
        ),
        "CKV_AWS_158": lambda found: bool(found.log_group.get("kmsKeyId")),
        "cloudwatch_log_group_kms_encryption_enabled": lambda found: bool(found.log_group.get("kmsKeyId")),
        "cloudwatch_log_group_no_secrets_in_logs": lambda found: (
            bool(found.lines) and not any(secret in line for line in found.lines for secret in found.hidden)
        ),
    },
    "log groups of RDS": {
        "cloudwatch_log_group_kms_encryption_enabled": lambda found: (
            bool(found.database_log_groups) and all(group.get("kmsKeyId") for group in found.database_log_groups)
        ),
    },
    "roles": {
        "CKV_AWS_60": lambda found: all(set(one) == {"Service"} for one in found.trusted),
        "CKV_AWS_61": lambda found: all("*" not in one.values() for one in found.trusted),
        "CKV_AWS_62": lambda found: not _any_resource(found),
        "CKV_AWS_63": lambda found: not _allows(found, r"\*"),
        "CKV_AWS_274": lambda found: "AdministratorAccess" not in _attached(found),
        "iam_role_administratoraccess_policy": lambda found: "AdministratorAccess" not in _attached(found),
        "iam_inline_policy_no_administrative_privileges": lambda found: not _allows(found, r"\*|\*:\*"),
        "CKV_AWS_355": lambda found: not _any_resource(found),
        "CKV_AWS_286": lambda found: not _allows(found, r"iam:.*", r"sts:.*", r"lambda:.*"),
        "iam_inline_policy_allows_privilege_escalation": lambda found: not _allows(found, r"iam:.*", r"sts:.*"),
        "CKV_AWS_287": lambda found: not _any_resource(found),
        "CKV_AWS_288": lambda found: not _any_resource(found),
        "CKV_AWS_289": lambda found: not _any_resource(found),
        "CKV_AWS_290": lambda found: not _any_resource(found),
        "iam_inline_policy_no_full_access_to_kms": lambda found: not _allows(found, r"kms:\*"),
    },
    "tasks": {
        "CKV_AWS_334": lambda found: not found.container.get("privileged"),
        "ecs_task_definitions_no_privileged_containers": lambda found: not found.container.get("privileged"),
        "CKV_AWS_335": lambda found: found.task.get("pidMode") != "host",
        "ecs_task_definitions_host_namespace_not_shared": lambda found: found.task.get("pidMode") != "host",
        "ecs_task_definitions_host_networking_mode_users": lambda found: found.task["networkMode"] != "host",
        "CKV_AWS_249": lambda found: found.task["taskRoleArn"] != found.task["executionRoleArn"],
        "ecs_task_definitions_logging_enabled": lambda found: bool(found.container["logConfiguration"]),
        "ecs_task_definitions_no_environment_secrets": lambda found: (
            not any(secret in json.dumps(found.container.get("environment")) for secret in found.hidden)
        ),
        "CKV_AWS_336": lambda found: bool(found.container.get("readonlyRootFilesystem")),
        "ecs_task_definitions_containers_readonly_access": lambda found: bool(
            found.container.get("readonlyRootFilesystem")
        ),
        "CKV_AWS_333": lambda found: _address(found) != "ENABLED",
        "CKV_AWS_65": lambda found: _insights(found) in ("enabled", "enhanced"),
        "ecs_cluster_container_insights_enabled": lambda found: _insights(found) in ("enabled", "enhanced"),
    },
    "load balancer": {
        "CKV_AWS_2": lambda found: all(one["Protocol"] == "HTTPS" for one in found.listeners),
        "elbv2_ssl_listeners": lambda found: all(one["Protocol"] == "HTTPS" for one in found.listeners),
        "CKV_AWS_261": lambda found: all(one["HealthCheckPath"] for one in found.target_groups),
        "elbv2_is_in_multiple_az": lambda found: len(found.balancer["AvailabilityZones"]) > 1,
        "CKV_AWS_378": lambda found: all(one["Protocol"] == "HTTPS" for one in found.target_groups),
        "CKV_AWS_91": lambda found: _attribute(found, "access_logs.s3.enabled"),
        "elbv2_logging_enabled": lambda found: _attribute(found, "access_logs.s3.enabled"),
        "CKV_AWS_131": lambda found: _attribute(found, "routing.http.drop_invalid_header_fields.enabled"),
        "elbv2_alb_drop_invalid_header_fields_enabled": lambda found: _attribute(
            found, "routing.http.drop_invalid_header_fields.enabled"
        ),
        "CKV_AWS_150": lambda found: _attribute(found, "deletion_protection.enabled"),
        "elbv2_deletion_protection": lambda found: _attribute(found, "deletion_protection.enabled"),
        "elbv2_internet_facing": lambda found: found.balancer["Scheme"] != "internet-facing",
    },
}
PASSES: dict[tuple[str, str], Passes] = {
    (subject, check): passes for subject, checks in _SUBJECTS.items() for check, passes in checks.items()
}
