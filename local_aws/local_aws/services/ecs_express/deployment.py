# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service deployment: scale up, canary traffic, bake, all traffic, bake, clean up; or roll back.

Stages and states: botocore's model of ECS (ServiceDeployment). Canary of 5 %, 3 minutes each, and the alarm of more
than 1 % errors: ECS developer guide, express-service-update-full.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError

from ...context import Context
from ...service import TrustError
from . import alarm
from .alarm import Alarms
from .deployment_settings import BREAKER_THRESHOLD
from .deployment_settings import alarm_settings
from .deployment_settings import deployment_configuration
from .infrastructure import message_of
from .models import Deployment
from .models import Revision
from .models import Service
from .provisioner import Provisioner
from .store import ServiceStore
from .task_set import TaskSet
from .task_sets import TaskSets

log = logging.getLogger(__name__)

POLL_SECONDS = 5
ALARM_POLL_SECONDS = 15

ABORT, ROLLBACK = "ABORT", "ROLLBACK"


class DeploymentInterrupted(Exception):
    """The deployment was stopped, or a newer one takes its place."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class DeploymentFailedError(Exception):
    """The deployment is rolled back; the text is its status reason."""


def other(color: str) -> str:
    """The other target group."""
    return "green" if color == "blue" else "blue"


class DeploymentRun:
    """One deployment in progress."""

    def __init__(
        self,
        service: Service,
        deployment: Deployment,
        *,
        ctx: Context,
        store: ServiceStore,
        task_sets: TaskSets,
        provisioner: Provisioner,
        alarms: Alarms,
    ) -> None:
        self.ctx = ctx
        self._store = store
        self._task_sets = task_sets
        self._provisioner = provisioner
        self._cloudwatch = alarms
        self.service = service
        self.deployment = deployment
        self.target = service.revisions[deployment.target]
        self._alarms: list[str] = []
        self._next_alarm_poll = 0.0
        self._interrupt: DeploymentInterrupted | None = None
        self._interrupted = asyncio.Event()

    # From outside ---------------------------------------------------------------------------------------------------

    def interrupt(self, kind: str, reason: str) -> None:
        """Stop the deployment at the next step."""
        if self._interrupt is None:
            self._interrupt = DeploymentInterrupted(kind, reason)
            self._interrupted.set()

    async def run(self) -> None:
        """Run the deployment until it succeeds, is rolled back, or is stopped."""
        try:
            if self.deployment.status in ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"):
                await self._roll_back(self.deployment.rollback.get("reason", self.deployment.reason))
            elif self.deployment.status == "STOP_REQUESTED":
                await self._abort(self.deployment.reason)
            else:
                await self._forward()
        except DeploymentInterrupted as stop:
            await (self._abort(stop.reason) if stop.kind == ABORT else self._roll_back(stop.reason))
        except DeploymentFailedError as failure:
            await self._roll_back(str(failure))
        except (ClientError, BotoCoreError, TrustError) as error:
            # A refused call is not tried again: the deployment stays where it is.
            self._store.add_event(
                self.service, f"deployment {_short(self.deployment.arn)} is stuck: {message_of(error)}"
            )
            log.warning("deployment %s: %s", self.deployment.arn, message_of(error))
            await self._interrupted.wait()
            await self._abort(str(self._interrupt))

    # Steps ----------------------------------------------------------------------------------------------------------

    @property
    def source(self) -> Revision | None:
        """The revision that served before; None for the first deployment."""
        stable = self.service.stable
        return self.service.revisions[stable] if stable and stable != self.target.arn else None

    def _stage(self, name: str) -> None:
        self.deployment.enters(name)
        self.ctx.changed()

    async def _pause(self, aws_seconds: float) -> None:
        # Not wait_for(): before Python 3.12 it loses a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.ctx.clock.real(aws_seconds)):
                await self._interrupted.wait()
        if self._interrupt is not None:
            raise self._interrupt

    async def _shift(self, percent: float) -> None:
        """Shift a percentage of the traffic to the target revision, the rest to the source."""
        weights = {self.target.color: percent}
        if self.source is not None:
            weights[self.source.color] = 100 - percent
        await self._provisioner.target_groups.shift(self.service, weights)
        self.deployment.weights = weights
        self.ctx.changed()

    async def _forward(self) -> None:
        await self._begin()
        task_set = await self._scale_up()
        await self._shift_traffic(task_set)
        await self._finish(task_set)

    async def _begin(self) -> None:
        """Wait for the service's resources, and keep all traffic on the source revision."""
        deployment, service = self.deployment, self.service
        await self._pause(POLL_SECONDS)
        deployment.becomes("IN_PROGRESS")
        self._stage("RECONCILE_SERVICE")
        while not service.provisioned:
            await self._pause(POLL_SECONDS)
        source = self.source
        if not self.target.color:
            self.target.color = other(source.color) if source is not None else "blue"
        await self._begin_alarms()
        if source is not None:
            await self._shift(0)

    async def _scale_up(self) -> TaskSet:
        self._stage("PRE_SCALE_UP")
        await self._prepare()
        self._stage("SCALE_UP")
        # With a desired count of 0 the deployment is empty and completes like any other (a user's script waits for its
        # rolloutState: lamdis-ai, ops/deploy-app.sh).
        task_set = self._task_sets.provide(self.service, self.target)
        task_set.set_desired(self.service.desired)
        task_set.start()
        await self._until_healthy(task_set)
        self._stage("POST_SCALE_UP")
        await self._pause(POLL_SECONDS)
        return task_set

    async def _shift_traffic(self, task_set: TaskSet) -> None:
        """Shift the canary's share of the traffic, bake, shift all of it, bake."""
        self._stage("PRODUCTION_TRAFFIC_SHIFT")
        settings = deployment_configuration(self.service)
        if self.source is not None:
            canary = settings["canaryConfiguration"]
            await self._shift(canary["canaryPercent"])
            await self._bake(task_set, canary["canaryBakeTimeInMinutes"] * 60)
        await self._shift(100)
        self._stage("BAKE_TIME")
        await self._bake(task_set, settings["bakeTimeInMinutes"] * 60)

    async def _finish(self, task_set: TaskSet) -> None:
        deployment, service, source = self.deployment, self.service, self.source
        self._stage("CLEAN_UP")
        service.stable = self.target.arn
        if source is not None:
            await self._task_sets.retire(source, "Scaling activity initiated by deployment")
        task_set.set_desired(service.desired)
        deployment.breaker = "MONITORING_COMPLETE"
        deployment.alarm = "MONITORING_COMPLETE" if deployment.alarm == "MONITORING" else deployment.alarm
        deployment.becomes("SUCCESSFUL")
        self._store.add_event(service, f"(deployment {_short(deployment.arn)}) deployment completed.")
        self._store.add_event(service, "has reached a steady state.")
        self.ctx.changed()

    async def _prepare(self) -> None:
        configuration = self.target.configuration
        container = configuration["primaryContainer"]
        await self._provisioner.target_groups.refresh(
            self.service, self.target.color, container["containerPort"], configuration["healthCheckPath"]
        )
        await self._provisioner.rewrite_alarm(self.service)
        await self._provisioner.scaling.rescale(self.service, configuration["scalingTarget"])

    async def _until_healthy(self, task_set: TaskSet) -> None:
        while task_set.healthy() < task_set.desired:
            await self._pause(POLL_SECONDS)
            self._watch_tasks(task_set)

    async def _bake(self, task_set: TaskSet, aws_seconds: float) -> None:
        end = time.monotonic() + self.ctx.clock.real(aws_seconds)
        while time.monotonic() < end:
            await self._pause(POLL_SECONDS)
            self._watch_tasks(task_set)
            await self._watch_errors()

    def _watch_tasks(self, task_set: TaskSet) -> None:
        self.deployment.failures = task_set.failures
        if not deployment_configuration(self.service)["deploymentCircuitBreaker"]["enable"]:
            return
        # A task that stays unhealthy beyond its grace period has cost minutes already: users see the rollback after
        # three to eight of them, which three such tasks in a row would exceed.
        if task_set.failures >= BREAKER_THRESHOLD or task_set.replaced:
            self.deployment.breaker = "TRIGGERED"
            raise DeploymentFailedError(
                "Service deployment rolled back because the circuit breaker threshold was exceeded. "
                f"Last failure: {task_set.last_reason}"
            )

    async def _begin_alarms(self) -> None:
        """Which alarms this deployment is rolled back by.

        ECS adds its own alarm to those of the service at each deployment (a user's report). An alarm that already is
        in ALARM when a deployment begins is not looked at during it (developer guide, deployment-alarm-failure).
        """
        own = alarm.name_of(self.service)
        settings = alarm_settings(self.service, own)
        if own not in settings["alarmNames"]:
            settings["alarmNames"] = [*settings["alarmNames"], own]
            self.service.overrides.deployment["alarms"] = settings
        watched = settings["enable"] and self.source is not None
        self._alarms = list(settings["alarmNames"]) if watched else []
        if await self._cloudwatch.in_alarm(self._alarms):
            self._alarms = []
        self.deployment.alarm = "MONITORING" if self._alarms or (settings["enable"] and not watched) else "DISABLED"

    async def _watch_errors(self) -> None:
        now = time.monotonic()
        if now < self._next_alarm_poll:
            return
        self._next_alarm_poll = now + self.ctx.clock.real(ALARM_POLL_SECONDS)
        fired = await self._cloudwatch.in_alarm(self._alarms)
        if fired:
            self.deployment.alarm = "TRIGGERED"
            self.deployment.fired = fired
            raise DeploymentFailedError(
                "Service deployment rolled back because of CloudWatch alarm(s) in ALARM state: " + ", ".join(fired)
            )

    # Back -----------------------------------------------------------------------------------------------------------

    async def _roll_back(self, reason: str) -> None:
        deployment, source = self.deployment, self.source
        deployment.rollback = {"reason": reason, "startedAt": time.time()}
        if source is not None:
            deployment.rollback["serviceRevisionArn"] = source.arn
        deployment.becomes("ROLLBACK_REQUESTED", reason)
        self.ctx.changed()
        await self.ctx.clock.sleep(POLL_SECONDS)
        deployment.becomes("ROLLBACK_IN_PROGRESS")
        self.ctx.changed()
        await self._back_to_source(reason)
        await self._provisioner.rewrite_alarm(self.service)
        if source is None:
            deployment.becomes("ROLLBACK_FAILED", f"{reason} No rollback candidate was found to run the rollback.")
        else:
            deployment.becomes("ROLLBACK_SUCCESSFUL", reason)
        self._store.add_event(self.service, f"(deployment {_short(deployment.arn)}) deployment failed: {reason}")
        self.ctx.changed()

    async def _abort(self, reason: str) -> None:
        self.deployment.becomes("STOP_REQUESTED", reason)
        self.ctx.changed()
        await self._back_to_source(reason)
        self.deployment.becomes("STOPPED", reason)
        self.ctx.changed()

    async def _back_to_source(self, reason: str) -> None:
        source = self.source
        if self.service.provisioned:
            try:
                if source is not None:
                    await self._provisioner.target_groups.shift(self.service, {source.color: 100})
                    await self._provisioner.scaling.rescale(self.service, source.configuration["scalingTarget"])
            except (ClientError, TrustError) as error:
                log.warning("rollback of %s: %s", self.deployment.arn, message_of(error))
        self.deployment.weights = {source.color: 100.0} if source is not None else {}
        if self.target.arn != self.service.stable:
            await self._task_sets.retire(self.target, reason)
            self.target.color = ""
        if source is not None and self.service.latest == self.target.arn:
            self.service.latest = source.arn


def _short(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
