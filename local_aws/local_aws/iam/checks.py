# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what was asked of policies: for ``/_local_aws/permissions``."""

from __future__ import annotations

import threading
from typing import Any

_MAX_CHECKS = 20_000


class Checks:
    """What was checked for principals that have policies, each different check once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[Any, ...], dict[str, Any]] = {}

    def add(self, principal: str, action: str, resource: str, context: dict[str, Any], *, allowed: bool) -> None:
        """Keeps a check, or counts it once more."""
        shown = {key.lower(): value for key, value in context.items() if value is not None}
        key = (principal, action, resource, repr(sorted(shown.items())), allowed)
        with self._lock:
            known = self._found.get(key)
            if known is not None:
                known["times"] += 1
                return
            while len(self._found) >= _MAX_CHECKS:
                self._found.pop(next(iter(self._found)))
            self._found[key] = {
                "principal": principal,
                "action": action,
                "resource": resource,
                "context": shown,
                "allowed": allowed,
                "times": 1,
            }

    def list(self) -> list[dict[str, Any]]:
        """All of them, in the order in which they were first made."""
        with self._lock:
            return [dict(check) for check in self._found.values()]

    def clear(self) -> None:
        """Forgets them."""
        with self._lock:
            self._found.clear()


CHECKS = Checks()
