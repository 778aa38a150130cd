# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.

"""Ensure that a server has the demo data: check, run C(mlflow demo) if needed, check again."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile
import time
import typing
from dataclasses import dataclass
from pathlib import Path

from .client_venv import choose_packages
from .client_venv import default_root
from .client_venv import ensure_client
from .demo import DemoState
from .demo import check_artifact_location
from .demo import expected_features
from .demo import failed_uploads
from .demo import generated_features
from .demo import mark_incomplete
from .demo import read_progress
from .demo import read_state
from .readiness import read_server_info
from .readiness import read_version
from .rest import Client
from .rest import Connection
from .rest import MlflowError
from .runner import Log
from .runner import Result
from .runner import client_environment
from .runner import run

# "mlflow, version 3.17.2", as click's version_option prints it.
_CLIENT_VERSION = re.compile(r"\bversion\s+(\S+)")


@dataclass(frozen=True)
class Settings:
    """How to generate the data.

    Attributes:
        executable: MLflow command; default is one of the server's version from the cache.
        virtualenv_root: folder of that cache.
        requirements: file with the packages of such a client and their hashes; default is what the collection has.
        allow_unpinned: install a version without either from the package index.
        virtualenv_python: interpreter for a new environment; default is the one that runs this.
        time_limit: seconds for installing and running together.
        max_retries: how often the client repeats a failed request.
        check_mode: only predict.
    """

    executable: str | None = None
    virtualenv_root: str | None = None
    requirements: str | None = None
    allow_unpinned: bool = False
    virtualenv_python: str | None = None
    time_limit: float = 1800.0
    max_retries: int = 3
    check_mode: bool = False


def ensure_demo(connection: Connection, settings: Settings, log: Log, report: dict[str, typing.Any]) -> bool:
    """Ensure that the demo data exists.

    Args:
        connection: the server.
        settings: see there.
        log: gets the progress.
        report: filled with results, also on errors; C(touched): whether the server was changed.

    Returns:
        Whether C(mlflow demo) ran (or, in check mode, would run).
    """
    deadline = time.monotonic() + settings.time_limit
    client = Client(connection)
    version = read_version(client, read_server_info(client))
    if not version:
        raise MlflowError("unknown_version", f"{connection.tracking_uri} does not tell its MLflow version (/version).")
    report["version"] = version
    features = expected_features(version)
    before = read_state(client)
    _report_state(report, connection, before)
    check_artifact_location(before)
    if before.is_complete(features):
        log.write(f"nothing to do: {before.traces} traces, {before.runs} runs, {before.prompts} prompts are there")
        return False
    executable = _find_executable(settings.executable)
    packages = None if executable else choose_packages(version, settings.requirements, settings.allow_unpinned)
    if settings.check_mode:
        return True
    command = [executable] if executable else []
    if packages:
        root = Path(settings.virtualenv_root) if settings.virtualenv_root else default_root()
        left = deadline - time.monotonic()
        command = ensure_client(root, packages, settings.virtualenv_python, log, left)
    report["client"] = command[0]
    report["touched"] = _prepare(client, before, features, log)
    result = _run_demo(client, command, version, settings, log=log, deadline=deadline)
    report.update(rc=result.rc, stdout_lines=result.stdout, stderr_lines=result.stderr)
    report["touched"] = report["touched"] or _differs(client, before)
    lost = failed_uploads(result.lines)
    if lost:
        _take_back(client, before, report)
    _judge_run(result, lost, settings)
    after = read_state(client)
    _report_state(report, connection, after)
    check_artifact_location(after)
    desired = list(dict.fromkeys([*features, *generated_features(result.stdout)]))
    problems = after.problems(desired)
    if problems:
        raise MlflowError("incomplete", f"`mlflow demo` ended well, but on the server {'; '.join(problems)}.")
    log.write(f"verified: {after.traces} traces, {after.runs} runs, {after.prompts} prompts are there")
    return True


def _report_state(report: dict[str, typing.Any], connection: Connection, state: DemoState) -> None:
    report.update(
        experiment_id=state.experiment_id,
        artifact_location=state.artifact_location,
        features=sorted(name for name, version in state.features.items() if version not in ("", "0")),
        traces=state.traces,
        runs=state.runs,
        prompts=state.prompts,
    )
    if state.experiment_id:
        report["experiment_url"] = f"{connection.tracking_uri}/#/experiments/{state.experiment_id}"


def _find_executable(executable: str | None) -> str | None:
    if not executable:
        return None
    found = shutil.which(os.path.expanduser(executable))
    if not found:
        raise MlflowError("no_executable", f"executable {executable} does not exist, or may not be run.")
    return os.path.abspath(found)


def _differs(client: Client, before: DemoState) -> bool:
    """Return whether the server's data changed; assume so if it cannot be read."""
    try:
        return read_state(client) != before
    except MlflowError:
        return True


def _prepare(client: Client, state: DemoState, features: list[str], log: Log) -> bool:
    """Remove completion tags without their data, or C(mlflow demo) would find nothing to do.

    Returns:
        Whether it did.
    """
    if state.deleted or not state.experiment_id or state.missing_features(features):
        return False
    names = [feature for _kind, _least, feature in state.short_counts()]
    for name in mark_incomplete(client, state, names):
        log.write(f"the data of {name} is incomplete although marked as complete; it will be made again")
    return bool(names)


def _run_demo(
    client: Client, command: list[str], version: str, settings: Settings, *, log: Log, deadline: float
) -> Result:
    connection = client.connection
    watcher = Client(dataclasses.replace(connection, timeout=min(connection.timeout, 5.0)))
    said = ""

    def tell_progress() -> None:
        nonlocal said
        line = read_progress(watcher)
        if line and line != said:
            said = line
            log.write(line)

    with tempfile.TemporaryDirectory(prefix="mlflow-demo-") as home:
        environment = client_environment(connection, home, settings.max_retries)
        log.write(f"asking {command[0]} for its version")
        asked = _start(
            [*command, "--version"],
            environment=client_environment(Connection(connection.tracking_uri), home, settings.max_retries),
            folder=home,
            time_limit=max(1.0, deadline - time.monotonic()),
            log=log,
        )
        _check_client_version(asked, command[0], version, settings)
        argv = [*command, "demo", "--tracking-uri", connection.tracking_uri, "--no-browser"]
        log.write(f"making it, with {' '.join(argv)}")
        return _start(
            argv,
            environment=environment,
            folder=home,
            time_limit=max(1.0, deadline - time.monotonic()),
            log=log,
            on_tick=tell_progress if log.path or log.tell else None,
        )


def _start(argv: list[str], **arguments: typing.Any) -> Result:
    try:
        return run(argv, **arguments)
    except OSError as error:
        raise MlflowError("no_executable", f"{argv[0]} cannot be started: {error.strerror}.") from error


def _check_client_version(result: Result, executable: str, version: str, settings: Settings) -> None:
    """Check that client and server have the same version: a newer client always fails on an older server.

    Args:
        result: of C(mlflow --version). It loads all of MLflow, which takes minutes on a machine that is slow or busy.
        executable: what was run.
        version: the server's.
        settings: where its time limit comes from.
    """
    if result.timed_out:
        raise MlflowError(
            "timeout",
            f"{executable} did not tell its version within {result.seconds:.0f} s, all that was left of time_limit,"
            f" {settings.time_limit:.0f} s; raise time_limit.",
        )
    match = _CLIENT_VERSION.search(" ".join(result.lines))
    if result.rc or not match:
        raise MlflowError(
            "no_executable",
            f"{executable} is no MLflow command that works: {result.tail() or 'it said nothing'}"
            f" (exit code {result.rc}).",
        )
    if match.group(1) != version:
        raise MlflowError(
            "version_skew",
            f"{executable} is MLflow {match.group(1)}, the server runs {version}; give an executable of"
            f" {version}, or none to have it installed.",
        )


def _judge_run(result: Result, lost: list[str], settings: Settings) -> None:
    if lost:
        raise MlflowError(
            "upload_failed",
            f"`mlflow demo` ended with {result.rc}, but {len(lost)} of its uploads did not reach the server, the first:"
            f" {lost[0]}",
        )
    if result.timed_out:
        raise MlflowError(
            "timeout",
            f"`mlflow demo` was stopped after {result.seconds:.0f} s, when time_limit, {settings.time_limit:.0f} s, was"
            " over; raise time_limit.",
        )
    if result.rc:
        raise MlflowError("demo_failed", f"`mlflow demo` failed with exit code {result.rc}: {result.tail()}")


def _take_back(client: Client, before: DemoState, report: dict[str, typing.Any]) -> None:
    """Remove this run's completion tags, so that the next run generates the data again."""
    try:
        state = read_state(client)
        if state.experiment_id and not state.deleted:
            done_before = {name for name, version in before.features.items() if version not in ("", "0")}
            mark_incomplete(client, state, [name for name in state.features if name not in done_before])
            _report_state(report, client.connection, read_state(client))
    except MlflowError:
        # The lost uploads are what must be reported, and a server in this state may well refuse the tags too.
        return
