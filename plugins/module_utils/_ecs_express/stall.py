# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: recognise a first deployment that ECS has given up, as opposed to a slow one."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import PENDING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FailedDeployment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import StuckDeployment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import kinds_in
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import some
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import why

STALL_SECONDS = 900  # The slowest resources, load balancer and certificate, take a few minutes each.

# AWS refuses requests that are signed with a time more than five minutes off, so clocks differ by no more.
_CLOCK_SKEW = 300.0

# After so many consecutive polls, a FAILED resource counts as failed for good.
_POLLS_AT_FAILED = 3

_DENIED = re.compile(r"AccessDenied|not authorized|UnauthorizedOperation|(cannot|unable to|not able to) assume", re.I)


@dataclass
class StallDetector:
    """Recognise, within one wait, a first deployment that ECS has given up.

    ECS is denied a call right after the roles were created, and does not retry it: the deployment stays IN_PROGRESS for
    ever. Either a resource reports it (FAILED, access denied), or nothing changes any more.

    Attributes:
        timeout: seconds without a change after which the deployment counts as stuck.
        never_ran: returns whether no task was ever started; called last.
    """

    timeout: float
    never_ran: Callable[[], bool]
    _seen: Any = None
    _since: float = 0.0
    _moved: bool = False
    _failed: int = 0

    def check(self, deployment: Resource | None, resources: Sequence[Resource], waiter: Waiter) -> None:
        """Raise StuckDeployment, or FailedDeployment if a resource failed for another reason than a denial."""
        deployment = deployment or {}
        if deployment.get("status") not in (None, *PENDING):
            return
        failed = [item for item in resources if item["status"] == "FAILED"]
        self._failed = self._failed + 1 if failed else 0
        denied = [item for item in failed if _DENIED.search(str(item.get("statusReason")))]
        if denied and self._failed >= 2 and self._first(deployment):
            raise StuckDeployment(
                message=f"ECS was denied what it needs and does not try again: {why(denied)}", deployment=deployment
            )
        if self._failed >= _POLLS_AT_FAILED:
            raise FailedDeployment(message=f"A resource that ECS manages failed: {why(failed)}", deployment=deployment)
        silence = self._silence(deployment, resources, waiter)
        if silence < self.timeout or not self._first(deployment):
            return
        if self.never_ran():
            waits = kinds_in(resources, "PROVISIONING")
            raise StuckDeployment(
                message=f"No progress for {silence:.0f} s and no task was ever started"
                + (f", while ECS still has to make: {some(waits)}" if waits else ""),
                deployment=deployment or None,
            )
        self._since = waiter.clock()

    def _first(self, deployment: Resource) -> bool:
        """Return whether the deployment is the service's first, without a task yet."""
        target = deployment.get("targetServiceRevision") or {}
        tasks = (target.get("runningTaskCount") or 0) + (target.get("pendingTaskCount") or 0)
        return not deployment.get("sourceServiceRevisions") and not tasks

    def _silence(self, deployment: Resource, resources: Sequence[Resource], waiter: Waiter) -> float:
        """Return the seconds since the last change, whether this wait saw it or AWS reports it from before."""
        target = deployment.get("targetServiceRevision") or {}
        seen = (
            deployment.get("serviceDeploymentArn"),
            deployment.get("lifecycleStage"),
            sorted((k, str(v)) for k, v in target.items()),
            sorted((str(item["kind"]), str(item.get("arn")), str(item["status"])) for item in resources),
        )
        now = waiter.clock()
        if seen != self._seen:
            self._moved = self._seen is not None
            self._seen, self._since = seen, now
        moments = [item.get(key) for item in (deployment, *resources) for key in ("createdAt", "updatedAt")]
        known = [moment for moment in moments if isinstance(moment, datetime)]
        if self._moved or not known:
            return now - self._since
        before = (waiter.wall() - max(known)).total_seconds() - _CLOCK_SKEW
        return max(now - self._since, before)
