# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees while a module waits: real runs of ansible-playbook, with mlflow_health as the module."""

from __future__ import annotations

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core import progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import duration
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils import _progress_action
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._progress_action import ProgressTailer

Play = Callable[..., "subprocess.CompletedProcess[str]"]
# Where this collection was found is where ansible-playbook shall find it.
COLLECTIONS = Path(progress.__file__).parents[6]
LINE = re.compile(r"^  MLflow server: .*refuses.* \(\d+:\d\d, at AWS usually up to 25 minutes\)$", re.M)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def watched_run(
    command: list[str], environment: dict[str, str], watch: Callable[[str], None]
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; each line that it shows is handed on at once."""
    process = subprocess.Popen(
        command,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_NOCOLOR": "1",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    alarm = threading.Timer(3600, process.kill)
    alarm.start()
    read: dict[Any, list[str]] = {process.stdout: [], process.stderr: []}

    def follow(stream: Any) -> None:
        for line in stream:
            watch(line)
            read[stream].append(line)

    threads = [threading.Thread(target=follow, args=(stream,)) for stream in read]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    code = process.wait()
    alarm.cancel()
    output, errors = ("".join(lines) for lines in read.values())
    return subprocess.CompletedProcess(process.args, code, output, errors)


def with_result(task: dict[str, Any], port: int) -> list[dict[str, Any]]:
    """A task that waits two seconds for a server that is not there, and one that shows what came of it."""
    task = dict(task)
    arguments = {"tracking_uri": f"http://127.0.0.1:{port}", "wait_timeout": 2, "delay": 1, "patience": 60}
    arguments.update(task.pop("mlops.mlflow_aws.mlflow_health", {}))
    module = task.pop("instead", {"mlops.mlflow_aws.mlflow_health": arguments})
    shown = {"ansible.builtin.debug": {"msg": "{{ health.reason | default('no reason') }}"}}
    return [{"name": "Wait", **module, "register": "health", "failed_when": False, **task}, shown]


def write_play(path: Path, port: int, *tasks: dict[str, Any]) -> None:
    """Write a play of such tasks."""
    content = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [part for task in tasks for part in with_result(task, port)],
    }
    path.write_text(yaml.safe_dump([content], sort_keys=False), encoding="utf-8")


@pytest.fixture
def play(tmp_path: Path, free_port: int) -> Play:
    """Run tasks, each of which waits two seconds for a server that is not there."""

    def go(
        *tasks: dict[str, Any],
        options: Sequence[str] = (),
        hosts: int = 1,
        environment: dict[str, str] | None = None,
        watch: Callable[[str], None] = lambda _line: None,
    ) -> subprocess.CompletedProcess[str]:
        write_play(tmp_path / "play.yml", free_port, *tasks)
        inventory = "".join(f"host{number}," for number in range(hosts))
        command = [sys.executable, "-m", "ansible", "playbook", "-i", inventory, str(tmp_path / "play.yml"), *options]
        return watched_run(command, {"ANSIBLE_HOME": str(tmp_path / "home"), **(environment or {})}, watch)

    return go


def test_progress_is_shown_on_standard_error(play: Play) -> None:
    done = play({})
    assert done.returncode == 0, done.stdout + done.stderr
    assert LINE.search(done.stderr), done.stderr
    # Programs read the results there, with other callbacks.
    assert not LINE.search(done.stdout)
    assert "refused" in done.stdout


def test_without_progress_the_module_works_the_same(play: Play) -> None:
    done = play(
        {"name": "hidden", "no_log": True},
        {"name": "switched off", "vars": {"mlflow_live_progress": False}},
        {"name": "async", "async": 60, "poll": 1},
        {"name": "fire and forget", "async": 60, "poll": 0},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not LINE.search(done.stderr), done.stderr
    reasons = re.findall(r'^    "?msg"?: "?(.*?)"?$', done.stdout, re.M)
    assert reasons == ["connection_refused"] * 3 + ["no reason"], done.stdout


def test_check_mode_the_users_environment_and_module_defaults_stay(play: Play) -> None:
    """An action plugin must not come between a module and them. Where AWS is faster, less is expected."""
    text = "{{ nothing_of_that_name }}"
    done = play(
        {"environment": {"LC_ALL": "C", "MLOPS_MLFLOW_AWS_SPEED": "60"}},
        {"module_defaults": {"mlops.mlflow_aws.mlflow_health": {"username": text}}},
        options=["--check"],
    )
    # The second one ends with the name that module_defaults gave it.
    assert re.search(r"ok=2 .*failed=1 ", done.stdout), done.stdout
    assert "refused" in done.stdout
    assert "nothing_of_that_name" in done.stdout
    assert re.search(r"^  MLflow server: .*, here usually up to 90 seconds\)$", done.stderr, re.M), done.stderr


def test_standard_output_stays_json_and_hosts_are_named(play: Play) -> None:
    done = play({}, environment={"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}, hosts=2)
    assert set(json.loads(done.stdout)["plays"][0]["tasks"][0]["hosts"]) == {"host0", "host1"}
    for host in ("host0", "host1"):
        assert f"  [{host}] MLflow server: " in done.stderr


@pytest.mark.parametrize("more", [(), ("-v", "--diff")], ids=str)
def test_callback_minimal(play: Play, more: tuple[str, ...]) -> None:
    done = play({}, options=more, environment={"ANSIBLE_STDOUT_CALLBACK": "minimal"})
    assert not LINE.search(done.stdout)
    assert LINE.search(done.stderr), done.stderr


def test_lines_are_events_where_ansible_runner_runs_the_playbook(free_port: int, tmp_path: Path) -> None:
    """As AWX and ansible-navigator do: what is no event is lost there."""
    (tmp_path / "runner/project").mkdir(parents=True)
    (tmp_path / "runner/inventory").mkdir()
    (tmp_path / "runner/inventory/hosts").write_text("host0\nhost1\n", encoding="utf-8")
    write_play(tmp_path / "runner/project/play.yml", free_port, {})
    command = [str(Path(sys.executable).parent / "ansible-runner"), "run", str(tmp_path / "runner"), "-p", "play.yml"]
    subprocess.run(
        [*command, "--ident", "one", "--quiet"],
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=1800,
        check=True,
    )
    events = [json.loads(path.read_text("utf-8")) for path in tmp_path.glob("runner/artifacts/one/job_events/*.json")]
    shown = "\n".join(event["stdout"] for event in events)
    for host in ("host0", "host1"):
        assert re.search(rf"\[{host}\] MLflow server: .* refuses connections", shown), shown


class Healthy(http.server.BaseHTTPRequestHandler):
    """As much of MLflow as the first questions need."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/health", "/version") else 404)
        self.end_headers()
        self.wfile.write(b"3.17.2")

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def test_lines_come_while_the_module_waits(play: Play, free_port: int) -> None:
    """In a terminal or in a pipeline's log, not all at the end: what it waits for is only made once a line was seen."""
    made: list[http.server.HTTPServer] = []

    def watch(line: str) -> None:
        if "MLflow server: " in line and not made:
            made.append(http.server.ThreadingHTTPServer(("127.0.0.1", free_port), Healthy))
            threading.Thread(target=made[0].serve_forever, daemon=True).start()

    arguments = {"wait_timeout": 1800, "patience": 1800, "check_database": False}
    done = play({"mlops.mlflow_aws.mlflow_health": arguments}, watch=watch)
    assert made, done.stderr
    made[0].shutdown()
    made[0].server_close()
    assert "ready" in done.stdout


def test_command_of_minutes_is_watched(play: Play, tmp_path: Path) -> None:
    command = {"argv": [sys.executable, "-c", "print('done it')"], "subject": "Work", "usually": "2 minutes"}
    module = "mlops.mlflow_aws.watched_command"
    done = play(
        {"name": "run", "instead": {module: command}},
        {"name": "skip", "instead": {module: {**command, "creates": str(tmp_path)}}},
        {"name": "refuse", "instead": {module: {"subject": "Work"}}, "failed_when": True},
        options=["-v"],
    )
    ran, skipped, refused = re.split(r"^TASK \[(?:skip|refuse)\]", done.stdout, flags=re.M)
    assert "changed: [host0]" in ran and "done it" in ran
    assert "ok: [host0]" in skipped and "skipped, since" in skipped
    assert "missing required arguments: argv" in refused


# ---- the parts


def said(path: Path) -> list[dict[str, Any]]:
    """What a module has written."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def watched(path: Path, *, lines: int, **options: Any) -> tuple[ProgressTailer, list[str]]:
    """A follower that has shown so many lines."""
    seen: list[str] = []
    tailer = ProgressTailer(str(path), seen.append, **options)
    tailer.start()
    deadline = time.monotonic() + 1800
    while len(seen) < lines and time.monotonic() < deadline:
        time.sleep(0.02)
    return tailer, seen


def test_lines_are_said_once_and_secrets_never(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.touch()
    now = [0.0]
    progress = Progress("Service x", ExpectedDuration(5, 10), {"a-made-up-password"}, str(path), lambda: now[0])
    progress.report("PENDING")
    progress.report("PENDING")
    now[0] = 187.4
    progress.report("refused a-made-up-password\nand more")
    expected_duration = {"subject": "Service x", "usual": "at AWS usually 5 to 10 minutes"}
    assert said(path) == [
        {**expected_duration, "line": "PENDING", "elapsed": 0.0},
        {**expected_duration, "line": "refused ******** and more", "elapsed": 187.4},
    ]


def test_without_a_reader_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    Progress("tracking", path=str(path)).report("PENDING")
    Progress("tracking", path="").report("PENDING")
    assert not path.exists()


@pytest.mark.parametrize(
    ("speed", "expected_duration", "text"),
    [
        ("", ExpectedDuration(), ""),
        ("", ExpectedDuration(5, 20, fixed=20), "at AWS usually 5 to 20 minutes"),
        ("1", ExpectedDuration(0, 25), "at AWS usually up to 25 minutes"),
        ("60.0", ExpectedDuration(5, 20, fixed=20), "here usually up to 40 seconds"),
        ("4", ExpectedDuration(5, 20, fixed=20), "here usually up to 6 minutes"),
        ("600", ExpectedDuration(5, 20), "here usually up to 10 seconds"),
        ("60", ExpectedDuration(fixed=180), "usually up to 3 minutes"),
        ("fast", ExpectedDuration(5, 20), "at AWS usually 5 to 20 minutes"),
        ("-1", ExpectedDuration(5, 20), "at AWS usually 5 to 20 minutes"),
    ],
)
def test_how_long_it_usually_takes(
    monkeypatch: pytest.MonkeyPatch, speed: str, expected_duration: ExpectedDuration, text: str
) -> None:
    monkeypatch.setenv(progress.SPEED_VARIABLE, speed)
    assert str(expected_duration) == text


def test_follower_shows_whole_lines_without_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    whole = json.dumps({"subject": "one", "line": "red \x1b[31m", "usual": "", "elapsed": 61.2}).encode() + b"\n"
    path.write_bytes(whole + b"neither JSON nor ours\n[]\n" + whole[:8])
    tailer, seen = watched(path, lines=1)
    with path.open("ab") as file:
        file.write(whole[8:].replace(b"one", b"two") + b'{"never')
    tailer.stop()
    assert seen == ["one: red  [31m (1:01)", "two: red  [31m (1:01)"]


def test_follower_breaks_a_long_silence(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    line = {"subject": "Database x", "line": "creating", "usual": "at AWS usually 5 to 20 minutes", "elapsed": 30}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    tailer, seen = watched(path, lines=2, silence=0.1)
    tailer.stop()
    assert seen[0] == "Database x: creating (0:30, at AWS usually 5 to 20 minutes)"
    again = r"Database x: creating \(0:\d\d, unchanged for 0:\d\d, at AWS usually 5 to 20 minutes\)"
    assert re.fullmatch(again, seen[1]), seen


def test_follower_breaks_the_silence_of_a_module_that_has_said_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.touch()
    tailer, seen = watched(path, lines=1, silence=0.1, subject="Absent | Remove the instance")
    tailer.stop()
    assert re.fullmatch(r"Absent \| Remove the instance: running \(0:\d\d\)", seen[0]), seen


def test_no_silence_is_longer_than_half_a_minute() -> None:
    assert _progress_action.SILENCE_SECONDS + _progress_action.POLL_SECONDS <= 30


def test_durations() -> None:
    assert [duration(value) for value in (-1, 0, 59.9, 60, 3725)] == ["0:00", "0:00", "0:59", "1:00", "62:05"]
