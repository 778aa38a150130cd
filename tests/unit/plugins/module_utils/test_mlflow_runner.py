# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command runner leaves no process behind and no secret in its log; the client gets this server's settings only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Connection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.runner import Log
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.runner import client_environment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.runner import run


def until(condition: Callable[[], bool], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_gone(pid: int) -> bool:
    """Return whether there is no such process, or only a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


# Starts a child that would live for ten minutes, writes down its number, and waits for it like a wrapper script does.
WRAPPER = "import subprocess,sys; p=subprocess.Popen(['sleep','600']); print(p.pid, flush=True); p.wait()"


def test_output_and_exit_code(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    result = run(python(code), environment={}, folder=str(tmp_path), time_limit=30, log=Log(None))
    assert (result.rc, result.stdout, result.stderr, result.timed_out) == (3, ["out"], ["err"], False)
    assert result.tail() == "err"


def test_much_output_does_not_block(tmp_path: Path) -> None:
    code = "import sys\nfor i in range(20000): print('x' * 50); print('y' * 50, file=sys.stderr)"
    result = run(python(code), environment={}, folder=str(tmp_path), time_limit=60, log=Log(None))
    assert (len(result.stdout), len(result.stderr), result.rc) == (20000, 20000, 0)


def test_time_limit_stops_the_whole_group(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}
    # A busy machine may need more than the first limit to start the child.
    for limit in (2, 20, 200):
        result = run(python(WRAPPER), environment=environment, folder=str(tmp_path), time_limit=limit, log=Log(None))
        assert result.timed_out
        if result.stdout:
            break
    assert result.seconds < 500
    child = int(result.stdout[0])
    assert until(lambda: is_gone(child))


def test_being_terminated_stops_the_command(tmp_path: Path) -> None:
    code = f"""
import os
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.runner import Log, run
run({python(WRAPPER)!r}, environment=dict(os.environ), folder=".", time_limit=60, log=Log("log"))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(python(code), cwd=tmp_path, env=environment) as process:
        log = tmp_path / "log"
        assert until(lambda: log.exists() and log.read_text().strip() != "")
        child = int(log.read_text().split()[-1])
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 143
    assert until(lambda: is_gone(child))


def test_command_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run([str(tmp_path / "absent")], environment={}, folder=str(tmp_path), time_limit=5, log=Log(None))


def test_log_is_written_while_the_command_runs(tmp_path: Path) -> None:
    path, gate = tmp_path / "demo.log", tmp_path / "gate"
    code = f"import os,time\nprint('first', flush=True)\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    log = Log(str(path))
    thread = threading.Thread(
        target=run,
        args=(python(code),),
        kwargs={"environment": {}, "folder": str(tmp_path), "time_limit": 60, "log": log},
    )
    thread.start()
    try:
        assert until(lambda: "first" in path.read_text())
        assert thread.is_alive()
    finally:
        gate.touch()
        thread.join(120)
    log.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_secrets_are_masked_in_log_and_result(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), ["this-is-a-secret"])
    result = run(
        python("print('password this-is-a-secret!')"), environment={}, folder=str(tmp_path), time_limit=30, log=log
    )
    log.close()
    assert result.stdout == ["password ********!"]
    assert "this-is-a-secret" not in (tmp_path / "log").read_text()


def test_ticks(tmp_path: Path) -> None:
    ticks: list[int] = []
    gate = tmp_path / "gate"

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            gate.touch()

    code = f"import os,time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    result = run(
        python(code), environment={}, folder=str(tmp_path), time_limit=60, log=Log(None), on_tick=tick, tick=0.05
    )
    assert result.rc == 0
    assert len(ticks) >= 3


def test_environment_of_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_RUN_ID", "DATABRICKS_HOST"):
        monkeypatch.setenv(name, "of-another-server")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "/of/this/machine")
    monkeypatch.setenv("PYTHONPATH", "/of/ansible")
    ca_path = str(tmp_path / "ca.pem")
    connection = Connection("https://mlflow.example.org", ca_path=ca_path, username="admin", password="secret")
    environment = client_environment(connection, "/empty", 2)
    assert "of-another-server" not in environment.values()
    assert "/of/this/machine" not in environment.values()
    assert "PYTHONPATH" not in environment
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "MLFLOW_TRACKING_SERVER_CERT_PATH"):
        assert environment[name] == ca_path
    assert environment["MLFLOW_TRACKING_USERNAME"] == "admin"
    assert environment["MLFLOW_TRACKING_PASSWORD"] == "secret"
    assert environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
    # ~/.mlflow/credentials and ~/.netrc may hold the login of another server.
    assert environment["HOME"] == "/empty"
    assert environment["NETRC"] == os.devnull


def test_environment_without_ca_keeps_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/of/this/machine")
    environment = client_environment(Connection("https://mlflow.example.org", token="bearer"), "/empty", 3)
    assert environment["REQUESTS_CA_BUNDLE"] == "/of/this/machine"
    assert environment["MLFLOW_TRACKING_TOKEN"] == "bearer"
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" not in environment


@pytest.mark.parametrize(
    ("uri", "bypassed"),
    [
        ("https://localhost:1", True),
        ("https://ab-1.ecs.us-east-1.localhost:1", True),
        ("https://127.64.0.1", True),
        ("https://mlflow.example.org", False),
        ("https://localhost.example.org", False),
    ],
)
def test_no_proxy_for_this_machine(monkeypatch: pytest.MonkeyPatch, uri: str, bypassed: bool) -> None:
    monkeypatch.setenv("no_proxy", "example.net")
    monkeypatch.delenv("NO_PROXY", raising=False)
    connection = Connection(uri)
    expected = f"example.net,{connection.host}" if bypassed else "example.net"
    assert client_environment(connection, "/empty", 3)["no_proxy"] == expected
