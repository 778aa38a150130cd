# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults to order, recorded calls, the account as AWS hands it over, and what the API does not have."""

from __future__ import annotations

import threading
import time
import urllib.error
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from express_support import Account
from running import LocalAws
from running import eventually

Order = Callable[..., str]


def test_a_fault_happens_as_often_as_it_was_ordered(local_aws: LocalAws, faults: Order) -> None:
    rds = local_aws.client("rds")
    faults("rds:DescribeDB*", code="ThrottlingException", message="Rate exceeded", times=2, skip=1)
    rds.describe_db_instances()
    for _unused in range(2):
        with pytest.raises(ClientError, match=r"ThrottlingException.*Rate exceeded"):
            rds.describe_db_instances()
    rds.describe_db_instances()
    [fault] = local_aws.page("faults")["faults"]
    assert fault["happened"] == 2


def test_faults_reach_json_and_rest_services_and_single_callers(local_aws: LocalAws, faults: Order) -> None:
    faults("logs:DescribeLogGroups", code="ServiceUnavailableException", status=503)
    with pytest.raises(ClientError, match="ServiceUnavailableException"):
        local_aws.client("logs").describe_log_groups()
    faults("s3:ListBuckets", code="SlowDown", status=503, times=0)
    for _unused in range(3):
        with pytest.raises(ClientError, match="SlowDown"):
            local_aws.client("s3").list_buckets()
    faults("iam:*", code="Throttling", subject="*:assumed-role/nobody/*")
    local_aws.client("iam").list_users()


def test_a_fault_can_be_a_delay_alone(local_aws: LocalAws, faults: Order) -> None:
    faults("sts:GetCallerIdentity", delay=300)
    begun = time.monotonic()
    local_aws.client("sts").get_caller_identity()
    assert time.monotonic() - begun >= 300 / local_aws.page("status")["scale"]


@pytest.mark.parametrize("document", [{}, {"what": "a", "colour": "red"}, [], {"what": 5}])
def test_a_fault_that_makes_no_sense_is_refused(local_aws: LocalAws, document: object) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        local_aws.page("faults", "POST", document)


def test_a_delay_ends_when_its_fault_is_deleted(local_aws: LocalAws) -> None:
    held = local_aws.hold("sts:GetCallerIdentity")
    answers: list[str] = []
    client = local_aws.client("sts", read_timeout=1800)
    caller = threading.Thread(target=lambda: answers.append(client.get_caller_identity()["Account"]))
    caller.start()
    local_aws.await_held(held)
    assert answers == []
    local_aws.release(held)
    caller.join(1800)
    assert answers == [local_aws.account_id]


def test_a_role_can_be_too_young_to_be_assumed(local_aws: LocalAws, faults: Order) -> None:
    account = Account(local_aws)
    faults("iam:Propagation", subject=account.infrastructure)
    with pytest.raises(ClientError, match="assume"):
        account.create("too-young")
    [fault] = local_aws.page("faults")["faults"]
    assert fault["happened"] == 1


def test_calls_are_recorded_and_counted(new_local_aws: Callable[..., LocalAws]) -> None:
    aws = new_local_aws()
    aws.up()
    aws.page("calls", "DELETE")
    aws.client("s3").create_bucket(Bucket="recorded-calls")
    with pytest.raises(ClientError):
        aws.client("ecs").describe_services(cluster="none", services=["none"])
    with pytest.raises(ClientError):
        aws.client("iam", secret="made-up-and-unlikely-51e9").list_users()
    page = aws.page("calls")
    assert page["counts"] == {"s3:CreateBucket": 1, "ecs:DescribeServices": 1, "iam:ListUsers": 1}
    outcomes = [(call["api"], call["outcome"]) for call in page["calls"]]
    assert outcomes == [
        ("s3:CreateBucket", "200"),
        ("ecs:DescribeServices", "ClusterNotFoundException"),
        ("iam:ListUsers", "SignatureDoesNotMatch"),
    ]
    assert page["calls"][0]["principal"] == f"arn:aws:iam::{aws.account_id}:root"


def test_the_users_calls_are_told_apart_from_those_that_services_make(
    local_aws: LocalAws, account: Account, made: list[str]
) -> None:
    local_aws.page("calls", "DELETE")
    made.append(account.create("told-apart")["serviceArn"])
    eventually(lambda: "elbv2:CreateTargetGroup" in local_aws.page("calls")["counts"], what="a target group")
    agents: dict[str, set[str]] = {}
    for call in local_aws.page("calls")["calls"]:
        agents.setdefault(call["api"], set()).add(call["user_agent"])
    # The user asked for a service and for nothing else; ECS made what belongs to it.
    own = {"AWS Internal", "ecs.amazonaws.com", "ecs-tasks.amazonaws.com"}
    assert agents["elbv2:CreateTargetGroup"] == {"ecs.amazonaws.com"}
    assert {api for api, names in agents.items() if names - own} == {"ecs:CreateExpressGatewayService"}


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_a_fresh_account_has_a_default_vpc_that_reaches_the_internet(local_aws: LocalAws, region: str) -> None:
    ec2 = local_aws.client("ec2")
    if region != ec2.meta.region_name:
        local_aws = _in_region(local_aws, region)
        ec2 = local_aws.client("ec2")
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    subnets = ec2.describe_subnets(Filters=of_vpc)["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) >= 2
    assert all(subnet["AvailabilityZone"].startswith(region) for subnet in subnets)
    assert all(subnet["MapPublicIpOnLaunch"] and subnet["AvailableIpAddressCount"] >= 8 for subnet in subnets)
    [gateway] = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}])[
        "InternetGateways"
    ]
    [table] = ec2.describe_route_tables(Filters=[*of_vpc, {"Name": "association.main", "Values": ["true"]}])[
        "RouteTables"
    ]
    routes = {route["DestinationCidrBlock"]: route["GatewayId"] for route in table["Routes"]}
    assert routes == {vpc["CidrBlock"]: "local", "0.0.0.0/0": gateway["InternetGatewayId"]}
    [group] = ec2.describe_security_groups(Filters=[*of_vpc, {"Name": "group-name", "Values": ["default"]}])[
        "SecurityGroups"
    ]
    [rule] = group["IpPermissions"]
    assert rule["UserIdGroupPairs"][0]["GroupId"] == group["GroupId"]


def _in_region(local_aws: LocalAws, region: str) -> LocalAws:
    other = LocalAws(local_aws.home)
    other.info = {**local_aws.info, "region": region}
    return other


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/health", "/_localstack/health"])
def test_what_aws_does_not_have_is_not_there(local_aws: LocalAws, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        local_aws.page(f"..{path}", "POST")


def test_web_pages_cannot_order_faults(local_aws: LocalAws) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        local_aws.page("faults", "POST", {"what": "*"}, headers={"Origin": "http://example.com"})
