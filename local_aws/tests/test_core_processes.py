# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""No process outlives the daemon, whichever part of the chain is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from running import PACKAGE
from running import eventually
from running import marked_processes

from local_aws.runtime import memory
from local_aws.runtime import supervisor
from local_aws.runtime.supervisor import Supervisor

PATH = {"PATH": os.environ["PATH"]}
Test = Callable[[Supervisor, Path], Coroutine[Any, Any, None]]


def run(home: Path, body: Test) -> None:
    """Runs one test's coroutine; nothing may be left afterwards."""
    asyncio.run(asyncio.wait_for(body(Supervisor(home), home), 300))
    eventually(lambda: not marked_processes(home), what="the end of all processes")


def test_output_exit_code_and_environment(tmp_path: Path) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        script = "import os, sys; print(sorted(os.environ)); print('err', file=sys.stderr); sys.exit(3)"
        process = await all_processes.spawn(
            "one",
            [sys.executable, "-c", script],
            env={"PYTHONUNBUFFERED": "1", "LC_CTYPE": "C"},
            cwd=home,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.output is not None
        lines = (await process.output.read()).decode().splitlines()
        assert lines == ["['LC_CTYPE', 'LOCAL_AWS_OWNER', 'PYTHONUNBUFFERED']", "err"]
        assert await asyncio.gather(process.wait(), process.wait()) == [3, 3]
        assert process.returncode == 3
        assert "one" not in all_processes.running

    run(tmp_path, body)


def test_output_to_a_file_is_appended(tmp_path: Path) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        for _unused in range(2):
            process = await all_processes.spawn("f", ["echo", "line"], env=PATH, cwd=home, stdout=home / "out.log")
            assert await process.wait() == 0
        assert (home / "out.log").read_text(encoding="ascii") == "line\nline\n"

    run(tmp_path, body)


def test_what_cannot_be_started_says_so(tmp_path: Path) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        with pytest.raises(FileNotFoundError):
            await all_processes.spawn("a", ["no-such-program"], env=PATH, cwd=home, stdout=asyncio.subprocess.DEVNULL)
        with pytest.raises(FileNotFoundError):
            await all_processes.spawn("a", ["true"], env=PATH, cwd=home / "none", stdout=asyncio.subprocess.DEVNULL)
        assert not all_processes.running

    run(tmp_path, body)


def test_a_name_is_taken_as_long_as_its_process_runs(tmp_path: Path) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        process = await _sleeper(all_processes, home)
        with pytest.raises(ValueError, match="running already"):
            await _sleeper(all_processes, home)
        assert await process.stop() == -signal.SIGTERM
        assert await (await _sleeper(all_processes, home)).stop() == -signal.SIGTERM

    run(tmp_path, body)


async def _sleeper(all_processes: Supervisor, home: Path) -> supervisor.Process:
    return await all_processes.spawn("s", ["sleep", "600"], env=PATH, cwd=home, stdout=asyncio.subprocess.DEVNULL)


@pytest.mark.parametrize("known", [False, True], ids=["in the thread", "after it"])
def test_a_start_that_is_given_up_leaves_nothing(tmp_path: Path, known: bool) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        starting = asyncio.create_task(_sleeper(all_processes, home))
        await asyncio.sleep(0.001)
        while known and not all_processes.running:
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not all_processes.running
        assert not marked_processes(home)
        assert await (await _sleeper(all_processes, home)).stop() == -signal.SIGTERM

    run(tmp_path, body)


def test_a_deaf_process_is_killed_after_the_grace(tmp_path: Path) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
        process = await all_processes.spawn(
            "deaf", [sys.executable, "-c", script], env=PATH, cwd=home, stdout=asyncio.subprocess.PIPE
        )
        assert process.output is not None
        await process.output.readline()
        assert await process.stop(0.2) == -signal.SIGKILL

    run(tmp_path, body)


def test_what_a_process_leaves_behind_is_killed(tmp_path: Path) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        # One in the group, one that has made itself a session, and is orphaned in the end.
        script = "sleep 600 & setsid sleep 600 & echo ready; exit 0"
        process = await all_processes.spawn(
            "parent", ["sh", "-c", script], env=PATH, cwd=home, stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0

    run(tmp_path, body)


def _family(process: psutil.Process) -> set[int]:
    return {process.pid, *(child.pid for child in process.children(recursive=True))}


@pytest.mark.parametrize("has_entries", [True, False])
def test_memory_is_that_of_all_descendants(monkeypatch: pytest.MonkeyPatch, has_entries: bool) -> None:
    """Also on a kernel without the entries, and of processes that a thread other than the first has started."""
    program = """
import subprocess, sys, threading, time
command = [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '600'])"]
threading.Thread(target=subprocess.run, args=(command,), daemon=True).start()
time.sleep(600)
"""
    process = psutil.Popen([sys.executable, "-c", program])
    try:
        eventually(lambda: any(child.name() == "sleep" for child in process.children(recursive=True)))
        if not has_entries:
            monkeypatch.setattr(memory, "os", SimpleNamespace(listdir=lambda folder: ["0"]))
        assert len(_family(process)) == 3
        assert set(memory.tree(process.pid)) == _family(process)
    finally:
        for pid in _family(process):
            os.kill(pid, signal.SIGKILL)
        process.wait()
    assert memory.tree(process.pid) == []


def test_secrets_are_on_no_command_line(tmp_path: Path) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        secret = "made-up-and-unlikely-3c9f1a"
        process = await all_processes.spawn(
            "s", ["sleep", "600"], env={**PATH, "SECRET": secret}, cwd=home, stdout=asyncio.subprocess.DEVNULL
        )
        for pid in (process.pid, process.shim_pid):
            assert secret not in " ".join(psutil.Process(pid).cmdline())
        assert secret not in json.dumps(psutil.Process(process.shim_pid).environ())
        await process.stop()

    run(tmp_path, body)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal and the subreaper are Linux's")
def test_kill_9_of_a_shim_leaves_no_orphan(tmp_path: Path) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        script = "setsid sleep 600 & sleep 600 & echo ready; wait"
        process = await all_processes.spawn(
            "kept", ["sh", "-c", script], env=PATH, cwd=home, stdout=asyncio.subprocess.PIPE
        )
        assert process.output is not None
        await process.output.readline()
        os.kill(process.shim_pid, signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        assert not marked_processes(home)
        assert await (await _sleeper(all_processes, home)).stop() == -signal.SIGTERM

    run(tmp_path, body)


_DAEMON = """
import asyncio, pathlib, sys
sys.path.insert(0, sys.argv[1])
from local_aws.runtime.supervisor import Supervisor

async def main():
    home = pathlib.Path(sys.argv[2])
    script = sys.argv[3]
    process = await Supervisor(home).spawn("p", ["sh", "-c", script], env={"PATH": sys.argv[4]}, cwd=home,
                                          stdout=home / "out.log", stop_grace=600)
    print(process.pid, process.shim_pid, flush=True)
    await process.wait()

asyncio.run(main())
"""


def _daemon(home: Path, script: str) -> tuple[subprocess.Popen[str], int, int]:
    """Another program that has started a process: itself, the process, its shim."""
    daemon = subprocess.Popen(
        [sys.executable, "-c", _DAEMON, str(PACKAGE), str(home), script, os.environ["PATH"]],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert daemon.stdout is not None
    pid, shim = map(int, daemon.stdout.readline().split())
    return daemon, pid, shim


def test_kill_9_of_the_daemon_ends_everything_with_its_stop_signal(tmp_path: Path) -> None:
    script = "trap 'echo stopped; exit 0' TERM; setsid sleep 600 & echo ready; while :; do sleep 0.05; done"
    daemon = _daemon(tmp_path, script)[0]
    eventually(lambda: (tmp_path / "out.log").read_text(encoding="ascii") == "ready\n")
    daemon.kill()
    daemon.wait()
    eventually(lambda: not marked_processes(tmp_path), what="the end of all processes")
    # Not merely killed: a database gets the chance to write what it has.
    assert (tmp_path / "out.log").read_text(encoding="ascii") == "ready\nstopped\n"


def test_sweep_ends_what_is_left_when_daemon_and_shim_were_killed(tmp_path: Path) -> None:
    daemon, _unused, shim = _daemon(tmp_path, "setsid sleep 600 & setsid sleep 600 & wait")
    eventually(lambda: len(marked_processes(tmp_path)) == 4)
    # Or it would do its work before it is killed.
    os.kill(shim, signal.SIGSTOP)
    daemon.kill()
    daemon.wait()
    os.kill(shim, signal.SIGKILL)
    supervisor.sweep(tmp_path)
    assert not marked_processes(tmp_path)


@pytest.mark.parametrize("ending", ["-other", "#other"])
def test_sweep_leaves_other_homes_alone(tmp_path: Path, ending: str) -> None:
    other = subprocess.Popen(["sleep", "600"], env={"LOCAL_AWS_OWNER": f"{tmp_path}{ending}#p", **PATH})
    try:
        assert supervisor.sweep(tmp_path) == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_user(tmp_path: Path) -> None:
    async def body(all_processes: Supervisor, home: Path) -> None:
        process = await all_processes.spawn(
            "nobody", ["id", "-u"], env=PATH, cwd=Path("/"), stdout=asyncio.subprocess.PIPE, user=65534
        )
        assert process.output is not None
        assert await process.output.read() == b"65534\n"
        assert await process.wait() == 0

    run(tmp_path, body)
