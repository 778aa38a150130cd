# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Invokes the targets of schedules when they are due, as their roles, again where that fails, or sends a dead letter.

A schedule's own time begins when it is made or changed, and goes on as fast as the scale says. What was due while the
local AWS was stopped is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import random
import uuid
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from ...service import TrustError
from . import metrics
from . import targets
from .metrics import SchedulerMetrics
from .models import Schedule
from .models import Schedules

PRINCIPAL = "scheduler.amazonaws.com"
_log = logging.getLogger(__name__)
# Real seconds: how often it polls, at most; what of one schedule is due within is one invocation.
_TICK = 0.25
# AWS seconds. "Retry attempts with exponential backoff" (Scheduler API Reference, RetryPolicy) is all that is known.
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 300.0
_DELETION = 5.0


@dataclass
class Invocation:
    """One time at which a schedule was due.

    :arg due: by the schedule's own time.
    :arg target: as it was then.
    """

    schedule: Schedule
    due: dt.datetime
    target: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def context(self, attempt: int) -> dict[str, str]:
        """What the target's input may ask for.

        https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
        """
        return {
            "schedule-arn": self.schedule.arn,
            "scheduled-time": f"{self.due:%Y-%m-%dT%H:%M:%SZ}",
            "execution-id": self.id,
            "attempt-number": str(attempt),
        }


class ScheduleController:
    """The background work of all schedules."""

    def __init__(self, ctx: Context, store: Schedules, counts: SchedulerMetrics) -> None:
        self._ctx = ctx
        self._store = store
        self._counts = counts
        self._work: asyncio.Task[None] | None = None
        self._invocations: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    def start(self) -> None:
        """Begins to poll; leaves out what was due while nothing ran."""
        for schedule in self._store.schedules():
            now = schedule.now(self._ctx.clock.now(), self._ctx.clock.scale)
            while (due := schedule.next()) is not None and due <= now:
                if schedule.expression.every is not None:
                    due = max(due, due + (now - due) // schedule.expression.every * schedule.expression.every)
                schedule.last = due
        for group in self._store.all_groups():
            if group.state == "DELETING":
                self.delete_group(group.arn)
        self._work = self._spawn(self._run(), "schedules")

    async def stop(self) -> None:
        """Ends it."""
        running = [task for task in (self._work, *self._invocations) if task is not None]
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def wake(self) -> None:
        """Something has changed."""
        self._wake.set()

    def delete_group(self, arn: str) -> None:
        """Deletes a group with its schedules, which takes a moment."""

        async def delete() -> None:
            await self._ctx.clock.sleep(_DELETION)
            self._store.remove_group(arn)
            self._ctx.changed()

        self._keep(self._spawn(delete(), "schedule group"))

    @staticmethod
    def _spawn(work: Any, name: str) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, name=name)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._invocations.add(task)
        task.add_done_callback(self._invocations.discard)

    async def _run(self) -> None:
        while True:
            try:
                wait = self._begin_due()
            except Exception:
                _log.exception("the schedules could not be read")
                wait = None
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), None if wait is None else max(_TICK, wait))

    def _begin_due(self) -> float | None:
        """Starts what is due; returns the real seconds until something else is, None if nothing will be."""
        waits = []
        for schedule in list(self._store.schedules()):
            now = schedule.now(self._ctx.clock.now(), self._ctx.clock.scale)
            due = schedule.next()
            if due is not None and due <= now:
                self._begin(schedule, due, now)
                due = schedule.next()
            if due is not None:
                waits.append(self._ctx.clock.real((due - now).total_seconds()))
            elif self._is_over(schedule, now):
                self._store.remove(schedule.arn)
                self._ctx.changed()
        return min(waits, default=None)

    def _begin(self, schedule: Schedule, due: dt.datetime, now: dt.datetime) -> None:
        # What else has been due since then is left out.
        while True:
            schedule.last = due
            following = schedule.next()
            if following is None or following > now:
                break
            due = following
        self._ctx.changed()
        invocation = Invocation(schedule, due, dict(schedule.target))
        self._keep(self._spawn(self._invoke(invocation), f"schedule {schedule.name}"))

    @staticmethod
    def _is_over(schedule: Schedule, now: dt.datetime) -> bool:
        """Whether a schedule that deletes itself has nothing to do any more."""
        if schedule.settings.get("ActionAfterCompletion") != "DELETE" or schedule.settings["State"] != "ENABLED":
            return False
        end = schedule.settings.get("EndDate")
        return (end is not None and now.timestamp() > end) or (schedule.last is not None and schedule.next() is None)

    # ---- one invocation

    async def _invoke(self, one: Invocation) -> None:
        window = one.schedule.settings["FlexibleTimeWindow"]
        if window["Mode"] == "FLEXIBLE":
            await self._ctx.clock.sleep(random.uniform(0, 60 * window["MaximumWindowInMinutes"]))
        policy = one.schedule.settings["Target"]["RetryPolicy"]
        attempts = 1 + policy["MaximumRetryAttempts"]
        # What real calls take is not scaled, so an event gets older by waiting alone.
        age, waited = 0.0, _FIRST_RETRY
        for attempt in range(1, attempts + 1):
            self._counts.count(metrics.ATTEMPTED, one.schedule.group)
            refusal = await self._try(one, attempt)
            if refusal is None:
                return
            self._counts.count(metrics.FAILED, one.schedule.group)
            is_too_old = age + waited > policy["MaximumEventAgeInSeconds"]
            if attempt == attempts or is_too_old:
                exhausted = "MaximumEventAgeInSeconds" if attempt < attempts else "MaximumRetryAttempts"
                await self._give_up(one, refusal, attempt - 1, exhausted)
                return
            await self._ctx.clock.sleep(waited)
            age += waited
            waited = min(2 * waited, _LONGEST_RETRY)

    async def _try(self, one: Invocation, attempt: int) -> tuple[str, str] | None:
        """Code and message of what refused it; None: it was done."""
        try:
            params = targets.run_task(one.target, one.context(attempt))
            await self._as_role(one, "ecs", "RunTask", params)
        except ClientError as e:
            return e.response["Error"]["Code"], e.response["Error"]["Message"]
        except TrustError as e:
            return "AccessDeniedException", str(e)
        return None

    async def _as_role(self, one: Invocation, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return await self._ctx.aws(
            service,
            operation,
            role_arn=one.target["RoleArn"],
            principal=PRINCIPAL,
            region=one.schedule.region,
            source_arn=one.schedule.group_arn,
            **params,
        )

    async def _give_up(self, one: Invocation, refusal: tuple[str, str], retries: int, exhausted: str) -> None:
        group = one.schedule.group
        self._counts.count(metrics.DROPPED, group)
        queue = (one.target.get("DeadLetterConfig") or {}).get("Arn", "")
        if not queue:
            return
        try:
            await self._send(one, queue, refusal, retries, exhausted)
        except (ClientError, TrustError):
            self._counts.count(metrics.NO_DEAD_LETTER, group)
        else:
            self._counts.count(metrics.DEAD_LETTER, group)

    async def _send(self, one: Invocation, queue: str, refusal: tuple[str, str], retries: int, exhausted: str) -> None:
        """https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html"""
        attributes = {
            "ERROR_CODE": refusal[0],
            "ERROR_MESSAGE": refusal[1],
            "EXECUTION_ID": one.id,
            "EXHAUSTED_RETRY_CONDITION": exhausted,
            "IS_PAYLOAD_TRUNCATED": "false",
            "RETRY_ATTEMPTS": str(retries),
            "SCHEDULED_TIME": f"{one.due:%Y-%m-%dT%H:%M:%SZ}",
            "SCHEDULE_ARN": one.schedule.arn,
            "TARGET_ARN": one.target["Arn"],
        }
        # The role may send to the queue, and need not be able to read about it.
        parts = queue.split(":")
        url = f"{self._ctx.endpoint_url}/{parts[4]}/{parts[5]}"
        message = {
            "QueueUrl": url,
            "MessageBody": json.dumps(targets.run_task(one.target, one.context(retries + 1))),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
            },
        }
        await self._as_role(one, "sqs", "SendMessage", message)
