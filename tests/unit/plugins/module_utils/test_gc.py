# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is deleted for good is what was chosen, and nothing else; and what people are told of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc import collection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc import gc_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc.gc_program import Bucket
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc.gc_program import Impossible
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc.gc_program import Thing
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.hints import Hints

HINTS = Hints("gc", "-e mlflow_gc_{name}={value}")
RUN, OTHER, USED = ("0a" * 16, "0b" * 16, "0c" * 16)
MODEL = f"m-{'1d' * 16}"


class S3:
    """A bucket as boto3 shows it."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)
        self.refused: set[str] = set()

    def get_paginator(self, _operation: str) -> S3:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        assert Bucket == "bucket"
        found = [{"Key": key, "Size": 10} for key in self.keys if key.startswith(Prefix)]
        return [{"Contents": found[:2]}, {"Contents": found[2:]}] if found else [{}]

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        wanted = [one["Key"] for one in Delete["Objects"]]
        errors = [{"Key": key, "Code": "AccessDenied"} for key in wanted if key in self.refused]
        self.keys = [key for key in self.keys if key not in wanted or key in self.refused]
        return {"Errors": errors} if errors else {}


class Cursor:
    """Rows for each query."""

    def __init__(self, **answers: list[tuple[Any, ...]]) -> None:
        self.answers = {getattr(gc_program, name): rows for name, rows in answers.items()}
        self.stages: dict[str, str] = {}
        self._rows: list[tuple[Any, ...]] = []

    def execute(self, query: str, values: Any = None) -> None:
        if query in gc_program.STAGES.values():
            self._rows = [(self.stages[values[0]],)] if values[0] in self.stages else []
        else:
            self._rows = self.answers.get(query, [])

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None


class Store:
    """MLflow's."""

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self._hard_delete_logged_model = self._hard_delete_experiment = self._hard_delete_run

    def _hard_delete_run(self, identity: str) -> None:
        if identity == OTHER:
            raise LookupError("a value of the database")
        self.deleted.append(identity)


def folder_of(identity: str) -> str:
    return f"mlflow-artifacts:/7/{identity}/artifacts"


def run_of(identity: str, folder: str = "") -> Thing:
    return Thing("runs", identity, folder or folder_of(identity), 7)


@pytest.mark.parametrize(
    ("folder", "prefix"),
    [
        (folder_of(RUN), f"in/7/{RUN}/artifacts/"),
        (f"mlflow-artifacts://host/7/{RUN}/artifacts", f"in/7/{RUN}/artifacts/"),
        (f"s3://bucket/in/7/{RUN}/artifacts/", f"in/7/{RUN}/artifacts/"),
    ],
)
def test_artifacts_are_found_where_the_server_keeps_them(folder: str, prefix: str) -> None:
    assert Bucket(None, "s3://bucket/in/").place(run_of(RUN, folder)) == ("bucket", prefix)


@pytest.mark.parametrize(
    "folder",
    ["s3://bucket/shared", "s3://bucket/", f"s3://bucket/x{RUN}/artifacts", "mlflow-artifacts:/", "gs://b/" + RUN],
)
def test_a_folder_that_is_not_the_runs_alone_is_left(folder: str) -> None:
    s3 = S3("shared/a", f"x{RUN}/artifacts/b")
    bucket = Bucket(s3, "s3://bucket")
    with pytest.raises(Impossible):
        bucket.delete(run_of(RUN, folder))
    assert len(s3.keys) == 2 and bucket.size(run_of(RUN, folder)) == (0, 0)


def test_only_the_objects_of_a_run_are_deleted() -> None:
    own = [f"7/{RUN}/artifacts/{number}" for number in range(5)]
    s3 = S3(*own, f"7/{RUN}/artifacts2/x", f"7/{OTHER}/artifacts/x")
    bucket = Bucket(s3, "s3://bucket")
    assert gc_program.measure(bucket, [run_of(RUN)]) == (5, 50)
    bucket.delete(run_of(RUN))
    assert s3.keys == [f"7/{RUN}/artifacts2/x", f"7/{OTHER}/artifacts/x"]
    bucket.delete(run_of(RUN))


def test_what_registered_versions_refer_to_is_kept_with_its_experiment() -> None:
    cursor = Cursor(
        RUNS=[(RUN, folder_of(RUN), 7), (USED, folder_of(USED), 8), (OTHER, folder_of(OTHER), 9)],
        LOGGED_MODELS=[(MODEL, "mlflow-artifacts:/9/models/m/artifacts", 9)],
        EXPERIMENTS=[("7", "", 7), ("8", "", 8), ("9", "", 9)],
        VERSIONS=[(USED, "models:/x"), ("", f"models:/{MODEL}")],
    )
    things, kept = gc_program.choose(cursor, 1)
    assert [one.id for one in things] == [RUN, OTHER, "7"]
    assert gc_program.numbers(kept) == {"runs": 1, "logged_models": 1, "experiments": 2}


def test_what_fails_is_named_without_values_and_the_rest_goes_on() -> None:
    s3 = S3(*(f"7/{one}/artifacts/x" for one in (RUN, USED)))
    s3.refused = {f"7/{USED}/artifacts/x"}
    cursor, store = Cursor(), Store()
    restored = "0e" * 16
    cursor.stages = {RUN: "deleted", OTHER: "deleted", USED: "deleted", restored: "active"}
    things = [run_of(one) for one in (restored, "0f" * 16, USED, OTHER, RUN)]
    done, failed = gc_program.delete(cursor, Bucket(s3, "s3://bucket"), store, things)
    assert store.deleted == [RUN] and done == {"runs": 1, "logged_models": 0, "experiments": 0}
    assert [(one["id"], one["reason"]) for one in failed] == [
        (USED, "S3 refused to delete 1 objects: AccessDenied"),
        (OTHER, "LookupError"),
    ]
    said = collection.failure({"failed": 30, "failures": failed, "deleted": done})
    assert said.startswith("30 could not be deleted, the rest was (1 run):\n  run ") and said.endswith("and 28 more")


@pytest.mark.parametrize(
    ("text", "age"),
    [("30d", timedelta(30)), ("1d12h", timedelta(1.5)), ("90m", timedelta(0, 5400)), ("0s", timedelta())],
)
def test_an_age_is_as_mlflow_takes_it(text: str, age: timedelta) -> None:
    assert collection.parse_age(text, 0, HINTS) == age


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be days, hours"),
        ("30", "must be days, hours"),
        ("1.5d", "must be days, hours"),
        ("-1d", "must be days, hours"),
        ("167h", r"less than the 7 days.* with -e mlflow_gc_older_than=7d\."),
    ],
)
def test_an_age_that_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        collection.parse_age(text, 7, HINTS)


def test_people_are_told_what_and_how_much() -> None:
    report: dict[str, Any] = {
        "found": {"runs": 2, "logged_models": 0, "experiments": 1},
        "kept": {"runs": 1, "logged_models": 0, "experiments": 0},
        "deleted": {"runs": 2, "logged_models": 0, "experiments": 1},
        "objects": 3,
        "bytes": 2 * 1024**2,
    }
    listed = collection.lines(report, "tracking", delete=False, hints=HINTS)
    assert listed == [
        "'tracking': 2 runs and 1 experiment could be deleted for good, with 3 objects of 2.00 MB in the bucket.",
        "Nothing was deleted. To delete it, which cannot be undone: gc -e mlflow_gc_delete=true",
        "Kept, because registered model versions refer to them: 1 run.",
    ]
    assert "were deleted for good" in collection.lines(report, "tracking", delete=True, hints=HINTS)[0]
    nothing = {**report, "found": dict.fromkeys(report["found"], 0)}
    assert collection.lines(nothing, "tracking", delete=True, hints=HINTS)[0] == (
        "'tracking': there is nothing to delete for good."
    )
