# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: read a service with everything that a comparison needs."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import allow_list
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import collect
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FAILING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import WaitTimeout
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import in_flight
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import managed_group_ids
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import target_revision
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import Run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import Canonical

Resource = dict[str, Any]

# ECS shows a new or changed configuration a moment after the call that made it: seconds to wait for it to appear.
_CONFIGURATION_SECONDS = 300


@dataclass
class ServiceState:
    """An existing Express service.

    Attributes:
        service: as DescribeExpressGatewayService shows it.
        deployments: newest first.
        in_flight: the deployment that is under way.
        config: its newest configuration.
        canonical: the same, in canonical form.
        managed_groups: ids of the security groups that ECS attached; None if not known.
        ecs_service: as DescribeServices shows it.
    """

    service: Resource
    deployments: list[Resource]
    in_flight: Resource | None
    config: Resource
    canonical: Canonical
    managed_groups: set[str] | None = None
    ecs_service: Resource = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return str(self.service["serviceArn"])

    @property
    def known(self) -> frozenset[str]:
        """ARNs of the deployments."""
        return frozenset(str(item.get("serviceDeploymentArn")) for item in self.deployments)


def configuration_of(service: Resource) -> Canonical:
    """Return the newest configuration of a service, in canonical form."""
    return transformations.configuration(transformations.newest_configuration(service) or {})


def read_state(run: Run, arn: str) -> ServiceState:
    """Read the service; shortly after a change, wait until ECS shows its configuration."""
    waiter = run.make_waiter(timeout=_CONFIGURATION_SECONDS, delay=min(run.request.wait_delay, 5))
    current: Resource | None = None
    for _poll in waiter.polls():
        service = api.describe_express(run.ecs, arn)
        if service is None:
            continue
        deployments = run.list_deployments(arn)
        current = in_flight(deployments)
        if current:
            current = {**current, **(api.describe_deployment(run.ecs, current["serviceDeploymentArn"]) or {})}
        revision = target_revision(current)
        config = transformations.newest_configuration(service, revision)
        if config and (not revision or config.get("serviceRevisionArn") in (revision, None)):
            return ServiceState(service, deployments, current, dict(config), transformations.configuration(config))
        waiter.report("waiting until ECS shows the configuration of the service")
    error = EcsExpressError(
        message=f"The service exists, but ECS shows no configuration of it to compare with, even after "
        f"{_CONFIGURATION_SECONDS} s; run again later, or delete the service and create it again"
    )
    raise run.explained(error, arn, current)


def wait_for_rollback(run: Run, state: ServiceState) -> ServiceState:
    """Wait until a rollback that is under way has ended: ECS takes no update meanwhile."""
    for _poll in run.waiter.polls():
        current = in_flight(run.list_deployments(state.arn))
        if current is None or current["status"] not in FAILING:
            return read_state(run, state.arn)
        run.waiter.report(f"waiting for an earlier deployment: {current['status']}")
    error = WaitTimeout(message="An earlier deployment of the service is still being rolled back")
    raise run.explained(error, state.arn, state.in_flight)


def managed_groups(run: Run, state: ServiceState) -> set[str] | None:
    """Return the groups that ECS attached: the revision tells, else their tags do; None if neither can be read."""
    arn = state.config.get("serviceRevisionArn")
    attached = (state.canonical.get("network_configuration") or {}).get("security_groups") or []
    try:
        for revision in api.describe_revisions(run.ecs, [arn] if arn else []):
            found = managed_group_ids(revision)
            if found is not None:
                return found
        # None of them has the tag: better not to know than to take one of ECS's for the user's.
        return (api.groups_of_ecs(run.clients("ec2"), attached) if attached else set()) or None
    except EcsExpressError as e:
        run.waiter.report(f"which security groups are ECS's own could not be found out ({e})")
        return None


def listener_rule(run: Run) -> str:
    """Return the ARN of the service's listener rule, "" if there is none yet."""
    found = run.find_service()
    service = api.describe_express(run.ecs, str(found["serviceArn"])) if found else None
    return allow_list.find_rule(run.ecs, service) if service else ""


def never_ran(run: Run, arn: str) -> bool:
    """Return whether it is certain that no task was ever started, so that deleting the service loses nothing."""
    request = run.request
    try:
        deployments = run.list_deployments(arn, limit=100)
        if any(item.get("status") in ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL") for item in deployments):
            return False
        service = run.find_service() or {}
        if service.get("runningCount") or service.get("pendingCount"):
            return False
        tasks: list[str] = []
        for status in ("RUNNING", "STOPPED"):
            tasks += api.list_tasks(run.ecs, cluster=request.cluster, service=request.name, status=status)
        express = api.describe_express(run.ecs, arn) or {}
        described = api.describe_tasks(run.ecs, cluster=request.cluster, tasks=tasks)
    except EcsExpressError as e:
        run.waiter.report(f"whether a task was ever started could not be found out ({e})")
        return False
    # ECS still shows the tasks of a service of this name that was deleted within the last hour.
    return not collect.since(described, express) and len(described) == len(tasks)
