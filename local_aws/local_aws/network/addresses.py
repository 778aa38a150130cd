# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that a task's program is told, where on this machine everything comes from a loopback address.

Programs make a difference between their own machine and others. Behind a load balancer at AWS they see its private
address in one of its subnets, and in X-Forwarded-For the client's public one (ELB user guide, "HTTP headers and
Application Load Balancers"); a connection from within the VPC has the private address of a network interface.
MLflow 3.17.2 has an assistant for clients whose address is a loopback one (mlflow/server/assistant/api.py,
_is_localhost), and uvicorn believes X-Forwarded-* headers of 127.0.0.1 unless told otherwise (uvicorn's settings,
forwarded-allow-ips).

So clients connect to a task's program from a loopback address that says what kind of client they are. In the
task, the hook (services/ecs_tasks/network_hook.py) shows another one instead.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Sequence

# Where connections to a task's program come from. Other systems than Linux have no such addresses.
_IS_LINUX = sys.platform == "linux"
BALANCER = "127.16.0.1" if _IS_LINUX else "127.0.0.1"
TASK = "127.16.0.2" if _IS_LINUX else "127.0.0.1"
OUTSIDE = "127.16.0.3" if _IS_LINUX else "127.0.0.1"

# For documentation (RFC 5737), so never assigned. It stands for this machine's public address, of programs that are
# not tasks.
_PUBLIC = ipaddress.ip_network("198.51.100.0/24")
# AWS reserves the first four addresses of each subnet (VPC user guide, "Subnet CIDR blocks").
_BALANCERS_NUMBER = 10
_TASKS_NUMBER = 11
_UNKNOWN_SUBNET = "10.0.0.0/28"


def public(address: str) -> str:
    """The address that a client is said to have: for one on this machine, one that is no loopback address."""
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return address
    if not client.is_loopback:
        return address
    return str(_PUBLIC[int(client) % 256])


def as_seen(networks: Sequence[str]) -> dict[str, str]:
    """What a task's program is to see instead of where a connection comes from.

    :arg networks: the CIDR blocks of the task's subnets, which are the load balancer's too.
    """
    if not _IS_LINUX:
        return {}
    subnet = ipaddress.ip_network((list(networks) or [_UNKNOWN_SUBNET])[0])
    return {
        BALANCER: str(subnet[_BALANCERS_NUMBER]),
        TASK: str(subnet[_TASKS_NUMBER]),
        OUTSIDE: public("127.0.0.1"),
    }
