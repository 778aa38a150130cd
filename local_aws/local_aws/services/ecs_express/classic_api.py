# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ECS's classic operations where they meet Express services, which are services among others."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import parse_response
from ..ecs_tasks import TaskStore
from . import caller
from . import transformations
from .controller import Controller
from .paging import paged
from .responses import Responses
from .responses import tags as shown_tags
from .store import ServiceStore
from .transformations import invalid

MOST_DESCRIBED = 10
TASK_DEFINITION_OPERATIONS = ("RegisterTaskDefinition", "DescribeTaskDefinition", "DeregisterTaskDefinition")
OLD_FORMAT = 2
"""Parts of ``arn:…:service/<name>``; today's has a cluster before the name."""


CHANGEABLE = (
    "bakeTimeInMinutes",
    "canaryConfiguration",
    "alarms",
    "deploymentCircuitBreaker",
    "maximumPercent",
    "minimumHealthyPercent",
)
"""What UpdateService keeps of a deployment configuration. What is not given stays, as far as known."""
LONGEST_BAKE = 1440


def _check_settings(settings: dict[str, Any]) -> None:
    """The ranges in botocore's model, and what is not imitated here."""
    canary = settings.get("canaryConfiguration") or {}
    times = {
        "bakeTimeInMinutes": settings.get("bakeTimeInMinutes"),
        "canaryBakeTimeInMinutes": canary.get("canaryBakeTimeInMinutes"),
    }
    for name, minutes in times.items():
        if minutes is not None and not 0 <= minutes <= LONGEST_BAKE:
            raise invalid(f"{name} must be between 0 and {LONGEST_BAKE}.")
    percent = canary.get("canaryPercent")
    if percent is not None and not 0.1 <= percent <= 100:
        raise invalid("canaryPercent must be between 0.1 and 100.0.")
    alarms = settings.get("alarms") or {}
    breaker = settings.get("deploymentCircuitBreaker") or {}
    for name, part in (("alarms", alarms), ("deploymentCircuitBreaker", breaker)):
        if part.get("enable") and not part.get("rollback"):
            raise invalid(f"{name} with enable and without rollback: what ECS does then is not imitated here.")


class ClassicApi:
    """Answers for Express services; what concerns classic services comes from ministack."""

    def __init__(
        self, ctx: Context, store: ServiceStore, controller: Controller, responses: Responses, tasks: TaskStore
    ) -> None:
        self.ctx = ctx
        self._store = store
        self._controller = controller
        self._responses = responses
        self._tasks = tasks

    def operations(self) -> dict[str, Callable[[Call], Awaitable[dict[str, Any]]]]:
        """The operations by name."""
        return {
            "DescribeServices": self._describe_services,
            "ListServices": self._list_services,
            "UpdateService": self._update_service,
            "DeleteService": self._delete_service,
            "CreateService": self._create_service,
            "DeleteCluster": self._delete_cluster,
            "DescribeClusters": self._describe_clusters,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
            **dict.fromkeys(TASK_DEFINITION_OPERATIONS, self._task_definition),
        }

    async def _describe_services(self, call: Call) -> dict[str, Any]:
        params = call.params
        cluster, with_tags = params.get("cluster"), "TAGS" in (params.get("include") or [])
        self._check_names(params["services"], transformations.last_part(cluster or "default"))
        ours = [self._store.find(item, cluster) for item in params["services"]]
        others = [item for item, service in zip(params["services"], ours, strict=True) if service is None]
        shown, failures = [], []
        for service in ours:
            if service is not None:
                caller.allow(self.ctx, call, service.arn)
                shown.append(self._responses.ecs_service(service, with_tags=with_tags))
        if others:
            for item in others:
                name = f"{transformations.last_part(cluster or 'default')}/{item}"
                caller.allow(self.ctx, call, item if item.startswith("arn:") else self._store.new_arn("service", name))
            changed = {**params, "services": others}
            answer = await self.ctx.aws("ecs", "describe_services", **changed)
            shown += answer["services"]
            failures += answer["failures"]
        return {"services": shown, "failures": failures}

    @staticmethod
    def _check_names(names: list[str], cluster: str) -> None:
        """At most ten services, and of one cluster: ECS's sentences, as users report them (aws-toolkit-vscode)."""
        if len(names) > MOST_DESCRIBED:
            raise invalid(f"service names can have at most {MOST_DESCRIBED} items.")
        for name in names:
            parts = name.split("/") if transformations.arn_kind(name) == "service" else []
            # An ARN of the old format, without a cluster, says nothing about it.
            if len(parts) > OLD_FORMAT and parts[1] != cluster:
                raise invalid(f"Invalid identifier: Identifier is for cluster {parts[1]}. Your cluster is {cluster}")

    async def _list_services(self, call: Call) -> dict[str, Any]:
        params = call.params
        cluster = transformations.last_part(params.get("cluster") or "default")
        kind = params.get("resourceManagementType")
        ours = [
            item.arn
            for item in self._store.in_cluster(cluster)
            if params.get("schedulingStrategy", "REPLICA") == "REPLICA"
            and params.get("launchType") in (None, "FARGATE")
        ]
        response = await call.passthrough()
        answer = parse_response(response, "ecs", "ListServices")
        if "Error" in answer:
            if not ours or answer["Error"]["Code"] == "AccessDeniedException":
                raise ApiError(answer["Error"]["Code"], answer["Error"]["Message"], response.status)
            answer = {"serviceArns": []}
        classic = answer.get("serviceArns", [])
        if kind == "CUSTOMER":
            return answer
        page, token = paged(ours if kind == "ECS" else ours + classic, params, default=10)
        return {"serviceArns": page} | ({"nextToken": token} if token else {})

    async def _update_service(self, call: Call) -> dict[str, Any]:
        params = call.params
        found = self._store.find(params["service"], params.get("cluster"))
        assert found is not None  # owns() asked
        caller.allow(self.ctx, call, found.arn)
        service = self._store.changeable(found.arn)
        self._check_update_service(params)
        settings = params.get("deploymentConfiguration") or {}
        changes = service.overrides.deployment
        for name in CHANGEABLE:
            if settings.get(name) is not None:
                changes[name] = settings[name]
        if params.get("healthCheckGracePeriodSeconds") is not None:
            service.overrides.grace = params["healthCheckGracePeriodSeconds"]
        if params.get("desiredCount") is not None:
            self._controller.scale(service, params["desiredCount"])
        if params.get("forceNewDeployment"):
            current = service.revisions[service.latest]
            revision = self._store.add_revision(service, dict(current.configuration), own=current.own_definition)
            self._controller.deploy(service, revision)
        self.ctx.changed()
        return {"service": self._responses.ecs_service(service, with_tags=True)}

    @staticmethod
    def _check_update_service(params: dict[str, Any]) -> None:
        known = {
            "cluster",
            "service",
            "desiredCount",
            "forceNewDeployment",
            "deploymentConfiguration",
            "healthCheckGracePeriodSeconds",
        }
        strategy = (params.get("deploymentConfiguration") or {}).get("strategy")
        if strategy and strategy != "CANARY":
            raise invalid(f"Updating to {strategy} deployment strategy is not supported for ExpressGatewayServices.")
        _check_settings(params.get("deploymentConfiguration") or {})
        count = params.get("desiredCount")
        if count is not None and count < 0:
            raise invalid(f"desiredCount {count} must be 0 or more.")
        for name, value in params.items():
            if name not in known and value is not None:
                raise invalid(f"Updating {name} by UpdateService is not supported for ExpressGatewayServices.")

    async def _delete_service(self, call: Call) -> dict[str, Any]:
        found = self._store.find(call.params["service"], call.params.get("cluster"))
        assert found is not None  # owns() asked
        caller.allow(self.ctx, call, found.arn)
        raise invalid(f"{found.arn} has ResourceManagementType=ECS use DeleteExpressGatewayService to delete")

    async def _create_service(self, call: Call) -> dict[str, Any]:
        found = self._store.find(call.params["serviceName"], call.params.get("cluster"))
        assert found is not None  # owns() asked
        caller.allow(self.ctx, call, found.arn)
        if found.status == "DRAINING":
            raise invalid("Unable to Start a service that is still Draining.")
        raise invalid("Creation of service was not idempotent.")

    async def _describe_clusters(self, call: Call) -> dict[str, Any]:
        """ministack's answer, with the Express services and the tasks that run here counted as well."""
        response = await call.passthrough()
        answer = parse_response(response, "ecs", "DescribeClusters")
        if "Error" in answer:
            raise ApiError(answer["Error"]["Code"], answer["Error"]["Message"], response.status)
        for cluster in answer["clusters"]:
            tasks = self._tasks.of_cluster(cluster["clusterArn"])
            cluster["activeServicesCount"] += len(self._store.in_cluster(cluster["clusterName"]))
            cluster["runningTasksCount"] += sum(task.last_status == "RUNNING" for task in tasks)
            cluster["pendingTasksCount"] += sum(task.last_status in ("PROVISIONING", "PENDING") for task in tasks)
        return answer

    async def _task_definition(self, call: Call) -> dict[str, Any]:
        """ministack's answer without its empty strings: where ECS has nothing to say, it says nothing."""
        response = await call.passthrough()
        answer = parse_response(response, "ecs", call.operation)
        if "Error" in answer:
            raise ApiError(answer["Error"]["Code"], answer["Error"]["Message"], response.status)
        definition = {name: value for name, value in answer["taskDefinition"].items() if value != ""}
        return {**answer, "taskDefinition": definition}

    async def _delete_cluster(self, call: Call) -> dict[str, Any]:
        caller.allow(self.ctx, call, self._store.new_arn("cluster", transformations.last_part(call.params["cluster"])))
        raise ApiError("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")

    async def _tag(self, call: Call) -> dict[str, Any]:
        service = self._store.services[call.params["resourceArn"]]
        new = {item["key"]: item.get("value", "") for item in call.params["tags"]}
        caller.allow(self.ctx, call, service.arn, {f"aws:RequestTag/{key}": value for key, value in new.items()})
        if len({**service.tags, **new}) > 50:
            raise invalid("Tags can not have more than 50 elements.")
        service.tags |= new
        self.ctx.changed()
        return {}

    async def _untag(self, call: Call) -> dict[str, Any]:
        service = self._store.services[call.params["resourceArn"]]
        caller.allow(self.ctx, call, service.arn)
        for key in call.params["tagKeys"]:
            service.tags.pop(key, None)
        self.ctx.changed()
        return {}

    async def _list_tags(self, call: Call) -> dict[str, Any]:
        service = self._store.services[call.params["resourceArn"]]
        caller.allow(self.ctx, call, service.arn)
        return {"tags": shown_tags(service)}
