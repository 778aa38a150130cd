# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: create a service."""

from __future__ import annotations

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import deployment_configuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import preflight
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import restricted_creation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.completion import finish
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.completion import wait
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import Expected
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import WaitTimeout
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import managed_groups
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import read_state
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.request import Result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.retries import retry_draining
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.retries import retry_fresh_role
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import EXPECTED_FIRST_DEPLOYMENT
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import Run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import Canonical
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.update import send_update
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.update import unchanged

Resource = dict[str, Any]


def create(run: Run, found: Resource | None, before: Canonical | None = None) -> Result:
    """Create the service.

    Args:
        run: the run.
        found: a deleted service of the same name, if ECS still shows one.
        before: what the diff shows of a service that is replaced.
    """
    request = run.request
    config = compare.overlay({}, request.desired)
    check_complete(run, config)
    _predict(run, config, before or {})
    if request.check_mode:
        run.result.deployment_configuration = {
            **deployment_configuration.DEFAULTS,
            **request.deployment_configuration,
        }
        return run.result
    run.result.service = None
    if request.allowed_cidrs:
        config = restricted_creation.without_tasks(config)
    known: frozenset[str] = frozenset()
    if found is not None:
        old = run.list_deployments(str(found["serviceArn"]))
        known = frozenset(str(item.get("serviceDeploymentArn")) for item in old)
    run.display.expected_duration = EXPECTED_FIRST_DEPLOYMENT
    run.result.warnings += preflight.probe(run.clients("iam"), str(request.infrastructure_role_arn), run.waiter)
    service = _send(run, config)
    run.sent = run.created = True
    first = transformations.newest_configuration(service) or {}
    expected = Expected(first.get("serviceRevisionArn"), known, service.get("createdAt"))
    arn = str(service["serviceArn"])
    if not request.allowed_cidrs:
        return finish(run, arn, expected)
    wait(run, arn, expected, enough=restricted_creation.is_ready)
    return _start_tasks(run, arn)


def _predict(run: Run, config: Canonical, before: Canonical) -> None:
    request, result = run.request, run.result
    predicted = transformations.predicted_service(
        name=request.name,
        cluster=request.cluster,
        config=config,
        role=request.infrastructure_role_arn,
        desired_tags=request.tags,
    )
    result.service = predicted
    result.changed = True
    result.before = before
    result.after = {k: v for k, v in predicted.items() if v not in (None, "", {}, []) and k != "status"}
    if request.deployment_configuration:
        result.after["deployment_configuration"] = request.deployment_configuration
    if request.allowed_cidrs:
        result.after["allowed_cidrs"] = request.allowed_cidrs


def check_complete(run: Run, config: Canonical) -> None:
    """Check that all options that a creation needs are given.

    In check mode a missing one, such as the ARN of a future role, is a warning.

    Raises:
        EcsExpressError: something is missing.
    """
    missing = [] if run.request.infrastructure_role_arn else ["infrastructure_role_arn"]
    if "task_definition_arn" not in config:
        if "execution_role_arn" not in config:
            missing.append("execution_role_arn")
        if not config.get("primary_container", {}).get("image"):
            missing.append("primary_container.image")
    if not missing:
        return
    names = ", ".join(map(run.request.option_names.of, missing))
    text = f"Service {run.request.name!r} does not exist, and to create it {names} must be given"
    if not run.request.check_mode:
        raise EcsExpressError(message=text)
    run.result.warnings.append(text)


def _send(run: Run, config: Canonical) -> Resource:
    request = run.request
    params: Resource = {
        **transformations.to_boto(config),
        "serviceName": request.name,
        "cluster": transformations.cluster_name(request.cluster),
        "infrastructureRoleArn": request.infrastructure_role_arn,
    }
    if request.tags:
        params["tags"] = [{"key": k, "value": v} for k, v in sorted(request.tags.items())]

    def call() -> Resource:
        return retry_fresh_role(lambda: api.create_express(run.ecs, **params), run.waiter)

    try:
        return retry_draining(call, run.waiter)
    except EcsExpressError as e:
        if error_code(e) != "ClusterNotFoundException":
            raise
        raise EcsExpressError(
            message=f"cluster {params['cluster']!r} does not exist, and Express Mode creates only the one called"
            f" 'default': create the cluster before, or leave {request.option_names.of('cluster')} out",
            exception=e.exception,
        ) from e


def _start_tasks(run: Run, arn: str) -> Result:
    """Start the tasks of a service without tasks, once its listener rule admits only the requested networks."""
    restricted_creation.admit(run)
    state = read_state(run, arn)
    if compare.needs_managed_groups(run.request.desired, state.canonical):
        state.managed_groups = managed_groups(run, state)
    changes = compare.compare(run.request.desired, state.canonical, state.managed_groups)
    if not changes:
        return unchanged(run, state)
    done = finish(run, arn, send_update(run, state, changes), state)
    if run.request.wait and done.deployment is None:
        _wait_for_tasks(run, arn)
    return done


def _wait_for_tasks(run: Run, arn: str) -> None:
    """Wait for the tasks of an update that needed no deployment."""
    least = int(run.request.desired["scaling_target"]["min_task_count"])
    for _poll in run.waiter.polls():
        running = int((run.find_service() or {}).get("runningCount") or 0)
        if running >= least:
            return
        run.waiter.report(f"{running} of {least} tasks running")
    error = WaitTimeout(message="The service's tasks do not run")
    raise run.explained(error, arn, None)
