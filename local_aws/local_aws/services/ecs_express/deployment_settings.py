# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How deployments of a service are made: the canary's share and time, the circuit breaker, the alarms.

Canary of 5 %, 3 minutes each: ECS developer guide, express-service-update-full.
"""

from __future__ import annotations

from typing import Any

from .models import Service

CANARY_PERCENT = 5.0
CANARY_BAKE_MINUTES = 3
BAKE_MINUTES = 3
BREAKER_THRESHOLD = 3
"""Failed tasks until the circuit breaker trips; ECS's minimum (developer guide, deployment-circuit-breaker)."""


def alarm_settings(service: Service, own: str) -> dict[str, Any]:
    """The alarms that roll deployments back; ``own``: the name of the one that ECS makes."""
    standard = {"alarmNames": [own], "rollback": True, "enable": True}
    return {**standard, **service.overrides.deployment.get("alarms", {})}


def deployment_configuration(service: Service) -> dict[str, Any]:
    """The settings of an Express service's deployments but for its alarms, as UpdateService may have changed them."""
    changes = service.overrides.deployment
    canary = {"canaryPercent": CANARY_PERCENT, "canaryBakeTimeInMinutes": CANARY_BAKE_MINUTES}
    return {
        "strategy": "CANARY",
        "maximumPercent": changes.get("maximumPercent", 200),
        "minimumHealthyPercent": changes.get("minimumHealthyPercent", 100),
        "bakeTimeInMinutes": changes.get("bakeTimeInMinutes", BAKE_MINUTES),
        "canaryConfiguration": {**canary, **changes.get("canaryConfiguration", {})},
        "deploymentCircuitBreaker": changes.get("deploymentCircuitBreaker", {"enable": True, "rollback": True}),
    }
