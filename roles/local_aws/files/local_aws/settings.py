# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one local AWS was started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The settings of one daemon; written to ``home/settings.json`` without the credentials.

    :arg home: the folder that holds all state; absolute.
    :arg runtimes: the cache of task runtimes (virtual environments); survives ``down --wipe``.
    :arg port: the port of the API on 127.0.0.1; 0 takes a free one (the port in use is in ``Cloud.endpoint_url``).
    :arg region: the region that the daemon calls its own.
    :arg account_id: the twelve digits of the account.
    :arg scale: AWS seconds in one real second.
    :arg endpoints: how services are reached: ``names`` or ``ports`` (``auto`` has been resolved by then).
    :arg access_key_id: the root user's key, generated once per home.
    :arg secret_access_key: its secret.
    """

    home: Path
    runtimes: Path
    port: int
    region: str
    account_id: str
    scale: float
    endpoints: str
    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        """Without the secret, for logs."""
        return f"Settings(home={self.home}, port={self.port}, region={self.region}, account_id={self.account_id})"
