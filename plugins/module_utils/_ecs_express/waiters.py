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
import re
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import TypeVar

from . import api
from .common import EcsExpressError
from .common import is_draining
from .common import is_fresh_role
from .common import is_transient

T = TypeVar("T")
Resource = dict[str, Any]

PENDING = frozenset({"PENDING", "IN_PROGRESS"})
# On the way to a failure, though not there yet.
FAILING = frozenset({"STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})
FAILED = frozenset({"STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
IN_FLIGHT = PENDING | FAILING

FRESH_ROLE_SECONDS = 240  # Terraform's provider retries for 4 minutes.
STALL_SECONDS = 900  # The slowest resources, load balancer and certificate, take a few minutes each.
_TIE = timedelta(seconds=2)  # Between the clocks of ECS's own parts.
# AWS refuses requests that are signed with a time more than five minutes off, so clocks differ by no more.
_CLOCK_SKEW = 300.0
# How long AWS may be out of reach in the middle of a wait: the deployment goes on meanwhile.
OUTAGE_SECONDS = 300.0
# A resource that is FAILED at so many looks in a row stays so.
_POLLS_AT_FAILED = 3
_DENIED = re.compile(r"AccessDenied|not authorized|UnauthorizedOperation|(cannot|unable to|not able to) assume", re.I)


# What takes place in the stages that last (botocore model, ServiceDeploymentLifecycleStage).
_MEANING = {
    "RECONCILE_SERVICE": "ECS makes what the service needs",
    "SCALE_UP": "the task starts, and has to pass its health checks",
    "PRODUCTION_TRAFFIC_SHIFT": "the requests go to the new task",
    "BAKE_TIME": "ECS watches how the new task does",
    "CLEAN_UP": "what is not needed any more is taken down",
}


class FailedDeployment(EcsExpressError):
    """The deployment ended as, or a managed resource is, failed. The lifecycle adds the explanation."""


class StuckDeployment(FailedDeployment):
    """ECS has given up without saying so: nothing has ever run, and nothing will."""


class WaitTimeout(EcsExpressError):
    """The bound was reached. The lifecycle adds the explanation."""


@dataclass
class Waiter:
    """A bounded wait: how long in all, how long between two looks, and what was seen (in seconds).

    ``note`` gets each line of progress as it comes. ``sleep``, ``clock`` and ``wall`` are arguments for the sake of
    tests.
    """

    timeout: float
    delay: float
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    progress: list[str] = field(default_factory=list)
    note: Callable[[str], None] | None = None
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    _start: float | None = None
    _unreachable_since: float | None = None

    def start(self) -> None:
        """The bound counts from the first call of this (by default from the first look)."""
        if self._start is None:
            self._start = self.clock()

    @property
    def elapsed(self) -> float:
        return 0.0 if self._start is None else self.clock() - self._start

    def polls(self) -> Iterator[int]:
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

    def tolerate_outage(self, look: Callable[[], T], otherwise: T) -> T:
        """What a look sees; ``otherwise`` if AWS can't be asked right now, which is borne for some minutes in a row."""
        try:
            seen = look()
        except EcsExpressError as e:
            self._unreachable_since = self.clock() if self._unreachable_since is None else self._unreachable_since
            if not is_transient(e) or self.clock() - self._unreachable_since >= OUTAGE_SECONDS:
                raise
            self.report(f"AWS cannot be asked at present, the wait goes on ({e})")
            return otherwise
        self._unreachable_since = None
        return seen

    def report(self, line: str, meaning: str = "") -> None:
        """Remember a line of progress, once per change; who watches is told what it means, too."""
        if self.progress and self.progress[-1].split(" ", 1)[-1] == line:
            return
        self.progress.append(f"{int(self.elapsed)}s {line}")
        if self.note:
            self.note(f"{line} - {meaning}" if meaning else line)


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
    """Ids of the security groups that ECS made for the service, none yet in the beginning; None if it does not tell."""
    groups = (revision.get("ecsManagedResources") or {}).get("serviceSecurityGroups")
    if not groups:
        return None
    return {str(group["arn"]).rsplit("/", 1)[-1] for group in groups if group.get("arn")}


@dataclass
class StallDetector:
    """Tells a first deployment that ECS has given up from one that is merely slow, in one wait.

    ECS is denied a call right after the roles were made, and does not repeat it: the deployment stays IN_PROGRESS for
    ever. Either a resource says so (FAILED, access denied), or all is silence. ``timeout``: how many seconds of it.
    ``never_ran`` is asked last: whether no task was ever started.
    """

    timeout: float
    never_ran: Callable[[], bool]
    _seen: Any = None
    _since: float = 0.0
    _moved: bool = False
    _failed: int = 0

    def look(self, deployment: Resource | None, resources: Sequence[Resource], waiter: Waiter) -> None:
        """Raises Stuck, or FailedDeployment if a resource failed for another reason than a denial."""
        deployment = deployment or {}
        if deployment.get("status") not in (None, *PENDING):
            return
        failed = [item for item in resources if item["status"] == "FAILED"]
        self._failed = self._failed + 1 if failed else 0
        denied = [item for item in failed if _DENIED.search(str(item.get("statusReason")))]
        if denied and self._failed >= 2 and self._first(deployment):
            raise StuckDeployment(
                message=f"ECS was denied what it needs and does not try again: {_why(denied)}", deployment=deployment
            )
        if self._failed >= _POLLS_AT_FAILED:
            raise FailedDeployment(message=f"A resource that ECS manages failed: {_why(failed)}", deployment=deployment)
        silence = self._silence(deployment, resources, waiter)
        if silence < self.timeout or not self._first(deployment):
            return
        if self.never_ran():
            waits = kinds_in(resources, "PROVISIONING")
            raise StuckDeployment(
                message=f"Nothing has moved for {silence:.0f} s and no task was ever started"
                + (f", while ECS still has to make: {_some(waits)}" if waits else ""),
                deployment=deployment or None,
            )
        self._since = waiter.clock()

    def _first(self, deployment: Resource) -> bool:
        """Whether it moves the service from nothing, and has no task yet."""
        target = deployment.get("targetServiceRevision") or {}
        tasks = (target.get("runningTaskCount") or 0) + (target.get("pendingTaskCount") or 0)
        return not deployment.get("sourceServiceRevisions") and not tasks

    def _silence(self, deployment: Resource, resources: Sequence[Resource], waiter: Waiter) -> float:
        """Seconds since anything changed, as far as this wait has seen it, or AWS tells what was before it."""
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


def kinds_in(resources: Sequence[Resource], status: str) -> list[str]:
    """The kinds of the resources in ``status``, each once."""
    return sorted({str(item["kind"]) for item in resources if item["status"] == status})


# What takes long, hence worth a name.
_SLOW = ("loadBalancer", "certificate", "listener", "rule", "targetGroups")


def _some(kinds: list[str]) -> str:
    """The slow ones by name, the others as a number."""
    named = [kind for kind in _SLOW if kind in kinds] or kinds[:3]
    others = len(kinds) - len(named)
    return ", ".join(named) + (f" and {others} more" if others else "")


def _why(failed: Sequence[Resource]) -> str:
    return ", ".join(f"{item['kind']} ({item.get('statusReason') or 'no reason given'})" for item in failed)


def wait_for_deployment(
    client: Any,
    *,
    cluster: str,
    service: str,
    expected: Expected,
    waiter: Waiter,
    on_failing: Callable[[Resource], None] | None = None,
    needless: Callable[[int], bool] | None = None,
    enough: Callable[[list[Resource] | None], bool] | None = None,
    stall_detector: StallDetector | None = None,
) -> Resource | None:
    """Wait until the deployment is SUCCESSFUL and what ECS manages for it is ACTIVE; return the deployment.

    ``enough`` ends the wait earlier, by what ECS manages for it.

    ``on_failing`` is called once, as soon as the deployment is seen to fail: tasks and targets that tell why are gone
    by the time the rollback is complete. ``needless`` is asked while there is no deployment, with the number of the
    look; True ends the wait with None. Raises FailedDeployment, Stuck (if ``stall_detector`` is given) or WaitTimeout; all carry
    ``deployment`` in kwargs.
    """
    seen: Resource | None = None
    told = False

    def ask() -> tuple[Resource | None, list[Resource] | None] | None:
        """The deployment and what ECS manages for it."""
        picked = expected.pick(api.list_deployments(client, cluster=cluster, service=service))
        if picked is None:
            return None, None
        # Just begun it may still be MISSING to Describe; the list's own entry will do then.
        found = {**picked, **(api.describe_deployment(client, picked["serviceDeploymentArn"]) or {})}
        return found, _resources(client, found)

    for look in waiter.polls():
        answer = waiter.tolerate_outage(ask, None)
        if answer is None:
            continue
        found, resources = answer
        if found is None:
            if needless and needless(look):
                return None
            waiter.report("no deployment yet")
            if stall_detector:
                stall_detector.look(None, (), waiter)
            continue
        seen = found
        status = str(seen.get("status"))
        waits = kinds_in(resources or (), "PROVISIONING")
        still = f"; still PROVISIONING: {_some(waits)}" if waits else ""
        waiter.report(_progress(seen) + still, _MEANING.get(str(seen.get("lifecycleStage")), ""))
        if status in FAILING | FAILED and not told:
            told = True
            if on_failing:
                on_failing(seen)
        if status in FAILED:
            raise FailedDeployment(message=f"The deployment ended as {status}", deployment=seen)
        if status == "SUCCESSFUL" and _resources_ready(resources, seen, waiter):
            return seen
        if enough and enough(resources):
            return seen
        if stall_detector:
            stall_detector.look(seen, resources or (), waiter)
    raise WaitTimeout(message=_timeout_text(seen, waiter), deployment=seen)


def _resources(client: Any, deployment: Resource) -> list[Resource] | None:
    """What ECS manages for the revision that the deployment moves to; None while the revision is not described yet."""
    revision = target_revision(deployment)
    found = api.describe_revisions(client, [revision]) if revision else []
    if revision and not found:
        return None
    return [item for revision_ in found for item in managed_resources(revision_)]


def _resources_ready(resources: list[Resource] | None, deployment: Resource, waiter: Waiter) -> bool:
    if resources is None:
        waiter.report("SUCCESSFUL, waiting for the revision to be described")
        return False
    failed = [item for item in resources if item["status"] == "FAILED"]
    if failed:
        raise FailedDeployment(message=f"A resource that ECS manages failed: {_why(failed)}", deployment=deployment)
    # What belongs to an older revision may be on its way out meanwhile.
    return not kinds_in(resources, "PROVISIONING")


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
    return f"The service is not ready after {waiter.timeout:g} s (wait_timeout): {state}"


def wait_for_inactive(client: Any, *, cluster: str, name: str, waiter: Waiter) -> None:
    """Wait until the service is INACTIVE or unknown, which frees its name. Raises WaitTimeout."""
    status = ""
    unseen: Resource | None = {"status": "not known"}
    for _poll in waiter.polls():
        service = waiter.tolerate_outage(lambda: api.find_service(client, cluster=cluster, name=name), unseen)
        status = str((service or {}).get("status") or "INACTIVE")
        waiter.report(f"service {status}")
        if status == "INACTIVE":
            return
    raise WaitTimeout(
        message=f"The service is still {status} after {waiter.timeout:g} s (wait_timeout); its name is free once it is"
        " INACTIVE",
        deployment=None,
    )


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
    for _poll in waiter.polls():
        try:
            return call()
        except EcsExpressError as e:
            if not is_draining(e):
                raise
            last = e
        waiter.report("the older service of this name is still DRAINING")
    raise last
