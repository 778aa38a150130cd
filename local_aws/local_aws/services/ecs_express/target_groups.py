# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two target groups of a service: their making, their shares of the traffic, their targets."""

from __future__ import annotations

import secrets
from typing import Any

from ...context import Context
from ...network.firewall import Firewall
from ..elbv2 import Balancer
from .gateways import Gateways
from .infrastructure import COLORS
from .infrastructure import Infrastructure
from .models import Service


def group_details(port: int, path: str) -> dict[str, Any]:
    """What is shown of a target group, and its whole health check path."""
    return {"healthCheckPath": path.partition("?")[0], "healthCheckPort": port, "port": port, "path": path}


class TargetGroups:
    """The target groups of all services."""

    def __init__(
        self, ctx: Context, firewall: Firewall, balancer: Balancer, infrastructure: Infrastructure, gateways: Gateways
    ) -> None:
        self._ctx = ctx
        self._firewall = firewall
        self._balancer = balancer
        self._infrastructure = infrastructure
        self._gateways = gateways

    async def make(self, service: Service, color: str) -> str:
        """A target group with the port and health check that are written down for its color."""
        details = service.managed[f"target_group_{color}"].details
        answer = await self._infrastructure.call(
            service,
            "elbv2",
            "create_target_group",
            Name=f"ecs-gateway-tg-{secrets.token_hex(9)[:17]}",
            Protocol="HTTP",
            ProtocolVersion="HTTP1",
            Port=details["port"],
            VpcId=service.vpc,
            TargetType="ip",
            HealthCheckPath=details["path"],
            HealthCheckIntervalSeconds=30,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=5,
            UnhealthyThresholdCount=2,
            Matcher={"HttpCode": "200"},
            Tags=self._infrastructure.elb_tags(service),
        )
        arn = str(answer["TargetGroups"][0]["TargetGroupArn"])
        self._balancer.add_group(arn, details["path"])
        return arn

    def forward_actions(self, service: Service, weights: dict[str, float]) -> list[dict[str, Any]]:
        """The actions of a listener's rule that shares the traffic so."""
        groups = [
            {
                "TargetGroupArn": service.managed[f"target_group_{color}"].arn,
                "Weight": round(weights.get(color, 0)),
            }
            for color in COLORS
        ]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]

    async def shift(self, service: Service, weights: dict[str, float]) -> None:
        """Shares the traffic between the two target groups: in the listener's rule and for real.

        :arg weights: per color, 0 to 100.
        """
        actions = self.forward_actions(service, weights)
        await self._infrastructure.call(
            service, "elbv2", "modify_rule", RuleArn=service.managed["rule"].arn, Actions=actions
        )
        real = {service.managed[f"target_group_{color}"].arn: weight for color, weight in weights.items() if weight}
        self._balancer.weigh(service.arn, real)

    async def refresh(self, service: Service, color: str, port: int, path: str) -> None:
        """Gives a revision's idle target group the revision's port and health check.

        The role may not modify target groups, so a group that does not fit is replaced.
        """
        managed = service.managed[f"target_group_{color}"]
        if managed.details == group_details(port, path) and managed.arn in self._balancer.groups:
            return
        old = managed.arn
        managed.details = group_details(port, path)
        managed.becomes("PROVISIONING")
        managed.arn = await self.make(service, color)
        managed.becomes("ACTIVE")
        if old:
            # A target group that a rule names cannot be deleted, whatever its weight.
            serving = service.revisions[service.stable].color if service.stable else color
            actions = self.forward_actions(service, {serving: 100})
            await self._infrastructure.call(
                service, "elbv2", "modify_rule", RuleArn=service.managed["rule"].arn, Actions=actions
            )
            await self._infrastructure.call(service, "elbv2", "delete_target_group", TargetGroupArn=old)
            self._balancer.drop_group(old)
        ports = service.placement.ports
        if port not in ports:
            await self._gateways.open_port(
                service, service.managed["service_security_group"].arn.rsplit("/", 1)[-1], port
            )
            ports.append(port)

    async def register(self, service: Service, arn: str, target: str, port: int, real_port: int) -> None:
        """Adds a task to a target group.

        :arg port: the container port, as the API shows it.
        :arg real_port: where the task listens.
        """
        targets = [{"Id": target, "Port": port}]
        await self._infrastructure.call(service, "elbv2", "register_targets", TargetGroupArn=arn, Targets=targets)
        gateway = self._gateways.of(service)
        groups, subnets = ([gateway.security_group], gateway.subnets) if gateway is not None else ([], [])
        source = self._firewall.member(groups, self._ctx.settings.region, subnets)
        self._balancer.register(arn, target, port, real_port, source)

    async def deregister(self, service: Service, arn: str, target: str, port: int) -> None:
        """Takes a task out of a target group: at once for real, then in the records."""
        self._balancer.deregister(arn, target)
        targets = [{"Id": target, "Port": port}]
        await self._infrastructure.call(service, "elbv2", "deregister_targets", TargetGroupArn=arn, Targets=targets)
