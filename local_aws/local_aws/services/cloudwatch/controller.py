# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples the metrics that alarms are on, once in an AWS minute, and moves the alarms between their states.

Nothing is sampled that no alarm asks for. "CloudWatch evaluates the alarm every minute" (CloudWatch user guide, "Alarm
evaluation"), over the last periods, whatever their length.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from ...context import Context
from ...ministack_adapter import cloudwatch
from .custom import CustomMetrics
from .metric_math import Value
from .models import MINUTE
from .models import Metric
from .models import Samples
from .models import Source
from .models import evaluate
from .models import metrics_of

_log = logging.getLogger(__name__)

# Real seconds: with a very high scale several AWS minutes are sampled at once.
_SHORTEST_TICK = 0.25


class AlarmController:
    """The alarms of the account, but for those whose state another service knows.

    :arg sources: by namespace.
    :arg custom: where the metrics of all namespaces that are not AWS's come from.
    :arg is_foreign: whether an alarm's state is another service's business.
    """

    def __init__(
        self,
        ctx: Context,
        sources: Mapping[str, Source],
        custom: CustomMetrics,
        is_foreign: Callable[[dict[str, Any]], bool],
    ) -> None:
        self._ctx = ctx
        self._sources = sources
        self._custom = custom
        self._is_foreign = is_foreign
        self._samples: dict[Metric, Samples] = {}
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to sample and to evaluate."""
        self._work = asyncio.get_running_loop().create_task(self._run(), name="alarms")

    async def stop(self) -> None:
        """Ends it."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    async def _run(self) -> None:
        minute = self._ctx.clock.real(MINUTE)
        last = int(time.monotonic() / minute)
        while True:
            await asyncio.sleep(max(_SHORTEST_TICK, (last + 1) * minute - time.monotonic()))
            current = int(time.monotonic() / minute)
            try:
                await self._tick(current - last)
            except Exception:
                _log.exception("the alarms could not be evaluated")
            last = current

    async def _tick(self, minutes: int) -> None:
        alarms = [found for found in cloudwatch.alarms() if self._is_ours(found)]
        wanted = {metric for found in alarms for metric in metrics_of(found.record, found.region)}
        self._samples = {metric: samples for metric, samples in self._samples.items() if metric in wanted}
        if minutes > 0:
            for metric in wanted:
                self._samples.setdefault(metric, Samples()).add(await self._read(metric, minutes))
        for found in alarms:
            with contextlib.suppress(ValueError, KeyError):
                state = evaluate(found.record, found.region, self._samples)
                if state != found.record["StateValue"]:
                    cloudwatch.set_state(found, state)
                    self._ctx.changed()

    def _is_ours(self, found: cloudwatch.Alarm) -> bool:
        namespaces = {metric.namespace for metric in metrics_of(found.record, found.region)}
        known = all(name in self._sources or not name.startswith("AWS/") for name in namespaces)
        return bool(namespaces) and known and not self._is_foreign(found.record)

    async def _read(self, metric: Metric, minutes: int) -> list[Value]:
        fault = self._ctx.faults.standing("cloudwatch:Metric", metric.subject, "value")
        if fault is not None:
            value = fault.data["value"]
            return [None if value is None else float(value)] * minutes
        source = self._sources.get(metric.namespace)
        if source is None:
            return self._custom.read(metric, minutes)
        try:
            return await source.read(metric.name, dict(metric.dimensions), metric.stat, minutes)
        except ValueError:
            # Of a user's own alarm, on a metric that there is none of here.
            return [None] * minutes
