# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read all attributes of a deployment from AWS."""

from __future__ import annotations

import json
from typing import Any

from deployment import GROUPS
from deployment import ROLES
from deployment import SECRETS
from deployment import Deployment

# Attributes that change by themselves and are no settings.
_VOLATILE = {
    "createdAt",
    "serviceRevisionArn",
    "taskDefinitionArn",
    "LatestRestorableTime",
    "PendingModifiedValues",
    "ResponseMetadata",
    "ApplyMethod",
}


def snapshot(here: Deployment) -> dict[str, Any]:
    """Return all attributes of the deployment, whether the roles manage them or not."""
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
        # But for the record of what was deployed last, which tells the time.
        "service_tags": {
            key: value
            for key, value in _tags(here.service()["tags"]).items()
            if not key.startswith("mlops.mlflow_aws:")
        },
        "deployments": _deployments(here.service()["deploymentConfiguration"]),
        "listener_conditions": sorted(here.rule()["Conditions"], key=lambda item: item["Field"]),
    }
    return json.loads(json.dumps(_settled(found), default=str, sort_keys=True))


def _deployments(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the deployment settings without the name of ECS's own alarm, which it adds at each deployment."""
    alarms = settings["alarms"]
    names = [name for name in alarms["alarmNames"] if not name.endswith("/RollbackAlarm")]
    return {**settings, "alarms": {**alarms, "alarmNames": names}}


def _settled(value: Any) -> Any:
    """Return the value without volatile attributes, and with lists of references and of dictionaries sorted."""
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


def tags_of(here: Deployment, arn: str) -> dict[str, str]:
    return _tags(here.rds.list_tags_for_resource(ResourceName=arn)["TagList"])


def _subnet_group(here: Deployment) -> dict[str, Any]:
    [group] = here.rds.describe_db_subnet_groups(DBSubnetGroupName=here.name)["DBSubnetGroups"]
    return {
        "arn": group["DBSubnetGroupArn"],
        "description": group["DBSubnetGroupDescription"],
        "subnets": sorted(subnet["SubnetIdentifier"] for subnet in group["Subnets"]),
        "tags": tags_of(here, group["DBSubnetGroupArn"]),
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
        # rds.force_ssl is 1 by default, so its source is "user" only once it has been set to 0.
        "parameters": {
            item["ParameterName"]: item.get("ParameterValue")
            for item in parameters
            if item["Source"] == "user" or item["ParameterName"] == "rds.force_ssl"
        },
        "tags": tags_of(here, group["DBParameterGroupArn"]),
    }


def _log_group(here: Deployment) -> dict[str, Any]:
    [group] = here.logs.describe_log_groups(logGroupNamePrefix=here.log_group)["logGroups"]
    return {
        "retention": group.get("retentionInDays"),
        "key": group.get("kmsKeyId", ""),
        "tags": here.logs.list_tags_log_group(logGroupName=here.log_group)["tags"],
    }
