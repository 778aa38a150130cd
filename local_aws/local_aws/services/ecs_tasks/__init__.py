# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ECS tasks as real process groups on this machine."""

from __future__ import annotations

from .controller import TaskRunner
from .models import Task
from .models import TaskSpec

__all__ = ["Task", "TaskRunner", "TaskSpec"]
