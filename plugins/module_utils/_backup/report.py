# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Backups as facts and as lines for people. Pure Python."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from collections.abc import Mapping
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import manifest
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Backup
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import show_amount
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.price_list import PRICES

Facts = dict[str, typing.Any]

_HEADINGS = ("BACKUP", "STATE", "AGE", "MLFLOW", "RUNS", "DATABASE", "DUMP", "COST A MONTH", "SNAPSHOT")
_SIZES = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def created(document: Mapping[str, typing.Any], deleted: list[str]) -> list[str]:
    """Return what a new backup consists of, as lines."""
    database, dump, counts = document["database"], document["dump"], document["counts"]
    shown = ", ".join(f"{counts[name]} {name}" for name in ("experiments", "runs", "metrics") if name in counts)
    lines = [
        f"Backup '{document['name']}' of '{document['deployment']}' is complete.",
        f"MLflow:    {document['mlflow']['version']}, tables at {_revisions(document['revisions'])}",
        f"Database:  {shown}, {_size(database['size_bytes'])}",
    ]
    if database["snapshot"]:
        lines.append(f"Snapshot:  {database['snapshot']}")
    else:
        lines.append("Snapshot:  none, as the database is your own: the dump is the backup")
    if dump:
        lines.append(f"Dump:      {dump['key']}, {_size(dump['size_bytes'])}")
    lines.append(f"Artifacts: the versions in {document['artifacts']['bucket']} as of {document['artifacts']['time']}")
    if deleted:
        lines.append(f"Deleted:   {', '.join(deleted)}, as they were too many")
    return lines


def left_alone(name: str, command: str) -> list[str]:
    """Return what is done with a backup that was cut off too long ago to be completed.

    Args:
        name: of the backup; empty if there is none.
        command: the command that completes a backup; the name is appended.
    """
    if not name:
        return []
    hours = int(manifest.OLDEST_TO_CONTINUE.total_seconds() // 3600)
    return [
        f"Left:      {name}, which was cut off more than {hours} hours ago, counts as no backup, and stays as it is;"
        f" complete it with: {command}{name}"
    ]


def facts(backups: Iterable[Backup], now: datetime) -> list[Facts]:
    """Return backups as data, newest first."""
    return [_facts(one, now) for one in manifest.newest_first(backups)]


def _facts(one: Backup, now: datetime) -> Facts:
    document = one.manifest
    database, dump = document.get("database") or {}, document.get("dump") or {}
    return {
        "name": one.name,
        "state": one.state,
        "started": one.started,
        "age_seconds": _age(one.started, now),
        "version": str((document.get("mlflow") or {}).get("version") or ""),
        "revisions": document.get("revisions") or {},
        "counts": document.get("counts") or {},
        "database_size_bytes": database.get("size_bytes"),
        "snapshot": str(database.get("snapshot") or one.snapshot.get("DBSnapshotIdentifier") or ""),
        "dump": str(dump.get("key") or ""),
        "dump_size_bytes": dump.get("size_bytes"),
    }


def costs(backups: Iterable[Backup], region: str) -> dict[str, float]:
    """Return what the snapshots of backups cost a month at most, in US dollars, by the backups' names.

    That is all of their storage. RDS charges the blocks that are in use and not in an older snapshot, and only what all
    backups of a region have beyond the storage of its databases (Amazon RDS pricing, "Backup storage").
    """
    prices = PRICES.get(region)
    if prices is None or prices.snapshot_gb_month is None:
        return {}
    sizes = {one.name: one.snapshot.get("AllocatedStorage") for one in backups}
    return {name: round(size * prices.snapshot_gb_month, 2) for name, size in sizes.items() if size}


def table(found: list[Facts], deployment: str, costs_at_most: Mapping[str, float] | None = None) -> list[str]:
    """Return backups as the lines of a table."""
    if not found:
        return [f"There is no backup of '{deployment}'."]
    rows = [_HEADINGS, *(_row(one, (costs_at_most or {}).get(one["name"])) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(one: Facts, cost_at_most: float | None) -> tuple[str, ...]:
    return (
        one["name"],
        one["state"],
        _duration(one["age_seconds"]),
        one["version"] or "-",
        str(one["counts"].get("runs", "-")),
        _size(one["database_size_bytes"]),
        _size(one["dump_size_bytes"]),
        "-" if cost_at_most is None else f"up to {show_amount(cost_at_most)}",
        one["snapshot"] or "-",
    )


def _revisions(revisions: Mapping[str, list[str]]) -> str:
    return ", ".join("+".join(found) for found in revisions.values() if found) or "no revision"


def _age(started: str, now: datetime) -> int | None:
    try:
        return max(0, int((now - datetime.fromisoformat(started)).total_seconds()))
    except ValueError:
        return None


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return "?"
    return next((f"{seconds // size} {unit}" for size, unit in _UNITS if seconds >= size), f"{seconds} s")


def _size(size: int | None) -> str:
    if size is None:
        return "-"
    return next((f"{size / unit:.1f} {name}" for unit, name in _SIZES if size >= unit), f"{size} bytes")
