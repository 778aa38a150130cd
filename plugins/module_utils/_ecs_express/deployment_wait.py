# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: wait for a deployment, or for the deletion of a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FAILED
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FAILING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import MEANING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import Expected
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FailedDeployment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import WaitTimeout
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import kinds_in
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import managed_resources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import progress
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import some
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import target_revision
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import why
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.stall import StallDetector


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

    Args:
        client: of ECS.
        cluster, service: where to look.
        expected: which deployment to wait for.
        waiter: bounds the wait.
        on_failing: called once, as soon as the deployment begins to fail: the tasks and targets that show why are gone
            by the time the rollback is complete.
        needless: called while there is no deployment, with the number of the poll; True ends the wait with None.
        enough: called with what ECS manages; True ends the wait early.
        stall_detector: raises StuckDeployment.

    Raises:
        FailedDeployment, StuckDeployment, WaitTimeout: all carry ``deployment`` in kwargs.
    """
    seen: Resource | None = None
    failing = False

    def read() -> tuple[Resource | None, list[Resource] | None] | None:
        return _read(client, cluster, service, expected)

    for number in waiter.polls():
        answer = waiter.tolerate_outage(read, None)
        if answer is None:
            continue
        found, resources = answer
        if found is None:
            if needless and needless(number):
                return None
            waiter.report("no deployment yet")
        else:
            seen = found
            _report(seen, resources, waiter)
            if not failing and seen.get("status") in FAILING | FAILED:
                failing = True
                if on_failing:
                    on_failing(seen)
            if _is_ready(seen, resources, waiter) or (enough and enough(resources)):
                return seen
        if stall_detector:
            stall_detector.check(found, resources or (), waiter)
    raise WaitTimeout(message=_timeout_text(seen, waiter), deployment=seen)


def _read(client: Any, cluster: str, service: str, expected: Expected) -> tuple[Resource | None, list[Resource] | None]:
    """Return the deployment and what ECS manages for it."""
    picked = expected.pick(api.list_deployments(client, cluster=cluster, service=service))
    if picked is None:
        return None, None
    # Describe may answer MISSING for a new deployment; the list's entry is enough then.
    found = {**picked, **(api.describe_deployment(client, picked["serviceDeploymentArn"]) or {})}
    return found, _resources(client, found)


def _report(deployment: Resource, resources: list[Resource] | None, waiter: Waiter) -> None:
    provisioning = kinds_in(resources or (), "PROVISIONING")
    still = f"; still PROVISIONING: {some(provisioning)}" if provisioning else ""
    waiter.report(progress(deployment) + still, MEANING.get(str(deployment.get("lifecycleStage")), ""))


def _is_ready(deployment: Resource, resources: list[Resource] | None, waiter: Waiter) -> bool:
    """Return whether the deployment has succeeded.

    Raises:
        FailedDeployment: it has failed.
    """
    status = str(deployment.get("status"))
    if status in FAILED:
        raise FailedDeployment(message=f"The deployment ended as {status}", deployment=deployment)
    return status == "SUCCESSFUL" and _resources_ready(resources, deployment, waiter)


def _resources(client: Any, deployment: Resource) -> list[Resource] | None:
    """Return what ECS manages for the revision that the deployment moves to; None until the revision is described."""
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
        raise FailedDeployment(message=f"A resource that ECS manages failed: {why(failed)}", deployment=deployment)
    # Resources of an older revision may be in deletion meanwhile.
    return not kinds_in(resources, "PROVISIONING")


def _timeout_text(deployment: Resource | None, waiter: Waiter) -> str:
    state = f"its deployment is {progress(deployment)}" if deployment else "ECS has not begun a deployment"
    return f"The service is not ready after {waiter.timeout:g} s ({waiter.timeout_option}): {state}"


def wait_for_inactive(client: Any, *, cluster: str, name: str, waiter: Waiter) -> None:
    """Wait until the service is INACTIVE or unknown, which frees its name.

    Raises:
        WaitTimeout: it takes too long.
    """
    status = ""
    unseen: Resource | None = {"status": "not known"}
    for _poll in waiter.polls():
        service = waiter.tolerate_outage(lambda: api.find_service(client, cluster=cluster, name=name), unseen)
        status = str((service or {}).get("status") or "INACTIVE")
        waiter.report(f"service {status}")
        if status == "INACTIVE":
            return
    raise WaitTimeout(
        message=f"The service is still {status} after {waiter.timeout:g} s ({waiter.timeout_option}); its name"
        " is free once it is INACTIVE",
        deployment=None,
    )
