# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a service: VPC, subnets, zones, and whether it is public."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from .transformations import invalid


@dataclass(frozen=True)
class Network:
    """The network of a service, one list of subnets for load balancer and tasks.

    :arg public: whether every subnet's route table leads to an internet gateway.
    """

    vpc: str
    subnets: list[str]
    zones: list[str]
    public: bool


async def resolve(ctx: Context, subnets: list[str] | None) -> Network:
    """Looks the subnets up; without any, the public ones of the default VPC (developer guide, express-service-work).

    :raises ApiError: a subnet does not exist, they are in several VPCs, or in fewer than two zones.
    """
    found = await _described(ctx, subnets) if subnets else await _default(ctx)
    if not found:
        raise invalid("No subnets were given, and the default VPC is missing or has no public subnets.")
    vpcs = {item["VpcId"] for item in found}
    if len(vpcs) != 1:
        raise invalid(f"The subnets belong to several VPCs: {', '.join(sorted(vpcs))}.")
    zones = sorted({item["AvailabilityZone"] for item in found})
    if len(zones) < 2:
        raise invalid("At least two subnets in two different Availability Zones must be specified")
    vpc = vpcs.pop()
    tables = await _tables(ctx, vpc)
    public = all(is_public(item["SubnetId"], tables) for item in found)
    return Network(vpc, [item["SubnetId"] for item in found], zones, public)


def is_public(subnet: str, tables: list[dict[str, Any]]) -> bool:
    """Whether a subnet's route table (its own, else the VPC's main one) has a route to an internet gateway."""
    own = [table for table in tables if any(item.get("SubnetId") == subnet for item in table.get("Associations", []))]
    main = [table for table in tables if any(item.get("Main") for item in table.get("Associations", []))]
    for table in own or main:
        if any(str(route.get("GatewayId", "")).startswith("igw-") for route in table.get("Routes", [])):
            return True
    return False


async def _described(ctx: Context, subnets: list[str]) -> list[dict[str, Any]]:
    try:
        answer = await ctx.aws("ec2", "describe_subnets", SubnetIds=subnets)
    except ClientError as error:
        raise invalid(error.response["Error"]["Message"]) from error
    known = {item["SubnetId"]: item for item in answer["Subnets"]}
    for name in subnets:
        if name not in known:
            raise invalid(f"The subnet ID '{name}' does not exist")
    return [known[name] for name in dict.fromkeys(subnets)]


async def _default(ctx: Context) -> list[dict[str, Any]]:
    vpcs = await ctx.aws("ec2", "describe_vpcs", Filters=[{"Name": "is-default", "Values": ["true"]}])
    if not vpcs["Vpcs"]:
        return []
    vpc = vpcs["Vpcs"][0]["VpcId"]
    tables = await _tables(ctx, vpc)
    answer = await ctx.aws("ec2", "describe_subnets", Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    return [item for item in answer["Subnets"] if is_public(item["SubnetId"], tables)]


async def _tables(ctx: Context, vpc: str) -> list[dict[str, Any]]:
    answer = await ctx.aws("ec2", "describe_route_tables", Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    tables: list[dict[str, Any]] = answer["RouteTables"]
    return tables
