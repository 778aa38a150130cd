# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a security group, or a subnet, from being deleted: network interfaces, and rules that name the group.

botocore's text on DeleteSecurityGroup: "associated with an instance or network interface, is referenced by another
security group in the same VPC". On AWS the interfaces of databases, tasks and load balancers count among those; here
they are found with their owners.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

from ...ministack_adapter import ec2
from ...ministack_adapter import elbv2
from ...ministack_adapter import rds
from ...ministack_adapter.scope import get_account_id
from ...ministack_adapter.scope import get_region

Interface = tuple[str, list[str], list[str]]
"""Name, security groups and subnets of something with a network interface."""
TaskInterfaces = Callable[[], Iterable[Interface]]
"""Those of all tasks that are not STOPPED; the name is the task's ARN."""


def of_group(tasks: TaskInterfaces, group: dict[str, Any]) -> list[str]:
    """Names of what depends on a security group."""
    identifier = group["GroupId"]
    users = [name for name, groups, _subnets in _interfaces(tasks) if identifier in groups]
    return users + [other["GroupId"] for other in ec2.security_groups.values() if _refers(other, identifier)]


def of_subnet(tasks: TaskInterfaces, identifier: str) -> list[str]:
    """Names of what has a network interface in a subnet."""
    return [name for name, _groups, subnets in _interfaces(tasks) if identifier in subnets]


def _refers(other: dict[str, Any], identifier: str) -> bool:
    """Whether a rule of another group names this one."""
    permissions = other.get("IpPermissions", []) + other.get("IpPermissionsEgress", [])
    pairs = [pair for permission in permissions for pair in permission.get("UserIdGroupPairs", [])]
    return other["GroupId"] != identifier and any(pair.get("GroupId") == identifier for pair in pairs)


def _interfaces(tasks: TaskInterfaces) -> Iterator[Interface]:
    """Everything in the caller's region that has a network interface."""
    for name, interface in ec2.network_interfaces.items():
        yield name, _ids(interface.get("Groups"), "GroupId"), [interface["SubnetId"]]
    for name, instance in ec2.instances.items():
        if (instance.get("State") or {}).get("Name") != "terminated":
            yield name, _ids(instance.get("SecurityGroups"), "GroupId"), [instance.get("SubnetId", "")]
    for name, endpoint in ec2.vpc_endpoints.items():
        groups = _ids(endpoint.get("Groups"), "GroupId") + list(endpoint.get("SecurityGroupIds") or [])
        yield name, groups, list(endpoint.get("SubnetIds") or [])
    for name, balancer in elbv2.load_balancers.items():
        yield name, list(balancer.get("SecurityGroups") or []), list(balancer.get("Subnets") or [])
    for name, gateway in ec2.nat_gateways.items():
        if gateway.get("State") != "deleted":
            yield name, [], [gateway.get("SubnetId", "")]
    for name, instance in rds.instances.items():
        yield name, _ids(instance.get("VpcSecurityGroups"), "VpcSecurityGroupId"), subnets_of(instance)
    prefix = f"arn:aws:ecs:{get_region()}:{get_account_id()}:"
    yield from (found for found in tasks() if found[0].startswith(prefix))


def subnets_of(instance: dict[str, Any]) -> list[str]:
    """The subnets that a database instance is in: those of its subnet group in its availability zone.

    With Multi-AZ the standby is in another one of them, which ministack's record does not name: all of them count.
    """
    subnets = (instance.get("DBSubnetGroup") or {}).get("Subnets") or []
    zone = "" if instance.get("MultiAZ") else instance.get("AvailabilityZone", "")
    return [
        item["SubnetIdentifier"]
        for item in subnets
        if zone in ("", (item.get("SubnetAvailabilityZone") or {}).get("Name"))
    ]


def _ids(items: Any, member: str) -> list[str]:
    """Ids in a list of structures or of ids."""
    return [item.get(member, "") if isinstance(item, dict) else str(item) for item in items or []]
