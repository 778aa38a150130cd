# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of tasks: a loopback address of its own for each, where the system routes all of 127.0.0.0/8 (Linux)."""

from __future__ import annotations

import os
import random
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "LOCAL_AWS_TASK_NETWORK"
# 127.32 … 127.63: where the tasks' programs listen; 127.64 … 127.95: the tasks' addresses; 127.96 … 127.127: what
# stands for their own 127.0.0.1.
_FIRST_INNER_NETWORK = 32
_FIRST_TASK_NETWORK = 64
_LOCALHOST_OFFSET = 32


@dataclass(frozen=True)
class Address:
    """Where a task's container port is reached.

    :arg ip: the task's address, at which its listener (task_listener.py) answers.
    :arg localhost: what stands for the task's own 127.0.0.1; it is not published.
    :arg port: the real port behind the container port: the same one, where the user may open it.
    :arg inner: where the task's program really listens; only the balancer knows it.
    :arg inner_port: the port there.
    """

    ip: str
    localhost: str
    port: int
    inner: str
    inner_port: int

    def variable(self, container_port: int, seen: Mapping[str, str]) -> str:
        """The value for the hook's environment variable.

        :arg seen: what the program sees instead of the addresses that connections come from (addresses.as_seen).
        """
        pairs = [f"{source}={shown}" for source, shown in seen.items()]
        return " ".join([self.inner, self.localhost, f"{container_port}={self.inner_port}", *pairs])


def _may_open(port: int) -> bool:
    """Whether this user may listen on the port; ports below the system's limit need root."""
    if os.geteuid() == 0:
        return True
    try:
        limit = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        limit = 1024
    return port >= limit


def _is_free(ip: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError:
            return False
    return True


def _free_port(ip: str) -> int:
    with socket.socket() as probe:
        probe.bind((ip, 0))
        return int(probe.getsockname()[1])


def allocate(container_port: int, taken: set[str]) -> Address:
    """A free address for a new task.

    :arg taken: addresses of the other tasks.
    :raises OSError: no address is free.
    """
    if sys.platform != "linux":
        inner = _free_port("127.0.0.1")
        return Address("127.0.0.1", "127.0.0.1", _free_port("127.0.0.1"), "127.0.0.1", inner)
    for _attempt in range(100):
        network = _FIRST_TASK_NETWORK + random.randrange(_LOCALHOST_OFFSET)
        inner = (
            f"127.{_FIRST_INNER_NETWORK + secrets.randbelow(32)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        )
        rest = f"{random.randrange(256)}.{random.randrange(1, 255)}"
        ip = f"127.{network}.{rest}"
        if ip in taken:
            continue
        port = container_port if _may_open(container_port) else _free_port(ip)
        if _is_free(ip, port):
            return Address(ip, f"127.{network + _LOCALHOST_OFFSET}.{rest}", port, inner, _free_port(inner))
    raise OSError(f"No loopback address with a free port {container_port} was found for a task.")
