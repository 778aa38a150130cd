# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A program that a task of the server's image runs: lists traces that are old enough, and archives them if asked to.

It is sent to the task as text, so it imports nothing of this collection. The server reads archived traces as it reads
others: their spans lie in the bucket instead of the database, below their experiment, so that the same users may read
them (mlflow/store/tracking/sqlalchemy_store.py, archive_traces).

It calls the store itself. MLflow's own run_trace_archival_scheduler() does nothing in a process that is younger than
its C(interval_seconds), which counts from the start of the machine, and only logs what fails
(mlflow/tracing/trace_archival_service.py).

The database is found by libpq's variables. What is printed goes to the log: numbers, no value of the database.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import typing

Found = dict[str, typing.Any]

LOCK = "SELECT pg_try_advisory_lock(hashtext('mlops.mlflow_aws archive'))"
NEEDED = ("archive_traces", "_plan_trace_archival", "ManagedSessionMaker")


class Impossible(Exception):
    """It cannot be done."""


class Busy(Impossible):
    """Another task is at it."""


def connect() -> typing.Any:
    psycopg2 = importlib.import_module("psycopg2")
    certificates = os.environ.get("DATABASE_CA_CERTIFICATES")
    if certificates:
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
            file.write(certificates)
        os.environ["PGSSLROOTCERT"] = file.name
    connection = psycopg2.connect("")
    connection.autocommit = True
    return connection


def open_store() -> typing.Any:
    """Return MLflow's store, which finds the database by libpq's variables."""
    stores = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store = stores.SqlAlchemyStore("postgresql+psycopg2://", "mlflow-artifacts:/")
    missing = [name for name in NEEDED if not hasattr(store, name)]
    if missing:
        raise Impossible(f"this version of MLflow does not archive traces: it has no {', '.join(missing)}")
    return store


def due(store: typing.Any, minutes: int) -> int:
    """Return how many traces MLflow would archive now.

    Args:
        store: MLflow's.
        minutes: how old a trace must be; an experiment may have a shorter time of its own.
    """
    clock = importlib.import_module("mlflow.utils.time")
    with store.ManagedSessionMaker() as session:
        _requests, traces = store._plan_trace_archival(
            session=session,
            now_millis=clock.get_current_time_millis(),
            broader_retention_millis=minutes * 60_000,
            long_retention_allowlist=set(),
            max_traces_per_pass=None,
        )
    return len(traces)


def run(_s3: typing.Any, change: bool) -> Found:
    """Return how many traces are old enough, and how many of them were archived.

    Args:
        _s3: client of S3, which MLflow does not need.
        change: whether to archive them; otherwise they are counted.

    Raises:
        Busy: another task is at it.
    """
    minutes = int(float(os.environ["OLDER_THAN_SECONDS"]) // 60)
    connection = connect()
    cursor = connection.cursor()
    cursor.execute(LOCK)
    if not cursor.fetchone()[0]:
        raise Busy("another task is archiving at the moment")
    store = open_store()
    found: Found = {"found": {"traces": due(store, minutes)}, "archived": {"traces": 0}, "failed": 0, "failures": []}
    if change and found["found"]["traces"]:
        location = os.environ["ARTIFACTS_DESTINATION"]
        done = store.archive_traces(resolved_trace_archival_location=location, broader_retention=f"{minutes}m")
        # MLflow logs what fails, and leaves it to the next time; a trace that cannot be read is marked, and left out.
        found |= {"archived": {"traces": done}, "failed": due(store, minutes)}
    connection.close()
    return found
