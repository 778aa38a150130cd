# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health checks of targets: real requests in the target group's interval, or what a fault makes of them."""

from __future__ import annotations

import asyncio
import logging
import time

from ...context import Context
from ...network.http_proxy import HttpProxy
from .models import Target
from .models import TargetGroup
from .models import TaskNetwork

log = logging.getLogger(__name__)


def address_of(target: Target, tasks: TaskNetwork) -> str | None:
    """Host and port of a target; None: its security groups drop what the load balancer sends."""
    if target.source is None:
        return f"{target.id}:{target.real_port}"
    found = tasks.reach(target.id, target.port, target.source)
    return None if found is None else f"{found[0]}:{found[1]}"


class HealthChecks:
    """The health checks of all targets."""

    def __init__(self, ctx: Context, tasks: TaskNetwork, proxy: HttpProxy) -> None:
        self._ctx = ctx
        self._tasks = tasks
        self._proxy = proxy
        self._checks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def begin(self, group: TargetGroup, target: Target) -> None:
        """Starts to check a target."""
        self.end(group.arn, target.id)
        self._checks[(group.arn, target.id)] = asyncio.get_running_loop().create_task(self._check(group, target))

    def end(self, arn: str, target_id: str) -> None:
        """Checks a target no more."""
        check = self._checks.pop((arn, target_id), None)
        if check is not None:
            check.cancel()

    async def stop(self) -> None:
        """Ends all checks."""
        for check in self._checks.values():
            check.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)
        self._checks.clear()

    async def _check(self, group: TargetGroup, target: Target) -> None:
        while True:
            await self._ctx.clock.sleep(group.interval)
            try:
                await self._check_once(group, target)
            except Exception:
                log.exception("health check of %s:%s in %s", target.id, target.port, group.arn)

    async def _check_once(self, group: TargetGroup, target: Target) -> None:
        """One health check, real or ordered."""
        fault = self._ctx.faults.consume("balancer:HealthCheck", self._tasks.group_at(target.id) or group.arn)
        if fault is None:
            status = await self._probe(group, target)
            target.ordered = 0.0
        else:
            await self._ctx.faults.wait(fault, self._ctx.clock.real(fault.delay))
            target.ordered = target.ordered or time.monotonic()
            status = 0 if fault.data.get("timeout") else fault.data.get("status")
        if group.observe(target, status, time.monotonic()):
            log.info("target %s:%s of %s is %s", target.id, target.port, group.arn, target.state)

    async def _probe(self, group: TargetGroup, target: Target) -> int | None:
        """One health check: the status, 0 for a time-out, None when there was no answer."""
        where = address_of(target, self._tasks)
        if where is None:
            await asyncio.sleep(group.timeout)
            return 0
        return await self._proxy.probe(f"http://{where}{group.path}", group.timeout)
