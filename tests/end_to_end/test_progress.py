# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees while a module waits: real runs of ansible-playbook, with mlflow_health as the module."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.mlops.mlflow_aws.plugins.module_utils import _progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._progress import Progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._progress import duration
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._progress_action import Follower

Play = Callable[..., "subprocess.CompletedProcess[str]"]
# Where this collection was found is where ansible-playbook shall find it.
COLLECTIONS = Path(_progress.__file__).parents[5]
LINE = re.compile(r"^  MLflow 0:0\d: ", re.M)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def play(tmp_path: Path, free_port: int) -> Play:
    """Run one task that waits two seconds for a server that is not there."""

    def go(task: dict[str, Any], *options: str, hosts: int = 1) -> subprocess.CompletedProcess[str]:
        arguments = {"tracking_uri": f"http://127.0.0.1:{free_port}", "wait_timeout": 2, "delay": 1, "patience": 60}
        whole = {
            "name": "Wait",
            "mlops.mlflow_aws.mlflow_health": arguments,
            "register": "health",
            "failed_when": False,
            **task,
        }
        shown = {"ansible.builtin.debug": {"msg": "{{ health.reason | default('no reason') }}"}}
        content = {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": [whole, shown],
        }
        (tmp_path / "play.yml").write_text(yaml.safe_dump([content], sort_keys=False), encoding="utf-8")
        inventory = "".join(f"host{number}," for number in range(hosts))
        return subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", inventory, str(tmp_path / "play.yml"), *options],
            env={
                **os.environ,
                "ANSIBLE_HOME": str(tmp_path / "home"),
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
                "ANSIBLE_NOCOLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return go


def test_progress_is_shown_on_standard_error(play: Play) -> None:
    done = play({})
    assert done.returncode == 0, done.stdout + done.stderr
    assert LINE.search(done.stderr), done.stderr
    # Programs read the results there, with other callbacks.
    assert not LINE.search(done.stdout)
    assert "refused" in done.stdout


def test_host_is_named_where_there_are_several(play: Play) -> None:
    done = play({}, hosts=2)
    for host in ("host0", "host1"):
        assert f"  [{host}] MLflow 0:0" in done.stderr


@pytest.mark.parametrize(
    "task",
    [{"no_log": True}, {"vars": {"mlflow_live_progress": False}}, {"async": 60, "poll": 1}, {"async": 60, "poll": 0}],
    ids=["no_log", "switched off", "async", "fire and forget"],
)
def test_without_progress_the_module_works_the_same(play: Play, task: dict[str, Any]) -> None:
    done = play(task)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not LINE.search(done.stderr)
    assert ("refused" in done.stdout) == (task.get("poll") != 0)


def test_check_mode_and_the_users_environment_stay(play: Play) -> None:
    done = play({"environment": {"LC_ALL": "C"}}, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refused" in done.stdout


def test_module_defaults_reach_the_module(play: Play, tmp_path: Path) -> None:
    """An action plugin must not come between a module and module_defaults."""
    text = "{{ nothing_of_that_name }}"
    done = play({"module_defaults": {"mlops.mlflow_aws.mlflow_health": {"username": text}}})
    assert "nothing_of_that_name" in done.stdout


# ---- the parts


def test_lines_are_said_once_and_secrets_never(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.touch()
    now = [0.0]
    progress = Progress("tracking", "10 minutes", {"a-made-up-password"}, str(path), lambda: now[0])
    progress.say("PENDING")
    progress.say("PENDING")
    now[0] = 187.4
    progress.say("refused a-made-up-password\nand more")
    assert path.read_text(encoding="utf-8").splitlines() == [
        "tracking 0:00 (at AWS usually 10 minutes): PENDING",
        "tracking 3:07 (at AWS usually 10 minutes): refused ******** and more",
    ]


def test_nobody_watches(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    Progress("tracking", path=str(path)).say("PENDING")
    Progress("tracking", path="").say("PENDING")
    assert not path.exists()


def test_follower_shows_whole_lines_without_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntw")
    seen: list[str] = []
    follower = Follower(str(path), seen.append)
    follower.start()
    deadline = time.monotonic() + 10
    while seen != ["one"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert seen == ["one"]
    with path.open("ab") as file:
        file.write(b"o \x1b[31mred\xff\nnever ended")
    follower.stop()
    assert seen == ["one", "two  [31mred\N{REPLACEMENT CHARACTER}"]


def test_follower_breaks_a_long_silence(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"tracking 0:00: PENDING\n")
    seen: list[str] = []
    follower = Follower(str(path), seen.append, silence=0.1)
    follower.start()
    deadline = time.monotonic() + 10
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    follower.stop()
    assert seen[1].startswith("tracking: no change for 0 min")


def test_durations() -> None:
    assert [duration(value) for value in (-1, 0, 59.9, 60, 3725)] == ["0:00", "0:00", "0:59", "1:00", "62:05"]
