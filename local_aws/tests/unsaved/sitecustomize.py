# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imported by a daemon that test_core_recovery.py kills: it saves nothing in the background, however long it runs."""

from __future__ import annotations

from typing import Any

from local_aws import environment

_prepare = environment.prepare


def _prepare_and_patch(settings: Any) -> None:
    _prepare(settings)
    # Only now: it imports ministack, which reads its environment when it is imported.
    from local_aws.persistence import Saver  # noqa: PLC0415

    Saver.changed = lambda _self, _delay, _logs: None  # type: ignore[method-assign]


environment.prepare = _prepare_and_patch
