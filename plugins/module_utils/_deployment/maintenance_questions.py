# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The questions about the schedules of a deployment, and about the queue of what failed."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Question
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Resources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._scheduler import group
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._scheduler import schedule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._sqs import queue


def maintenance_questions(scope: Scope) -> Iterator[Question]:
    """Yield nothing for a deployment that is not to have schedules."""
    if scope.schedule_group:
        yield Question("schedules", ("scheduler",), lambda scheduler: _read_schedules(scheduler, scope.schedule_group))
        yield Question(
            "maintenance_queue", ("sqs",), lambda sqs: _read_queue(sqs, f"{scope.schedule_group}-maintenance")
        )


def _read_schedules(scheduler: Client, name: str) -> Resources:
    found = group.find(scheduler, name)
    if found is None:
        return {}
    listed = scheduler.pages("list_schedules", "Schedules", GroupName=name)
    described = {
        str(one["Name"]): schedule.describe(schedule.find(scheduler, str(one["Name"]), name)) for one in listed
    }
    return {"schedules": {"Tags": found["tags"], "Schedules": described}}


def _read_queue(sqs: Client, name: str) -> Resources:
    found = queue.find(sqs, name)
    return {} if found is None else {"maintenance_queue": {"name": name, **found}}
