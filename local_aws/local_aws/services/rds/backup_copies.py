# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical copies of clusters, and the recovery of a cluster to a moment.

PostgreSQL's manual, "Continuous Archiving and Point-in-Time Recovery (PITR)": a base backup and the archived segments
of the write-ahead log; ``recovery.signal``, ``restore_command`` and ``recovery_target_time`` bring back what had been
committed at a moment. The segment that is being written is not archived yet: it is taken from the cluster itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from datetime import datetime
from pathlib import Path

from . import programs
from .cluster import Cluster
from .programs import ClusterError

_SEGMENT = re.compile(r"[0-9A-F]{24}|[0-9A-F]{8}\.history")
_SIGNAL = "recovery.signal"
# Nothing was committed after the moment: what is there is what is wanted.
_NOTHING_LATER = "recovery ended before configured recovery target was reached"


async def copy(cluster: Cluster, target: Path) -> None:
    """Copies a cluster, running or not, into a folder that Cluster.create_from() takes.

    :raises ClusterError: the copy failed; nothing is left of it.
    """
    new = target.with_name(f".{target.name}.new")
    await asyncio.to_thread(shutil.rmtree, new, True)
    new.mkdir(parents=True, mode=0o700)
    try:
        if cluster.process is None:
            await asyncio.to_thread(shutil.copytree, cluster.data, new / "data", symlinks=True)
        else:
            options = ["-X", "stream", "-c", "fast", "--no-sync"]
            await cluster.run_client(["pg_basebackup", "-D", str(new / "data"), *options])
        programs.write_secret(new / "admin", (cluster.folder / "admin").read_text())
        await asyncio.to_thread(shutil.rmtree, target, True)
        new.replace(target)
    finally:
        await asyncio.to_thread(shutil.rmtree, new, True)


def make_archive(folder: Path) -> None:
    """Makes the folder that a server archives into."""
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o700)
        programs.give_away(folder)


def archive_settings(folder: Path, data: Path) -> dict[str, str]:
    """The parameters of a server that archives.

    :arg data: its data directory, which the command runs in. The way from there needs no quotes.
    """
    there = os.path.relpath(folder, data)
    command = f'cp "%p" {there}/.%f.new && mv {there}/.%f.new {there}/%f'
    return {"archive_mode": "on", "archive_command": command}


def take_segments(source: Path, target: Path) -> None:
    """Copies the write-ahead log that a cluster has not archived.

    :arg source: the cluster's data directory.
    """
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        for path in sorted((source / "pg_wal").iterdir()):
            # One that is gone by now has been archived.
            with contextlib.suppress(FileNotFoundError):
                if _SEGMENT.fullmatch(path.name) and not (target / path.name).exists():
                    shutil.copyfile(path, target / path.name)


def prepare_recovery(cluster: Cluster, archive: Path, source: Path) -> None:
    """Gives a cluster that is being made the whole write-ahead log of its source, to be replayed at the first start.

    :arg source: the source's data directory, which need not be there any more.
    """
    segments = cluster.folder / "recovery"
    # In this order: a segment that is archived meanwhile is taken from the archive, whole.
    take_segments(source, segments)
    for path in archive.iterdir():
        if _SEGMENT.fullmatch(path.name):
            (segments / path.name).unlink(missing_ok=True)
            # Never written again.
            os.link(path, segments / path.name)
    (cluster.data / _SIGNAL).touch()


async def recover(cluster: Cluster, settings: dict[str, str], until: datetime | None) -> None:
    """Replays what prepare_recovery() has brought; the server runs afterwards. Does nothing where that was done.

    :arg until: what was committed later is left out; None: nothing is.
    :raises ClusterError: PostgreSQL cannot recover it.
    """
    if not (cluster.data / _SIGNAL).exists():
        return
    recovery = {
        "restore_command": 'test -f ../recovery/%f && cp ../recovery/%f "%p"',
        # No connection before the end, and nothing archived: the base backup that follows has all of it.
        "hot_standby": "off",
        "archive_mode": "off",
        "recovery_target_action": "promote",
    }
    target = {"recovery_target_time": until.isoformat(sep=" ")} if until else {}
    cluster.configure(settings | recovery | target)
    try:
        await cluster.start()
    except ClusterError:
        if not until or _NOTHING_LATER not in cluster.log.read_text(errors="replace"):
            raise
        cluster.configure(settings | recovery)
        await cluster.start()
    await cluster.stop()
    await asyncio.to_thread(shutil.rmtree, cluster.folder / "recovery", True)
