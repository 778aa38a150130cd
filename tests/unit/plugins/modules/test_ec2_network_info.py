# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

VPC = "vpc-1"


class Ec2(Fake):
    """Subnets, route tables and groups of one VPC."""

    def __init__(self) -> None:
        super().__init__()
        self.subnets = [
            {"SubnetId": f"subnet-{number}", "VpcId": VPC, "AvailabilityZone": zone, "CidrBlock": f"10.0.{number}.0/24"}
            for number, zone in enumerate("abc", start=1)
        ]
        self.free = 250

    def call_describe_subnets(self, Filters: list[dict]) -> dict:
        [chosen] = Filters
        if chosen["Name"] == "default-for-az":
            return {"Subnets": [{**one, "AvailableIpAddressCount": self.free} for one in self.subnets[:2]]}
        named = [one for one in self.subnets if one["SubnetId"] in chosen["Values"]]
        return {"Subnets": [{**one, "AvailableIpAddressCount": self.free} for one in named]}

    def call_describe_route_tables(self, Filters: list[dict]) -> dict:
        assert Filters == [{"Name": "vpc-id", "Values": [VPC]}]
        routes = [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}]
        table = {"RouteTableId": "rtb-1", "VpcId": VPC, "Associations": [{"Main": True}], "Routes": routes}
        return {"RouteTables": [table]}

    def call_describe_vpcs(self, Filters: list[dict]) -> dict:
        return {"Vpcs": [{"VpcId": VPC}]}

    def call_describe_security_groups(self, Filters: list[dict]) -> dict:
        assert {item["Name"]: item["Values"] for item in Filters} == {"vpc-id": [VPC], "group-name": ["t-service"]}
        return {"SecurityGroups": [{"GroupId": "sg-1", "GroupName": "t-service", "VpcId": VPC}]}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud(monkeypatch)
    made.ec2 = Ec2()
    return made


def run(cloud: Cloud, **given: typing.Any) -> dict:
    return cloud.run("ec2_network_info", **given)


def test_default_subnets(cloud: Cloud) -> None:
    found = run(cloud, group_name="t-service")
    assert [one["subnet_id"] for one in found["subnets"]] == ["subnet-1", "subnet-2"]
    assert found["subnets"][0] == {
        "subnet_id": "subnet-1",
        "vpc_id": VPC,
        "availability_zone": "a",
        "available_ip_address_count": 250,
        "cidr_block": "10.0.1.0/24",
    }
    assert found["route_tables"] == [
        {
            "route_table_id": "rtb-1",
            "vpc_id": VPC,
            "associations": [{"main": True}],
            "routes": [{"destination_cidr_block": "0.0.0.0/0", "gateway_id": "igw-1"}],
        }
    ]
    assert (found["other_subnets"], found["default_vpcs"], found["security_groups"], found["changed"]) == (
        *([], [], []),
        False,
    )
    assert sorted(cloud.ec2.names()) == ["describe_route_tables", "describe_subnets"]


def test_named_subnets_and_others(cloud: Cloud) -> None:
    found = run(cloud, subnet_ids=["subnet-2", "subnet-gone"], other_subnet_ids=["subnet-3"])
    assert [one["subnet_id"] for one in found["subnets"]] == ["subnet-2"]
    assert [one["subnet_id"] for one in found["other_subnets"]] == ["subnet-3"]


def test_the_group_is_looked_for_where_a_subnet_is_nearly_full(cloud: Cloud) -> None:
    cloud.ec2.free = 7
    assert run(cloud, group_name="t-service")["security_groups"] == [{"group_id": "sg-1", "group_name": "t-service"}]
    assert run(cloud)["security_groups"] == []


def test_without_default_subnets_the_default_vpc_is_looked_for(cloud: Cloud) -> None:
    cloud.ec2.subnets = []
    found = run(cloud)
    assert (found["subnets"], found["default_vpcs"], found["route_tables"]) == ([], [{"vpc_id": VPC}], [])
    found = run(cloud, subnet_ids=["subnet-gone"])
    assert (found["subnets"], found["default_vpcs"]) == ([], [])


def test_a_denied_request_is_one_sentence(cloud: Cloud) -> None:
    cloud.ec2.faults["describe_route_tables"] = [error("UnauthorizedOperation", message="You are not authorized")]
    found = run(cloud)
    assert found["failed"]
    assert "Subnets and route tables" in found["msg"]
