# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and target groups of all load balancers."""

from __future__ import annotations

import time
from typing import Any

from .models import Answers
from .models import Route
from .models import TargetGroup
from .models import Weights


class BalancerStore:
    """What the load balancers know.

    :arg period: real seconds of one period of the metrics.
    :ivar port: the common port.
    """

    def __init__(self, period: float) -> None:
        self.port = 0
        self.routes: dict[str, Route] = {}
        self.groups: dict[str, TargetGroup] = {}
        self.answers = Answers(period)

    def route_of_host(self, host: str) -> Route | None:
        """The route of a host name."""
        wanted = host.lower().rstrip(".")
        return next((route for route in self.routes.values() if wanted in route.hosts), None)

    def state(self) -> dict[str, Any]:
        """Ports, routes and target groups."""
        routes = [
            {
                "key": route.key,
                "hosts": route.hosts,
                "door": route.port,
                "secure": route.secure,
                "weights": route.weights.weights,
            }
            for route in self.routes.values()
        ]
        return {"port": self.port, "routes": routes, "groups": [group.settings() for group in self.groups.values()]}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes them back; targets come with their tasks."""
        self.port = state.get("port", 0)
        for item in state.get("routes", []):
            route = Route(item["key"], item["hosts"], item["door"], item["secure"], Weights(item["weights"]))
            self.routes[route.key] = route
        for item in state.get("groups", []):
            self.groups[item["arn"]] = TargetGroup(**item)

    def status(self) -> dict[str, Any]:
        """What was answered in the last minutes: what the metrics of the balancer are made of."""
        period = self.answers.period
        return {"seconds": period, "now": int(time.monotonic() / period), "minutes": self.answers.shown()}
