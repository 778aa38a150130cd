# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: interpret a deployment and its managed resources. Pure.

C(statusCode) is ACTIVE from the beginning and says nothing about readiness. Ready means: the service deployment is
SUCCESSFUL and all resources that ECS manages for the revision are ACTIVE. ROLLBACK_SUCCESSFUL, ROLLBACK_FAILED and
STOPPED are failures (there is no status FAILED; botocore model, ServiceDeploymentStatus).
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError

Resource = dict[str, Any]

PENDING = frozenset({"PENDING", "IN_PROGRESS"})

# A failure in progress.
FAILING = frozenset({"STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})

FAILED = frozenset({"STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})

IN_FLIGHT = PENDING | FAILING

_TIE = timedelta(seconds=2)  # Between the clocks of ECS's own parts.

# Descriptions of the long stages (botocore model, ServiceDeploymentLifecycleStage).
MEANING = {
    "RECONCILE_SERVICE": "ECS creates the service's resources",
    "SCALE_UP": "the task starts and has to pass its health checks",
    "PRODUCTION_TRAFFIC_SHIFT": "the requests go to the new task",
    "BAKE_TIME": "ECS monitors the new task",
    "CLEAN_UP": "ECS removes the resources of the old revision",
}


class FailedDeployment(EcsExpressError):
    """The deployment, or a resource that ECS manages for it, has failed."""


class StuckDeployment(FailedDeployment):
    """ECS has silently given up: no task has ever run, and none will.

    Attributes:
        service_arn: the service, which may be deleted and created again.
    """

    service_arn = ""


class WaitTimeout(EcsExpressError):
    """The wait reached its time limit."""


@dataclass(frozen=True)
class Expected:
    """Which deployment belongs to a change that was just made.

    ``revision`` (its target) decides where the API reported it. Otherwise it is the newest deployment that is not among
    ``known`` (ARNs seen before the change) and not older than ``since``, a time of AWS's clock, not of ours.
    """

    revision: str | None = None
    known: frozenset[str] = frozenset()
    since: datetime | None = None
    deployment: str | None = None

    def pick(self, deployments: list[Resource]) -> Resource | None:
        """Of deployments, newest first."""
        for item in deployments:
            if self.deployment and item.get("serviceDeploymentArn") == self.deployment:
                return item
        fresh = [item for item in deployments if self._fresh(item)]
        for item in fresh:
            if self.revision and item.get("targetServiceRevisionArn") == self.revision:
                return item
        return fresh[0] if fresh and not self.deployment else None

    def _fresh(self, item: Resource) -> bool:
        if item.get("serviceDeploymentArn") in self.known:
            return False
        created = item.get("createdAt")
        return not (self.since and isinstance(created, datetime) and created < self.since - _TIE)


def in_flight(deployments: list[Resource]) -> Resource | None:
    """Return the deployment that is under way, of deployments newest first."""
    return next((item for item in deployments if item.get("status") in IN_FLIGHT), None)


def target_revision(deployment: Resource | None) -> str | None:
    """Return the target revision of a deployment; once it fails, the one that ECS rolls back to."""
    if not deployment:
        return None
    if deployment.get("status") in FAILING | FAILED:
        return (deployment.get("rollback") or {}).get("serviceRevisionArn")
    target = (deployment.get("targetServiceRevision") or {}).get("arn")
    return target or deployment.get("targetServiceRevisionArn")


def managed_resources(revision: Resource) -> list[Resource]:
    """Return the leaves of ecsManagedResources, each {kind, arn, status, statusReason}."""

    def walk(kind: str, node: Any) -> Iterator[Resource]:
        if isinstance(node, list):
            for item in node:
                yield from walk(kind, item)
        elif isinstance(node, dict):
            if "status" in node and kind != "gatewayConnections":
                yield {**node, "kind": kind}
                return
            for key, value in node.items():
                yield from walk(key, value)

    return list(walk("", revision.get("ecsManagedResources") or {}))


def managed_group_ids(revision: Resource) -> set[str] | None:
    """Return ids of the security groups that ECS made for the service, none yet in the beginning.

    None if it does not report them.
    """
    groups = (revision.get("ecsManagedResources") or {}).get("serviceSecurityGroups")
    if not groups:
        return None
    return {str(group["arn"]).rsplit("/", 1)[-1] for group in groups if group.get("arn")}


def kinds_in(resources: Sequence[Resource], status: str) -> list[str]:
    """Return the kinds of the resources in ``status``, each once."""
    return sorted({str(item["kind"]) for item in resources if item["status"] == status})


# Slow resources, which are named.
_SLOW = ("loadBalancer", "certificate", "listener", "rule", "targetGroups")


def some(kinds: list[str]) -> str:
    """Return the slow ones by name, the others as a number."""
    named = [kind for kind in _SLOW if kind in kinds] or kinds[:3]
    others = len(kinds) - len(named)
    return ", ".join(named) + (f" and {others} more" if others else "")


def why(failed: Sequence[Resource]) -> str:
    return ", ".join(f"{item['kind']} ({item.get('statusReason') or 'no reason given'})" for item in failed)


def progress(deployment: Resource) -> str:
    parts = [str(deployment.get("status"))]
    if deployment.get("lifecycleStage"):
        parts.append(str(deployment["lifecycleStage"]))
    target = deployment.get("targetServiceRevision") or {}
    if target.get("requestedProductionTrafficWeight") is not None:
        parts.append(f"{target['requestedProductionTrafficWeight']:g} % of traffic")
    if target.get("runningTaskCount") is not None:
        parts.append(f"{target['runningTaskCount']} of {target.get('requestedTaskCount', '?')} tasks running")
    return ", ".join(parts)
