# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""CreateExpressGatewayService."""

from __future__ import annotations

import secrets
from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from ..elbv2 import Balancer
from . import caller
from . import definitions
from . import network
from . import transformations
from .controller import Controller
from .models import Placement
from .models import Service
from .network import Network
from .provisioner import plan
from .responses import Responses
from .store import ServiceStore
from .store import digits
from .transformations import invalid


class Creation:
    """Creates services; two requests for one name at the same time are refused."""

    def __init__(
        self, ctx: Context, store: ServiceStore, balancer: Balancer, controller: Controller, responses: Responses
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._balancer = balancer
        self._controller = controller
        self._responses = responses
        self._creating: set[str] = set()

    async def create(self, call: Call) -> dict[str, Any]:
        """CreateExpressGatewayService."""
        params = call.params
        cluster = transformations.last_part(params.get("cluster") or "default")
        name = _name(params)
        arn = self._store.new_arn("service", f"{cluster}/{name}")
        tags = _tags(params)
        caller.allow(self._ctx, call, arn, {f"aws:RequestTag/{key}": value for key, value in tags.items()})
        transformations.check_create(params)
        own = await definitions.own_definition(self._ctx, params)
        configuration = self._first_configuration(params, own, f"/aws/ecs/{cluster}/{name}-{digits(4)}")
        caller.pass_roles(self._ctx, call, configuration, params["infrastructureRoleArn"])
        await caller.ensure_linked_role(self._ctx, call)
        cluster_arn = await self._cluster(call, cluster)
        if arn in self._creating:
            raise invalid("Creation of service was not idempotent.")
        self._creating.add(arn)
        try:
            await self._check_free(arn, cluster, name)
            await caller.check_trust(self._ctx, params["infrastructureRoleArn"])
            where = await network.resolve(self._ctx, configuration["networkConfiguration"].get("subnets"))
            if own is None:
                # Needed by the caller: ECS registers the definition in the caller's name (CloudFormation's handler).
                self._ctx.allow(call, "ecs:RegisterTaskDefinition", "*")
                await definitions.register(self._ctx, configuration, cluster, name)
            service = self._new_service(call, cluster_arn, arn, configuration, where)
            await self._balancer.open(arn, service.host)
            self._store.services[arn] = service
        finally:
            self._creating.discard(arn)
        self._controller.provision(service)
        answer = self._responses.express_service(service, with_tags=bool(tags), fresh=True)
        self._controller.begin_first_deployment(service)
        self._ctx.changed()
        return {"service": answer}

    def _first_configuration(self, params: dict[str, Any], own: dict[str, Any] | None, logs: str) -> dict[str, Any]:
        configuration = transformations.configuration(params, logs)
        return {**configuration, **own} if own is not None else configuration

    async def _cluster(self, call: Call, name: str) -> str:
        """The cluster's ARN; only ``default`` is made when it is missing."""
        found = await self._ctx.aws("ecs", "describe_clusters", clusters=[name])
        active = [item for item in found["clusters"] if item["status"] == "ACTIVE"]
        if active:
            return str(active[0]["clusterArn"])
        if name != "default":
            raise ApiError("ClusterNotFoundException", "Cluster not found.")
        self._ctx.allow(call, "ecs:CreateCluster", "*")
        made = await self._ctx.aws("ecs", "create_cluster", clusterName="default")
        return str(made["cluster"]["clusterArn"])

    async def _check_free(self, arn: str, cluster: str, name: str) -> None:
        known = self._store.services.get(arn)
        if known is not None and known.status == "DRAINING":
            raise invalid("Unable to Start a service that is still Draining.")
        if known is not None and known.status == "ACTIVE":
            raise invalid("Creation of service was not idempotent.")
        if known is None:
            answer = await self._ctx.aws("ecs", "describe_services", cluster=cluster, services=[name])
            if any(item["status"] != "INACTIVE" for item in answer["services"]):
                raise invalid("Creation of service was not idempotent.")

    def _new_service(
        self, call: Call, cluster_arn: str, arn: str, configuration: dict[str, Any], where: Network
    ) -> Service:
        """Return the new service, before any of its resources is created."""
        params = call.params
        cluster, name = arn.rsplit("/", 2)[-2:]
        host = transformations.endpoint_host(name, secrets.token_hex(16), self._ctx.settings.region)
        role, is_own = params["infrastructureRoleArn"], bool(params.get("taskDefinitionArn"))
        service = Service(arn, name, cluster, cluster_arn, role, host, created_by=call.principal_arn)
        service.vpc, service.public, service.tags = where.vpc, where.public, _tags(params)
        service.placement = Placement(where.subnets, where.zones)
        logs = configuration["primaryContainer"].get("awsLogsConfiguration") or {}
        if not is_own and not params["primaryContainer"].get("awsLogsConfiguration"):
            service.placement.log_group = logs["logGroup"]
        service.desired = transformations.within(1, configuration["scalingTarget"])
        self._store.add_revision(service, configuration, own=is_own)
        plan(service)
        return service


def _name(params: dict[str, Any]) -> str:
    """The name of a new service, made from its image where none is given."""
    image = (params.get("primaryContainer") or {}).get("image") or "service"
    return params.get("serviceName") or transformations.default_name(image, digits(4))


def _tags(params: dict[str, Any]) -> dict[str, str]:
    return {item["key"]: item.get("value", "") for item in params.get("tags") or []}
