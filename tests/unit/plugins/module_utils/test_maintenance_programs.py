# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task does on a schedule: only lists at first, leaves work to others, and tells what fails."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._maintenance import archive_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._maintenance import scheduled_program

JOB = """
class Busy(Exception):
    pass


calls = []


def run(s3, change):
    calls.append(change)
    if FAILURE:
        raise FAILURE
    return {"found": 3, "failed": FAILED, "failures": []}
"""


class NoSuchKey(Exception):
    """S3's."""


class Aws:
    """S3, SQS and ECS as boto3 shows them."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey)

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.messages: list[dict[str, Any]] = []
        self.tags: dict[str, str] = {"Team": "one"}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self.objects:
            raise NoSuchKey
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self.objects[Key] = Body

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:
        assert QueueUrl == "https://queue"
        self.messages.append(json.loads(MessageBody))

    def list_tags_for_resource(self, resourceArn: str) -> dict[str, Any]:
        return {"tags": [{"key": key, "value": value} for key, value in self.tags.items()]}

    @property
    def report(self) -> dict[str, Any]:
        return dict(json.loads(self.objects["gc.json"]))


@pytest.fixture(name="aws")
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    aws = Aws()
    monkeypatch.setattr(scheduled_program, "client", lambda _service: aws)
    for name, value in {
        "JOB": "gc",
        "LOCK_PREFIX": "lock:",
        "QUEUE_URL": "https://queue",
        "REPORT_BUCKET": "bucket",
        "REPORT_KEY": "gc.json",
        "SERVICE_ARN": "arn:service",
        "SETTINGS": "one",
        "STOPPED_KEY": "stopped",
        "TIME_LIMIT_SECONDS": "3600",
    }.items():
        monkeypatch.setenv(name, value)
    yield aws
    signal.alarm(0)


def run(monkeypatch: pytest.MonkeyPatch, failure: str = "None", failed: int = 0) -> tuple[int, list[bool]]:
    """Run the program; return its exit code, and whether the job was to change something, each time."""
    monkeypatch.setenv("PROGRAM", JOB.replace("FAILURE", failure).replace("FAILED", str(failed)))
    monkeypatch.delitem(sys.modules, "job", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    code = 0
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            scheduled_program.main()
        except SystemExit as end:
            code = int(str(end))
    calls = list(sys.modules["job"].calls) if "job" in sys.modules else []
    sys.modules.pop("job", None)
    return code, calls


def test_the_first_run_only_lists_and_so_does_the_first_with_other_settings(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch) == (0, [False])
    assert aws.report["only_listed"] and aws.report["report"]["found"] == 3
    assert run(monkeypatch) == (0, [True])
    assert not aws.report["only_listed"]
    monkeypatch.setenv("SETTINGS", "two")
    assert run(monkeypatch) == (0, [False])
    assert run(monkeypatch) == (0, [True])
    assert aws.messages == []


@pytest.mark.parametrize("tag", ["lock:20261201", "stopped"])
def test_nothing_is_done_while_a_verb_works_or_the_server_is_stopped(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    aws.tags[tag] = "x"
    assert run(monkeypatch) == (0, [])
    assert (aws.objects, aws.messages) == ({}, [])


def test_a_second_task_leaves_the_work_to_the_first(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, failure="Busy('another')") == (0, [False])
    assert (aws.objects, aws.messages) == ({}, [])


def test_what_fails_is_told_and_lists_again(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, failure="ValueError('first\\nDETAIL: a value of the database')") == (1, [False])
    assert aws.messages == [{"job": "gc", "service": "arn:service", "reason": "ValueError: first"}]
    assert run(monkeypatch) == (0, [False])


def test_what_could_not_be_done_is_told_and_the_rest_is_kept(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch)
    assert run(monkeypatch, failed=2) == (1, [True])
    assert "2 could not be done, the rest was" in aws.messages[0]["reason"]
    assert aws.report["report"]["failed"] == 2


def test_a_run_that_hangs_is_told(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "alarm", lambda _seconds: None)
    assert run(monkeypatch, failure="__import__('signal').raise_signal(14)") == (1, [False])
    assert "more than 3600 seconds" in aws.messages[0]["reason"]


# ---- archival


class Store:
    """MLflow's, with traces of which one cannot be archived."""

    def __init__(self, due: int, broken: int = 0) -> None:
        self.due, self.broken = due, broken
        self.asked: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def ManagedSessionMaker(self) -> Iterator[str]:
        yield "session"

    def _plan_trace_archival(self, **given: Any) -> tuple[list[Any], list[int]]:
        self.asked.append(given)
        return [], list(range(self.due))

    def archive_traces(self, resolved_trace_archival_location: str, broader_retention: str) -> int:
        assert resolved_trace_archival_location == "s3://bucket/in"
        assert broader_retention == "1440m"
        done, self.due = self.due - self.broken, self.broken
        return done


@pytest.fixture(name="archival")
def _archival(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OLDER_THAN_SECONDS", "86400")
    monkeypatch.setenv("ARTIFACTS_DESTINATION", "s3://bucket/in")
    monkeypatch.setitem(sys.modules, "mlflow.utils.time", SimpleNamespace(get_current_time_millis=lambda: 1000))
    cursor = SimpleNamespace(execute=lambda query: None, fetchone=lambda: [state.free])
    connection = SimpleNamespace(cursor=lambda: cursor, close=lambda: None)
    state = SimpleNamespace(free=True)
    monkeypatch.setattr(archive_program, "connect", lambda: connection)
    monkeypatch.setattr(
        archive_program.importlib,
        "import_module",
        lambda name: sys.modules[name] if name in sys.modules else pytest.fail(name),
    )
    return state


def test_traces_are_counted_or_archived(archival: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(due=5, broken=1)
    monkeypatch.setattr(archive_program, "open_store", lambda: store)
    found = archive_program.run(None, change=False)
    assert (found["found"], found["archived"], found["failed"]) == ({"traces": 5}, {"traces": 0}, 0)
    assert store.asked[0]["broader_retention_millis"] == 86_400_000
    done = archive_program.run(None, change=True)
    assert (done["archived"], done["failed"]) == ({"traces": 4}, 1)


def test_archival_leaves_the_work_to_another_task(archival: Any) -> None:
    archival.free = False
    with pytest.raises(archive_program.Busy):
        archive_program.run(None, change=True)


def test_an_old_mlflow_says_so(archival: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = SimpleNamespace(SqlAlchemyStore=lambda _uri, _root: object())
    monkeypatch.setitem(sys.modules, "mlflow.store.tracking.sqlalchemy_store", stores)
    with pytest.raises(archive_program.Impossible, match="does not archive traces"):
        archive_program.open_store()
