# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read subnets and the route tables of their VPC. Private to the collection."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client

Resources = list[dict[str, typing.Any]]

#: An Application Load Balancer wants eight free addresses in each subnet.
#: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
NEARLY_FULL = 8
# The attributes that are returned, by AWS's names.
_SUBNET = {
    "SubnetId": "subnet_id",
    "VpcId": "vpc_id",
    "AvailabilityZone": "availability_zone",
    "AvailableIpAddressCount": "available_ip_address_count",
    "CidrBlock": "cidr_block",
}
_ASSOCIATION = {"SubnetId": "subnet_id", "Main": "main"}
_ROUTE = {"DestinationCidrBlock": "destination_cidr_block", "GatewayId": "gateway_id"}


def read(ec2: Client, subnet_ids: list[str], other_subnet_ids: list[str], group_name: str) -> dict[str, Resources]:
    """Return subnets and what decides about their use. Independent requests are made at the same time.

    Args:
        ec2: client of EC2; botocore's clients are thread-safe.
        subnet_ids: the subnets; empty for the default ones.
        other_subnet_ids: further ones.
        group_name: security group to look for in their VPC where one of them is nearly full; empty for none.
    """
    with ThreadPoolExecutor(2) as pool:
        others = pool.submit(_named, ec2, other_subnet_ids)
        subnets = _named(ec2, subnet_ids) if subnet_ids else _default(ec2)
        found: dict[str, Resources] = {"default_vpcs": [], "route_tables": [], "security_groups": []}
        if subnets:
            vpc = {"Name": "vpc-id", "Values": [subnets[0]["VpcId"]]}
            groups = pool.submit(_groups, ec2, vpc, group_name) if group_name and nearly_full(subnets) else None
            found["route_tables"] = [_route_table(one) for one in _route_tables(ec2, vpc)]
            found["security_groups"] = groups.result() if groups else []
        elif not subnet_ids:
            found["default_vpcs"] = _default_vpcs(ec2)
        return {
            "subnets": [_picked(one, _SUBNET) for one in subnets],
            "other_subnets": [_picked(one, _SUBNET) for one in others.result()],
            **found,
        }


def nearly_full(subnets: Sequence[dict[str, typing.Any]]) -> bool:
    """Return whether one of these subnets has too few free addresses for a new load balancer."""
    return any(one.get("AvailableIpAddressCount", NEARLY_FULL) < NEARLY_FULL for one in subnets)


def _named(ec2: Client, ids: list[str]) -> Resources:
    return ec2.pages("describe_subnets", "Subnets", Filters=[{"Name": "subnet-id", "Values": ids}]) if ids else []


def _default(ec2: Client) -> Resources:
    # Default subnets are always in the default VPC, so the VPC is not read separately.
    # https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
    return ec2.pages("describe_subnets", "Subnets", Filters=[{"Name": "default-for-az", "Values": ["true"]}])


def _default_vpcs(ec2: Client) -> Resources:
    vpcs = ec2.pages("describe_vpcs", "Vpcs", Filters=[{"Name": "is-default", "Values": ["true"]}])
    return [{"vpc_id": one["VpcId"]} for one in vpcs]


def _route_tables(ec2: Client, vpc: dict[str, typing.Any]) -> Resources:
    return ec2.pages("describe_route_tables", "RouteTables", Filters=[vpc])


def _groups(ec2: Client, vpc: dict[str, typing.Any], name: str) -> Resources:
    named = {"Name": "group-name", "Values": [name]}
    groups = ec2.pages("describe_security_groups", "SecurityGroups", Filters=[vpc, named])
    return [{"group_id": one["GroupId"], "group_name": one["GroupName"]} for one in groups]


def _route_table(table: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return {
        "route_table_id": table["RouteTableId"],
        "vpc_id": table["VpcId"],
        "associations": [_picked(one, _ASSOCIATION) for one in table.get("Associations") or []],
        "routes": [_picked(one, _ROUTE) for one in table.get("Routes") or []],
    }


def _picked(item: dict[str, typing.Any], names: dict[str, str]) -> dict[str, typing.Any]:
    return {ours: item[theirs] for theirs, ours in names.items() if theirs in item}
