# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: waiting for a service by what its deployment and managed resources say.

``statusCode`` is ACTIVE from the first moment, it says nothing about readiness. Ready means: the service deployment is
SUCCESSFUL and all resources that ECS manages for the revision are ACTIVE. ROLLBACK_SUCCESSFUL, ROLLBACK_FAILED and
STOPPED are failures (there is no status FAILED; botocore model, ServiceDeploymentStatus).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import TypeVar

from . import api
from .common import EcsExpressError
from .common import is_draining
from .common import is_fresh_role

T = TypeVar("T")
Resource = dict[str, Any]

PENDING = frozenset({"PENDING", "IN_PROGRESS"})
# On the way to a failure, though not there yet.
FAILING = frozenset({"STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})
FAILED = frozenset({"STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
IN_FLIGHT = PENDING | FAILING

FRESH_ROLE_SECONDS = 240  # Terraform's provider retries for 4 minutes.
_TIE = timedelta(seconds=2)  # Between the clocks of ECS's own parts.


class FailedDeployment(EcsExpressError):
    """The deployment ended as, or a managed resource is, failed. The lifecycle adds the explanation."""


class WaitTimeout(EcsExpressError):
    """The bound was reached. The lifecycle adds the explanation."""


@dataclass
class Waiter:
    """A bounded wait: how long in all, how long between two looks, and what was seen (in seconds).

    ``sleep`` and ``clock`` are arguments for the sake of tests.
    """

    timeout: float
    delay: float
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    progress: list[str] = field(default_factory=list)
    note: Callable[[str], None] | None = None
    _start: float | None = None

    def start(self) -> None:
        """The bound counts from the first call of this (by default from the first look)."""
        if self._start is None:
            self._start = self.clock()

    @property
    def elapsed(self) -> float:
        return 0.0 if self._start is None else self.clock() - self._start

    def looks(self) -> Iterator[int]:
        """One number for each look, at least one, with a pause between them, until the time is up."""
        self.start()
        number = 0
        while True:
            yield number
            number += 1
            left = self.timeout - self.elapsed
            if left <= 0:
                return
            self.sleep(min(self.delay, left))

    def report(self, line: str) -> None:
        """Remember a line of progress, once per change."""
        if self.progress and self.progress[-1].split(" ", 1)[-1] == line:
            return
        stamped = f"{int(self.elapsed)}s {line}"
        self.progress.append(stamped)
        if self.note:
            self.note(stamped)


@dataclass(frozen=True)
class Expected:
    """Which deployment belongs to a change that was just made.

    ``revision`` (its target) decides where the API told it. Otherwise it is the newest deployment that is not among
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
    """The deployment that is under way, of deployments newest first."""
    return next((item for item in deployments if item.get("status") in IN_FLIGHT), None)


def target_revision(deployment: Resource | None) -> str | None:
    """The revision that a deployment moves to; once it fails, the one that ECS goes back to."""
    if not deployment:
        return None
    if deployment.get("status") in FAILING | FAILED:
        return (deployment.get("rollback") or {}).get("serviceRevisionArn")
    target = (deployment.get("targetServiceRevision") or {}).get("arn")
    return target or deployment.get("targetServiceRevisionArn")


def managed_resources(revision: Resource) -> list[Resource]:
    """The leaves of ecsManagedResources, each {kind, arn, status, statusReason}."""

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
    """Ids of the security groups that ECS made for the service; None if the revision does not tell."""
    groups = (revision.get("ecsManagedResources") or {}).get("serviceSecurityGroups")
    if not groups:
        return None
    return {str(group["arn"]).rsplit("/", 1)[-1] for group in groups if group.get("arn")} or None


def wait_for_deployment(
    client: Any,
    *,
    cluster: str,
    service: str,
    expected: Expected,
    waiter: Waiter,
    on_failing: Callable[[Resource], None] | None = None,
    needless: Callable[[int], bool] | None = None,
) -> Resource | None:
    """Wait until the deployment is SUCCESSFUL and what ECS manages for it is ACTIVE; return the deployment.

    ``on_failing`` is called once, as soon as the deployment is seen to fail: tasks and targets that tell why are gone
    by the time the rollback is complete. ``needless`` is asked while there is no deployment, with the number of the
    look; True ends the wait with None. Raises FailedDeployment or WaitTimeout; both carry ``deployment`` in kwargs.
    """
    seen: Resource | None = None
    told = False
    for look in waiter.looks():
        picked = expected.pick(api.list_deployments(client, cluster=cluster, service=service))
        if picked is None:
            if needless and needless(look):
                return None
            waiter.report("no deployment yet")
            continue
        # Just begun it may still be MISSING to Describe; the list's own entry will do then.
        seen = {**picked, **(api.describe_deployment(client, picked["serviceDeploymentArn"]) or {})}
        status = str(seen.get("status"))
        waiter.report(_progress(seen))
        if status in FAILING | FAILED and not told:
            told = True
            if on_failing:
                on_failing(seen)
        if status in FAILED:
            raise FailedDeployment(message=f"The deployment ended as {status}", deployment=seen)
        if status == "SUCCESSFUL" and _resources_ready(client, seen, waiter):
            return seen
    raise WaitTimeout(message=_timeout_text(seen, waiter), deployment=seen)


def _resources_ready(client: Any, deployment: Resource, waiter: Waiter) -> bool:
    revision = target_revision(deployment)
    found = api.describe_revisions(client, [revision]) if revision else []
    if revision and not found:
        waiter.report("waiting for the revision to be described")
        return False
    resources = [item for revision_ in found for item in managed_resources(revision_)]
    failed = [item for item in resources if item["status"] == "FAILED"]
    if failed:
        what = ", ".join(f"{item['kind']} ({item.get('statusReason') or 'no reason given'})" for item in failed)
        raise FailedDeployment(message=f"A resource that ECS manages failed: {what}", deployment=deployment)
    # What belongs to an older revision may be on its way out meanwhile.
    waits = sorted({item["kind"] for item in resources if item["status"] == "PROVISIONING"})
    if waits:
        waiter.report(f"SUCCESSFUL, but still PROVISIONING: {', '.join(waits)}")
    return not waits


def _progress(deployment: Resource) -> str:
    parts = [str(deployment.get("status"))]
    if deployment.get("lifecycleStage"):
        parts.append(str(deployment["lifecycleStage"]))
    target = deployment.get("targetServiceRevision") or {}
    if target.get("requestedProductionTrafficWeight") is not None:
        parts.append(f"{target['requestedProductionTrafficWeight']:g} % of traffic")
    if target.get("runningTaskCount") is not None:
        parts.append(f"{target['runningTaskCount']} of {target.get('requestedTaskCount', '?')} tasks running")
    return ", ".join(parts)


def _timeout_text(deployment: Resource | None, waiter: Waiter) -> str:
    state = f"its deployment is {_progress(deployment)}" if deployment else "ECS has not begun a deployment"
    return f"The service is not ready after {waiter.timeout:g} s: {state}"


def wait_for_inactive(client: Any, *, cluster: str, name: str, waiter: Waiter) -> None:
    """Wait until the service is INACTIVE or unknown, which frees its name. Raises WaitTimeout."""
    status = ""
    for _look in waiter.looks():
        service = api.find_service(client, cluster=cluster, name=name)
        status = str((service or {}).get("status") or "INACTIVE")
        waiter.report(f"service {status}")
        if status == "INACTIVE":
            return
    raise WaitTimeout(message=f"The service is still {status} after {waiter.timeout:g} s", deployment=None)


def retry_fresh_role(call: Callable[[], T], waiter: Waiter, *, bound: float = FRESH_ROLE_SECONDS) -> T:
    """Repeat ``call`` while AWS has not taken notice of roles made a moment ago, for at most ``bound`` seconds."""
    start = waiter.clock()
    while True:
        try:
            return call()
        except EcsExpressError as e:
            if not is_fresh_role(e) or waiter.clock() - start >= min(bound, waiter.timeout):
                raise
        waiter.report("waiting for IAM to make the roles known")
        waiter.sleep(waiter.delay * random.uniform(0.5, 1.0))


def retry_draining(call: Callable[[], T], waiter: Waiter) -> T:
    """Repeat ``call`` while an older service of the name is being deleted, within the waiter's bound."""
    for _look in waiter.looks():
        try:
            return call()
        except EcsExpressError as e:
            if not is_draining(e):
                raise
            last = e
        waiter.report("the older service of this name is still DRAINING")
    raise last
