# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: a service that is open to some networks only, from its first task on.

Its listener rule admits everybody until it is changed, and exists only some minutes after the service. So the service
is created with no tasks, which is min = max = 0 (min = 0 alone keeps one running: carrieros, scripts/staging-pause.sh),
and gets its tasks when the rule is as wanted. An update of a service without tasks and a later return to 1/1 is what
lamdis-ai does (ops/deploy-app.sh). A run that is cut off in between leaves a service that answers 503 to all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .common import EcsExpressError

Resource = dict[str, Any]

_TASKS = ("min_task_count", "max_task_count")


def without_tasks(config: Resource) -> Resource:
    """Return the configuration with no tasks.

    Raises:
        EcsExpressError: it does not say how many tasks there are to be in the end.
    """
    scaling = config.get("scaling_target") or {}
    if any(scaling.get(name) is None for name in _TASKS):
        raise EcsExpressError(
            "allowed_cidrs needs scaling_target with min_task_count and max_task_count: a new service begins with no "
            "tasks, and gets them when its listener rule admits those networks only"
        )
    return {**config, "scaling_target": {**scaling, **dict.fromkeys(_TASKS, 0)}}


def is_ready(resources: Sequence[Resource] | None) -> bool:
    """Whether ECS has made what it manages for a service, the listener rule among it."""
    if not resources or any(item["status"] != "ACTIVE" for item in resources):
        return False
    return any(item["kind"] == "rule" and item.get("arn") for item in resources)
