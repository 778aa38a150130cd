# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads resources of several AWS services with their tags, by name and by tag. Private to the collection.

Facts: botocore's models; IAM returns a role's tags with GetRole, ECS a service's with C(include=["TAGS"]), RDS an
instance's with DescribeDBInstances, and those of its groups with ListTagsForResource alone.
"""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_denied
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_missing
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import OURS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import Identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ownership.ownership import owner

Clients = Callable[[str], Client]
Answer = dict[str, typing.Any]

SERVICES = {
    "db_instance": "rds",
    "db_parameter_group": "rds",
    "db_subnet_group": "rds",
    "ecs_service": "ecs",
    "iam_role": "iam",
    "log_group": "logs",
    "s3_bucket": "s3",
    "secret": "secretsmanager",
    "security_group": "ec2",
}
"""boto3's client for each type of resource."""

_AT_ONCE = 16

# What the Resource Groups Tagging API calls them ("the same as that embedded in a resource's ARN", botocore's model).
SEARCHED = {
    "db_instance": "rds:db",
    "db_parameter_group": "rds:pg",
    "ecs_service": "ecs:service",
    "s3_bucket": "s3",
    "security_group": "ec2:security-group",
}


def _read_role(iam: Client, name: str, _vpc: str) -> Resource:
    role = iam.get_role(RoleName=name)["Role"]
    return Resource("iam_role", name, tags_from_aws(role.get("Tags")), role["Arn"], path=role.get("Path", ""))


def _read_bucket(s3: Client, name: str, _vpc: str) -> Resource:
    try:
        tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
    except ClientError as e:
        if error_code(e) != "NoSuchTagSet":
            raise
        tags = []
    return Resource("s3_bucket", name, tags_from_aws(tags))


def is_unused_bucket(s3: Client, one: Resource) -> bool:
    """Return whether a resource is a bucket without tags and without objects, as CreateBucket leaves it.

    S3 tags a general purpose bucket by a call of its own, so a run that is interrupted in between leaves one
    (botocore's model of CreateBucketConfiguration, as of 1.41.1: tags are for directory buckets).
    """
    if one.kind != "s3_bucket" or one.tags:
        return False
    return not s3.list_objects_v2(Bucket=one.name, MaxKeys=1).get("Contents")


def _read_secret(secretsmanager: Client, name: str, _vpc: str) -> Resource:
    secret = secretsmanager.describe_secret(SecretId=name)
    return Resource("secret", name, tags_from_aws(secret.get("Tags")), secret["ARN"])


def _read_security_group(ec2: Client, name: str, vpc_id: str) -> Resource | None:
    filters = [{"Name": "group-name", "Values": [name]}, *([{"Name": "vpc-id", "Values": [vpc_id]}] if vpc_id else [])]
    groups = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    if not groups:
        return None
    group = groups[0]
    arn = str(group.get("SecurityGroupArn", ""))
    return Resource("security_group", name, tags_from_aws(group.get("Tags")), arn, vpc_id=group.get("VpcId", ""))


def _read_log_group(logs: Client, name: str, _vpc: str) -> Resource:
    # Not ListTagsForResource: it wants the ARN, and the older call the same permission as amazon.aws.
    return Resource("log_group", name, logs.list_tags_log_group(logGroupName=name).get("tags") or {})


def _read_db_instance(rds: Client, name: str, _vpc: str) -> Resource:
    instance = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    return Resource("db_instance", name, tags_from_aws(instance.get("TagList")), instance["DBInstanceArn"])


def _group_with_tags(rds: Client, kind: str, name: str, arn: str) -> Resource:
    return Resource(kind, name, tags_from_aws(rds.list_tags_for_resource(ResourceName=arn)["TagList"]), arn)


def _read_db_subnet_group(rds: Client, name: str, _vpc: str) -> Resource:
    group = rds.describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"][0]
    return _group_with_tags(rds, "db_subnet_group", name, group["DBSubnetGroupArn"])


def _read_db_parameter_group(rds: Client, name: str, _vpc: str) -> Resource:
    group = rds.describe_db_parameter_groups(DBParameterGroupName=name)["DBParameterGroups"][0]
    return _group_with_tags(rds, "db_parameter_group", name, group["DBParameterGroupArn"])


def _read_service(ecs: Client, name: str, _vpc: str) -> Resource | None:
    cluster, _slash, service = name.rpartition("/")
    found = ecs.describe_services(cluster=cluster, services=[service], include=["TAGS"]).get("services") or []
    # A deleted service is shown for a while.
    if not found or found[0].get("status") == "INACTIVE":
        return None
    tags = {str(tag["key"]): str(tag.get("value", "")) for tag in found[0].get("tags") or []}
    return Resource("ecs_service", name, tags, found[0]["serviceArn"])


_READ_BY_KIND: dict[str, Callable[[Client, str, str], Resource | None]] = {
    "db_instance": _read_db_instance,
    "db_parameter_group": _read_db_parameter_group,
    "db_subnet_group": _read_db_subnet_group,
    "ecs_service": _read_service,
    "iam_role": _read_role,
    "log_group": _read_log_group,
    "s3_bucket": _read_bucket,
    "secret": _read_secret,
    "security_group": _read_security_group,
}


def read(clients: Clients, desired: Resource) -> Resource | None:
    """Return what is there under a type and a name, or None."""
    try:
        return _READ_BY_KIND[desired.kind](clients(SERVICES[desired.kind]), desired.name, desired.vpc_id)
    except ClientError as e:
        if is_missing(e):
            return None
        raise


def read_all(clients: Clients, desired: Iterable[Resource]) -> list[Resource]:
    """Return what is there of these, in the same order; AWS is asked side by side."""
    desired = list(desired)
    for one in desired:
        clients(SERVICES[one.kind])
    with ThreadPoolExecutor(max_workers=min(max(1, len(desired)), _AT_ONCE)) as pool:
        return [found for found in pool.map(lambda one: read(clients, one), desired) if found is not None]


def search(clients: Clients, kinds: Iterable[str], identity: Identity) -> list[Resource]:
    """Return the region's resources of these types that carry the deployment's tags, whatever their names are.

    The Resource Groups Tagging API lags behind the services, and shows what was deleted for a while, so that services
    and instances are asked for once more.
    """
    kinds = sorted(set(kinds))
    if not kinds:
        return []
    answer = clients("resourcegroupstaggingapi").pages(
        "get_resources",
        "ResourceTagMappingList",
        TagFilters=[{"Key": key, "Values": [value]} for key, value in sorted(identity.tags.items())],
        ResourceTypeFilters=[SEARCHED[kind] for kind in kinds],
    )
    tagged = [_from_arn(one["ResourceARN"], tags_from_aws(one.get("Tags"))) for one in answer]
    return [found for one in tagged if one and one.kind in kinds and (found := _confirmed(clients, one))]


def search_clusters(clients: Clients, identity: Identity) -> list[Resource]:
    """Return the deployment's services in all clusters of the region, as ECS itself tells.

    For what the Resource Groups Tagging API does not show yet: before a database is deleted, nothing may be overlooked.
    """
    if not identity.name:
        return []
    arns = clients("ecs").pages("list_clusters", "clusterArns")
    desired = [Resource("ecs_service", f"{arn.rpartition('/')[2]}/{identity.name}") for arn in arns]
    return [one for one in read_all(clients, desired) if owner(one.tags, identity) == OURS]


def _from_arn(arn: str, tags: dict[str, str]) -> Resource | None:
    parts = arn.split(":", 5)
    service, rest = parts[2], parts[5]
    kind, separator, name = rest.partition("/" if service in ("ec2", "ecs") else ":")
    if service == "s3":
        return Resource("s3_bucket", rest, tags, arn) if "/" not in rest else None
    types = {value: key for key, value in SEARCHED.items()}
    found = types.get(f"{service}:{kind}")
    return Resource(found, name, tags, arn) if found and separator else None


def _confirmed(clients: Clients, one: Resource) -> Resource | None:
    if one.kind == "security_group":
        groups = []
        with contextlib.suppress(ClientError):
            groups = clients("ec2").describe_security_groups(Filters=[{"Name": "group-id", "Values": [one.name]}])[
                "SecurityGroups"
            ]
        if not groups:
            return None
        return Resource(one.kind, groups[0]["GroupName"], one.tags, one.arn, vpc_id=groups[0].get("VpcId", ""))
    if one.kind == "s3_bucket":
        # A bucket of another name is none that the caller's policy speaks of.
        return one
    try:
        found = read(clients, one)
    except ClientError as e:
        if not is_denied(e):
            raise
        return one
    return found
