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
import os
import sys
from dataclasses import dataclass
from typing import Any
from typing import Protocol

import psutil

from ..ministack_adapter import ec2
from ..ministack_adapter.scope import everywhere
from ..ministack_adapter.scope import read

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


class NetworkInterface(Protocol):
    """Something with an address in a VPC: a task."""

    @property
    def arn(self) -> str:
        """What it belongs to."""

    @property
    def region(self) -> str:
        """Its region."""

    @property
    def ip(self) -> str:
        """Its address."""

    @property
    def subnets(self) -> list[str]:
        """The subnets that it is in."""

    @property
    def security_groups(self) -> list[str]:
        """The groups that it was given."""


class TaskLookup(Protocol):
    """The tasks that may be at the other end of a connection."""

    def get(self, task_arn: str) -> NetworkInterface | None:
        """A task by its ARN."""

    def shims(self) -> dict[int, str]:
        """Process id of each running task's shim → ARN of the task."""


class Firewall:
    """The security groups of the account."""

    def __init__(self, account_id: str, tasks: TaskLookup) -> None:
        self._account_id = account_id
        self._tasks = tasks

    async def peer(self, client: Address, server: Address) -> Peer:
        """Who has opened a connection to a listener on this machine.

        :arg client: the connection's other end, as the listener sees it.
        :arg server: the listener's end.
        """
        task = await asyncio.to_thread(_task_of, client, server, self._tasks.shims())
        found = self._tasks.get(task) if task else None
        return Peer(client[0]) if found is None else self.peer_of(found)

    def peer_of(self, task: NetworkInterface) -> Peer:
        """A task as the other end of a connection."""
        networks = self._networks(task.region, task.subnets)
        return Peer(task.ip, frozenset(self.groups_of(task)), networks, task.arn)

    def member(self, groups: list[str], region: str, subnets: list[str]) -> Peer:
        """Something of AWS's own in a VPC, such as a load balancer, as the other end of a connection."""
        return Peer(groups=frozenset(groups), networks=self._networks(region, subnets))

    def groups_of(self, task: NetworkInterface) -> list[str]:
        """The security groups of a task; without any, its VPC's default group (ECS, AwsVpcConfiguration)."""
        return task.security_groups or self.default_groups(task.region, task.subnets)

    def default_groups(self, region: str, subnets: list[str]) -> list[str]:
        """The default security group of the VPC that subnets belong to, or of the default VPC."""
        known = [subnet["VpcId"] for name in subnets if (subnet := self._subnet(region, name)) is not None]
        vpc = known[0] if known else self._default_vpc(region)
        return [
            name
            for (account, where, name), group in everywhere(ec2.security_groups)
            if (account, where) == (self._account_id, region)
            and (group["GroupName"], group["VpcId"]) == ("default", vpc)
        ]

    def admits(self, region: str, groups: list[str], port: int, peer: Peer) -> bool:
        """Whether an inbound rule of one of the groups admits TCP from a peer.

        :arg port: as the rules have it, which is the port on AWS; the real port on this machine may be another.
        """
        return any(
            _covers(rule, port) and _names(rule, peer) for group in groups for rule in self._inbound(region, group)
        )

    def admits_to(self, task: NetworkInterface, port: int, peer: Peer) -> bool:
        """The same for a port of a task."""
        return self.admits(task.region, self.groups_of(task), port, peer)

    def _inbound(self, region: str, group: str) -> list[dict[str, Any]]:
        record = read(ec2.security_groups, self._account_id, region, group) or {}
        return list(record.get("IpPermissions", []))

    def _networks(self, region: str, subnets: list[str]) -> tuple[str, ...]:
        return tuple(found["CidrBlock"] for name in subnets if (found := self._subnet(region, name)) is not None)

    def _subnet(self, region: str, name: str) -> dict[str, Any] | None:
        record: dict[str, Any] | None = read(ec2.subnets, self._account_id, region, name)
        return record

    def _default_vpc(self, region: str) -> str:
        for (account, where, name), vpc in everywhere(ec2.vpcs):
            if (account, where) == (self._account_id, region) and vpc.get("IsDefault"):
                return str(name)
        return ""


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


def _task_of(client: Address, server: Address, shims: dict[int, str]) -> str:
    """The ARN of the task whose process holds the client's end; empty: none does.

    A task is known by its shim, below which all of its processes stay: the kernel hands orphans to it. So neither
    an environment variable nor a name makes a process a task's.

    :arg shims: process id of a shim → ARN of its task.
    """
    if not shims:
        return ""
    if sys.platform != "linux":
        return _task_by_processes(client, server, shims)
    inode = _inode(client, server)
    return _task_by_inode(inode, shims) if inode else ""


def _task_by_processes(client: Address, server: Address, shims: dict[int, str]) -> str:
    """The same where the system has no table of connections that all users may read."""
    for shim, arn in shims.items():
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(shim).children(recursive=True):
                for item in child.net_connections("tcp"):
                    if item.raddr and (_plain(item.laddr), _plain(item.raddr)) == (client, server):
                        return arn
    return ""


def _inode(client: Address, server: Address) -> str:
    """The number of the client's socket in the kernel's tables (proc(5), /proc/net/tcp); empty: it is gone."""
    for table, mapped in (("tcp", ""), ("tcp6", "::ffff:")):
        local, remote = (_in_table(mapped + address, port) for address, port in (client, server))
        with contextlib.suppress(OSError), open(f"/proc/net/{table}", encoding="ascii") as lines:
            for line in lines:
                if local in line and remote in line:
                    fields = line.split()
                    if fields[1:3] == [local, remote]:
                        return fields[9]
    return ""


def _in_table(address: str, port: int) -> str:
    """An address as /proc/net/tcp writes it: words of four bytes in the machine's own order."""
    packed = ipaddress.ip_address(address).packed
    words = [int.from_bytes(packed[start : start + 4], sys.byteorder) for start in range(0, len(packed), 4)]
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _task_by_inode(inode: str, shims: dict[int, str]) -> str:
    parents = _parents()
    wanted = f"socket:[{inode}]"
    for pid in parents:
        ancestor = pid
        while ancestor and ancestor not in shims:
            ancestor = parents.get(ancestor, 0)
        if ancestor and _holds_socket(pid, wanted):
            return shims[ancestor]
    return ""


def _parents() -> dict[int, int]:
    """Each process's parent (proc(5), /proc/pid/stat: the name, in brackets, may hold anything)."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stream:
                found[int(name)] = int(stream.read().rpartition(b")")[2].split()[1])
    return found


def _holds_socket(pid: int, wanted: str) -> bool:
    """Whether a process has a socket open; those of other users are not seen unless this one is root."""
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") == wanted:
                    return True
    return False


def _plain(address: Any) -> Address:
    """An address without IPv6's notation of an IPv4 one."""
    return address[0].removeprefix("::ffff:"), address[1]


async def hold(reader: asyncio.StreamReader) -> None:
    """Says nothing until the client gives up.

    Where packets are dropped a client's connect() waits in vain. The system accepts connections before the server is
    asked, so here it is the first answer that never comes; time-outs of a client that cover both are the same.
    """
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(HELD_SECONDS):
            while await reader.read(_CHUNK):
                pass
