# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS has already made in a fresh account, and ministack has not."""

from __future__ import annotations

import ipaddress
from typing import Any

from ministack.services import ec2


def prepare() -> None:
    """Completes the default VPC of each region as soon as ministack makes it (called before state is loaded).

    ministack's default VPC has three subnets and an internet gateway, but its main route table has no route to that
    gateway, and its default security group does not admit itself. AWS: "Default VPC components", VPC user guide.
    """
    make = ec2._init_defaults

    def make_and_complete() -> None:
        is_new = ec2._DEFAULT_VPC_ID not in ec2._vpcs
        make()
        if is_new:
            _complete()

    ec2._init_defaults = make_and_complete
    _count_free_addresses()
    _complete()  # the daemon's own region was made when the module was imported


def _count_free_addresses() -> None:
    """Lets a subnet's free addresses follow its size and its network interfaces; ministack says 251 or 4091 always.

    Five addresses of each subnet are AWS's own ("Subnet CIDR blocks", VPC user guide).
    """
    render = ec2._subnet_fields_xml

    def render_counted(subnet: dict[str, Any], tag: str = "item") -> str:
        interfaces = [item for item in ec2._network_interfaces.values() if item["SubnetId"] == subnet["SubnetId"]]
        size = ipaddress.ip_network(subnet["CidrBlock"], strict=False).num_addresses
        subnet["AvailableIpAddressCount"] = max(0, size - 5 - len(interfaces))
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
