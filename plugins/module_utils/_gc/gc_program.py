# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A program that a task of the server's image runs: lists what users have deleted, and deletes it for good if asked to.

It is sent to the task as text, so it imports nothing of this collection. It chooses what C(mlflow gc) chooses
(mlflow/cli/__init__.py, _gc_tracking_resources), and deletes rows with the same functions of MLflow's store. Unlike
C(mlflow gc) it needs no server, goes on if something cannot be deleted, and keeps what a registered model version
refers to (mlflow/mlflow#15461, #19467).

The database is found by libpq's variables. What is printed goes to the log: numbers and ids, no value of the database.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import tempfile
import time
import typing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

Cursor = typing.Any
Found = dict[str, typing.Any]

# One run at a time, whoever started it: a session's lock goes with the session.
LOCK = "SELECT pg_try_advisory_lock(hashtext('mlops.mlflow_aws gc'))"
EXPERIMENTS = """
SELECT experiment_id::text, '', experiment_id FROM experiments
WHERE lifecycle_stage = 'deleted' AND last_update_time < %(until)s
"""
# Those of a deleted experiment were deleted with it.
RUNS = """
SELECT r.run_uuid, r.artifact_uri, r.experiment_id FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id
WHERE r.lifecycle_stage = 'deleted' AND (r.deleted_time <= %(until)s
  OR (e.lifecycle_stage = 'deleted' AND e.last_update_time < %(until)s))
"""
LOGGED_MODELS = """
SELECT model_id, artifact_location, experiment_id FROM logged_models
WHERE lifecycle_stage = 'deleted' AND last_updated_timestamp_ms <= %(until)s
"""
STAGES = {
    "runs": "SELECT lifecycle_stage FROM runs WHERE run_uuid = %s",
    "logged_models": "SELECT lifecycle_stage FROM logged_models WHERE model_id = %s",
    "experiments": "SELECT lifecycle_stage FROM experiments WHERE experiment_id::text = %s",
}
# The id of a run, and that of a logged model, in the source of a model version.
VERSIONS = (
    "SELECT coalesce(run_id, ''), coalesce(source, '') FROM model_versions WHERE current_stage <> 'Deleted_Internal'"
)
IDS = re.compile(r"\bm-[0-9a-f]{32}\b|\b[0-9a-f]{32}\b")
# In this order: a run or a model refers to its experiment.
KINDS = ("runs", "logged_models", "experiments")
DELETE = {
    "runs": "_hard_delete_run",
    "logged_models": "_hard_delete_logged_model",
    "experiments": "_hard_delete_experiment",
}
# How many things that could not be deleted are named.
NAMED = 20
THREADS = 8


class Impossible(Exception):
    """It cannot be done, or something of it could not."""


class Busy(Impossible):
    """Another task is at it."""


@dataclass(frozen=True)
class Thing:
    """What was deleted in MLflow, and is still stored.

    Attributes:
        kind: one of KINDS.
        id: of MLflow.
        folder: of its artifacts, as MLflow has it; empty if it has none of its own.
        experiment: that it belongs to; its own if it is one.
    """

    kind: str
    id: str
    folder: str
    experiment: int


class Bucket:
    """The artifacts.

    Args:
        s3: client of S3.
        destination: where the server keeps what C(mlflow-artifacts:/) stands for, such as s3://bucket/folder.
    """

    def __init__(self, s3: typing.Any, destination: str) -> None:
        self._s3 = s3
        self._destination = destination.rstrip("/")

    def place(self, thing: Thing) -> tuple[str, str]:
        """Return bucket and prefix of a thing's artifacts.

        Raises:
            Impossible: they are not in S3, or the folder is not the thing's alone.
        """
        scheme, _colon, path = thing.folder.partition(":")
        if scheme == "mlflow-artifacts":
            # Also as mlflow-artifacts://host/path.
            path = re.sub(r"^//[^/]*", "", path)
            address = f"{self._destination}/{path.lstrip('/')}"
        else:
            address = thing.folder
        if not address.startswith("s3://"):
            raise Impossible(f"its artifacts are not in S3, but at {scheme or 'a local path'}")
        bucket, _slash, prefix = address.removeprefix("s3://").partition("/")
        if thing.id not in prefix.split("/"):
            raise Impossible("the folder of its artifacts does not have its id, so others may use it, too")
        return bucket, f"{prefix.rstrip('/')}/"

    def objects(self, thing: Thing) -> Iterator[list[Found]]:
        """Yield the objects of a thing, page by page."""
        bucket, prefix = self.place(thing)
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            if page.get("Contents"):
                yield page["Contents"]

    def size(self, thing: Thing) -> tuple[int, int]:
        """Return the number of a thing's objects, and their bytes; nothing of what cannot be deleted."""
        try:
            sizes = [one["Size"] for page in self.objects(thing) for one in page]
        except Impossible:
            return 0, 0
        return len(sizes), sum(sizes)

    def delete(self, thing: Thing) -> None:
        """Delete a thing's objects. What is not there need not be deleted."""
        bucket, _prefix = self.place(thing)
        for page in list(self.objects(thing)):
            keys = [{"Key": one["Key"]} for one in page]
            errors = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors")
            if errors:
                raise Impossible(f"S3 refused to delete {len(errors)} objects: {errors[0].get('Code')}")


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


def choose(cursor: Cursor, until: int) -> tuple[list[Thing], list[Thing]]:
    """Return what was deleted before a time, and what of it is kept, as a registered model version refers to it.

    Args:
        cursor: of the database.
        until: milliseconds since 1970.
    """
    found = []
    for kind, query in (("runs", RUNS), ("logged_models", LOGGED_MODELS), ("experiments", EXPERIMENTS)):
        cursor.execute(query, {"until": until})
        found += [Thing(kind, identity, folder or "", number) for identity, folder, number in cursor.fetchall()]
    cursor.execute(VERSIONS)
    used = {one for run, source in cursor.fetchall() for one in (run, *IDS.findall(source))}
    # Their experiments cannot go without them.
    with_used = {one.experiment for one in found if one.id in used}
    kept = [one for one in found if one.id in used or (one.kind == "experiments" and one.experiment in with_used)]
    return [one for one in found if one not in kept], kept


def measure(bucket: Bucket, things: list[Thing]) -> tuple[int, int]:
    """Return how many objects there are, and their bytes."""
    with ThreadPoolExecutor(THREADS) as pool:
        sizes = list(pool.map(bucket.size, (one for one in things if one.folder)))
    return sum(one[0] for one in sizes), sum(one[1] for one in sizes)


def delete(cursor: Cursor, bucket: Bucket, store: typing.Any, things: list[Thing]) -> tuple[Found, list[Found]]:
    """Delete things for good; return how many of each kind, and those that could not be deleted."""
    done: Found = dict.fromkeys(KINDS, 0)
    failed: list[Found] = []
    for thing in things:
        cursor.execute(STAGES[thing.kind], (thing.id,))
        stage = cursor.fetchone()
        if stage is None or stage[0] != "deleted":
            # It was restored or deleted meanwhile.
            continue
        try:
            if thing.folder:
                bucket.delete(thing)
            getattr(store, DELETE[thing.kind])(thing.id)
        except Exception as problem:
            # Whatever library it is of: the rest can be deleted nevertheless.
            reason = str(problem) if isinstance(problem, Impossible) else type(problem).__name__
            failed.append({"kind": thing.kind, "id": thing.id, "reason": reason})
            continue
        done[thing.kind] += 1
    return done, failed


def open_store() -> typing.Any:
    """Return MLflow's store, which finds the database by libpq's variables."""
    stores = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store = stores.SqlAlchemyStore("postgresql+psycopg2://", "mlflow-artifacts:/")
    missing = [name for name in DELETE.values() if not hasattr(store, name)]
    if missing:
        raise Impossible(f"this version of MLflow has no {', '.join(missing)}")
    return store


def numbers(things: list[Thing]) -> Found:
    return {kind: sum(one.kind == kind for one in things) for kind in KINDS}


def run(s3: typing.Any, change: bool) -> Found:
    """Return what was found, and what of it was deleted.

    Args:
        s3: client of S3.
        change: whether to delete it; otherwise it is listed.

    Raises:
        Busy: another task is at it.
    """
    until = int((time.time() - float(os.environ["OLDER_THAN_SECONDS"])) * 1000)
    bucket = Bucket(s3, os.environ["ARTIFACTS_DESTINATION"])
    cursor = connect().cursor()
    cursor.execute(LOCK)
    if not cursor.fetchone()[0]:
        raise Busy("another task is deleting at the moment")
    things, kept = choose(cursor, until)
    objects, size = measure(bucket, things)
    found: Found = {"found": numbers(things), "kept": numbers(kept), "objects": objects, "bytes": size}
    found |= {"deleted": dict.fromkeys(KINDS, 0), "failed": 0, "failures": []}
    if change and things:
        done, failed = delete(cursor, bucket, open_store(), things)
        found |= {"deleted": done, "failed": len(failed), "failures": failed[:NAMED]}
    return found


def main() -> None:
    s3 = importlib.import_module("boto3").client("s3")
    found = run(s3, os.environ.get("DELETE") == "yes")
    body = json.dumps(found).encode()
    s3.put_object(Bucket=os.environ["REPORT_BUCKET"], Key=os.environ["REPORT_KEY"], Body=body)
    sys.stdout.write(f"{json.dumps({**found, 'failures': None})}\n")


if __name__ == "__main__":
    try:
        main()
    except Exception as trouble:
        first = str(trouble).splitlines()[0] if str(trouble) else ""
        sys.stderr.write(f"{type(trouble).__name__}: {first}\n")
        raise SystemExit(1) from None
