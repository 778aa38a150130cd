# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files and the daemon's lock when something comes in between."""

from __future__ import annotations

import asyncio
import fcntl
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local_aws import launch
from local_aws import persistence


def test_a_state_that_could_not_be_saved_is_saved_without_another_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "_RETRY_SECONDS", 0.01)
    broken = iter([OSError("No space left on device"), RuntimeError("dictionary changed size during iteration")])

    def state() -> dict[str, Any]:
        for error in broken:
            raise error
        return {"saved": True}

    async def scenario() -> None:
        service: Any = SimpleNamespace(name="made-up", state=state)
        saver = persistence.Saver(tmp_path, [service])
        running = asyncio.create_task(saver.run())
        saver.changed(0, set())
        path = tmp_path / "services" / "made-up.json"
        async with asyncio.timeout(120):
            while not path.exists():
                await asyncio.sleep(0.01)
        running.cancel()
        assert json.loads(path.read_text(encoding="utf-8")) == {"saved": True}

    asyncio.run(scenario())


def test_each_state_is_saved_when_it_is_due_and_not_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[set[str]] = []

    def states(names: set[str]) -> list[Any]:
        saved.append(names - {""})
        return []

    monkeypatch.setattr(persistence.server, "states", states)

    async def scenario() -> None:
        saver = persistence.Saver(tmp_path, [])
        running = asyncio.create_task(saver.run())

        async def until(number: int) -> None:
            async with asyncio.timeout(120):
                while len(saved) < number:
                    await asyncio.sleep(0.01)

        saver.changed(10_000, {"logs"})
        saver.changed(0, set())
        await until(1)
        saver.changed(0, {"logs", "ec2"})
        await until(2)
        saver.changed(0, {"ec2"})
        await until(3)
        running.cancel()

    asyncio.run(scenario())
    assert saved == [set(), {"logs", "ec2"}, {"ec2"}]


def test_a_commit_that_others_share_saves_what_each_of_them_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[set[str]] = []

    def states(names: set[str]) -> list[Any]:
        saved.append(names)
        return []

    monkeypatch.setattr(persistence.server, "states", states)

    async def scenario() -> None:
        saver = persistence.Saver(tmp_path, [])
        await asyncio.gather(*(saver.commit({name}) for name in ("ec2", "iam", "ecs")))

    asyncio.run(scenario())
    assert set().union(*saved) == {"ec2", "iam", "ecs"}
    assert len(saved) < 3


def test_state_of_an_older_local_aws_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence.server, "load_state", lambda: None)
    older = tmp_path / "under-another-name"
    older.mkdir()
    (tmp_path / "ministack").mkdir()
    (older / "express.json").write_text('{"services": []}', encoding="utf-8")
    restored: list[dict[str, Any]] = []

    async def scenario() -> None:
        service: Any = SimpleNamespace(name="express", restore=restored.append)
        persistence.Saver(tmp_path, [service]).restore()
        # Once more, as at every later start.
        persistence.Saver(tmp_path, [service]).restore()

    asyncio.run(scenario())
    assert restored == [{"services": []}] * 2
    assert not older.exists()


def test_who_asks_for_a_daemon_does_not_keep_one_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "daemon.lock"
    assert not launch.is_locked(path)
    path.touch()
    pauses = 0
    with path.open(encoding="utf-8") as asking:
        # As another command does that is asking at this moment, and takes its time.
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert not launch.is_locked(path)

        def pause(_seconds: float) -> None:
            nonlocal pauses
            pauses += 1
            if pauses == 100:
                fcntl.flock(asking, fcntl.LOCK_UN)

        monkeypatch.setattr(launch.time, "sleep", pause)
        held = launch.hold_lock(path)
    assert held is not None
    assert pauses == 100
    assert launch.is_locked(path)
    # A daemon that runs is no such command: a second one is told at once.
    assert launch.hold_lock(path) is None
    assert pauses == 100
    held.close()
    assert not launch.is_locked(path)
