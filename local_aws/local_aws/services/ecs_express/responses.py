# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API shows of a service, its deployments and revisions. Shapes: botocore's model of ECS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import alarm
from .deployment_settings import BREAKER_THRESHOLD
from .deployment_settings import alarm_settings
from .deployment_settings import deployment_configuration
from .infrastructure import COLORS
from .models import Deployment
from .models import Revision
from .models import Service
from .models import stamp
from .task_set import grace_seconds


def without_none(structure: dict[str, Any]) -> dict[str, Any]:
    """Members that have no value are not sent."""
    return {key: value for key, value in structure.items() if value is not None}


def tags(service: Service) -> list[dict[str, str]]:
    """Tags as ECS lists them."""
    return [{"key": key, "value": value} for key, value in service.tags.items()]


def managed_group(service: Service) -> str:
    """The id of the service's managed security group; empty before it exists."""
    managed = service.managed.get("service_security_group")
    return managed.arn.rsplit("/", 1)[-1] if managed is not None and managed.arn else ""


def network(service: Service, revision: Revision) -> dict[str, Any]:
    """Subnets and groups of a revision, the managed group appended."""
    given = revision.configuration["networkConfiguration"]
    groups = list(given.get("securityGroups") or [])
    if managed_group(service) and managed_group(service) not in groups:
        groups.append(managed_group(service))
    return {"subnets": given.get("subnets") or service.placement.subnets, "securityGroups": groups}


class Responses:
    """Renders services, deployments and revisions as the API shows them.

    :arg endpoint: where a service is reached; empty when it is not.
    :arg counts: how many tasks a revision shall have, how many run, how many are on their way.
    """

    def __init__(self, endpoint: Callable[[Service], str], counts: Callable[[str], tuple[int, int, int]]) -> None:
        self._endpoint = endpoint
        self._counts = counts

    # Express --------------------------------------------------------------------------------------------------------

    def configuration(self, service: Service, revision: Revision) -> dict[str, Any]:
        """One of activeConfigurations."""
        result = {key: value for key, value in revision.configuration.items() if value not in (None, "")}
        result["serviceRevisionArn"] = revision.arn
        result["networkConfiguration"] = network(service, revision)
        result["createdAt"] = stamp(revision.created)
        endpoint = self._endpoint(service)
        if endpoint:
            access = "PUBLIC" if service.public else "PRIVATE"
            result["ingressPaths"] = [{"accessType": access, "endpoint": endpoint}]
        return result

    def _common(self, service: Service) -> dict[str, Any]:
        status = {"statusCode": service.status}
        if service.status_reason:
            status["statusReason"] = service.status_reason
        return {
            "cluster": service.cluster_arn,
            "serviceName": service.name,
            "serviceArn": service.arn,
            "status": status,
            "createdAt": stamp(service.created),
            "updatedAt": stamp(service.updated),
        }

    def express_service(self, service: Service, *, with_tags: bool = False, fresh: bool = False) -> dict[str, Any]:
        """The answer of Create, Describe, Delete.

        :arg fresh: the answer of Create, in which there is no deployment yet.
        """
        result = self._common(service)
        result["infrastructureRoleArn"] = service.infrastructure_role
        result["activeConfigurations"] = [self.configuration(service, revision) for revision in service.active()]
        current = service.current()
        if current is not None and not fresh:
            result["currentDeployment"] = current.arn
        if with_tags:
            result["tags"] = tags(service)
        return result

    def updated_service(self, service: Service, revision: Revision) -> dict[str, Any]:
        """The answer of Update: another type, with the target alone."""
        return {**self._common(service), "targetConfiguration": self.configuration(service, revision)}

    # Deployments ----------------------------------------------------------------------------------------------------

    def brief(self, service: Service, deployment: Deployment) -> dict[str, Any]:
        """One of ListServiceDeployments."""
        return without_none(
            {
                "serviceDeploymentArn": deployment.arn,
                "serviceArn": service.arn,
                "clusterArn": service.cluster_arn,
                "createdAt": stamp(deployment.created),
                "startedAt": stamp(deployment.started),
                "finishedAt": stamp(deployment.finished),
                "targetServiceRevisionArn": deployment.target,
                "status": deployment.status,
                "statusReason": deployment.reason or None,
            }
        )

    def deployment(self, service: Service, deployment: Deployment) -> dict[str, Any]:
        """One of DescribeServiceDeployments."""
        result = self.brief(service, deployment)
        del result["targetServiceRevisionArn"]
        own_alarm = alarm.name_of(service)
        rollback = dict(deployment.rollback)
        if rollback:
            rollback["startedAt"] = stamp(rollback["startedAt"])
        sources = [self._revision_summary(service, arn, deployment) for arn in deployment.sources]
        return without_none(
            {
                **result,
                "updatedAt": stamp(deployment.updated),
                "stoppedAt": stamp(deployment.stopped),
                # Absent without any: AWS CLI 2 takes the member's presence for at least one (serviceviewcollector.py).
                "sourceServiceRevisions": sources or None,
                "targetServiceRevision": self._revision_summary(service, deployment.target, deployment),
                "lifecycleStage": deployment.stage or None,
                "deploymentConfiguration": self._settings(service),
                "rollback": rollback or None,
                "deploymentCircuitBreaker": {
                    "status": deployment.breaker,
                    "failureCount": deployment.failures,
                    "threshold": BREAKER_THRESHOLD,
                },
                "alarms": {
                    "status": deployment.alarm,
                    "alarmNames": alarm_settings(service, own_alarm)["alarmNames"],
                    "triggeredAlarmNames": deployment.fired,
                },
            }
        )

    def _settings(self, service: Service) -> dict[str, Any]:
        own_alarm = alarm.name_of(service)
        return {**deployment_configuration(service), "alarms": alarm_settings(service, own_alarm)}

    def _revision_summary(self, service: Service, arn: str, deployment: Deployment) -> dict[str, Any]:
        desired, running, pending = self._counts(arn)
        color = service.revisions[arn].color
        weight = deployment.weights.get(color, 0.0) if color else 0.0
        if not deployment.weights and arn == service.stable:
            weight = 100.0
        return {
            "arn": arn,
            "requestedTaskCount": desired,
            "runningTaskCount": running,
            "pendingTaskCount": pending,
            "requestedTestTrafficWeight": weight,
            "requestedProductionTrafficWeight": weight,
        }

    # Revisions ------------------------------------------------------------------------------------------------------

    def revision(self, service: Service, revision: Revision) -> dict[str, Any]:
        """One of DescribeServiceRevisions."""
        container = revision.configuration["primaryContainer"]
        described = network(service, revision)
        result = {
            "serviceRevisionArn": revision.arn,
            "serviceArn": service.arn,
            "clusterArn": service.cluster_arn,
            "taskDefinition": revision.configuration["taskDefinitionArn"],
            "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1, "base": 1}],
            "platformVersion": "LATEST",
            "platformFamily": "Linux",
            "networkConfiguration": {"awsvpcConfiguration": self._awsvpc(service, described)},
            "containerImages": [self._image(container["image"], revision)],
            "createdAt": stamp(revision.created),
            "ecsManagedResources": self.managed(service),
        }
        balancers = self._load_balancers(service, revision)
        if balancers:
            result["loadBalancers"] = balancers
        return result

    @staticmethod
    def _image(image: str, revision: Revision) -> dict[str, Any]:
        """The image with the digest that ECS pins for all tasks of a revision when the first one starts.

        ECS developer guide, "Container image resolution".
        """
        shown = {"containerName": "Main", "image": image}
        return {**shown, "imageDigest": revision.digest} if revision.digest else shown

    @staticmethod
    def _awsvpc(service: Service, described: dict[str, Any]) -> dict[str, Any]:
        return {**described, "assignPublicIp": "ENABLED" if service.public else "DISABLED"}

    @staticmethod
    def _load_balancers(service: Service, revision: Revision) -> list[dict[str, Any]]:
        blue, green = (service.managed.get(f"target_group_{color}") for color in COLORS)
        rule = service.managed.get("rule")
        if not (blue and green and rule and blue.arn and green.arn and rule.arn):
            return []
        first, second = (green, blue) if revision.color == "green" else (blue, green)
        return [
            {
                "targetGroupArn": first.arn,
                "containerName": "Main",
                "containerPort": revision.configuration["primaryContainer"]["containerPort"],
                "advancedConfiguration": {
                    "alternateTargetGroupArn": second.arn,
                    "productionListenerRule": rule.arn,
                    "roleArn": service.infrastructure_role,
                },
            }
        ]

    def managed(self, service: Service) -> dict[str, Any]:
        """All managed resources of a service with their states."""
        items = service.managed
        ingress = {
            "accessType": "PUBLIC" if service.public else "PRIVATE",
            "endpoint": self._endpoint(service) or service.host,
            "loadBalancer": items["load_balancer"].shown("scheme", "subnetIds", "securityGroupIds"),
            "loadBalancerSecurityGroups": [items["load_balancer_security_group"].shown()],
            "certificate": items["certificate"].shown("domainName"),
            "listener": items["listener"].shown(),
            "rule": items["rule"].shown(),
            "targetGroups": [
                items[f"target_group_{color}"].shown("healthCheckPath", "healthCheckPort", "port") for color in COLORS
            ],
        }
        result = {
            "ingressPaths": [ingress],
            "autoScaling": {
                "scalableTarget": items["scalable_target"].shown("minCapacity", "maxCapacity"),
                "applicationAutoScalingPolicies": [
                    items["scaling_policy"].shown("policyType", "targetValue", "metric")
                ],
            },
            "metricAlarms": [items["alarm"].shown()],
            "serviceSecurityGroups": [items["service_security_group"].shown()],
        }
        if "log_group" in items:
            result["logGroups"] = [items["log_group"].shown("logGroupName")]
        return result

    # The classic API -------------------------------------------------------------------------------------------

    def ecs_service(self, service: Service, *, with_tags: bool) -> dict[str, Any]:
        """One of DescribeServices."""
        active = [] if service.status == "INACTIVE" else service.active()
        counts = [self._counts(revision.arn) for revision in active]
        newest = active[0] if active else service.revisions[service.stable or service.latest]
        current = service.current()
        result = without_none(
            {
                "serviceArn": service.arn,
                "serviceName": service.name,
                "clusterArn": service.cluster_arn,
                "status": service.status,
                "desiredCount": service.desired if active else 0,
                "runningCount": sum(count[1] for count in counts),
                "pendingCount": sum(count[2] for count in counts),
                "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1, "base": 1}],
                "platformVersion": "LATEST",
                "platformFamily": "Linux",
                "taskDefinition": newest.configuration["taskDefinitionArn"],
                "deploymentConfiguration": self._settings(service),
                "deploymentController": {"type": "ECS"},
                "deployments": [self._rollout(service, revision) for revision in active],
                "events": [{**item, "createdAt": stamp(item["createdAt"])} for item in service.events],
                "createdAt": stamp(service.created),
                "createdBy": service.created_by or None,
                "currentServiceDeployment": current.arn if current else self._last_deployment(service),
                "currentServiceRevisions": [
                    {
                        "arn": revision.arn,
                        "requestedTaskCount": count[0],
                        "runningTaskCount": count[1],
                        "pendingTaskCount": count[2],
                    }
                    for revision, count in zip(active, counts, strict=True)
                ],
                "healthCheckGracePeriodSeconds": grace_seconds(service),
                "schedulingStrategy": "REPLICA",
                "enableECSManagedTags": True,
                "enableExecuteCommand": False,
                "propagateTags": "SERVICE",
                "availabilityZoneRebalancing": "ENABLED",
                "resourceManagementType": "ECS",
                "loadBalancers": self._load_balancers(service, newest),
                "networkConfiguration": {"awsvpcConfiguration": self._awsvpc(service, network(service, newest))},
            }
        )
        if with_tags:
            result["tags"] = tags(service)
        return result

    @staticmethod
    def _last_deployment(service: Service) -> str | None:
        return service.deployments[-1].arn if service.deployments else None

    def _rollout(self, service: Service, revision: Revision) -> dict[str, Any]:
        desired, running, pending = self._counts(revision.arn)
        found = next((item for item in reversed(service.deployments) if item.target == revision.arn), None)
        states = {"SUCCESSFUL": "COMPLETED", "PENDING": "IN_PROGRESS", "IN_PROGRESS": "IN_PROGRESS"}
        state = states.get(found.status, "FAILED") if found else "IN_PROGRESS"
        current = service.current()
        primary = revision.arn == current.target if current else True
        number = found.arn.rsplit("/", 1)[-1] if found else revision.arn.rsplit("/", 1)[-1]
        result = {
            "id": f"ecs-svc/{number}",
            "status": "PRIMARY" if primary else "ACTIVE",
            "taskDefinition": revision.configuration["taskDefinitionArn"],
            "desiredCount": desired,
            "runningCount": running,
            "pendingCount": pending,
            "failedTasks": found.failures if found else 0,
            "createdAt": stamp(found.created if found else revision.created),
            "updatedAt": stamp(found.updated if found else revision.created),
            "rolloutState": state,
        }
        if found and found.reason:
            result["rolloutStateReason"] = found.reason
        return result
