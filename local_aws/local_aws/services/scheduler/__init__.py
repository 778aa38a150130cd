# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""EventBridge Scheduler: schedules that start tasks of Amazon ECS."""

from __future__ import annotations

from .controller import ScheduleController
from .handlers import Scheduler
from .metrics import NAMESPACE
from .metrics import SchedulerMetrics
from .models import Schedules

__all__ = ["NAMESPACE", "ScheduleController", "Scheduler", "SchedulerMetrics", "Schedules"]
