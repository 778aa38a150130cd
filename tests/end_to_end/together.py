# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stories that are mostly waiting are begun together; a test is the wait for the end of one of them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Story = Callable[..., Any]


class Together:
    """Begins the stories of one module, those that were chosen on pytest's command line.

    As a decorator it makes a story, which takes the local AWS, a test, which takes the fixture ``begun``.
    """

    def __init__(self) -> None:
        self._stories: dict[str, Story] = {}
        self._threads: ThreadPoolExecutor | None = None

    def __call__(self, story: Story) -> Callable[[dict[str, Future[Any]]], None]:
        name = story.__name__
        self._stories[name] = story

        def test(begun: dict[str, Future[Any]]) -> None:
            begun[name].result()

        test.__name__, test.__doc__, test.__module__ = name, story.__doc__, story.__module__
        return test

    def begin(self, names: Iterable[str], *arguments: Any) -> dict[str, Future[Any]]:
        """Begin the stories of these names."""
        chosen = [name for name in self._stories if name in set(names)]
        self._threads = ThreadPoolExecutor(max(1, len(chosen)), thread_name_prefix="story")
        return {name: self._threads.submit(self._stories[name], *arguments) for name in chosen}

    def end(self) -> None:
        """Wait for all of them; what was not begun yet is given up."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
