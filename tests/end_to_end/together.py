# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios that are mostly waiting are begun together; a test is the wait for the end of one of them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Scenario = Callable[..., Any]


class Together:
    """Begins the scenarios of one module, those that were chosen on pytest's command line.

    As a decorator it makes a scenario, which takes the local AWS, a test, which takes the fixture ``begun``.
    """

    def __init__(self) -> None:
        self._scenarios: dict[str, Scenario] = {}
        self._threads: ThreadPoolExecutor | None = None

    def __call__(self, scenario: Scenario) -> Callable[[dict[str, Future[Any]]], None]:
        name = scenario.__name__
        self._scenarios[name] = scenario

        def test(begun: dict[str, Future[Any]]) -> None:
            begun[name].result()

        test.__name__, test.__doc__, test.__module__ = name, scenario.__doc__, scenario.__module__
        return test

    def begin(self, names: Iterable[str], *arguments: Any) -> dict[str, Future[Any]]:
        """Begin the scenarios of these names."""
        chosen = [name for name in self._scenarios if name in set(names)]
        self._threads = ThreadPoolExecutor(max(1, len(chosen)), thread_name_prefix="scenario")
        return {name: self._threads.submit(self._scenarios[name], *arguments) for name in chosen}

    def end(self) -> None:
        """Wait for all of them; what was not begun yet is given up."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
