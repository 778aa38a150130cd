# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: complete a change: wait for the deployment, configure further ones, report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import deployment_configuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.collect import collect
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployment_wait import wait_for_deployment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import Expected
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FailedDeployment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import StuckDeployment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import WaitTimeout
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.evidence import Evidence
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import ServiceState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import configuration_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import never_ran
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.request import Result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import Run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.stall import StallDetector

Resource = dict[str, Any]

# Polls after which an update counts as one without a deployment (if ECS shows the desired configuration).
_POLLS_WITHOUT_DEPLOYMENT = 12


def finish(run: Run, arn: str, expected: Expected, state: ServiceState | None = None) -> Result:
    """Wait for the deployment if asked to, then report the service as it is.

    Args:
        run: the run.
        arn: of the service.
        expected: which deployment to wait for.
        state: of the service before an update, which may need no deployment.
    """
    if not run.request.wait:
        picked = expected.pick(run.list_deployments(arn))
        return run.report(arn, picked, expected.revision)
    deployment = wait(run, arn, expected, state)
    _configure_after(run)
    return run.report(arn, deployment)


def wait(
    run: Run,
    arn: str,
    expected: Expected,
    state: ServiceState | None = None,
    enough: Callable[[list[Resource] | None], bool] | None = None,
) -> Resource | None:
    """Wait for a deployment, or until *enough* returns True for what ECS manages.

    Raises:
        StuckDeployment: the service may be deleted and created again.
        EcsExpressWaitError: the deployment failed, or did not end in time.
    """
    early: list[Evidence] = []
    subject = run.subject(arn)
    try:
        return wait_for_deployment(
            run.ecs,
            cluster=run.request.cluster,
            service=arn,
            expected=expected,
            waiter=run.waiter,
            on_failing=lambda failing: early.append(collect(run.clients, subject, failing)),
            needless=_needless(run, arn, expected, state),
            enough=enough,
            stall_detector=StallDetector(run.request.stall_timeout, never_ran=lambda: never_ran(run, arn)),
        )
    except StuckDeployment as e:
        if run.request.recreate_stuck and not run.result.recreated and never_ran(run, arn):
            e.service_arn = arn
            raise
        raise run.explained(e, arn, e.kwargs.get("deployment")) from e
    except (FailedDeployment, WaitTimeout) as e:
        raise run.explained(e, arn, e.kwargs.get("deployment"), early[0] if early else None) from e


def configure(run: Run, ecs_service: Resource) -> None:
    """Set the deployment configuration of the service, if it differs."""
    request = run.request
    desired = request.deployment_configuration
    if not desired:
        return
    if deployment_configuration.changes(desired, ecs_service):
        own_alarm = f"{transformations.cluster_name(request.cluster)}/{request.name}/RollbackAlarm"
        ecs_service = api.configure_deployments(
            run.ecs,
            cluster=request.cluster,
            name=request.name,
            configuration=deployment_configuration.to_send(desired, ecs_service, own_alarm),
        )
        run.sent = True
    run.result.deployment_configuration = deployment_configuration.current(ecs_service)


def _configure_after(run: Run) -> None:
    """Configure a new service, which starts with ECS's defaults, and one that has lost its settings."""
    request, result = run.request, run.result
    if not request.deployment_configuration:
        return
    ecs_service = run.find_service() or {}
    lost = deployment_configuration.changes(request.deployment_configuration, ecs_service)
    if lost and not result.changed:
        result.before, result.after = {**result.before, **lost.before}, {**result.after, **lost.after}
        result.changed = True
    configure(run, ecs_service)


def _needless(run: Run, arn: str, expected: Expected, state: ServiceState | None) -> Callable[[int], bool] | None:
    """Return a function that says, after a number of polls, whether an update (of scaling, say) needs no deployment."""
    if state is None or expected.revision or expected.deployment:
        return None

    def check(number: int) -> bool:
        if number < _POLLS_WITHOUT_DEPLOYMENT:
            return False
        config = configuration_of(api.describe_express(run.ecs, arn) or {})
        return bool(config) and not compare.compare(run.request.desired, config, state.managed_groups)

    return check
