# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs for one record of an instance."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from .cluster import Cluster
from .tls_proxy import TlsProxy

Record = dict[str, Any]
"""ministack's record of an instance, a snapshot or a group."""


@dataclass
class Instance:
    """What runs for one record.

    :ivar job: what is being done with it; one thing at a time.
    :ivar watcher: restarts the server when it crashes.
    :ivar exporter: sends the server's log to CloudWatch Logs.
    """

    region: str
    record: Record
    cluster: Cluster
    proxy: TlsProxy
    job: asyncio.Task[None] | None = None
    watcher: asyncio.Task[None] | None = None
    exporter: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The identifier."""
        return str(self.record["DBInstanceIdentifier"])

    @property
    def status(self) -> str:
        """DBInstanceStatus."""
        return str(self.record["DBInstanceStatus"])
