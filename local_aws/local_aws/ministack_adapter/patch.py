# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a patch of ministack is, and the check that ministack still is what it was written for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from .hooks import Hooks

#: The release whose code all patches were compared with.
WRITTEN_FOR = "1.5.33"


class MinistackChangedError(Exception):
    """ministack is not what the patches were written for."""


@dataclass(frozen=True)
class Target:
    """A name inside ministack that a patch replaces, calls or changes.

    :arg module: below the package ministack: ``core.iam_evaluator``.
    :arg name: the attribute of the module.
    :arg parameters: of a function, the names of its parameters separated by spaces; None: it is no function.
    :arg keys: of a table, those that must be there.
    """

    module: str
    name: str
    parameters: str | None = None
    keys: tuple[str, ...] = ()

    def find(self) -> Any:
        """The function or table itself; raises AttributeError."""
        return getattr(importlib.import_module(f"ministack.{self.module}"), self.name)

    def difference(self) -> str:
        """How ministack differs from what is expected; empty: it does not."""
        try:
            found = self.find()
        except (AttributeError, ImportError):
            return "is gone"
        if self.parameters is not None:
            actual = " ".join(inspect.signature(found).parameters) if callable(found) else None
            if actual is None:
                return "is no function any more"
            return "" if actual == self.parameters else f"takes ({actual}), not ({self.parameters})"
        missing = [key for key in self.keys if not isinstance(found, Mapping) or key not in found]
        return f"has no {', '.join(missing)}" if missing else ""


@dataclass(frozen=True)
class Patch:
    """A change of ministack while it runs.

    :arg reason: what ministack does, and why that would mislead users.
    :arg source: where AWS documents what it does instead.
    :arg targets: everything that the patch relies on.
    :arg apply: makes the change; called once per process.
    """

    name: str
    reason: str
    source: str
    targets: tuple[Target, ...]
    apply: Callable[[Hooks], None]


def differences(patches: Iterable[Patch]) -> Iterator[str]:
    """A sentence for each target that is not what its patch was written for. To be asked before patches are applied."""
    for patch in patches:
        for target in patch.targets:
            difference = target.difference()
            if difference:
                yield (
                    f"ministack {version('ministack')}: {target.module}.{target.name} {difference}. "
                    f"The patch {patch.name!r} relies on it as in {WRITTEN_FOR}: {patch.reason}"
                )
