# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data plane of Express services: HTTPS on loopback, routed by host name, like an Application Load Balancer."""

from __future__ import annotations

from .controller import Balancer
from .handlers import LoadBalancing
from .models import Route
from .models import TargetGroup
from .models import Weights

__all__ = ["Balancer", "LoadBalancing", "Route", "TargetGroup", "Weights"]
