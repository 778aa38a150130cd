# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnets, zones and routes that a deployment cannot be in, and buckets of others: refused, with nothing created."""

from __future__ import annotations

import json
import re

import pytest
from harness import REGION
from harness import LocalAws
from refusals import Cases
from refusals import assert_nothing_done
from refusals import refuse

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.action.sentences import assert_clear

# They share a local AWS.
GROUP = "refusals"


@pytest.fixture(scope="module")
def aws(refusals: LocalAws) -> LocalAws:
    """The one of all files that are about refusals."""
    return refusals


def _private_subnets(aws: LocalAws, network: str = "10.8", size: int = 24) -> list[str]:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=f"{network}.0.0/16")["Vpc"]["VpcId"]
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{network}.{number}.0/{size}", AvailabilityZone=f"{REGION}{zone}")[
            "Subnet"
        ]["SubnetId"]
        for number, zone in enumerate("ab")
    ]


def unsuitable(aws: LocalAws) -> Cases:
    """Subnets and buckets of each kind that AWS has to be asked about.

    All that can be wrong with subnets: tests/unit/plugins/plugin_utils/test_roles_network.py.
    """
    ec2 = aws.client("ec2")
    default = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    elsewhere = _private_subnets(aws, "10.7")
    unknown = "subnet-00000000000000001"
    first = next(one for one in default if one["AvailabilityZone"] == f"{REGION}c")
    mixed = ec2.create_subnet(VpcId=first["VpcId"], CidrBlock="172.31.250.0/24", AvailabilityZone=f"{REGION}b")
    private = mixed["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=first["VpcId"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=private)
    return {
        "unknown": ({"mlflow_subnet_ids": [unknown, first["SubnetId"]]}, ["mlflow_subnet_ids", unknown, "AWS_REGION"]),
        "db_two_vpcs": (
            {"mlflow_db_subnet_ids": [elsewhere[0], first["SubnetId"]]},
            ["mlflow_db_subnet_ids", elsewhere[0], "of the tasks"],
        ),
        "default": ({"mlflow_ingress": "private"}, ["'private'", "mlflow_subnet_ids is empty", "NAT gateway"]),
        "mixed": (
            {"mlflow_subnet_ids": [first["SubnetId"], private]},
            ["'public'", private, "no route to an internet gateway"],
        ),
        "missing": (
            {"mlflow_bucket_name": "not-there-7c1d", "mlflow_bucket_adopt": True},
            ["mlflow_bucket_name", "not-there-7c1d", "does not exist", "mlflow_bucket_adopt"],
        ),
        "log_bucket": (
            {"mlflow_bucket_access_log_bucket": "not-there-7c1d"},
            ["mlflow_bucket_access_log_bucket", "not-there-7c1d", "does not exist"],
        ),
    }


def crowded(calm: LocalAws) -> list[str]:
    """Two private subnets of a new VPC, of which the second is nearly full."""
    private = _private_subnets(calm, "10.10", 28)
    ec2 = calm.client("ec2")
    for _unused in range(4):
        ec2.create_network_interface(SubnetId=private[1])
    return private


def begin(calm: LocalAws, name: str, subnet: str) -> None:
    """Let there be a part of a deployment."""
    ec2 = calm.client("ec2")
    [vpc] = {one["VpcId"] for one in ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]}
    tags = [{"Key": "ManagedBy", "Value": "mlops.mlflow_aws"}, {"Key": "MlflowName", "Value": name}]
    ec2.create_security_group(
        GroupName=f"{name}-service",
        Description=f"MLflow server {name}: the tasks",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )


def test_networks_and_buckets_that_cannot_be_used_are_refused(calm: LocalAws) -> None:
    full = crowded(calm)
    cases: Cases = {
        **unsuitable(calm),
        "crowded": (
            calm.small(mlflow_name="crowded", mlflow_subnet_ids=full, mlflow_ingress="private"),
            [f"{full[1]} has 7", "8 free addresses", "mlflow_subnet_ids"],
        ),
        "public_without_login": (
            {"mlflow_auth": "none"},
            ["mlflow_auth", "internet", "mlflow_allow_public_without_login"],
        ),
    }
    calm.page("calls", "DELETE")
    assert full[0] not in refuse(calm, cases).problem("crowded")


def test_buckets_of_others_are_refused(calm: LocalAws) -> None:
    theirs = "somebody-elses-bucket-7c1d"
    cases: Cases = {
        "new": ({"mlflow_bucket_name": theirs}, ["mlflow_bucket_name", theirs, "another AWS account"]),
        "adopted": (
            {"mlflow_bucket_name": theirs, "mlflow_bucket_adopt": True},
            ["mlflow_bucket_name", theirs, "another AWS account"],
        ),
    }
    # So does S3 answer about a bucket of somebody else. HeadBucket has no body, and hence no other code.
    calm.order_fault("s3:HeadBucket", code="403", message="Forbidden", status=403, times=0)
    refuse(calm, cases)


def test_what_is_unusual_and_meant_is_accepted(calm: LocalAws) -> None:
    """In check mode: a server without login in private subnets, or with the second word for it.

    Variables of one's own are accepted: of this role's prefix those that are listed, of other roles' all others.
    And text, which is what ``-e name=value`` gives, is taken for what it stands for. Subnets that are full stop a new
    deployment only: one that is there took some of the addresses itself, so that fewer may be left.
    """
    own = {"mlflow_team": "vision", "mlflow_cost_1": 1, "mlflow_known_variables": ["mlflow_team", "mlflow_cost_*"]}
    others = {"network_cidr": "10.0.0.0/8", "rds_proxy_arn": "x", "iam_users": ["ana"], "bucket_policy_file": "x"}
    private, full = _private_subnets(calm), crowded(calm)
    begin(calm, "begun", full[0])
    text = {
        "mlflow_subnet_ids": json.dumps(private),
        "mlflow_service_ingress_cidrs": "10.0.0.0/8, 192.168.0.0/16",
        "mlflow_tags": "team=vision",
        "mlflow_extra_env": '{"LEVEL": "1"}',
        "mlflow_extra_args": '["--expose-prometheus", "/x"]',
        "mlflow_db_multi_az": "false",
        "mlflow_db_deletion_protection": "no",
        "mlflow_db_allocated_storage": "25",
        "mlflow_workers": "2",
    }
    hosts = {
        "private": calm.small(mlflow_name="private", mlflow_auth="none", mlflow_ingress="private", **own) | text,
        "meant": calm.small(
            mlflow_name="meant", mlflow_auth="none", mlflow_allow_public_without_login="true", **others
        ),
        "begun": calm.small(mlflow_name="begun", mlflow_subnet_ids=full, mlflow_ingress="private"),
    }
    played = calm.play("deploy", hosts=hosts, check=True, arguments=["-vv"]).succeeded()
    shown = r"^changed: \[private\](?: => \(item=.*?\))? => (\{.*\})$"
    done = "\n".join(re.findall(shown, played.output, re.M))
    wanted = [
        '"multi_az": false',
        '"deletion_protection": false',
        '"allocated_storage": 25',
        f'"subnets": {json.dumps(sorted(private))}',
        '"team": "vision"',
        '"LEVEL": "1"',
        "--workers 2 ",
        "--expose-prometheus /x ",
    ]
    assert [one for one in wanted if one not in done] == [], done
    # What else lets traffic in without encryption is said, and nothing of those who do not ask for it.
    warning = r'^ok: \[(\w+)\] => \{[^{}]*"msg": "WARNING: mlflow_service_ingress_cidrs lets (.+?) reach .*plain HTTP'
    assert re.findall(warning, played.output, re.M) == [("private", "10.0.0.0/8, 192.168.0.0/16")]


def test_a_region_without_default_vpc(calm: LocalAws) -> None:
    region = "eu-west-3"
    ec2 = calm.client("ec2", region)
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    for subnet in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    for gateway in ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}])[
        "InternetGateways"
    ]:
        ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc["VpcId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    calm.page("calls", "DELETE")
    played = calm.play("deploy", environment={"AWS_REGION": region})
    assert_clear(played.problem(), ["no default VPC", "mlflow_subnet_ids"])
    assert_nothing_done(calm, played)
