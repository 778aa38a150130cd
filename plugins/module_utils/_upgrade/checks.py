# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Why a deployment cannot be upgraded as it is. Pure Python."""

from __future__ import annotations

import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError

_GIB = 2**30
#: PostgreSQL's log of changes and what else there is on an instance besides databases.
_OVERHEAD = 2 * _GIB
_NEEDED = 1.5


def refuse_downgrade(deployment: str, running: str, version: str, back: str) -> str:
    """Return why an older version is refused.

    Args:
        deployment: its name.
        running: the version that runs.
        version: the one that is asked for.
        back: the command that takes an upgrade back.
    """
    return (
        f"'{deployment}' runs MLflow {running}, which is newer than {version}. An older MLflow refuses the tables of a"
        f" newer one. To go back to what was there before an upgrade, run {back}; to a backup, restore that. Else ask"
        f" for {running} or newer. Nothing was changed."
    )


def refuse_container(deployment: str, running: str, version: str, reason: str) -> str:
    """Return why it cannot be told what the server is to be run with.

    Args:
        deployment: its name.
        running: the version that runs.
        version: the one that is asked for.
        reason: see container.upgraded().
    """
    return (
        f"MLflow {version} needs another command of the server than {running} does, and for '{deployment}' {reason}:"
        " pass the variables that it was deployed with, those of the login among them. If you have, deploy it with"
        f" {running} first, so that it is as they describe it. Nothing was changed."
    )


def require_space(instance: str, storage_gib: int, found: Mapping[str, typing.Any]) -> None:
    """Refuse an instance whose storage is too small for a copy.

    CloudWatch alone knows what is free; that the databases, and something for PostgreSQL itself, are all that is on it
    is near enough.

    Args:
        instance: its identifier.
        storage_gib: what it has.
        found: sizes of the databases, as the task has found them.

    Raises:
        UserError: it is too small.
    """
    free = storage_gib * _GIB - int(found["all_sizes_bytes"]) - _OVERHEAD
    needed = int(found["size_bytes"] * _NEEDED)
    if free < needed:
        raise UserError(
            f"The RDS instance {instance} has {storage_gib} GiB, of which about {max(free, 0) / _GIB:.1f} GiB are free."
            f" A copy of the database, and what the migration writes, need {needed / _GIB:.1f} GiB: give it"
            f" {storage_gib + (needed - free) // _GIB + 1} GiB or more (allocated_storage), and run this again."
        )
