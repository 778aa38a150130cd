# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudWatch: alarms on what really goes on, and dashboards that are checked."""

from __future__ import annotations

from .controller import AlarmController
from .custom import CustomMetrics
from .handlers import CloudWatch
from .models import Source

__all__ = ["AlarmController", "CloudWatch", "CustomMetrics", "Source"]
