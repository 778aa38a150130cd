# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: create a service that admits only certain networks from its first task on.

Its listener rule admits every network until it is changed, and exists only some minutes after the service. So the
service is created with no tasks, which is min = max = 0 (min = 0 alone keeps one running: carrieros,
scripts/staging-pause.sh), and gets its tasks once the rule is changed. An update of a service without tasks and a later
return to 1/1 is what lamdis-ai does (ops/deploy-app.sh). A run that is cut off in between leaves a service that answers
every request with 503.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import allow_list
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import listener_rule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import Run

Resource = dict[str, Any]

_TASKS = ("min_task_count", "max_task_count")


def without_tasks(config: Resource) -> Resource:
    """Return the configuration with no tasks.

    Raises:
        EcsExpressError: the final number of tasks is missing.
    """
    scaling = config.get("scaling_target") or {}
    if any(scaling.get(name) is None for name in _TASKS):
        raise EcsExpressError(
            "allowed_cidrs needs scaling_target with min_task_count and max_task_count: a new service begins with no "
            "tasks, and gets them when its listener rule admits those networks only"
        )
    return {**config, "scaling_target": {**scaling, **dict.fromkeys(_TASKS, 0)}}


def is_ready(resources: Sequence[Resource] | None) -> bool:
    """Return whether ECS has created the service's managed resources, including the listener rule."""
    if not resources or any(item["status"] != "ACTIVE" for item in resources):
        return False
    return any(item["kind"] == "rule" and item.get("arn") for item in resources)


def admit(run: Run) -> None:
    """Admit the networks of the request and no others, as soon as there is a listener rule."""
    request = run.request
    for _poll in run.waiter.polls():
        rule = listener_rule(run)
        if rule:
            _before, changed = allow_list.ensure(
                run.clients("elbv2"), rule, request.allowed_cidrs or [], check_mode=False
            )
            run.sent = run.sent or changed
            return
        run.waiter.report("waiting for the service's listener rule")
    raise EcsExpressError(f"ECS has made no listener rule for the service {request.name!r} in time")


def add_to_diff(run: Run) -> bool:
    """Add the networks that the listener rule admits, and is to admit, to the diff; return whether they differ."""
    request = run.request
    if not request.allowed_cidrs:
        return False
    rule = listener_rule(run)
    before: list[str] = []
    differs = True
    if rule:
        before, differs = allow_list.ensure(run.clients("elbv2"), rule, request.allowed_cidrs, check_mode=True)
    if differs:
        run.result.before["allowed_cidrs"], run.result.after["allowed_cidrs"] = before, request.allowed_cidrs
    return differs
