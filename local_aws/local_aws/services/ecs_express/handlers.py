# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations of Express Mode, and those around them where they touch its services."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

from ...context import Context
from ...network.firewall import Firewall
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from ..ecs_tasks import TaskController
from ..ecs_tasks import TaskStore
from ..elbv2 import Balancer
from . import caller
from . import definitions
from . import listener_certificates
from . import network
from . import transformations
from .alarm import Alarms
from .classic_api import MOST_DESCRIBED
from .classic_api import TASK_DEFINITION_OPERATIONS
from .classic_api import ClassicApi
from .controller import Controller
from .creation import Creation
from .deployment_handlers import DeploymentHandlers
from .gateways import Gateways
from .infrastructure import Infrastructure
from .listener_certificates import ListenerCertificates
from .models import Revision
from .models import Service
from .provisioner import Provisioner
from .removal import Remover
from .responses import Responses
from .scaling import Scaling
from .store import ServiceStore
from .target_groups import TargetGroups
from .task_sets import TaskSets
from .transformations import invalid

_ALWAYS = frozenset(
    {
        "CreateExpressGatewayService",
        "DescribeExpressGatewayService",
        "UpdateExpressGatewayService",
        "DeleteExpressGatewayService",
        "DescribeServiceDeployments",
        "DescribeServiceRevisions",
        "StopServiceDeployment",
        "ListServices",
        "DescribeClusters",
        *TASK_DEFINITION_OPERATIONS,
    }
)
_OF_A_SERVICE = frozenset({"UpdateService", "DeleteService", "ListServiceDeployments"})
_OF_A_RESOURCE = frozenset({"TagResource", "UntagResource", "ListTagsForResource"})


class Express:
    """Express services."""

    name = "express"

    def __init__(
        self, ctx: Context, firewall: Firewall, balancer: Balancer, tasks: TaskController, task_store: TaskStore
    ) -> None:
        self._ctx = ctx
        self._balancer = balancer
        store = self._store = ServiceStore(ctx)
        infrastructure = Infrastructure(ctx)
        gateways = self.gateways = Gateways(ctx, infrastructure)
        groups = TargetGroups(ctx, firewall, balancer, infrastructure, gateways)
        task_sets = TaskSets(ctx, store, balancer, tasks, groups)
        alarms = Alarms(ctx, balancer)
        self._controller = Controller(
            ctx,
            store,
            balancer=balancer,
            provisioner=Provisioner(ctx, balancer, infrastructure, gateways, groups),
            remover=Remover(ctx, store, balancer, infrastructure, gateways),
            task_sets=task_sets,
            alarms=alarms,
        )
        self.alarms = alarms
        self._responses = Responses(self.endpoint, task_sets.counts)
        self.scaling = Scaling(ctx, store, self._controller)
        self._creation = Creation(ctx, store, balancer, self._controller, self._responses)
        self._deployment_handlers = DeploymentHandlers(ctx, store, self._controller, self._responses)
        self._classic_api = ClassicApi(ctx, store, self._controller, self._responses, task_store)
        self._listener_certificates = ListenerCertificates(ctx, gateways)

    @property
    def store(self) -> ServiceStore:
        """The services."""
        return self._store

    async def start(self) -> None:
        """Takes up what was under way."""
        self._controller.start()

    async def stop(self) -> None:
        """Ends the work in the background."""
        await self._controller.stop()

    def owns(self, call: Call) -> bool:
        """Express operations, and calls about Express services."""
        if call.service == "application-autoscaling":
            return True
        if call.service == "elbv2":
            return call.operation in listener_certificates.OPERATIONS
        return call.service == "ecs" and self._owns_ecs(call.operation, call.params)

    def _owns_ecs(self, operation: str, params: dict[str, Any]) -> bool:
        cluster = params.get("cluster")
        if operation in _OF_A_RESOURCE:
            return params.get("resourceArn") in self._store.services
        if operation in _OF_A_SERVICE:
            return self._store.find(params.get("service"), cluster) is not None
        if operation == "DescribeServices":
            names = params.get("services") or []
            return len(names) > MOST_DESCRIBED or any(self._store.find(item, cluster) for item in names)
        if operation == "CreateService":
            found = self._store.find(params.get("serviceName"), cluster)
            return found is not None and found.status != "INACTIVE"
        if operation == "DeleteCluster":
            return bool(self._store.in_cluster(cluster))
        return operation in _ALWAYS

    async def handle(self, call: Call) -> Response:
        """The answer; raises ApiError."""
        for arn in self._store.forget_old(time.time()):
            self._controller.forget(arn)
        if call.service == "application-autoscaling":
            answer = await self.scaling.handle(call)
            if call.operation == "RegisterScalableTarget" and call.params["ServiceNamespace"] == "ecs":
                await self._ctx.linked_role(call, "ecs.application-autoscaling.amazonaws.com")
            return aws_response(answer, call.service, call.operation)
        if call.service == "elbv2":
            return aws_response(self._listener_certificates.handle(call), call.service, call.operation)
        operations: dict[str, Callable[[Call], Awaitable[dict[str, Any]]]] = {
            "CreateExpressGatewayService": self._creation.create,
            "DescribeExpressGatewayService": self._describe,
            "UpdateExpressGatewayService": self._update,
            "DeleteExpressGatewayService": self._delete,
            **self._deployment_handlers.operations(),
            **self._classic_api.operations(),
        }
        output = await operations[call.operation](call)
        return aws_response(output, "ecs", call.operation)

    def state(self) -> dict[str, Any]:
        """Services with all that belongs to them."""
        return {
            "services": self._store.state(),
            "resources": self.gateways.state(),
            "scaling": self.scaling.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self._store.restore(state.get("services", []))
        self.gateways.restore(state.get("resources", {}))
        self.scaling.restore(state.get("scaling", {}))

    def status(self) -> dict[str, Any]:
        """For ``local-aws status``."""
        return {
            service.arn: {
                "status": service.status,
                "endpoint": self.endpoint(service),
                "deployment": service.deployments[-1].status if service.deployments else None,
            }
            for service in self._store.services.values()
        }

    def endpoint(self, service: Service) -> str:
        """Where the service is reached; empty when it is not any more."""
        return self._balancer.endpoint(service.arn) if service.arn in self._balancer.routes else ""

    async def _describe(self, call: Call) -> dict[str, Any]:
        arn = call.params["serviceArn"]
        caller.allow(self._ctx, call, arn)
        service = self._store.services.get(arn)
        if service is None:
            if transformations.arn_kind(arn) != "service":
                raise invalid(f"Invalid identifier: {arn} is not the ARN of a service.")
            raise ApiError("ResourceNotFoundException", "Resource not found")
        with_tags = "TAGS" in (call.params.get("include") or [])
        return {"service": self._responses.express_service(service, with_tags=with_tags)}

    async def _update(self, call: Call) -> dict[str, Any]:
        params = call.params
        caller.allow(self._ctx, call, params["serviceArn"])
        transformations.check_definition_alone(params)
        transformations.check_values(params)
        service = self._store.changeable(params["serviceArn"])
        current = service.revisions[service.latest]
        configuration, own = await self._updated_configuration(service, current, params)
        caller.pass_roles(self._ctx, call, configuration)
        unchanged = transformations.same(configuration, current.configuration) and own == current.own_definition
        if own and configuration["taskDefinitionArn"] != current.configuration["taskDefinitionArn"]:
            unchanged = False
        if unchanged and self._ctx.faults.consume("express:DeployUnchanged", service.arn) is None:
            return {"service": self._responses.updated_service(service, current)}
        if not own:
            # Users whose policy lacks one of these see their updates refused.
            self._ctx.allow(call, "ecs:DescribeTaskDefinition", "*")
            self._ctx.allow(call, "ecs:RegisterTaskDefinition", "*")
            await definitions.register(self._ctx, configuration, service.cluster, service.name)
        revision = self._store.add_revision(service, configuration, own=own)
        self._controller.deploy(service, revision)
        return {"service": self._responses.updated_service(service, revision)}

    async def _updated_configuration(
        self, service: Service, current: Revision, params: dict[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """The configuration after an update, and whether its task definition is the user's own."""
        own = await definitions.own_definition(self._ctx, params)
        configuration = transformations.merged(current.configuration, params)
        is_own = current.own_definition
        if own is not None:
            kept = ("healthCheckPath", "networkConfiguration", "scalingTarget")
            configuration = {**{name: configuration[name] for name in kept}, **own}
            is_own = True
        elif any(params.get(name) is not None for name in transformations.MANAGED_BY_DEFINITION):
            is_own = False
        subnets = (params.get("networkConfiguration") or {}).get("subnets")
        if subnets:
            where = await network.resolve(self._ctx, subnets)
            if where.vpc != service.vpc:
                raise invalid(f"The subnets are in {where.vpc}, the service is in {service.vpc}.")
        return configuration, is_own

    async def _delete(self, call: Call) -> dict[str, Any]:
        caller.allow(self._ctx, call, call.params["serviceArn"])
        service = self._store.changeable(call.params["serviceArn"])
        self._controller.delete(service)
        return {"service": self._responses.express_service(service)}
