# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups, asked for each new connection: who is at the other end, and does an inbound rule admit it?

EC2 user guide, "Security group rules": a rule names protocol, ports and a source, which is a CIDR block or a security
group; what no rule of any of the groups admits is dropped. Connections that were admitted stay ("connection tracking").
Outbound rules are not asked: the groups made here keep EC2's default, which lets everything out.

Nothing here is a packet filter. The listeners that belong to an AWS resource ask before they answer, and who asks is
told from the operating system's own table of connections, not from anything that the client says.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import psutil
from ministack.services import ec2

if TYPE_CHECKING:
    from .cloud import Cloud
    from .tasks.model import Task

Address = tuple[str, int]

# What Linux takes to give up a connection whose packets are dropped: six retries of the first one (tcp(7)).
HELD_SECONDS = 130.0
_CHUNK = 65536
_TCP = ("tcp", "6")
_ALL = "-1"


@dataclass(frozen=True)
class Peer:
    """The other end of a connection.

    :arg address: where it comes from; empty: not told by its address.
    :arg groups: the security groups of its network interface; none outside of the VPC.
    :arg networks: the CIDR blocks of its subnets. A task's address here is a loopback address, so it counts as being
        at any address of its subnet.
    :arg task: the task's ARN; empty: a program on this machine that is no task, which counts as the internet.
    """

    address: str = ""
    groups: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()
    task: str = ""


class Firewall:
    """The security groups of the account."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def peer(self, client: Address, server: Address) -> Peer:
        """Who has opened a connection to a listener on this machine.

        :arg client: the connection's other end, as the listener sees it.
        :arg server: the listener's end.
        """
        tasks = getattr(self._cloud, "tasks", None)
        if tasks is None:
            return Peer(client[0])
        task = await asyncio.to_thread(_task_of, client, server, tasks.keepers())
        found: Task | None = tasks.get(task) if task else None
        return Peer(client[0]) if found is None else self.peer_of(found)

    def peer_of(self, task: Task) -> Peer:
        """A task as the other end of a connection."""
        networks = self._networks(_region(task), task.spec.subnets)
        return Peer(task.ip, frozenset(self.groups_of(task)), networks, task.arn)

    def member(self, groups: list[str], region: str, subnets: list[str]) -> Peer:
        """Something of AWS's own in a VPC, such as a load balancer, as the other end of a connection."""
        return Peer(groups=frozenset(groups), networks=self._networks(region, subnets))

    def groups_of(self, task: Task) -> list[str]:
        """The security groups of a task; without any, its VPC's default group (ECS, AwsVpcConfiguration)."""
        return task.spec.security_groups or self.default_groups(_region(task), task.spec.subnets)

    def default_groups(self, region: str, subnets: list[str]) -> list[str]:
        """The default security group of the VPC that subnets belong to, or of the default VPC."""
        known = [subnet["VpcId"] for name in subnets if (subnet := self._subnet(region, name)) is not None]
        vpc = known[0] if known else self._default_vpc(region)
        return [
            name
            for (account, where, name), group in list(ec2._security_groups._data.items())
            if (account, where) == (self._cloud.settings.account_id, region)
            and (group["GroupName"], group["VpcId"]) == ("default", vpc)
        ]

    def admits(self, region: str, groups: list[str], port: int, peer: Peer) -> bool:
        """Whether an inbound rule of one of the groups admits TCP from a peer.

        :arg port: as the rules have it, which is the port on AWS; the real port on this machine may be another.
        """
        return any(
            _covers(rule, port) and _names(rule, peer) for group in groups for rule in self._inbound(region, group)
        )

    def _inbound(self, region: str, group: str) -> list[dict[str, Any]]:
        record = ec2._security_groups._data.get((self._cloud.settings.account_id, region, group)) or {}
        return list(record.get("IpPermissions", []))

    def _networks(self, region: str, subnets: list[str]) -> tuple[str, ...]:
        return tuple(found["CidrBlock"] for name in subnets if (found := self._subnet(region, name)) is not None)

    def _subnet(self, region: str, name: str) -> dict[str, Any] | None:
        record: dict[str, Any] | None = ec2._subnets._data.get((self._cloud.settings.account_id, region, name))
        return record

    def _default_vpc(self, region: str) -> str:
        for (account, where, name), vpc in list(ec2._vpcs._data.items()):
            if (account, where) == (self._cloud.settings.account_id, region) and vpc.get("IsDefault"):
                return str(name)
        return ""


def _region(task: Task) -> str:
    return task.arn.split(":")[3]


def _covers(rule: dict[str, Any], port: int) -> bool:
    """Whether a rule is about TCP on a port."""
    protocol = str(rule.get("IpProtocol", _ALL))
    if protocol == _ALL:
        return True
    return protocol in _TCP and int(rule.get("FromPort", -1)) <= port <= int(rule.get("ToPort", -1))


def _names(rule: dict[str, Any], peer: Peer) -> bool:
    """Whether a peer is one of a rule's sources."""
    if any(pair.get("GroupId") in peer.groups for pair in rule.get("UserIdGroupPairs", [])):
        return True
    return any(_holds(source.get("CidrIp", ""), peer) for source in rule.get("IpRanges", []))


def _holds(block: str, peer: Peer) -> bool:
    """Whether a CIDR block holds a peer's address, or the whole of a subnet that the peer is in."""
    with contextlib.suppress(ValueError):
        source = ipaddress.ip_network(block, strict=False)
        if peer.address and ipaddress.ip_address(peer.address) in source:
            return True
        return any(
            network.version == source.version and network.subnet_of(source)  # type: ignore[arg-type]
            for network in map(ipaddress.ip_network, peer.networks)
        )
    return False


def _task_of(client: Address, server: Address, keepers: dict[int, str]) -> str:
    """The ARN of the task whose process holds the client's end; empty: none does.

    A task is known by its keeper, below which all of its processes stay: the kernel hands orphans to it. So neither
    an environment variable nor a name makes a process a task's.

    :arg keepers: process id of a keeper → ARN of its task.
    """
    for pid in _holders(client, server, keepers):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for ancestor in (process, *process.parents()):
                if ancestor.pid in keepers:
                    return keepers[ancestor.pid]
    return ""


def _holders(client: Address, server: Address, keepers: dict[int, str]) -> set[int]:
    """The processes that hold the client's end; those of other users are not seen unless this one is root."""
    if sys.platform == "linux":
        connections = [(item.pid, item) for item in psutil.net_connections("tcp")]
    else:
        # Elsewhere the table of all processes is root's; that of the tasks' own processes is enough.
        connections = [(pid, item) for pid in _below(keepers) for item in _connections(pid)]
    return {
        pid
        for pid, item in connections
        if pid is not None and item.raddr and (_plain(item.laddr), _plain(item.raddr)) == (client, server)
    }


def _below(keepers: dict[int, str]) -> list[int]:
    pids: list[int] = []
    for keeper in keepers:
        with contextlib.suppress(psutil.Error):
            pids += [child.pid for child in psutil.Process(keeper).children(recursive=True)]
    return pids


def _connections(pid: int) -> list[Any]:
    with contextlib.suppress(psutil.Error):
        return list(psutil.Process(pid).net_connections("tcp"))
    return []


def _plain(address: Any) -> Address:
    """An address without IPv6's notation of an IPv4 one."""
    return address[0].removeprefix("::ffff:"), address[1]


async def hold(reader: asyncio.StreamReader) -> None:
    """Says nothing until the client gives up.

    Where packets are dropped a client's connect() waits in vain. The system accepts connections before anybody is
    asked, so here it is the first answer that never comes; time-outs of a client that cover both are the same.
    """
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(HELD_SECONDS):
            while await reader.read(_CHUNK):
                pass
