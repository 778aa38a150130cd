# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of the daemon: ministack reads its settings from there when it is imported."""

from __future__ import annotations

import os

from .settings import Settings

# Of the user's environment, what would make the daemon's own AWS clients, or ministack, do something else than here.
_FOREIGN = ("AWS_", "MINISTACK_", "LOCALSTACK_", "RDS_", "ECS_", "EC2_", "S3_", "BOTO_")
_LOOPBACK = "localhost,.localhost,127.0.0.1,::1"


def prepare(settings: Settings) -> None:
    """Sets up this process's environment; must be called before ministack is imported."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            del os.environ[name]
    os.environ.update(
        {
            "AUTH": "true",
            "MINISTACK_ACCOUNT_ID": settings.account_id,
            "MINISTACK_REGION": settings.region,
            "MINISTACK_HOST": "localhost",
            "GATEWAY_PORT": str(settings.port),
            # Root's credentials, as ministack takes them; also the region that its own clients use.
            "AWS_ACCESS_KEY_ID": settings.access_key_id,
            "AWS_SECRET_ACCESS_KEY": settings.secret_access_key,
            "AWS_DEFAULT_REGION": settings.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(settings.home / "state" / "ministack"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(settings.home / "s3"),
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            # No container of ours anywhere, even where Docker runs.
            "DOCKER_HOST": f"unix://{settings.home}/no-docker.sock",
            "LOG_LEVEL": "WARNING",
        }
    )
    # Downloads may need the user's proxy; what stays on this machine must not see it.
    for name in ("NO_PROXY", "no_proxy"):
        present = os.environ.get(name, "")
        os.environ[name] = f"{present},{_LOOPBACK}" if present else _LOOPBACK
