# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data plane of Express services: HTTPS on loopback, routed by host name, like an Application Load Balancer."""

from __future__ import annotations

from .groups import TargetGroup
from .groups import Weights
from .room import Balancer
from .room import Route

__all__ = ["Balancer", "Route", "TargetGroup", "Weights"]
