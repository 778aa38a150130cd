# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS has already made in a fresh account, and ministack has not: a default VPC that is complete."""

from __future__ import annotations

import ipaddress
from typing import Any

from ministack.services import ec2

from .hooks import Hooks
from .patch import Patch
from .patch import Target

# Addresses of each subnet that are AWS's own ("Subnet CIDR blocks", VPC user guide).
_RESERVED = 5


def _complete_default_vpcs(_hooks: Hooks) -> None:
    """Completes the default VPC of each region as soon as ministack makes it."""
    make = ec2._init_defaults

    def make_and_complete() -> None:
        is_new = ec2._DEFAULT_VPC_ID not in ec2._vpcs
        make()
        if is_new:
            _complete()

    ec2._init_defaults = make_and_complete
    _complete()  # the daemon's own region was made when the module was imported


def _count_free_addresses(_hooks: Hooks) -> None:
    """Lets a subnet's free addresses follow its size and its network interfaces."""
    render = ec2._subnet_fields_xml

    def render_counted(subnet: dict[str, Any], tag: str = "item") -> str:
        interfaces = [item for item in ec2._network_interfaces.values() if item["SubnetId"] == subnet["SubnetId"]]
        size = ipaddress.ip_network(subnet["CidrBlock"], strict=False).num_addresses
        subnet["AvailableIpAddressCount"] = max(0, size - _RESERVED - len(interfaces))
        return str(render(subnet, tag))

    ec2._subnet_fields_xml = render_counted


def _complete() -> None:
    for table in ec2._route_tables.values():
        is_main = any(association.get("Main") for association in table["Associations"])
        if table["VpcId"] == ec2._DEFAULT_VPC_ID and is_main:
            table["Routes"].append(
                {
                    "DestinationCidrBlock": "0.0.0.0/0",
                    "GatewayId": ec2._DEFAULT_IGW_ID,
                    "State": "active",
                    "Origin": "CreateRoute",
                }
            )
    group = ec2._security_groups.get(ec2._DEFAULT_SG_ID)
    if group is not None and not group["IpPermissions"]:
        itself = {"GroupId": ec2._DEFAULT_SG_ID, "UserId": group["OwnerId"]}
        group["IpPermissions"].append(
            {"IpProtocol": "-1", "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": [itself]}
        )


COMPLETE_DEFAULT_VPCS = Patch(
    name="complete_default_vpcs",
    reason=(
        "The main route table of ministack's default VPC has no route to the internet gateway, and its default "
        "security group does not admit itself. To be applied before state is loaded."
    ),
    source="https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html",
    targets=(
        Target("services.ec2", "_init_defaults", ""),
        Target("services.ec2", "_DEFAULT_VPC_ID"),
        Target("services.ec2", "_DEFAULT_IGW_ID"),
        Target("services.ec2", "_DEFAULT_SG_ID"),
    ),
    apply=_complete_default_vpcs,
)
COUNT_FREE_ADDRESSES = Patch(
    name="count_free_addresses",
    reason="ministack says that a subnet has 251 or 4091 free addresses, whatever its size and use.",
    source="https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html",
    targets=(Target("services.ec2", "_subnet_fields_xml", "subnet tag"),),
    apply=_count_free_addresses,
)
