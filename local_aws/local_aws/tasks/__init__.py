# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ECS tasks as real process groups on this machine."""

from __future__ import annotations

from .model import Task
from .model import TaskSpec
from .runner import TaskRunner

__all__ = ["Task", "TaskRunner", "TaskSpec"]
