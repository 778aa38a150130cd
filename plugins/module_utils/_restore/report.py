# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A restore as lines for people. Pure Python."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import check
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore import copies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Instance
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._restore.copies import Source
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints

NO_RECORD = (
    "The backup does not record what its server was run with, as an older version of this collection took it: the"
    " server has the command of now. Deploy with the backup's version of MLflow, which gives it that version's command."
)


def restored(deployment: str, source: Source, found: Document, notes: Iterable[str]) -> list[str]:
    """Return what a restored deployment has.

    Args:
        deployment: its name.
        source: what it was restored to.
        found: as database_report.py writes it.
        notes: what was odd.
    """
    revisions = ", ".join("+".join(one) for one in found["revisions"].values() if one) or "no revision"
    return [
        f"'{deployment}' is restored to {source}.",
        f"Database:  {check.summary(found)}, tables at {revisions}",
        *(f"Note:      {note}" for note in notes),
    ]


def served(snapshots: Iterable[str], hints: Hints) -> list[str]:
    """Return that what users wrote to a restored database is kept, a sentence for each of its snapshots."""
    return [
        f"What users wrote to the restored database is kept in the snapshot {name}, which"
        f" {hints.command(copies.SNAPSHOT, name)} restores."
        for name in snapshots
    ]


def kept(replaced: Iterable[Instance], costs: Iterable[str], remove: str) -> list[str]:
    """Return what was replaced and is still there, and what it costs.

    Args:
        replaced: the instances.
        costs: what each costs a day.
        remove: the command that removes one, without its name.
    """
    shown = []
    for one, cost in zip(replaced, costs, strict=True):
        name = str(one["DBInstanceIdentifier"])
        shown.append(f"Replaced:  {name} is kept, {cost}")
        shown.append(f"Remove it: {remove}{name}")
    return shown
