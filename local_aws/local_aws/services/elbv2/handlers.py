# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeTargetHealth of target groups whose health is really checked here; ministack answers for all others."""

from __future__ import annotations

from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from . import responses
from .controller import Balancer


class LoadBalancing:
    """Elastic Load Balancing, as far as its targets are tasks."""

    name = "balancer"

    def __init__(self, ctx: Context, balancer: Balancer) -> None:
        self._ctx = ctx
        self._balancer = balancer
        self._store = balancer.store

    def owns(self, call: Call) -> bool:
        """DescribeTargetHealth of target groups whose health is really checked here."""
        return (
            call.service == "elbv2"
            and call.operation == "DescribeTargetHealth"
            and call.params.get("TargetGroupArn") in self._store.groups
        )

    async def handle(self, call: Call) -> Response:
        """Answers DescribeTargetHealth from the checks."""
        self._ctx.allow(call, "elasticloadbalancing:DescribeTargetHealth", "*")
        group = self._store.groups[call.params["TargetGroupArn"]]
        asked = [item["Id"] for item in call.params.get("Targets") or []]
        unknown = [name for name in asked if name not in group.targets]
        if unknown:
            raise ApiError("InvalidTarget", f"The target '{unknown[0]}' is not registered with the target group.")
        shown = [target for target in group.targets.values() if not asked or target.id in asked]
        output = {"TargetHealthDescriptions": [responses.target_health(target) for target in shown]}
        return aws_response(output, "elbv2", "DescribeTargetHealth")

    async def start(self) -> None:
        """Opens the listeners."""
        await self._balancer.start()

    async def stop(self) -> None:
        """Closes the listeners and ends the health checks."""
        await self._balancer.stop()

    def state(self) -> dict[str, Any]:
        """Ports, routes and target groups."""
        return self._store.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Takes them back; targets come with their tasks."""
        self._store.restore(state)

    def status(self) -> dict[str, Any]:
        """What was answered in the last minutes: what the metrics of the balancer are made of."""
        return self._store.status()
