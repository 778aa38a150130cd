# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What a server is run with: recorded by a backup, and given back by a restore of another version. Pure Python.

With its version the command changes, and environment and secrets with it: options that an older MLflow does not know,
packages that the login installs. So the image of a backup needs what it was run with.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import is_likely_secret

Container = dict[str, typing.Any]

_PARTS = ("command", "environment", "secrets")


@dataclass(frozen=True)
class Hosts:
    """The host names that a server is run with.

    Attributes:
        service: of its own URL.
        database: of its database.
    """

    service: str = ""
    database: str = ""


def record(container: Mapping[str, typing.Any], hosts: Hosts) -> Container:
    """Return what a manifest keeps of a container: of secrets, where they are, and no plain value that looks like one.

    Args:
        container: in canonical form.
        hosts: that it is run with.
    """
    environment = container.get("environment") or {}
    return {
        "command": list(container.get("command") or []),
        "environment": {
            name: str(value) for name, value in sorted(environment.items()) if not is_likely_secret(name, value)
        },
        "secrets": dict(sorted((container.get("secrets") or {}).items())),
        "host": hosts.service,
        "database_host": hosts.database,
    }


def restored(
    running: Mapping[str, typing.Any], image: str, recorded: Mapping[str, typing.Any], now: Hosts
) -> Container:
    """Return the container of a backup; with the image alone, if the backup does not record the rest.

    Secrets are those that the server has now, where both have one of a name, as one that was deleted and created again
    has another ARN. So are plain values that were not recorded. A deployment that was destroyed and created again since
    has other host names.

    Args:
        running: the container that runs.
        image: of the backup.
        recorded: what record() returned then; empty if nothing was recorded.
        now: the host names of now.
    """
    if not recorded:
        return {**running, "image": image}
    plain, secrets = running.get("environment") or {}, running.get("secrets") or {}
    moved = {str(recorded.get("host") or ""): now.service, str(recorded.get("database_host") or ""): now.database}
    return {
        **running,
        "image": image,
        "command": [_moved(str(one), moved) for one in recorded.get("command") or []],
        "environment": {
            **{name: value for name, value in plain.items() if is_likely_secret(name, value)},
            **{name: _moved(str(value), moved) for name, value in (recorded.get("environment") or {}).items()},
        },
        "secrets": {name: secrets.get(name, arn) for name, arn in (recorded.get("secrets") or {}).items()},
    }


def given_back(running: Mapping[str, typing.Any], image: str, former: Mapping[str, typing.Any] | None) -> Container:
    """Return the container that a server had; with the image alone, if the rest is not known.

    Args:
        running: the container that runs.
        image: of the former one.
        former: the former one.
    """
    return {**running, **({part: former.get(part) for part in _PARTS} if former else {}), "image": image}


def _moved(text: str, hosts: Mapping[str, str]) -> str:
    for then, now in hosts.items():
        text = text.replace(then, now) if then and now else text
    return text
