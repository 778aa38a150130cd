# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_demo as Ansible runs it; its work is tested in test_mlflow_generate."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_demo
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import FakeMlflow

SCRIPT = """#!{python}
import sys, urllib.request
if sys.argv[1:] == ["--version"]:
    sys.exit(print("mlflow, version 3.17.2"))
urllib.request.urlopen(sys.argv[sys.argv.index("--tracking-uri") + 1] + "/_fake/demo").read()
print("connected!")
sys.exit({rc})
"""


@pytest.fixture
def fake() -> Iterator[FakeMlflow]:
    server = FakeMlflow()
    yield server
    server.close()


def script(folder: Path, rc: int = 0) -> str:
    path = folder / "mlflow"
    path.write_text(SCRIPT.format(python=sys.executable, rc=rc))
    path.chmod(0o755)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
    with (
        patch_module_args({**arguments, "_ansible_check_mode": check_mode}),
        pytest.raises(SystemExit),
    ):
        mlflow_demo.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_the_cycle(fake: FakeMlflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_path = tmp_path / "demo.log"
    arguments = {"tracking_uri": fake.url, "executable": script(tmp_path), "log_path": str(log_path)}
    predicted = run(capsys, True, **arguments)
    assert predicted["changed"]
    assert not log_path.exists()
    assert fake.tags is None
    done = run(capsys, **arguments)
    assert done["changed"]
    assert done["stdout_lines"] == ["connected!"]
    assert (done["traces"], done["version"]) == (42, "3.17.2")
    assert "verified" in log_path.read_text()
    assert not run(capsys, True, **arguments)["changed"]
    again = run(capsys, **arguments)
    assert not again["changed"]
    assert again["traces"] == 42
    assert "nothing to do" in log_path.read_text()


def test_failure_tells_what_was_said(fake: FakeMlflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_path = tmp_path / "demo.log"
    result = run(capsys, tracking_uri=fake.url, executable=script(tmp_path, rc=1), log_path=str(log_path))
    assert result["failed"]
    assert result["reason"] == "demo_failed"
    assert result["changed"]  # something may be there by now
    assert result["rc"] == 1
    assert result["stdout_lines"] == ["connected!"]
    assert "failed: " in log_path.read_text()


def test_failure_that_changed_nothing_reports_no_change(
    fake: FakeMlflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = tmp_path / "mlflow"
    client.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "mlflow, version 3.17.2" && exit\nexit 1\n')
    client.chmod(0o700)
    result = run(capsys, tracking_uri=fake.url, executable=str(client))
    assert (result["reason"], result["changed"]) == ("demo_failed", False)


def test_unreachable_server_is_told_in_check_mode_too(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, True, tracking_uri="http://mlflow.invalid")
    assert result["failed"]
    assert result["reason"] == "dns"
    assert not result["changed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tracking_uri": "mlflow"}, "tracking_uri"),
        ({"log_path": "/does/not/exist/demo.log"}, "log_path"),
        ({"time_limit": 0}, "time_limit must be at least 1"),
        ({"max_retries": -1}, "max_retries must be"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], words: str) -> None:
    result = run(capsys, **{"tracking_uri": "http://127.0.0.1:1", **arguments})
    assert result["failed"]
    assert words in result["msg"]
