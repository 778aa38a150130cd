# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for all AWS services that a deployment consists of."""

from __future__ import annotations

import copy
import typing
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/default/tracking"
DEPLOYED = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service-deployment/default/tracking/first"
BUCKET = f"tracking-artifacts-{ACCOUNT}-{REGION}"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
THEIR_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:theirs-AbCdEf"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
TAGS = [{"Key": "MlflowName", "Value": "tracking"}]


_CONTAINER = {
    "image": "mlflow:v3.17.2",
    "command": ["sh", "-c", "mlflow"],
    "environment": [{"name": "PGSSLMODE", "value": "require"}, {"name": "API_KEY", "value": "not-to-be-shown"}],
    "secrets": [{"name": "PGPASSWORD", "valueFrom": "arn:x"}],
}
_STATE: dict[str, typing.Any] = {
    "service": {
        "serviceArn": ARN,
        "serviceName": "tracking",
        "status": {"statusCode": "ACTIVE"},
        "infrastructureRoleArn": "arn:infrastructure",
        "tags": [{"key": "MlflowName", "value": "tracking"}],
        "activeConfigurations": [
            {
                "serviceRevisionArn": "arn:revision/1",
                "createdAt": NOON,
                "cpu": "1024",
                "primaryContainer": _CONTAINER,
                "scalingTarget": {"minTaskCount": 1, "maxTaskCount": 1},
                "networkConfiguration": {"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"]},
            }
        ],
    },
    "ecs_service": {
        "status": "ACTIVE",
        "runningCount": 1,
        "desiredCount": 1,
        "events": [{"message": "steady"}],
        "deploymentConfiguration": {"bakeTimeInMinutes": 3, "alarms": {"enable": False}},
        "currentServiceDeployment": DEPLOYED,
        "loadBalancers": [{"advancedConfiguration": {"productionListenerRule": "arn:rule"}}],
    },
    "deployment": {"serviceDeploymentArn": DEPLOYED, "status": "SUCCESSFUL", "createdAt": NOON},
    "rule": {
        "RuleArn": "arn:rule",
        "Conditions": [{"Field": "host-header", "Values": ["tr-1.ecs.on.aws"]}],
        "Actions": [{"Type": "forward"}],
    },
    "subnets": [
        {"SubnetId": one, "VpcId": "vpc-1", "AvailabilityZone": zone, "AvailableIpAddressCount": 250}
        for one, zone in (("subnet-1", "a"), ("subnet-2", "b"))
    ],
    "route_tables": [{"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Routes": [{"GatewayId": "igw-1"}]}],
    "groups": [
        {"GroupId": "sg-1", "GroupName": "tracking-service", "VpcId": "vpc-1", "Tags": TAGS},
        {"GroupId": "sg-2", "GroupName": "tracking-database", "VpcId": "vpc-1", "Tags": TAGS},
    ],
    "database": {
        "DBInstanceIdentifier": "tracking",
        "DBInstanceStatus": "available",
        "DBInstanceClass": "db.t4g.micro",
        "LatestRestorableTime": NOON,
        "PendingModifiedValues": {},
        "DBParameterGroups": [{"DBParameterGroupName": "tracking-postgres16"}],
        "DBSubnetGroup": {"DBSubnetGroupDescription": "MLflow", "Subnets": [{"SubnetIdentifier": "subnet-1"}]},
        "TagList": TAGS,
    },
    "parameters": [
        {"ParameterName": "rds.force_ssl", "ParameterValue": "1", "Source": "user"},
        {"ParameterName": "log_statement", "ParameterValue": "all", "Source": "user"},
    ],
    "group_tags": TAGS,
    "policy": '{"Statement": [{"Sid": "DenyInsecureTransport"}]}',
    "bucket": {
        "get_public_access_block": {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}},
        "get_bucket_encryption": {"ServerSideEncryptionConfiguration": {"Rules": [{"BucketKeyEnabled": False}]}},
        "get_bucket_versioning": {"Status": "Enabled"},
        "get_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "x"}]}},
        "get_bucket_lifecycle_configuration": {"Rules": [{"ID": "abort"}]},
        "get_bucket_logging": {},
        "get_bucket_tagging": {"TagSet": TAGS},
    },
    "role": {"Arn": "arn:role", "Description": "MLflow", "RoleLastUsed": {"LastUsedDate": NOON}, "Tags": TAGS},
    "attached": ["arn:aws:iam::aws:policy/One"],
    "inline": {"MLflowArtifacts": {"Statement": [{"Action": ["s3:GetObject", "s3:PutObject"]}]}},
    "secret": {
        "ARN": "arn:secret",
        "KmsKeyId": "key",
        "LastAccessedDate": NOON,
        "VersionIdsToStages": {"v1": ["AWSPREVIOUS"], "v2": ["AWSCURRENT"]},
        "Tags": TAGS,
    },
    "log_group": {"logGroupName": "/ecs/default/tracking", "retentionInDays": 30, "storedBytes": 7},
    "log_tags": {"MlflowName": "tracking"},
    "tagged": [ARN, f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/sg-1"],
    "key": {"KeyState": "Enabled"},
    "their_policy": {"DefaultVersionId": "v1", "AttachmentCount": 3},
}


class Account(Fake):
    """All services in one, with a deployment that is well. What a test changes is in ``state``."""

    def __init__(self) -> None:
        super().__init__()
        self.state = copy.deepcopy(_STATE)
        #: What the search for tags finds instead of the present ones.
        self.searched_tags: list[dict[str, str]] | None = None
        #: What a list of secrets tells of them instead of the present values; None: nothing of any.
        self.listed: dict[str, typing.Any] | None = {}

    # ---- ECS and ELB

    def call_describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> dict:
        assert serviceArn == ARN
        if not self.state["service"]:
            raise error("ResourceNotFoundException")
        return {"service": self.state["service"]}

    def call_describe_services(self, cluster: str, services: list[str]) -> dict:
        return {"services": [self.state["ecs_service"]]}

    def call_list_service_deployments(self, cluster: str, service: str) -> dict:
        return {"serviceDeployments": [self.state["deployment"]]}

    def call_describe_service_revisions(self, serviceRevisionArns: list[str]) -> dict:
        rule = {"rule": {"arn": "arn:rule"}}
        return {"serviceRevisions": [{"ecsManagedResources": {"ingressPaths": [rule]}}] * len(serviceRevisionArns)}

    def call_describe_rules(self, RuleArns: list[str]) -> dict:
        return {"Rules": [self.state["rule"]]}

    def call_tag_resource(self, resourceArn: str, tags: list[dict[str, str]]) -> dict:
        names = [one["key"] for one in tags]
        kept = [one for one in self.state["service"]["tags"] if one["key"] not in names]
        self.state["service"]["tags"] = [*kept, *tags]
        return {}

    def call_untag_resource(self, resourceArn: str, tagKeys: list[str]) -> dict:
        self.state["service"]["tags"] = [one for one in self.state["service"]["tags"] if one["key"] not in tagKeys]
        return {}

    # ---- EC2 and RDS

    def call_describe_subnets(self, Filters: list[dict]) -> dict:
        return {"Subnets": self.state["subnets"]}

    def call_describe_route_tables(self, Filters: list[dict]) -> dict:
        return {"RouteTables": self.state["route_tables"]}

    def call_describe_security_groups(self, Filters: list[dict]) -> dict:
        [names] = [one["Values"] for one in Filters]
        return {"SecurityGroups": [one for one in self.state["groups"] if one["GroupName"] in names]}

    def call_describe_db_instances(self, DBInstanceIdentifier: str) -> dict:
        return {"DBInstances": [self.state["database"]]}

    def call_describe_db_parameters(self, DBParameterGroupName: str, Source: str) -> dict:
        return {"Parameters": [one for one in self.state["parameters"] if one["Source"] == Source]}

    def call_list_tags_for_resource(self, ResourceName: str = "", resourceArn: str = "") -> dict:
        return {"TagList": self.state["group_tags"], "tags": self.state["log_tags"]}

    # ---- S3, IAM, Secrets Manager, CloudWatch Logs, KMS, the tagging API

    def call_head_bucket(self, **_bucket: str) -> dict:
        return {"BucketRegion": REGION}

    def call_get_bucket_policy(self, **_bucket: str) -> dict:
        if not self.state["policy"]:
            raise error("NoSuchBucketPolicy")
        return {"Policy": self.state["policy"]}

    def __getattr__(self, name: str) -> typing.Any:
        bucket = self.__dict__.get("state", {}).get("bucket", {})
        setting = name.removeprefix("call_")
        if name.startswith("call_") and setting in bucket:
            return lambda **_bucket: {"ResponseMetadata": {"RequestId": object()}, **bucket[setting]}
        return super().__getattr__(name)

    def call_get_role(self, RoleName: str) -> dict:
        return {"Role": {**self.state["role"], "RoleName": RoleName}}

    def call_list_attached_role_policies(self, RoleName: str) -> dict:
        return {"AttachedPolicies": [{"PolicyArn": one} for one in self.state["attached"]]}

    def call_list_role_policies(self, RoleName: str) -> dict:
        return {"PolicyNames": list(self.state["inline"])}

    def call_get_role_policy(self, RoleName: str, PolicyName: str) -> dict:
        return {"PolicyDocument": self.state["inline"][PolicyName]}

    def call_describe_secret(self, SecretId: str) -> dict:
        return {**self.state["secret"], "Name": SecretId}

    def call_list_secrets(self, Filters: list[dict]) -> dict:
        [[prefix]] = [one["Values"] for one in Filters]
        listed = {**self.state["secret"], **(self.listed or {})}
        listed["SecretVersionsToStages"] = listed.pop("VersionIdsToStages")
        names = [f"{prefix}{one}" for one in ("server", "login", "database", "another/server")]
        return {"SecretList": [] if self.listed is None else [{**listed, "Name": one} for one in names]}

    def call_describe_log_groups(self, logGroupNamePrefix: str) -> dict:
        return {"logGroups": [self.state["log_group"]]}

    def call_describe_key(self, KeyId: str) -> dict:
        return {"KeyMetadata": self.state["key"]}

    def call_get_policy(self, PolicyArn: str) -> dict:
        return {"Policy": self.state["their_policy"]}

    def call_get_resources(self, **_filters: typing.Any) -> dict:
        log_tags = [{"Key": key, "Value": value} for key, value in self.state["log_tags"].items()]
        tags = {
            f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ecs/default/tracking": log_tags,
            f"arn:aws:rds:{REGION}:{ACCOUNT}:pg:tracking-postgres16": self.state["group_tags"],
            f"arn:aws:rds:{REGION}:{ACCOUNT}:subgrp:tracking": self.state["group_tags"],
            f"arn:aws:s3:::{BUCKET}": self.state["bucket"]["get_bucket_tagging"]["TagSet"],
        }
        searched = {arn: own if self.searched_tags is None else self.searched_tags for arn, own in tags.items()}
        found = {**dict.fromkeys(self.state["tagged"], TAGS), **searched}
        return {"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": own} for arn, own in found.items()]}
