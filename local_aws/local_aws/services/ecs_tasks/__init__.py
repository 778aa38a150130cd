# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ECS tasks as real process groups on this machine."""

from __future__ import annotations

from .controller import TaskController
from .handlers import EcsTasks
from .models import Task
from .models import TaskSpec
from .store import TaskStore

__all__ = ["EcsTasks", "Task", "TaskController", "TaskSpec", "TaskStore"]
