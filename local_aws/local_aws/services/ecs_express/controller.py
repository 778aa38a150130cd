# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on with services in the background: provisioning, deployments, deletions."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from ...context import Context
from ..elbv2 import Balancer
from .alarm import Alarms
from .deployment import ABORT
from .deployment import DeploymentRun
from .infrastructure import ProvisioningError
from .models import Deployment
from .models import Revision
from .models import Service
from .provisioner import Provisioner
from .removal import Remover
from .store import ServiceStore
from .task_sets import TaskSets

log = logging.getLogger(__name__)

DRAINING_SECONDS = 540
RETRY_SECONDS = 30
FIRST_DEPLOYMENT_SECONDS = 3


class Controller:
    """Runs the provisioning, the deployments and the deletion of all services."""

    def __init__(
        self,
        ctx: Context,
        store: ServiceStore,
        *,
        balancer: Balancer,
        provisioner: Provisioner,
        remover: Remover,
        task_sets: TaskSets,
        alarms: Alarms,
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._balancer = balancer
        self._provisioner = provisioner
        self._remover = remover
        self._task_sets = task_sets
        self._alarms = alarms
        self._runs: dict[str, DeploymentRun] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._provisioners: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Resume provisioning, deployments and deletions, and run the tasks of all services again."""
        for service in self._store.services.values():
            if service.status == "ACTIVE":
                self._resume(service)
            elif service.status == "DRAINING":
                self.drain(service)

    async def stop(self) -> None:
        """Ends the work; tasks are stopped by their own service, listeners by the balancer."""
        workers = [*self._workers.values(), *self._provisioners.values()]
        for worker in workers:
            worker.cancel()
        self._task_sets.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def interrupt(self, deployment: Deployment, kind: str, reason: str) -> None:
        """Stops a deployment at the next possible moment."""
        self._runs[deployment.arn].interrupt(kind, reason)

    def forget(self, arn: str) -> None:
        """Forget the work on a service that is gone."""
        self._workers.pop(arn, None)
        self._provisioners.pop(arn, None)

    def delete(self, service: Service) -> None:
        """Begins to delete a service."""
        service.status, service.updated = "DRAINING", time.time()
        service.placement.shared = self._provisioner.gateways.mark_leaving(service)
        self._deprovision(service)
        self.drain(service)
        self._ctx.changed()

    def scale(self, service: Service, count: int) -> None:
        """Sets a service's desired count.

        It belongs to the service, not to a revision: during a deployment both the serving revision and the new one
        follow it. A user's script shows that: after 0/0 no task is left although the deployment goes on, and 1/1 before
        the end of an empty deployment starts the old version beside the new one (lamdis-ai, ops/deploy-app.sh).
        """
        if count != service.desired:
            self._store.add_event(service, f"has set the desired count to {count}.")
        service.desired = count
        current = service.current()
        for arn in dict.fromkeys((service.stable, current.target if current is not None else "")):
            task_set = self._task_sets.get(arn)
            if task_set is not None:
                task_set.set_desired(count)
        self._ctx.changed()

    def provision(self, service: Service) -> None:
        """Begins to make the resources of a service."""

        async def work() -> None:
            if self._ctx.faults.consume("express:StuckProvisioning", service.arn) is not None:
                return
            try:
                await self._provisioner.provision(service)
            except ProvisioningError:
                return
            except Exception:
                log.exception("provisioning of %s", service.arn)
                return
            service.provisioned = True
            self._ctx.changed()

        self._provisioners[service.arn] = asyncio.get_running_loop().create_task(work())

    def begin_first_deployment(self, service: Service) -> None:
        """The first deployment appears a moment after the service."""

        async def work() -> None:
            await self._ctx.clock.sleep(FIRST_DEPLOYMENT_SECONDS)
            if service.status == "ACTIVE" and not service.deployments:
                self.deploy(service, service.revisions[service.latest])

        self._workers[service.arn] = asyncio.get_running_loop().create_task(work())

    def deploy(self, service: Service, revision: Revision) -> Deployment:
        """Starts a deployment of a revision; one that is under way is stopped for it."""
        number = secrets.token_urlsafe(16)[:21].replace("-", "x").replace("_", "y")
        arn = self._store.new_arn("service-deployment", f"{service.cluster}/{service.name}/{number}")
        deployment = Deployment(arn, revision.arn)
        if service.stable and service.stable != revision.arn:
            deployment.sources = [service.stable]
        before = service.current()
        service.deployments.append(deployment)
        self._begin_deployment(service, deployment, before)
        self._ctx.changed()
        return deployment

    def _begin_deployment(self, service: Service, deployment: Deployment, before: Deployment | None = None) -> None:
        run = DeploymentRun(
            service,
            deployment,
            ctx=self._ctx,
            store=self._store,
            task_sets=self._task_sets,
            provisioner=self._provisioner,
            alarms=self._alarms,
        )
        self._runs[deployment.arn] = run
        previous = self._workers.get(service.arn)
        earlier = self._runs.get(before.arn) if before is not None else None
        if earlier is not None:
            earlier.interrupt(ABORT, "The deployment was replaced by a newer one.")

        async def work() -> None:
            if earlier is not None and previous is not None:
                await asyncio.gather(previous, return_exceptions=True)
            try:
                await run.run()
            except Exception:
                log.exception("deployment %s", deployment.arn)
            finally:
                self._runs.pop(deployment.arn, None)

        self._workers[service.arn] = asyncio.get_running_loop().create_task(work())

    @staticmethod
    def _deprovision(service: Service) -> None:
        """Marks what is to be removed: all but the log group and what other services use as well."""
        kept = {"log_group"}
        if service.placement.shared:
            kept |= {"load_balancer", "load_balancer_security_group", "listener"}
        for name, managed in service.managed.items():
            if name not in kept and managed.status != "DELETED":
                managed.becomes("DEPROVISIONING")

    def drain(self, service: Service) -> None:
        """Begins to remove a service: its tasks, then its resources."""
        previous = self._workers.get(service.arn)
        provisioner = self._provisioners.get(service.arn)
        current = service.current()
        run = self._runs.get(current.arn) if current is not None else None
        if run is not None:
            run.interrupt(ABORT, "The service is being deleted.")

        async def work() -> None:
            await asyncio.gather(*(item for item in (previous, provisioner) if item), return_exceptions=True)
            # What was being made when the service was deleted is there now, and has to go as well.
            self._deprovision(service)
            try:
                await self._drain(service)
            except Exception:
                log.exception("deletion of %s", service.arn)

        self._workers[service.arn] = asyncio.get_running_loop().create_task(work())

    async def _drain(self, service: Service) -> None:
        began = time.monotonic()
        if service.arn in self._balancer.routes:
            self._balancer.weigh(service.arn, {})
        for deployment in service.deployments:
            if not deployment.over:
                deployment.becomes("STOPPED", "The service is being deleted.")
        retired = (
            self._task_sets.retire(revision, "Service is being deleted") for revision in service.revisions.values()
        )
        await asyncio.gather(*retired)
        while True:
            try:
                await self._remover.remove(service)
                break
            except ProvisioningError as error:
                self._store.add_event(service, f"could not be removed yet: {error}")
            await self._ctx.clock.sleep(RETRY_SECONDS)
        left = self._ctx.clock.real(DRAINING_SECONDS) - (time.monotonic() - began)
        await asyncio.sleep(max(0.0, left))
        await self._balancer.close(service.arn)
        service.status, service.updated = "INACTIVE", time.time()
        self._ctx.changed()

    def _resume(self, service: Service) -> None:
        failed = any(item.status == "FAILED" for item in service.managed.values())
        if not service.provisioned and not failed:
            self.provision(service)
        if service.stable:
            task_set = self._task_sets.provide(service, service.revisions[service.stable])
            task_set.set_desired(service.desired)
            task_set.start()
        current = service.current()
        if current is not None:
            self._begin_deployment(service, current)
