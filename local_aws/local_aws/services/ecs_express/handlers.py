# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control plane: Express Mode's operations, and those around them where they touch its services."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import uuid
from collections.abc import Awaitable
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from ...context import TrustError
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from . import alarm
from . import conditions
from . import network
from . import transformations
from .alarm import Alarms
from .classic_api import MOST_DESCRIBED
from .classic_api import TASK_DEFINITION_OPERATIONS
from .classic_api import ClassicApi
from .classic_api import paged
from .deployment import ABORT
from .deployment import ROLLBACK
from .deployment import DeploymentRun
from .models import Deployment
from .models import Revision
from .models import Service
from .provisioner import PRINCIPAL
from .provisioner import Provisioner
from .provisioner import ProvisioningError
from .provisioner import plan
from .removal import Remover
from .responses import Responses
from .responses import managed_group
from .scaling import Scaling
from .task_set import TaskSet
from .transformations import invalid

if TYPE_CHECKING:
    from ...context import Context

log = logging.getLogger(__name__)

TASKS_PRINCIPAL = "ecs-tasks.amazonaws.com"
DRAINING_SECONDS = 540
RETRY_SECONDS = 30
KEEP_INACTIVE_SECONDS = 24 * 3600
FIRST_DEPLOYMENT_SECONDS = 3

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
_CERTIFICATES = frozenset({"AddListenerCertificates", "RemoveListenerCertificates", "DescribeListenerCertificates"})

_DRAINING = "Service is in DRAINING status"
_INACTIVE = "Cannot perform this operation on a service in INACTIVE status"


def digits(count: int) -> str:
    """Random decimal digits, the first not 0."""
    return str(secrets.randbelow(9 * 10 ** (count - 1)) + 10 ** (count - 1))


class Express:
    """Express services."""

    name = "express"

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.services: dict[str, Service] = {}
        self.task_sets: dict[str, TaskSet] = {}
        self.provisioner = Provisioner(ctx)
        self.remover = Remover(ctx, self.provisioner)
        self.scaling = Scaling(ctx)
        self.responses = Responses(self)
        self.classic_api = ClassicApi(self)
        self.alarms = Alarms(ctx)
        self.runs: dict[str, DeploymentRun] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._provisioners: dict[str, asyncio.Task[None]] = {}
        self._creating: set[str] = set()
        conditions.install()
        alarm.install(self.alarms)

    # The service ----------------------------------------------------------------------------------------------------

    def owns(self, call: Call) -> bool:
        """Express operations, and calls about Express services."""
        if call.service == "application-autoscaling":
            return True
        if call.service == "elbv2":
            return call.operation in _CERTIFICATES
        return call.service == "ecs" and self._owns_ecs(call.operation, call.params)

    def _owns_ecs(self, operation: str, params: dict[str, Any]) -> bool:
        cluster = params.get("cluster")
        if operation in _OF_A_RESOURCE:
            return params.get("resourceArn") in self.services
        if operation in _OF_A_SERVICE:
            return self.find(params.get("service"), cluster) is not None
        if operation == "DescribeServices":
            names = params.get("services") or []
            return len(names) > MOST_DESCRIBED or any(self.find(item, cluster) for item in names)
        if operation == "CreateService":
            found = self.find(params.get("serviceName"), cluster)
            return found is not None and found.status != "INACTIVE"
        if operation == "DeleteCluster":
            return bool(self.in_cluster(cluster))
        return operation in _ALWAYS

    async def handle(self, call: Call) -> Response:
        """The answer; raises ApiError."""
        self.forget_old(time.time())
        if call.service == "application-autoscaling":
            answer = await self.scaling.handle(call)
            if call.operation == "RegisterScalableTarget" and call.params["ServiceNamespace"] == "ecs":
                await self.ctx.linked_role(call, "ecs.application-autoscaling.amazonaws.com")
            return aws_response(answer, call.service, call.operation)
        if call.service == "elbv2":
            return aws_response(self._listener_certificates(call), call.service, call.operation)
        operations: dict[str, Callable[[Call], Awaitable[dict[str, Any]]]] = {
            "CreateExpressGatewayService": self._create,
            "DescribeExpressGatewayService": self._describe,
            "UpdateExpressGatewayService": self._update,
            "DeleteExpressGatewayService": self._delete,
            "ListServiceDeployments": self._list_deployments,
            "DescribeServiceDeployments": self._describe_deployments,
            "DescribeServiceRevisions": self._describe_revisions,
            "StopServiceDeployment": self._stop_deployment,
            **self.classic_api.operations(),
        }
        output = await operations[call.operation](call)
        return aws_response(output, "ecs", call.operation)

    async def start(self) -> None:
        """Takes up what was under way: provisioning, deployments, deletions; runs the tasks of all services again."""
        for service in self.services.values():
            if service.status == "ACTIVE":
                self._resume(service)
            elif service.status == "DRAINING":
                self._begin_drain(service)

    def _resume(self, service: Service) -> None:
        failed = any(item.status == "FAILED" for item in service.managed.values())
        if not service.provisioned and not failed:
            self._begin_provision(service)
        if service.stable:
            task_set = self.task_set(service, service.revisions[service.stable])
            task_set.want(service.desired)
            task_set.start()
        current = service.current()
        if current is not None:
            self._begin_deployment(service, current)

    async def stop(self) -> None:
        """Ends the work; tasks are stopped by their own service, listeners by the balancer."""
        workers = [*self._workers.values(), *self._provisioners.values()]
        for worker in workers:
            worker.cancel()
        for task_set in self.task_sets.values():
            task_set.abandon()
        await asyncio.gather(*workers, return_exceptions=True)

    def state(self) -> dict[str, Any]:
        """Services with all that belongs to them."""
        return {
            "services": [service.to_json() for service in self.services.values()],
            "resources": self.provisioner.state(),
            "scaling": self.scaling.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        for item in state.get("services", []):
            service = Service.from_json(item)
            self.services[service.arn] = service
        self.provisioner.restore(state.get("resources", {}))
        self.scaling.restore(state.get("scaling", {}))

    def status(self) -> dict[str, Any]:
        """For ``python -m local_aws status``."""
        return {
            service.arn: {
                "status": service.status,
                "endpoint": self.endpoint(service),
                "deployment": service.deployments[-1].status if service.deployments else None,
            }
            for service in self.services.values()
        }

    def forget_old(self, now: float) -> None:
        """Drops services that have been INACTIVE for long: ECS does not keep them, and does not say how long it does.

        :arg now: seconds since the epoch.
        """
        limit = now - self.ctx.clock.real(KEEP_INACTIVE_SECONDS)
        for arn, service in list(self.services.items()):
            if service.status == "INACTIVE" and service.updated < limit:
                del self.services[arn]
                self._workers.pop(arn, None)
                self._provisioners.pop(arn, None)
                self.ctx.changed()

    # Lookups --------------------------------------------------------------------------------------------------------

    def new_arn(self, kind: str, rest: str) -> str:
        settings = self.ctx.settings
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

    def endpoint(self, service: Service) -> str:
        """Where the service is reached; empty when it is not any more."""
        return self.ctx.balancer.endpoint(service.arn) if service.arn in self.ctx.balancer.routes else ""

    def scale(self, service: Service, count: int) -> None:
        """Sets a service's desired count.

        It belongs to the service, not to a revision: during a deployment both the serving revision and the new one
        follow it. A user's script shows that: after 0/0 no task is left although the deployment goes on, and 1/1 before
        the end of an empty deployment starts the old version beside the new one (lamdis-ai, ops/deploy-app.sh).
        """
        if count != service.desired:
            self.add_event(service, f"has set the desired count to {count}.")
        service.desired = count
        current = service.current()
        for arn in dict.fromkeys((service.stable, current.target if current is not None else "")):
            task_set = self.task_sets.get(arn)
            if task_set is not None:
                task_set.want(count)
        self.ctx.changed()

    def add_event(self, service: Service, message: str) -> None:
        """Adds a service event."""
        service.event(str(uuid.uuid4()), message)
        self.ctx.changed()

    def allow(self, call: Call, resource: str, context: dict[str, Any] | None = None) -> None:
        self.ctx.allow(call, f"ecs:{call.operation}", resource, context)

    # Create ---------------------------------------------------------------------------------------------------------

    async def _create(self, call: Call) -> dict[str, Any]:
        params = call.params
        cluster = transformations.last_part(params.get("cluster") or "default")
        container = params.get("primaryContainer") or {}
        name = params.get("serviceName") or transformations.default_name(container.get("image") or "service", digits(4))
        arn = self.new_arn("service", f"{cluster}/{name}")
        tags = {item["key"]: item.get("value", "") for item in params.get("tags") or []}
        self.allow(call, arn, {f"aws:RequestTag/{key}": value for key, value in tags.items()})
        transformations.check_create(params)
        own = await self._own_definition(params)
        configuration = self._first_configuration(params, own, f"/aws/ecs/{cluster}/{name}-{digits(4)}")
        self._pass_roles(call, configuration, params["infrastructureRoleArn"])
        await self._linked_role(call)
        cluster_arn = await self._cluster(call, cluster)
        if arn in self._creating:
            raise invalid("Creation of service was not idempotent.")
        self._creating.add(arn)
        try:
            await self._check_free(arn, cluster, name)
            await self._check_trust(params["infrastructureRoleArn"])
            where = await network.resolve(self.ctx, configuration["networkConfiguration"].get("subnets"))
            if own is None:
                # Needed by the caller: ECS registers the definition in the caller's name (CloudFormation's handler).
                self.ctx.allow(call, "ecs:RegisterTaskDefinition", "*")
                await self._register(configuration, cluster, name)
            host = transformations.endpoint_host(name, secrets.token_hex(16), self.ctx.settings.region)
            service = Service(
                arn, name, cluster, cluster_arn, params["infrastructureRoleArn"], host, created_by=call.principal_arn
            )
            service.vpc, service.public, service.tags = where.vpc, where.public, tags
            service.overrides = {"subnets": where.subnets, "zones": where.zones}
            logs = configuration["primaryContainer"].get("awsLogsConfiguration") or {}
            if own is None and not container.get("awsLogsConfiguration"):
                service.overrides["log_group"] = logs["logGroup"]
            service.desired = transformations.within(1, configuration["scalingTarget"])
            self.add_revision(service, configuration, own=own is not None)
            plan(service)
            await self.ctx.balancer.open(arn, host)
            self.services[arn] = service
        finally:
            self._creating.discard(arn)
        self._begin_provision(service)
        answer = self.responses.express_service(service, with_tags=bool(tags), fresh=True)
        self._begin_first_deployment(service)
        self.ctx.changed()
        return {"service": answer}

    def _first_configuration(self, params: dict[str, Any], own: dict[str, Any] | None, logs: str) -> dict[str, Any]:
        configuration = transformations.configuration(params, logs)
        return {**configuration, **own} if own is not None else configuration

    async def _own_definition(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """What a user's own task definition says; None when there is none."""
        if not params.get("taskDefinitionArn"):
            return None
        answer = await self.ctx.aws("ecs", "describe_task_definition", taskDefinition=params["taskDefinitionArn"])
        return transformations.from_definition(answer["taskDefinition"])

    def _pass_roles(self, call: Call, configuration: dict[str, Any], infrastructure: str = "") -> None:
        """The caller must be allowed to pass each role to the service that will assume it."""
        roles = [
            (infrastructure, PRINCIPAL),
            (configuration.get("executionRoleArn"), TASKS_PRINCIPAL),
            (configuration.get("taskRoleArn"), TASKS_PRINCIPAL),
        ]
        for role, principal in roles:
            if role:
                self.ctx.allow(call, "iam:PassRole", role, {"iam:PassedToService": principal})

    async def _linked_role(self, call: Call) -> None:
        """ECS's service-linked role, made when ECS is first used (developer guide, express-service-first-run)."""
        try:
            await self.ctx.linked_role(call, PRINCIPAL)
        except ApiError as error:
            raise invalid(
                "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
            ) from error

    async def _cluster(self, call: Call, name: str) -> str:
        """The cluster's ARN; only ``default`` is made when it is missing."""
        found = await self.ctx.aws("ecs", "describe_clusters", clusters=[name])
        active = [item for item in found["clusters"] if item["status"] == "ACTIVE"]
        if active:
            return str(active[0]["clusterArn"])
        if name != "default":
            raise ApiError("ClusterNotFoundException", "Cluster not found.")
        self.ctx.allow(call, "ecs:CreateCluster", "*")
        made = await self.ctx.aws("ecs", "create_cluster", clusterName="default")
        return str(made["cluster"]["clusterArn"])

    async def _check_free(self, arn: str, cluster: str, name: str) -> None:
        known = self.services.get(arn)
        if known is not None and known.status == "DRAINING":
            raise invalid("Unable to Start a service that is still Draining.")
        if known is not None and known.status == "ACTIVE":
            raise invalid("Creation of service was not idempotent.")
        if known is None:
            answer = await self.ctx.aws("ecs", "describe_services", cluster=cluster, services=[name])
            if any(item["status"] != "INACTIVE" for item in answer["services"]):
                raise invalid("Creation of service was not idempotent.")

    async def _check_trust(self, role: str) -> None:
        try:
            await asyncio.to_thread(self.ctx.client, "elbv2", role_arn=role, principal=PRINCIPAL)
        except TrustError as error:
            raise ApiError("AccessDeniedException", f"Cannot assume role {role}: {error}") from error

    async def _register(self, configuration: dict[str, Any], cluster: str, name: str) -> None:
        """Registers the managed task definition of a configuration and writes its ARN into it."""
        definition: dict[str, Any] = {
            "family": f"{cluster}-{name}",
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": configuration["cpu"],
            "memory": configuration["memory"],
            "executionRoleArn": configuration["executionRoleArn"],
            "runtimePlatform": {
                "operatingSystemFamily": "LINUX",
                "cpuArchitecture": configuration.get("cpuArchitecture", "X86_64"),
            },
            "containerDefinitions": [transformations.container_definition(configuration, self.ctx.settings.region)],
            "tags": [{"key": "AmazonECSManaged", "value": "true"}],
        }
        if configuration.get("taskRoleArn"):
            definition["taskRoleArn"] = configuration["taskRoleArn"]
        answer = await self.ctx.aws("ecs", "register_task_definition", **definition)
        configuration["taskDefinitionArn"] = answer["taskDefinition"]["taskDefinitionArn"]

    def add_revision(self, service: Service, configuration: dict[str, Any], *, own: bool) -> Revision:
        arn = self.new_arn("service-revision", f"{service.cluster}/{service.name}/{digits(19)}")
        revision = Revision(arn, configuration, own_definition=own)
        service.revisions[arn] = revision
        service.latest = arn
        service.updated = time.time()
        return revision

    # Work in the background -----------------------------------------------------------------------------------------

    def _begin_provision(self, service: Service) -> None:
        async def work() -> None:
            if self.ctx.faults.consume("express:wedge", service.arn) is not None:
                return
            try:
                await self.provisioner.provision(service)
            except ProvisioningError:
                return
            except Exception:
                log.exception("provisioning of %s", service.arn)
                return
            service.provisioned = True
            self.ctx.changed()

        self._provisioners[service.arn] = asyncio.get_running_loop().create_task(work())

    def _begin_first_deployment(self, service: Service) -> None:
        """The first deployment appears a moment after the service."""

        async def work() -> None:
            await self.ctx.clock.sleep(FIRST_DEPLOYMENT_SECONDS)
            if service.status == "ACTIVE" and not service.deployments:
                self.deploy(service, service.revisions[service.latest])

        self._workers[service.arn] = asyncio.get_running_loop().create_task(work())

    def deploy(self, service: Service, revision: Revision) -> Deployment:
        """Starts a deployment of a revision; one that is under way is stopped for it."""
        number = secrets.token_urlsafe(16)[:21].replace("-", "x").replace("_", "y")
        arn = self.new_arn("service-deployment", f"{service.cluster}/{service.name}/{number}")
        deployment = Deployment(arn, revision.arn)
        if service.stable and service.stable != revision.arn:
            deployment.sources = [service.stable]
        before = service.current()
        service.deployments.append(deployment)
        self._begin_deployment(service, deployment, before)
        self.ctx.changed()
        return deployment

    def _begin_deployment(self, service: Service, deployment: Deployment, before: Deployment | None = None) -> None:
        run = DeploymentRun(self, service, deployment)
        self.runs[deployment.arn] = run
        previous = self._workers.get(service.arn)
        earlier = self.runs.get(before.arn) if before is not None else None
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
                self.runs.pop(deployment.arn, None)

        self._workers[service.arn] = asyncio.get_running_loop().create_task(work())

    def task_set(self, service: Service, revision: Revision) -> TaskSet:
        """The tasks of a revision; made when first asked for."""
        if revision.arn not in self.task_sets:
            self.task_sets[revision.arn] = TaskSet(
                self.ctx,
                self.provisioner,
                service,
                revision,
                make_spec=lambda: self._spec(service, revision),
                add_event=lambda message: self.add_event(service, message),
            )
        return self.task_sets[revision.arn]

    async def retire(self, service: Service, revision: Revision, reason: str) -> None:
        """Stops all tasks of a revision."""
        task_set = self.task_sets.pop(revision.arn, None)
        if task_set is not None:
            await task_set.close(reason)

    def _spec(self, service: Service, revision: Revision) -> Any:
        from ..ecs_tasks import TaskSpec  # noqa: PLC0415 - the services import each other only when they work

        configuration = revision.configuration
        container = configuration["primaryContainer"]
        logs = container.get("awsLogsConfiguration") or {}
        definition = configuration["taskDefinitionArn"]
        family, _unused, number = definition.rsplit("/", 1)[-1].partition(":")
        given = configuration["networkConfiguration"]
        return TaskSpec(
            service_arn=service.arn,
            cluster_arn=service.cluster_arn,
            family=family,
            revision=int(number),
            task_definition_arn=definition,
            image=container["image"],
            command=list(container.get("command") or []),
            environment={item["name"]: item.get("value", "") for item in container.get("environment") or []},
            secrets={item["name"]: item["valueFrom"] for item in container.get("secrets") or []},
            container_port=container["containerPort"],
            log_group=logs.get("logGroup", ""),
            log_prefix=logs.get("logStreamPrefix", ""),
            log_region=self.ctx.settings.region if logs else "",
            execution_role_arn=configuration.get("executionRoleArn", ""),
            task_role_arn=configuration.get("taskRoleArn", ""),
            cpu=configuration["cpu"],
            memory=configuration["memory"],
            group=f"service:{service.name}",
            subnets=given.get("subnets") or service.overrides["subnets"],
            security_groups=[*(given.get("securityGroups") or []), managed_group(service)],
            cpu_architecture=configuration.get("cpuArchitecture") or "X86_64",
        )

    # Describe, update, delete ---------------------------------------------------------------------------------------

    async def _describe(self, call: Call) -> dict[str, Any]:
        arn = call.params["serviceArn"]
        self.allow(call, arn)
        service = self.services.get(arn)
        if service is None:
            if transformations.arn_kind(arn) != "service":
                raise invalid(f"Invalid identifier: {arn} is not the ARN of a service.")
            raise ApiError("ResourceNotFoundException", "Resource not found")
        with_tags = "TAGS" in (call.params.get("include") or [])
        return {"service": self.responses.express_service(service, with_tags=with_tags)}

    async def _update(self, call: Call) -> dict[str, Any]:
        params = call.params
        self.allow(call, params["serviceArn"])
        transformations.check_definition_alone(params)
        transformations.check_values(params)
        service = self.changeable(params["serviceArn"])
        current = service.revisions[service.latest]
        configuration, own = await self._updated_configuration(service, current, params)
        self._pass_roles(call, configuration)
        unchanged = transformations.same(configuration, current.configuration) and own == current.own_definition
        if own and configuration["taskDefinitionArn"] != current.configuration["taskDefinitionArn"]:
            unchanged = False
        if unchanged and self.ctx.faults.consume("express:deploy-unchanged", service.arn) is None:
            return {"service": self.responses.updated_service(service, current)}
        if not own:
            # Users whose policy lacks one of these see their updates refused.
            self.ctx.allow(call, "ecs:DescribeTaskDefinition", "*")
            self.ctx.allow(call, "ecs:RegisterTaskDefinition", "*")
            await self._register(configuration, service.cluster, service.name)
        revision = self.add_revision(service, configuration, own=own)
        self.deploy(service, revision)
        return {"service": self.responses.updated_service(service, revision)}

    async def _updated_configuration(
        self, service: Service, current: Revision, params: dict[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """The configuration after an update, and whether its task definition is the user's own."""
        own = await self._own_definition(params)
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
            where = await network.resolve(self.ctx, subnets)
            if where.vpc != service.vpc:
                raise invalid(f"The subnets are in {where.vpc}, the service is in {service.vpc}.")
        return configuration, is_own

    async def _delete(self, call: Call) -> dict[str, Any]:
        self.allow(call, call.params["serviceArn"])
        service = self.changeable(call.params["serviceArn"])
        service.status, service.updated = "DRAINING", time.time()
        service.overrides["shared"] = self.provisioner.leave(service)
        self._deprovision(service)
        answer = self.responses.express_service(service)
        self._begin_drain(service)
        self.ctx.changed()
        return {"service": answer}

    @staticmethod
    def _deprovision(service: Service) -> None:
        """Marks what is to be removed: all but the log group and what other services use as well."""
        kept = {"log_group"}
        if service.overrides.get("shared"):
            kept |= {"load_balancer", "load_balancer_security_group", "listener"}
        for name, managed in service.managed.items():
            if name not in kept and managed.status != "DELETED":
                managed.becomes("DEPROVISIONING")

    def _begin_drain(self, service: Service) -> None:
        previous = self._workers.get(service.arn)
        provisioner = self._provisioners.get(service.arn)
        current = service.current()
        run = self.runs.get(current.arn) if current is not None else None
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
        if service.arn in self.ctx.balancer.routes:
            self.ctx.balancer.weigh(service.arn, {})
        for deployment in service.deployments:
            if not deployment.over:
                deployment.becomes("STOPPED", "The service is being deleted.")
        retired = (
            self.retire(service, revision, "Service is being deleted") for revision in service.revisions.values()
        )
        await asyncio.gather(*retired)
        while True:
            try:
                await self.remover.remove(service)
                break
            except ProvisioningError as error:
                self.add_event(service, f"could not be removed yet: {error}")
            await self.ctx.clock.sleep(RETRY_SECONDS)
        left = self.ctx.clock.real(DRAINING_SECONDS) - (time.monotonic() - began)
        await asyncio.sleep(max(0.0, left))
        await self.ctx.balancer.close(service.arn)
        service.status, service.updated = "INACTIVE", time.time()
        self.ctx.changed()

    # Deployments and revisions --------------------------------------------------------------------------------------

    async def _list_deployments(self, call: Call) -> dict[str, Any]:
        params = call.params
        service = self.find(params["service"], params.get("cluster"))
        if service is None:
            raise ApiError("ServiceNotFoundException", "Service not found.")
        self.allow(call, service.arn)
        found = sorted(service.deployments, key=lambda item: item.created, reverse=True)
        if params.get("status"):
            found = [item for item in found if item.status in params["status"]]
        bounds = params.get("createdAt") or {}
        if bounds.get("after"):
            found = [item for item in found if item.created > bounds["after"].timestamp()]
        if bounds.get("before"):
            found = [item for item in found if item.created < bounds["before"].timestamp()]
        page, token = paged(found, params)
        output: dict[str, Any] = {"serviceDeployments": [self.responses.brief(service, item) for item in page]}
        return output | ({"nextToken": token} if token else {})

    def _deployment(self, arn: str) -> tuple[Service, Deployment] | None:
        for service in self.services.values():
            found = service.deployment(arn)
            if found is not None:
                return service, found
        return None

    async def _describe_deployments(self, call: Call) -> dict[str, Any]:
        shown, failures = [], []
        for arn in call.params["serviceDeploymentArns"]:
            self.allow(call, arn)
            found = self._deployment(arn)
            if found is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                shown.append(self.responses.deployment(*found))
        return {"serviceDeployments": shown, "failures": failures}

    async def _describe_revisions(self, call: Call) -> dict[str, Any]:
        shown, failures = [], []
        for arn in call.params["serviceRevisionArns"]:
            self.allow(call, arn)
            service = next((item for item in self.services.values() if arn in item.revisions), None)
            if service is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            elif service.status == "INACTIVE":
                raise invalid("Cannot call DescribeServiceRevisions for a service that is INACTIVE")
            else:
                shown.append(self.responses.revision(service, service.revisions[arn]))
        return {"serviceRevisions": shown, "failures": failures}

    async def _stop_deployment(self, call: Call) -> dict[str, Any]:
        arn = call.params["serviceDeploymentArn"]
        self.allow(call, arn)
        found = self._deployment(arn)
        if found is None:
            raise ApiError("ServiceDeploymentNotFoundException", "Service deployment not found.")
        _service, deployment = found
        if deployment.status not in ("PENDING", "IN_PROGRESS"):
            raise ApiError(
                "ConflictException", f"The service deployment cannot be stopped: its status is {deployment.status}."
            )
        kind = call.params.get("stopType") or ROLLBACK
        reason = "Service deployment was stopped by StopServiceDeployment."
        self.runs[arn].interrupt(kind, reason)
        deployment.becomes("STOP_REQUESTED" if kind == ABORT else "ROLLBACK_REQUESTED", reason)
        self.ctx.changed()
        return {"serviceDeploymentArn": arn}

    # Listener certificates, which ministack does not have -----------------------------------------------------------

    def _listener_certificates(self, call: Call) -> dict[str, Any]:
        listener = call.params["ListenerArn"]
        tags = (
            {"AmazonECSManaged": "true"}
            if any(item.listener == listener for item in self.provisioner.gateways.values())
            else {}
        )
        context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        self.ctx.allow(call, f"elasticloadbalancing:{call.operation}", listener, context)
        known = self.provisioner.certificates.setdefault(listener, [])
        given = [item["CertificateArn"] for item in call.params.get("Certificates") or []]
        if call.operation == "AddListenerCertificates":
            known += [arn for arn in given if arn not in known]
        elif call.operation == "RemoveListenerCertificates":
            known[:] = [arn for arn in known if arn not in given]
            self.ctx.changed()
            return {}
        self.ctx.changed()
        return {"Certificates": [{"CertificateArn": arn, "IsDefault": False} for arn in known]}
