# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Resource Groups Tagging API finds what a deployment consists of."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from express_support import Account
from running import LocalAws

TAG = {"Key": "Deployment", "Value": "tagged-2f6a"}


def found(aws: LocalAws, **filters: object) -> list[str]:
    """The ARNs that carry the tag, of all pages."""
    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_resources")
    wanted = {"TagFilters": [{"Key": TAG["Key"], "Values": [TAG["Value"]]}], **filters}
    return [item["ResourceARN"] for page in pages.paginate(**wanted) for item in page["ResourceTagMappingList"]]


@pytest.fixture(scope="module")
def tagged(local_aws: LocalAws, account: Account) -> dict[str, str]:
    """One tagged thing of each kind: kind → ARN."""
    ec2, rds, ecs = local_aws.client("ec2"), local_aws.client("rds"), account.ecs
    region, number = local_aws.info["region"], local_aws.account_id
    s3, logs, acm = local_aws.client("s3"), local_aws.client("logs"), local_aws.client("acm")
    secrets, kms = local_aws.client("secretsmanager"), local_aws.client("kms")
    s3.create_bucket(Bucket="tagged-2f6a")
    s3.put_bucket_tagging(Bucket="tagged-2f6a", Tagging={"TagSet": [TAG]})
    specification = [{"ResourceType": "security-group", "Tags": [TAG]}]
    group = ec2.create_security_group(GroupName="tagged", Description="tagged", TagSpecifications=specification)[
        "GroupId"
    ]
    default = [{"Name": "default-for-az", "Values": ["true"]}]
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=default)["Subnets"]]
    logs.create_log_group(logGroupName="/tagged", tags={TAG["Key"]: TAG["Value"]})
    cluster_tag = [{"key": TAG["Key"], "value": TAG["Value"]}]
    return {
        "bucket": "arn:aws:s3:::tagged-2f6a",
        "security group": f"arn:aws:ec2:{region}:{number}:security-group/{group}",
        "subnet group": rds.create_db_subnet_group(
            DBSubnetGroupName="tagged", DBSubnetGroupDescription="tagged", SubnetIds=subnets, Tags=[TAG]
        )["DBSubnetGroup"]["DBSubnetGroupArn"],
        "parameter group": rds.create_db_parameter_group(
            DBParameterGroupName="tagged", DBParameterGroupFamily="postgres16", Description="tagged", Tags=[TAG]
        )["DBParameterGroup"]["DBParameterGroupArn"],
        "secret": secrets.create_secret(Name="tagged", SecretString="made-up-77aa", Tags=[TAG])["ARN"],
        "log group": f"arn:aws:logs:{region}:{number}:log-group:/tagged",
        "cluster": ecs.create_cluster(clusterName="tagged", tags=cluster_tag)["cluster"]["clusterArn"],
        "certificate": acm.request_certificate(DomainName="tagged.example.com", Tags=[TAG])["CertificateArn"],
        "key": kms.create_key(Tags=[{"TagKey": TAG["Key"], "TagValue": TAG["Value"]}])["KeyMetadata"]["Arn"],
    }


def test_resources_of_every_service_are_found_by_a_tag(local_aws: LocalAws, tagged: dict[str, str]) -> None:
    assert sorted(found(local_aws)) == sorted(tagged.values())


def test_pages_have_the_length_that_was_asked_for(local_aws: LocalAws, tagged: dict[str, str]) -> None:
    client = local_aws.client("resourcegroupstaggingapi")
    wanted = [{"Key": TAG["Key"]}]
    first = client.get_resources(TagFilters=wanted, ResourcesPerPage=2)
    assert len(first["ResourceTagMappingList"]) == 2
    assert first["PaginationToken"]
    assert sorted(found(local_aws, ResourcesPerPage=2)) == sorted(tagged.values())
    with pytest.raises(ClientError, match="PaginationTokenExpiredException"):
        client.get_resources(TagFilters=wanted, PaginationToken="made-up")


def test_a_type_filter_narrows_the_search(local_aws: LocalAws, tagged: dict[str, str]) -> None:
    assert found(local_aws, ResourceTypeFilters=["rds:pg"]) == [tagged["parameter group"]]
    assert sorted(found(local_aws, ResourceTypeFilters=["ec2:security-group", "ecs:cluster"])) == sorted(
        [tagged["security group"], tagged["cluster"]]
    )


def test_an_express_service_is_found_and_then_no_more(local_aws: LocalAws, account: Account, made: list[str]) -> None:
    arn = account.create("tagged-service", tags=[{"key": "Alone", "value": "service"}])["serviceArn"]
    made.append(arn)
    client = local_aws.client("resourcegroupstaggingapi")
    wanted = {"TagFilters": [{"Key": "Alone", "Values": ["service"]}], "ResourceTypeFilters": ["ecs:service"]}
    [mapping] = client.get_resources(**wanted)["ResourceTagMappingList"]
    assert mapping == {"ResourceARN": arn, "Tags": [{"Key": "Alone", "Value": "service"}]}
    account.all_gone([arn])
    made.clear()
    assert client.get_resources(**wanted)["ResourceTagMappingList"] == []


def test_what_was_deleted_is_not_found(local_aws: LocalAws) -> None:
    ec2 = local_aws.client("ec2")
    specification = [{"ResourceType": "security-group", "Tags": [{"Key": "Gone", "Value": "soon"}]}]
    group = ec2.create_security_group(GroupName="gone", Description="gone", TagSpecifications=specification)["GroupId"]
    ec2.delete_security_group(GroupId=group)
    client = local_aws.client("resourcegroupstaggingapi")
    assert client.get_resources(TagFilters=[{"Key": "Gone"}])["ResourceTagMappingList"] == []


def test_keys_and_values_of_all_services_are_listed(local_aws: LocalAws, tagged: dict[str, str]) -> None:
    client = local_aws.client("resourcegroupstaggingapi")
    assert TAG["Key"] in client.get_tag_keys()["TagKeys"]
    assert client.get_tag_values(Key=TAG["Key"])["TagValues"] == [TAG["Value"]]
