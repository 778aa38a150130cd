# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon ECS Express Mode: services that bring their load balancer, certificate and scaling with them."""

from __future__ import annotations

from .handlers import Express

__all__ = ["Express"]
