# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo is run when it is needed, believed only when the server shows it, and made again when it was lost."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow import generate
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.client_venv import Packages
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.demo import expected_features
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.demo import parse_version
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.generate import Settings
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.generate import ensure_demo
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.runner import Log
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import ALL_FEATURES
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import INVALID_HOST
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import TAG
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import FakeMlflow

GENERATED = "  Generated: " + ", ".join(name.lower() for name in ALL_FEATURES)
LOST = "WARNING mlflow.tracing.export.mlflow_v3: Failed to send trace to MLflow backend: API request failed"


class Executable:
    """A script in place of the mlflow command.

    Attributes:
        path: the script.
        record: what it was called with, the last time it was called with `demo`.
    """

    def __init__(self, folder: Path, version: str = "3.17.2") -> None:
        self.path = folder / "mlflow"
        self.record_file = folder / "record.json"
        self.version = version
        self.does(GENERATED)

    def does(
        self,
        output: str = "",
        *,
        stderr: str = "",
        rc: int = 0,
        fill: bool = True,
        before: str = "",
        before_version: str = "",
    ) -> None:
        # Isolated and without site-packages, and little imported for the version: it is started for each test, twice.
        code = f"""#!{sys.executable} -IS
import sys, time
if sys.argv[1:] == ["--version"]:
    {before_version or "pass"}
    sys.exit(print("mlflow, version {self.version}"))
import json, os, urllib.request
url = sys.argv[sys.argv.index("--tracking-uri") + 1]
with open({str(self.record_file)!r}, "w") as file:
    json.dump({{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}}, file)
{before}
if {fill}:
    urllib.request.urlopen(url + "/_fake/demo").read()
print({output!r})
print({stderr!r}, file=sys.stderr)
sys.exit({rc})
"""
        self.path.write_text(code)
        self.path.chmod(0o755)
        self.record_file.unlink(missing_ok=True)

    @property
    def ran(self) -> bool:
        return self.record_file.exists()

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self.record_file.read_text())


@pytest.fixture
def fake() -> Iterator[FakeMlflow]:
    server = FakeMlflow()
    yield server
    server.close()


@pytest.fixture
def executable(tmp_path: Path) -> Executable:
    return Executable(tmp_path)


def ensure(fake: FakeMlflow, stand_in: Executable, log: Log | None = None, /, **settings: Any) -> dict[str, Any]:
    report: dict[str, Any] = {}
    settings.setdefault("executable", str(stand_in.path))
    connection = settings.pop("connection", Connection(fake.url))
    report["changed"] = ensure_demo(connection, Settings(**settings), log or Log(None), report)
    return report


def failure(fake: FakeMlflow, stand_in: Executable, /, **settings: Any) -> MlflowError:
    with pytest.raises(MlflowError) as caught:
        ensure(fake, stand_in, **settings)
    return caught.value


def test_runs_once_and_proves(fake: FakeMlflow, executable: Executable) -> None:
    report = ensure(fake, executable)
    assert report["changed"]
    assert (report["traces"], report["runs"], report["prompts"]) == (42, 4, 3)
    assert report["features"] == sorted(ALL_FEATURES)
    assert report["experiment_url"] == f"{fake.url}/#/experiments/1"
    assert report["rc"] == 0
    assert executable.record["argv"] == ["demo", "--tracking-uri", fake.url, "--no-browser"]
    executable.does()
    second = ensure(fake, executable)
    assert not second["changed"]
    assert second["traces"] == 42
    assert not executable.ran


def test_demo_gets_the_servers_login_and_no_credentials_of_aws(
    fake: FakeMlflow, executable: Executable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = {
        "AWS_ACCESS_KEY_ID": "AKIAMADEUPMADEUPMADE",
        "AWS_SECRET_ACCESS_KEY": "made-up-key-aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "AWS_SESSION_TOKEN": "made-up-token-bbbbbbbbbbbbbbbbbbbbbbbbbb",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/v2/credentials/made-up",
        "PIP_INDEX_URL": "https://me:made-up-index-password@pypi.example.org/simple",
    }
    for name, value in credentials.items():
        monkeypatch.setenv(name, value)
    seen = tmp_path / "version.json"
    executable.does(GENERATED, before_version=f"import json, os; json.dump(dict(os.environ), open({str(seen)!r}, 'w'))")
    password = "made-up-login-password"
    ensure(fake, executable, connection=Connection(fake.url, username="admin", password=password))
    environment = executable.record["env"]
    assert environment["MLFLOW_TRACKING_PASSWORD"] == password
    assert not set(environment) & set(credentials)
    # A client that is only asked for its version needs no login.
    asked = json.loads(seen.read_text())
    assert password not in asked.values()
    assert not set(asked) & set(credentials)


def test_version_without_hashes_is_refused_in_check_mode_too(fake: FakeMlflow, executable: Executable) -> None:
    fake.version = "3.18.0"
    for check_mode in (False, True):
        assert failure(fake, executable, executable=None, check_mode=check_mode).reason == "unpinned"


def test_nothing_is_installed_when_there_is_nothing_to_do(fake: FakeMlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "ensure_client", lambda *_args: pytest.fail("installed a client"))
    fake.make_demo()
    report: dict[str, Any] = {}
    assert not ensure_demo(Connection(fake.url), Settings(), Log(None), report)


def test_client_of_the_servers_version_is_installed(
    fake: FakeMlflow, executable: Executable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def install(root: Path, packages: Packages, python: str | None, _log: Log, _limit: float) -> list[str]:
        asked.extend([root, packages.version, python])
        return [str(executable.path)]

    monkeypatch.setattr(generate, "ensure_client", install)
    settings = {"executable": None, "virtualenv_root": str(tmp_path), "virtualenv_python": "/usr/bin/python3"}
    assert ensure(fake, executable, **settings)["changed"]
    assert asked == [tmp_path, "3.17.2", "/usr/bin/python3"]


def test_check_mode_predicts(fake: FakeMlflow, executable: Executable) -> None:
    assert ensure(fake, executable, check_mode=True)["changed"]
    assert not executable.ran
    fake.make_demo()
    assert not ensure(fake, executable, check_mode=True)["changed"]
    assert {method for method, path in fake.calls if "search" not in path} == {"GET"}


def test_login_goes_through_the_environment_only(fake: FakeMlflow, executable: Executable) -> None:
    fake.login = ("admin", "a-long-password-nobody-uses")
    connection = Connection(fake.url, username="admin", password="a-long-password-nobody-uses")
    ensure(fake, executable, connection=connection, max_retries=1)
    record = executable.record
    assert "a-long-password-nobody-uses" not in " ".join(record["argv"])
    assert record["env"]["MLFLOW_TRACKING_PASSWORD"] == "a-long-password-nobody-uses"
    assert record["env"]["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert record["cwd"] == os.path.realpath(record["env"]["HOME"])
    assert not os.path.exists(record["cwd"])  # and is cleaned up


def test_version_skew_is_refused(fake: FakeMlflow, executable: Executable) -> None:
    fake.version = "3.10.0"
    error = failure(fake, executable)
    assert error.reason == "version_skew"
    assert "3.17.2" in error.message
    assert "3.10.0" in error.message
    assert not executable.ran


def test_executables_that_are_none(fake: FakeMlflow, executable: Executable, tmp_path: Path) -> None:
    assert failure(fake, executable, executable=str(tmp_path / "absent")).reason == "no_executable"
    assert failure(fake, executable, executable=str(tmp_path / "absent"), check_mode=True).reason == "no_executable"
    executable.does(before_version="sys.exit(3)")
    silent = failure(fake, executable)
    assert silent.reason == "no_executable"
    assert f"{executable.path} is no MLflow command that works: it said nothing (exit code 3)." in silent.message


def test_exit_code_counts(fake: FakeMlflow, executable: Executable) -> None:
    executable.does(stderr="Error: Cannot connect to MLflow server", rc=1, fill=False)
    error = failure(fake, executable)
    assert error.reason == "demo_failed"
    assert "Cannot connect" in error.message


def test_lost_uploads_fail_the_run_and_are_repeated_by_the_next(fake: FakeMlflow, executable: Executable) -> None:
    executable.does(GENERATED, stderr=LOST)
    error = failure(fake, executable)
    assert error.reason == "upload_failed"
    assert "Failed to send trace" in error.message
    assert fake.tags is not None
    assert {value for key, value in fake.tags.items() if key.startswith(TAG)} == {"0"}
    # The next run does not take the marks of the one before for granted.
    executable.does(GENERATED)
    assert ensure(fake, executable)["changed"]
    assert executable.ran


def test_lost_uploads_leave_alone_what_was_complete_before(fake: FakeMlflow, executable: Executable) -> None:
    fake.make_demo(["PROMPTS"])
    executable.does(GENERATED, stderr="WARNING Failed to upload attachment x")
    assert failure(fake, executable).reason == "upload_failed"
    assert fake.tags is not None
    assert fake.tags[f"{TAG}PROMPTS"] == "1"
    assert fake.tags[f"{TAG}TRACES"] == "0"


def test_a_good_exit_code_without_data_is_not_believed(fake: FakeMlflow, executable: Executable) -> None:
    executable.does(GENERATED, fill=False)
    error = failure(fake, executable)
    assert error.reason == "incomplete"
    assert "does not exist" in error.message


def test_a_feature_without_its_mark_is_not_complete(fake: FakeMlflow, executable: Executable) -> None:
    fake.demo_features = ALL_FEATURES[:-1]
    error = failure(fake, executable)
    assert error.reason == "incomplete"
    assert ALL_FEATURES[-1] in error.message


def test_a_feature_nobody_knew_needs_its_mark_too(fake: FakeMlflow, executable: Executable) -> None:
    executable.does(GENERATED + ", holograms")
    assert "HOLOGRAMS" in failure(fake, executable).message


@pytest.mark.parametrize(("kind", "count"), [("traces", 29), ("runs", 2), ("prompts", 0)])
def test_marks_without_data_are_taken_back(fake: FakeMlflow, executable: Executable, kind: str, count: int) -> None:
    fake.make_demo()
    setattr(fake, kind, count)
    executable.does(GENERATED, fill=False)
    assert str(count) in failure(fake, executable).message
    assert fake.tags is not None
    marked = [key for key, value in fake.tags.items() if value == "0"]
    assert marked == [TAG + {"traces": "TRACES", "runs": "EVALUATION", "prompts": "PROMPTS"}[kind]]
    executable.does(GENERATED)
    assert ensure(fake, executable)["changed"]


def test_experiment_in_the_bin_is_made_again(fake: FakeMlflow, executable: Executable) -> None:
    fake.make_demo()
    fake.stage = "deleted"
    assert ensure(fake, executable)["changed"]


def test_artifacts_that_do_not_go_through_the_server(fake: FakeMlflow, executable: Executable) -> None:
    fake.make_demo()
    fake.artifact_location = "s3://bucket/1"
    error = failure(fake, executable)
    assert error.reason == "artifact_location"
    assert "s3://bucket/1" in error.message


def test_servers_without_the_demo(fake: FakeMlflow, executable: Executable) -> None:
    fake.version = "3.9.0"
    assert failure(fake, executable).reason == "unsupported_version"
    fake.canned["GET", "/version"] = (404, {}, b"")
    assert failure(fake, executable).reason == "unknown_version"


def test_host_that_is_not_allowed(fake: FakeMlflow, executable: Executable) -> None:
    fake.canned["GET", "/api/3.0/mlflow/server-info"] = (403, {}, INVALID_HOST.encode())
    assert failure(fake, executable).reason == "host_not_allowed"


def test_time_limit(fake: FakeMlflow, executable: Executable) -> None:
    executable.does(before="time.sleep(60)")
    error = failure(fake, executable, time_limit=2)
    assert error.reason == "timeout"
    assert "2 s" in error.message


def test_time_limit_while_the_client_tells_its_version(fake: FakeMlflow, executable: Executable) -> None:
    executable.does(before_version="time.sleep(600)")
    error = failure(fake, executable, time_limit=2)
    assert error.reason == "timeout"
    assert f"{executable.path} did not tell its version within " in error.message
    assert "time_limit, 2 s; raise time_limit." in error.message
    assert not executable.ran


def test_log_tells_the_way(fake: FakeMlflow, executable: Executable, tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"))
    ensure(fake, executable, log)
    log.close()
    text = (tmp_path / "log").read_text()
    assert f"asking {executable.path} for its version" in text
    assert "making it, with " in text
    assert "mlflow demo --tracking-uri" in text
    assert "Generated: prompts" in text
    assert "verified: 42 traces, 4 runs, 3 prompts" in text


@pytest.mark.parametrize(
    ("version", "count"),
    [
        ("3.10.0", 3),
        ("3.10.1", 3),
        ("3.11.1", 5),
        ("3.14.0", 5),
        ("3.15.2", 6),
        ("3.16.0", 8),
        ("3.18.0", 8),
        ("4.0", 8),
    ],
)
def test_features_of_a_version(version: str, count: int) -> None:
    features = expected_features(version)
    assert len(features) == len(set(features)) == count
    assert {"PROMPTS", "TRACES", "EVALUATION"} <= set(features)


def test_versions_are_numbers() -> None:
    assert parse_version("3.17.2.dev0") == (3, 17, 2)
    assert parse_version("3.9") < parse_version("3.10.0")
    with pytest.raises(MlflowError):
        parse_version("latest")
