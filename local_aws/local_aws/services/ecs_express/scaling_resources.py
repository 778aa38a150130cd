# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scalable target of a service and its policy."""

from __future__ import annotations

from typing import Any

from .gateways import Gateways
from .infrastructure import Infrastructure
from .models import Service

_METRICS = {
    "AVERAGE_CPU": "ECSServiceAverageCPUUtilization",
    "AVERAGE_MEMORY": "ECSServiceAverageMemoryUtilization",
    "REQUEST_COUNT_PER_TARGET": "ALBRequestCountPerTarget",
}


def policy_details(scaling: dict[str, Any]) -> dict[str, Any]:
    """What is shown of a policy."""
    return {
        "policyType": "TargetTrackingScaling",
        "targetValue": float(scaling["autoScalingTargetValue"]),
        "metric": _METRICS[scaling["autoScalingMetric"]],
    }


def scaling_id(service: Service) -> dict[str, str]:
    """The members by which Application Auto Scaling knows a service."""
    return {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{service.cluster}/{service.name}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }


class ScalingResources:
    """Scalable targets and policies of all services."""

    def __init__(self, infrastructure: Infrastructure, gateways: Gateways) -> None:
        self._infrastructure = infrastructure
        self._gateways = gateways

    async def make_target(self, service: Service) -> str:
        """Registers the scalable target as its details say; its ARN."""
        details = service.managed["scalable_target"].details
        answer = await self._infrastructure.call(
            service,
            "application-autoscaling",
            "register_scalable_target",
            **scaling_id(service),
            MinCapacity=details["minCapacity"],
            MaxCapacity=details["maxCapacity"],
            Tags=self._infrastructure.tags(service),
        )
        return str(answer["ScalableTargetARN"])

    async def make_policy(self, service: Service) -> str:
        """Puts the scaling policy as its details say; its ARN."""
        details = service.managed["scaling_policy"].details
        specification: dict[str, Any] = {"PredefinedMetricType": details["metric"]}
        if details["metric"] == "ALBRequestCountPerTarget":
            balancer = self._gateways.require(service).load_balancer.split(":loadbalancer/")[-1]
            group = service.managed["target_group_blue"].arn.rsplit(":", 1)[-1]
            specification["ResourceLabel"] = f"{balancer}/{group}"
        answer = await self._infrastructure.call(
            service,
            "application-autoscaling",
            "put_scaling_policy",
            **scaling_id(service),
            PolicyName=f"{service.cluster}-{service.name}-target-tracking",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": details["targetValue"],
                "PredefinedMetricSpecification": specification,
            },
        )
        return str(answer["PolicyARN"])

    async def rescale(self, service: Service, scaling: dict[str, Any]) -> None:
        """Takes a revision's scaling to the scalable target and the policy."""
        target, policy = service.managed["scalable_target"], service.managed["scaling_policy"]
        wanted = {"minCapacity": scaling["minTaskCount"], "maxCapacity": scaling["maxTaskCount"]}
        if target.details != wanted:
            target.details = wanted
            await self.make_target(service)
            target.becomes("ACTIVE")
        if policy.details != policy_details(scaling):
            policy.details = policy_details(scaling)
            policy.becomes("ACTIVE", arn=await self.make_policy(service))
