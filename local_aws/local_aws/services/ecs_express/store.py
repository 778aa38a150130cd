# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Express services of the account."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Any

from ...context import Context
from ...service import ApiError
from . import transformations
from .models import Deployment
from .models import Revision
from .models import Service

KEEP_INACTIVE_SECONDS = 24 * 3600

_DRAINING = "Service is in DRAINING status"
_INACTIVE = "Cannot perform this operation on a service in INACTIVE status"


def digits(count: int) -> str:
    """Random decimal digits, the first not 0."""
    return str(secrets.randbelow(9 * 10 ** (count - 1)) + 10 ** (count - 1))


class ServiceStore:
    """All services by ARN, with their revisions and deployments."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.services: dict[str, Service] = {}

    def new_arn(self, kind: str, rest: str) -> str:
        """An ARN of ECS."""
        settings = self._ctx.settings
        return f"arn:aws:ecs:{settings.region}:{settings.account_id}:{kind}/{rest}"

    def find(self, service: str | None, cluster: str | None) -> Service | None:
        """A service by ARN, or by name and cluster."""
        if not service:
            return None
        if service.startswith("arn:"):
            return self.services.get(service)
        cluster_name = transformations.last_part(cluster or "default")
        return self.services.get(self.new_arn("service", f"{cluster_name}/{service}"))

    def in_cluster(self, cluster: str | None) -> list[Service]:
        """The services of a cluster that are not INACTIVE."""
        name = transformations.last_part(cluster or "default")
        return [item for item in self.services.values() if item.cluster == name and item.status != "INACTIVE"]

    def changeable(self, arn: str) -> Service:
        """The service of an Update or Delete."""
        service = self.services.get(arn)
        if service is None:
            raise ApiError("ServiceNotFoundException", "Service not found.")
        if service.status == "DRAINING":
            raise ApiError("ServiceNotActiveException", _DRAINING)
        if service.status == "INACTIVE":
            raise ApiError("ServiceNotActiveException", _INACTIVE)
        return service

    def add_revision(self, service: Service, configuration: dict[str, Any], *, own: bool) -> Revision:
        """Adds a revision, which is the latest from now on.

        :arg own: whether its task definition is the user's own.
        """
        arn = self.new_arn("service-revision", f"{service.cluster}/{service.name}/{digits(19)}")
        revision = Revision(arn, configuration, own_definition=own)
        service.revisions[arn] = revision
        service.latest = arn
        service.updated = time.time()
        return revision

    def forget_old(self, now: float) -> list[str]:
        """Drops services that have been INACTIVE for long: ECS does not keep them, and does not say how long it does.

        :arg now: seconds since the epoch.
        :returns: the ARNs of those that were dropped.
        """
        limit = now - self._ctx.clock.real(KEEP_INACTIVE_SECONDS)
        old = [arn for arn, item in self.services.items() if item.status == "INACTIVE" and item.updated < limit]
        for arn in old:
            del self.services[arn]
            self._ctx.changed()
        return old

    def deployment(self, arn: str) -> tuple[Service, Deployment] | None:
        """A deployment with its service."""
        for service in self.services.values():
            found = service.deployment(arn)
            if found is not None:
                return service, found
        return None

    def with_revision(self, arn: str) -> Service | None:
        """The service that a revision is of."""
        return next((item for item in self.services.values() if arn in item.revisions), None)

    def tagged(self) -> list[tuple[str, dict[str, str]]]:
        """ARN and tags of each service that is not INACTIVE."""
        return [(item.arn, item.tags) for item in self.services.values() if item.status != "INACTIVE"]

    def add_event(self, service: Service, message: str) -> None:
        """Adds a service event."""
        service.event(str(uuid.uuid4()), message)
        self._ctx.changed()

    def state(self) -> list[dict[str, Any]]:
        """Services with all that belongs to them."""
        return [service.to_json() for service in self.services.values()]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Takes them back."""
        for item in state:
            service = Service.from_json(item)
            self.services[service.arn] = service
