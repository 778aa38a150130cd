# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the background ends when it is told to, also at the moment at which it was about to do something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local_aws.persistence import Saver
from local_aws.services.ecs_express.deployment import DeploymentRun
from local_aws.services.ecs_express.task_set import TaskSet

CLOCK = SimpleNamespace(real=lambda seconds: seconds)


def saver(home: Path) -> tuple[Callable[[], Awaitable[None]], Callable[[], None]]:
    made = Saver(home, [])
    made._order(60, set())
    return made.run, lambda: made._order(50, set())


def task_set(_home: Path) -> tuple[Callable[[], Awaitable[None]], Callable[[], None]]:
    made = TaskSet.__new__(TaskSet)
    made.ctx, made._wake = SimpleNamespace(clock=CLOCK), asyncio.Event()  # type: ignore[assignment]

    async def once() -> None: ...

    made._once = once  # type: ignore[method-assign]
    return made._keep, made._wake.set


def deployment(_home: Path) -> tuple[Callable[[], Awaitable[None]], Callable[[], None]]:
    made = DeploymentRun.__new__(DeploymentRun)
    made.ctx, made._interrupt, made._interrupted = SimpleNamespace(clock=CLOCK), None, asyncio.Event()  # type: ignore[assignment]

    async def pauses() -> None:
        while True:
            await made._pause(60)
            made._interrupted.clear()

    return pauses, made._interrupted.set


@pytest.mark.parametrize("kind", [saver, task_set, deployment])
@pytest.mark.parametrize("turns", range(6))
def test_a_stop_that_comes_together_with_work_is_not_lost(
    tmp_path: Path, kind: Callable[[Path], Any], turns: int
) -> None:
    async def scenario() -> None:
        work, wake = kind(tmp_path)
        running = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        wake()
        for _turn in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        done, _pending = await asyncio.wait({running}, timeout=1800)
        assert done, f"it goes on after {turns} turns of the loop"

    asyncio.run(scenario())
