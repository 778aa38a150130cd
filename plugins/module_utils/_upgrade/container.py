# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The container that the server gets with another version: image, command, environment and secrets. Pure Python.

With its version the command changes: packages that the login installs, as the plugin for OpenID Connect, which is made
for a range of MLflow versions, commands before the start, plugins of the server.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import USERNAME
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade.tasks import Place

Container = dict[str, typing.Any]

_MAPS = ("environment", "secrets")
#: What describe() returns, of no server at all.
NO_SERVER: Container = {
    "version": "",
    "image": "",
    "url": "",
    "database_host": "",
    "database_username": "",
    "database_port": 5432,
    "database_ca_certificates": "",
}


@dataclass(frozen=True)
class Described:
    """What the user's variables describe.

    Attributes:
        wanted: command, environment and secrets with the version that is asked for; None if that is not known.
        former: the same with the version that runs; None if the server is to be as the variables describe it.
    """

    wanted: Mapping[str, typing.Any] | None = None
    former: Mapping[str, typing.Any] | None = None


def describe(running: Mapping[str, typing.Any], version: str, url: str, place: Place) -> Container:
    """Return a server in the module's format: what another command for it can be made of.

    Args:
        running: its container.
        version: of MLflow; empty if it is not known.
        url: of the server.
        place: where its database is.
    """
    return {
        "version": version,
        "image": str(running.get("image") or ""),
        "url": url,
        "database_host": place.host,
        # Empty where the server takes it from its secret.
        "database_username": "" if USERNAME in (running.get("secrets") or {}) else place.username,
        "database_port": place.port,
        "database_ca_certificates": (running.get("environment") or {}).get("DATABASE_CA_CERTIFICATES", ""),
    }


def upgraded(running: Mapping[str, typing.Any], image: str, described: Described) -> Container:
    """Return the container with the image, and what it needs besides.

    With a former one, only what differs between the two versions changes. The variables of an upgrade may be fewer than
    those that the server was deployed with, so what it has stays.

    Args:
        running: the container that runs.
        image: of the new one.
        described: what the variables say.

    Raises:
        ValueError: the command must change, and the one that runs is not the one that the variables describe.
    """
    wanted, former = described.wanted, described.former
    if wanted is None:
        return {**running, "image": image}
    if former is None:
        return {**running, **{part: wanted.get(part) for part in ("command", *_MAPS)}, "image": image}
    return {
        **running,
        "image": image,
        "command": _command(running.get("command"), former.get("command"), wanted.get("command")),
        **{part: _entries(running.get(part), former.get(part), wanted.get(part)) for part in _MAPS},
    }


def restored(running: Mapping[str, typing.Any], image: str, former: Mapping[str, typing.Any] | None) -> Container:
    """Return the container as it was before; with the image alone, if nobody knows the rest.

    Args:
        running: the container that runs.
        image: of the one before.
        former: the one before.
    """
    return upgraded(running, image, Described(former))


def _command(running: typing.Any, former: typing.Any, wanted: typing.Any) -> typing.Any:
    if former == wanted:
        return running
    if running not in (former, wanted):
        raise ValueError("the command that runs is another one than the variables describe")
    return wanted


def _entries(running: typing.Any, former: typing.Any, wanted: typing.Any) -> dict[str, str]:
    """Return the entries, of which those change that differ between the versions."""
    found, before, after = dict(running or {}), former or {}, wanted or {}
    for name in {*before, *after}:
        if before.get(name) == after.get(name):
            continue
        if name in after:
            found[name] = after[name]
        else:
            found.pop(name, None)
    return found
