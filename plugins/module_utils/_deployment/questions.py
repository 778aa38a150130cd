# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The questions that AWS is asked about a deployment: each attribute that a role compares, or refuses.

Service-linked roles are not asked for: AWS refuses to delete them as long as the service uses them.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
"""

from __future__ import annotations

import json
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import secrets
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.maintenance_questions import (
    maintenance_questions,
)
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.monitoring_questions import (
    monitoring_questions,
)
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answer
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Question
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Resources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ec2.network import NEARLY_FULL
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import allow_list
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations

#: Each setting of a bucket, as boto3 calls it, with the part of the answer that holds it.
_BUCKET_SETTINGS = {
    "get_public_access_block": "PublicAccessBlockConfiguration",
    "get_bucket_encryption": "ServerSideEncryptionConfiguration",
    "get_bucket_versioning": "Status",
    "get_bucket_policy": "Policy",
    "get_bucket_ownership_controls": "OwnershipControls",
    "get_bucket_lifecycle_configuration": "",
    "get_bucket_logging": "LoggingEnabled",
}
#: Those that tell whether an adopted bucket is well.
STATUS_SETTINGS = ("get_public_access_block", "get_bucket_encryption", "get_bucket_versioning")
# S3's answers where a setting was never made.
_NOT_SET = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchTagSet",
        "OwnershipControlsNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
# What a deployment may have under other names, or elsewhere, by its tags.
_SEARCHED = ("ec2:security-group", "ecs:service", "rds:pg", "s3")
# What is searched for its tags alone.
_TAGGED = ("logs", "rds:subgrp")
#: The status of a deployment of the service, which it keeps.
SUCCESSFUL = "SUCCESSFUL"
#: Under this name the search returns tags, by resource.
FOUND_TAGS = "tags"
_ARN_PARTS = 7


def questions(scope: Scope, service: Answer | None = None, successful: str = "") -> Iterator[Question]:
    """Yield what to ask, the longest chains of requests first.

    Args:
        scope: what to ask for.
        service: as ECS has described it already; None to ask for it.
        successful: id of a deployment of the service that is known to have been successful; empty if none is.
    """
    for role in scope.iam_roles:
        yield Question(f"iam_role_{role}", ("iam",), lambda iam, role=role: _read_role(iam, scope, role))
    yield Question(
        "service", ("ecs",), lambda ecs: _read_service(describe_service(ecs, scope) if service is None else service)
    )
    yield Question(
        "deployment_settings", ("ecs", "elbv2"), lambda ecs, elbv2: _read_settings(ecs, elbv2, scope, successful)
    )
    if not successful:
        yield Question("deployment", ("ecs",), lambda ecs: _read_deployment(ecs, scope))
    yield Question("network", ("ec2",), lambda ec2: _read_network(ec2, scope))
    yield Question("security_groups", ("ec2",), lambda ec2: _read_security_groups(ec2, scope))
    if scope.database:
        yield from _database_questions(scope)
    yield Question("log_group", ("logs",), lambda logs: _read_log_group(logs, scope))
    yield from _bucket_questions(scope)
    yield secrets.list_question(scope)
    yield Question("elsewhere", ("resourcegroupstaggingapi",), lambda tagging: _search(tagging, scope))
    yield from monitoring_questions(scope)
    yield from maintenance_questions(scope)
    yield from _reference_questions(scope)


# ---- ECS


def describe_service(ecs: Client, scope: Scope) -> Answer:
    """Return the service with its tags; empty if there is none, or one that was deleted."""
    found = api.describe_express(ecs, scope.service_arn) or {}
    return {} if (found.get("status") or {}).get("statusCode", "INACTIVE") == "INACTIVE" else found


def _read_service(found: Answer) -> Resources:
    if not found:
        return {}
    configuration = dict(transformations.newest_configuration(found) or {})
    return {
        "task_definition": dict(configuration.pop("primaryContainer", None) or {}),
        "scaling": dict(configuration.pop("scalingTarget", None) or {}),
        "service": {**{key: value for key, value in found.items() if key != "activeConfigurations"}, **configuration},
    }


def _read_settings(ecs: Client, elbv2: Client, scope: Scope, successful: str) -> Resources:
    found = api.find_service(ecs, cluster=scope.cluster, name=scope.name) or {}
    if found.get("status", "INACTIVE") == "INACTIVE":
        return {}
    resources: Resources = {"deployment_settings": found}
    if rule := _rule_of(found) or _rule_of_revision(ecs, found):
        resources["listener_rule"] = dict(elbv2.describe_rules(RuleArns=[rule])["Rules"][0])
    if successful:
        current = str(found.get("currentServiceDeployment") or "")
        is_known = deployment_id(current) == successful
        known = {"deployment": {"serviceDeploymentArn": current, "status": SUCCESSFUL}}
        resources |= known if is_known else _read_deployment(ecs, scope)
    return resources


def deployment_id(arn: str) -> str:
    """Return the last part of the ARN of a service's deployment."""
    return arn.rpartition("/")[2]


def _rule_of(service: Answer) -> str:
    """Return the ARN of the listener rule by which ECS shifts the traffic, empty if DescribeServices does not tell it.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AdvancedConfiguration.html
    """
    balancers = [balancer.get("advancedConfiguration") or {} for balancer in service.get("loadBalancers") or []]
    return next((str(one["productionListenerRule"]) for one in balancers if one.get("productionListenerRule")), "")


def _rule_of_revision(ecs: Client, service: Answer) -> str:
    revisions = [{"serviceRevisionArn": one["arn"]} for one in service.get("currentServiceRevisions") or []]
    return allow_list.find_rule(ecs, {"activeConfigurations": revisions})


def _read_deployment(ecs: Client, scope: Scope) -> Resources:
    newest = next(iter(api.list_deployments(ecs, cluster=scope.cluster, service=scope.service_arn, limit=1)), None)
    return {"deployment": newest} if newest else {}


# ---- EC2


def _read_network(ec2: Client, scope: Scope) -> Resources:
    subnets = subnets_of(ec2, scope.subnet_ids)
    database = subnets_of(ec2, scope.database_subnet_ids) if scope.database_subnet_ids else []
    network = {"Subnets": list(map(_subnet, subnets)), "DatabaseSubnets": list(map(_subnet, database))}
    if vpcs := sorted({subnet["VpcId"] for subnet in subnets}):
        network["RouteTables"] = ec2.pages(
            "describe_route_tables", "RouteTables", Filters=[{"Name": "vpc-id", "Values": vpcs}]
        )
    return {"network": network} if subnets else {}


def subnets_of(ec2: Client, ids: list[str]) -> list[Answer]:
    """Return these subnets, or the default ones; one that does not exist is left out."""
    chosen = {"Name": "subnet-id", "Values": ids} if ids else {"Name": "default-for-az", "Values": ["true"]}
    return list(ec2.pages("describe_subnets", "Subnets", Filters=[chosen]))


def _subnet(subnet: Answer) -> Answer:
    return {**subnet, "NearlyFull": subnet.get("AvailableIpAddressCount", NEARLY_FULL) < NEARLY_FULL}


def _read_security_groups(ec2: Client, scope: Scope) -> Resources:
    kinds = {f"{scope.name}-{one}": one for one in ("service", "database")}
    groups = ec2.pages(
        "describe_security_groups", "SecurityGroups", Filters=[{"Name": "group-name", "Values": list(kinds)}]
    )
    # Another VPC may have one of the same name: that there is one is all that matters then.
    ordered = sorted(groups, key=lambda group: str(group["GroupId"]))
    names = [f"security_group_{kinds[group['GroupName']]}" for group in ordered]
    return {
        name if names.count(name) == 1 else f"{name}_{group['VpcId']}": group
        for name, group in zip(names, ordered, strict=True)
    }


# ---- RDS


def _database_questions(scope: Scope) -> Iterator[Question]:
    yield Question("database_parameters", ("rds",), lambda rds: _read_parameters(rds, scope.parameter_group))
    yield Question("database", ("rds",), lambda rds: _read_database(rds, scope.database))


def _read_database(rds: Client, name: str) -> Resources:
    """Return the instance, and its subnet group, which RDS describes with it.

    It tells which parameter group it has, too. That cannot be deleted meanwhile, and what it has besides parameters and
    tags cannot be changed.
    """
    instance = dict(rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0])
    instance["Tags"] = instance.pop("TagList", [])
    # A new master password that has not been set yet.
    pending = instance.get("PendingModifiedValues") or {}
    instance["PendingModifiedValues"] = {key: pending[key] for key in pending if key != "MasterUserPassword"}
    subnet_group = instance.pop("DBSubnetGroup", None)
    return {"database": instance, **({"database_subnet_group": dict(subnet_group)} if subnet_group else {})}


def _read_parameters(rds: Client, group: str) -> Resources:
    """Return the parameters that somebody has set. RDS lists all of them, more than 400, 100 at a time."""
    listed = rds.pages("describe_db_parameters", "Parameters", DBParameterGroupName=group, Source="user")
    kept = {one["ParameterName"]: one.get("ParameterValue", "") for one in listed}
    return {"database_parameter_group": {"Parameters": kept}}


# ---- S3


def _bucket_questions(scope: Scope) -> Iterator[Question]:
    bucket = {"Bucket": scope.bucket, "ExpectedBucketOwner": scope.account_id}
    if scope.access_log_bucket:
        target = {**bucket, "Bucket": scope.access_log_bucket}
        yield Question(
            "access_log_bucket",
            ("s3",),
            lambda s3: {"access_log_bucket": {"Region": s3.head_bucket(**target).get("BucketRegion", "")}},
        )
    if scope.bucket_adopted:
        yield Question("bucket", ("s3",), lambda s3: {"bucket": {"Name": s3.head_bucket(**bucket) and scope.bucket}})
        return
    # Access logs that were switched on elsewhere are left alone.
    asked = [one for one in _BUCKET_SETTINGS if one != "get_bucket_logging" or scope.access_log_bucket]
    yield from bucket_questions(scope, "bucket", asked)


def bucket_questions(scope: Scope, resource: str, operations: Iterable[str]) -> Iterator[Question]:
    """Yield the questions for settings of the bucket, the answers to which are kept under the name of a resource."""
    bucket = {"Bucket": scope.bucket, "ExpectedBucketOwner": scope.account_id}
    for operation in operations:
        yield Question(
            f"bucket_{operation.removeprefix('get_').removeprefix('bucket_')}",
            ("s3",),
            lambda s3, operation=operation: {
                resource: {"Name": scope.bucket, **_bucket_setting(s3, operation, _BUCKET_SETTINGS[operation], bucket)}
            },
        )


def _bucket_setting(s3: Client, operation: str, part: str, bucket: dict[str, str]) -> Answer:
    try:
        answer = getattr(s3, operation)(**bucket)
    except ClientError as e:
        if error_code(e) not in _NOT_SET:
            raise
        return {}
    if not part:
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    value = answer.get(part)
    names = {"Status": "Versioning"}
    return {names.get(part, part): json.loads(value) if part == "Policy" else value} if value else {}


# ---- IAM, CloudWatch Logs


def _read_role(iam: Client, scope: Scope, which: str) -> Resources:
    name = scope.iam_roles[which]
    role = dict(iam.get_role(RoleName=name)["Role"])
    attached = iam.pages("list_attached_role_policies", "AttachedPolicies", RoleName=name)
    role["ManagedPolicies"] = [policy["PolicyArn"] for policy in attached]
    role["InlinePolicies"] = {
        policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.pages("list_role_policies", "PolicyNames", RoleName=name)
    }
    return {f"iam_role_{which}": role}


def _read_log_group(logs: Client, scope: Scope) -> Resources:
    groups = logs.pages("describe_log_groups", "logGroups", logGroupNamePrefix=scope.log_group)
    group = next((one for one in groups if one["logGroupName"] == scope.log_group), None)
    if group is None:
        return {}
    return {"log_group": dict(group)}


# ---- what is elsewhere, tags, and what settings refer to


def tagged_arns(scope: Scope) -> dict[str, str]:
    """Return the resources whose tags AWS does not tell with their attributes: the ARN of each."""
    arns = {"log_group": scope.arn("logs", f"log-group:{scope.log_group}")}
    if not scope.bucket_adopted:
        arns["bucket"] = f"arn:{scope.partition}:s3:::{scope.bucket}"
    if scope.database:
        arns["database_parameter_group"] = scope.arn("rds", f"pg:{scope.parameter_group}")
        arns["database_subnet_group"] = scope.arn("rds", f"subgrp:{scope.database}")
    return arns


def late(scope: Scope) -> set[str]:
    """Return the resources of which a search or a list tells something that may be minutes old."""
    return {*tagged_arns(scope), *secrets.resources(scope)}


def exact_questions(scope: Scope, names: Collection[str]) -> Iterator[Question]:
    """Yield the questions for what is late of these resources, each to the service that has it."""
    yield from (secrets.question(name, secret) for name, secret in secrets.resources(scope).items() if name in names)
    bucket = {"Bucket": scope.bucket, "ExpectedBucketOwner": scope.account_id}
    for name, arn in tagged_arns(scope).items():
        if name not in names:
            continue
        if name == "bucket":
            yield Question(name, ("s3",), lambda s3: {"bucket": {"Tags": _bucket_tags(s3, bucket)}})
        elif name == "log_group":
            yield Question(
                name,
                ("logs",),
                lambda logs, arn=arn: {"log_group": {"Tags": logs.list_tags_for_resource(resourceArn=arn)["tags"]}},
            )
        else:
            yield Question(
                name,
                ("rds",),
                lambda rds, name=name, arn=arn: {
                    name: {"Tags": rds.list_tags_for_resource(ResourceName=arn)["TagList"]}
                },
            )


def _bucket_tags(s3: Client, bucket: dict[str, str]) -> list[Answer]:
    try:
        return list(s3.get_bucket_tagging(**bucket)["TagSet"])
    except ClientError as e:
        if error_code(e) not in _NOT_SET:
            raise
        return []


def _search(tagging: Client, scope: Scope) -> Resources:
    """Return what carries the deployment's tags, but for what has the names that the deployment has now.

    With it the tags of what it has under these names, which cost no request then. AWS may be minutes late with them.
    """
    found = tagging.pages(
        "get_resources",
        "ResourceTagMappingList",
        TagFilters=[
            {"Key": "ManagedBy", "Values": ["mlops.mlflow_aws"]},
            {"Key": "MlflowName", "Values": [scope.name]},
        ],
        ResourceTypeFilters=[*_SEARCHED, *_TAGGED],
    )
    tags = {one["ResourceARN"].removesuffix(":*"): one.get("Tags", []) for one in found}
    arns = tagged_arns(scope)
    own = {scope.service_arn, f"arn:{scope.partition}:s3:::{scope.bucket}", *arns.values()}
    searched = [arn for arn in tags if not any(f":{kind}:" in arn for kind in ("log-group", "subgrp"))]
    return {
        # Its security groups have no name in their ARNs.
        "elsewhere": {"Arns": sorted(set(searched) - own)},
        FOUND_TAGS: {name: tags.get(arn, []) for name, arn in arns.items()},
    }


def _reference_questions(scope: Scope) -> Iterator[Question]:
    for arn in sorted(set(scope.kms_keys)):
        name = f"kms_key_{arn.rpartition('/')[2]}"
        yield Question(
            name,
            ("kms",),
            lambda kms, name=name, arn=arn: {name: kms.describe_key(KeyId=arn)["KeyMetadata"]},
            _region(arn),
        )
    for arn in sorted({":".join(one.split(":")[:_ARN_PARTS]) for one in scope.secrets if ":ssm:" not in one}):
        yield secrets.question(f"secret_{arn.rpartition(':')[2]}", arn, _region(arn))
    for arn in sorted(set(scope.policies)):
        name = f"policy_{arn.rpartition('/')[2]}"
        yield Question(name, ("iam",), lambda iam, name=name, arn=arn: {name: iam.get_policy(PolicyArn=arn)["Policy"]})


def _region(arn: str) -> str:
    """Return the region to ask in: keys and secrets may be of another one than the deployment."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 3 else ""
