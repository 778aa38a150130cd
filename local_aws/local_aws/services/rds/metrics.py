# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of instances, measured at the PostgreSQL that each of them is.

Amazon RDS User Guide, "Amazon CloudWatch instance-level metrics for Amazon RDS". CPU credits: Amazon EC2 User Guide,
"Key concepts for burstable performance instances" (credits earned an hour; the balance of a T3 or T4g begins at zero).
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from ...context import Context
from ...runtime import cpu
from ...runtime import memory
from . import engine
from .models import Instance
from .programs import ClusterError
from .store import InstanceStore

NAMESPACE = "AWS/RDS"
_GIB, _MIB = 1024**3, 1024**2
_VCPUS = {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64}
_CREDITS_AN_HOUR = {"micro": 12, "small": 24, "medium": 24, "large": 36, "xlarge": 96, "2xlarge": 192}
_TRANSACTION_IDS = "SELECT max(age(datfrozenxid)) FROM pg_database"
# AWS seconds for which what is dear to measure holds.
_FRESH_SECONDS = 300


@dataclass
class _Measured:
    """What is kept of an instance between two minutes."""

    meter: cpu.Meter = field(default_factory=cpu.Meter)
    credits: float = 0.0
    kept: dict[str, tuple[float, float]] = field(default_factory=dict)


class InstanceMetrics:
    """The metrics of instances."""

    def __init__(self, ctx: Context, store: InstanceStore) -> None:
        self._ctx = ctx
        self._store = store
        self._measured: dict[str, _Measured] = {}
        self._measurements = {
            "CPUUtilization": self._cpu,
            "CPUCreditBalance": self._credits,
            "DatabaseConnections": self._connections,
            "FreeStorageSpace": self._storage,
            "FreeableMemory": self._memory,
            "MaximumUsedTransactionIDs": self._transaction_ids,
        }

    async def read(self, metric: str, dimensions: dict[str, str], _stat: str, minutes: int) -> list[float | None]:
        """The value now, for so many minutes; none of an instance that does not run.

        :raises ValueError: a metric that there is none of here.
        """
        if metric not in self._measurements:
            raise ValueError(f"A metric that is not imitated here: {metric}")
        name = dimensions.get("DBInstanceIdentifier", "")
        instance = next((one for one in self._store.all() if one.name == name), None)
        if instance is None or instance.cluster.process is None:
            return [None] * minutes
        measured = self._measured.setdefault(instance.cluster.key, _Measured())
        if metric == "CPUCreditBalance":
            return [await self._credits(instance, measured) for _minute in range(minutes)]
        return [await self._measurements[metric](instance, measured)] * minutes

    async def _cpu(self, instance: Instance, measured: _Measured) -> float | None:
        cores = measured.meter.cores(_processes(instance), time.monotonic())
        return None if cores is None else min(100.0, 100 * cores / _vcpus(instance))

    async def _credits(self, instance: Instance, measured: _Measured) -> float | None:
        """A credit is a minute of one processor; at most what a day earns is kept."""
        hourly = _CREDITS_AN_HOUR.get(_size(instance), 0)
        if not instance.record["DBInstanceClass"].startswith("db.t") or not hourly:
            return None
        spent = (await self._cpu(instance, measured) or 0.0) / 100 * _vcpus(instance)
        measured.credits = min(24.0 * hourly, max(0.0, measured.credits + hourly / 60 - spent))
        return measured.credits

    async def _connections(self, instance: Instance, _measured: _Measured) -> float | None:
        return float(instance.proxy.connections)

    async def _storage(self, instance: Instance, measured: _Measured) -> float | None:
        async def free() -> float:
            used = await asyncio.to_thread(_size_of, instance.cluster.folder)
            return float(int(instance.record["AllocatedStorage"]) * _GIB - used)

        if "storage" not in measured.kept or self._is_old(measured.kept["storage"][0]):
            measured.kept["storage"] = (time.monotonic(), await free())
        return measured.kept["storage"][1]

    async def _memory(self, instance: Instance, _measured: _Measured) -> float | None:
        total = engine.memory_gib(instance.record["DBInstanceClass"]) * 1024
        process = instance.cluster.process
        used = await asyncio.to_thread(memory.used, process.pid, total) if process is not None else 0
        return float(max(0, total - used) * _MIB)

    async def _transaction_ids(self, instance: Instance, measured: _Measured) -> float | None:
        if "ids" not in measured.kept or self._is_old(measured.kept["ids"][0]):
            try:
                found = float((await instance.cluster.sql(_TRANSACTION_IDS)).strip())
            except (ClusterError, ValueError):
                return None
            measured.kept["ids"] = (time.monotonic(), found)
        return measured.kept["ids"][1]

    def _is_old(self, moment: float) -> bool:
        return time.monotonic() - moment > self._ctx.clock.real(_FRESH_SECONDS)


def _processes(instance: Instance) -> list[int]:
    process = instance.cluster.process
    return memory.tree(process.pid) if process is not None else []


def _size(instance: Instance) -> str:
    return str(instance.record["DBInstanceClass"]).rpartition(".")[2]


def _vcpus(instance: Instance) -> int:
    return _VCPUS.get(_size(instance), 2)


def _size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for parent, _folders, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total
