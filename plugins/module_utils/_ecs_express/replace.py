# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: delete a service and create it again, where nothing else helps."""

from __future__ import annotations

import re
from dataclasses import replace as replaced

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import deployment_configuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import preflight
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.create import check_complete
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.create import create
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.delete import delete
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import StuckDeployment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import ServiceState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import managed_groups
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import read_state
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.request import Result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import Run
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import Canonical


def replace(run: Run, state: ServiceState) -> Result:
    """Replace the service; options that are not given are taken over from the old one."""
    before = {
        "service_name": run.request.name,
        "infrastructure_role_arn": state.service.get("infrastructureRoleArn"),
        **transformations.masked(state.canonical),
    }
    _refuse_unknown_groups(run, state)
    _take_over(run, state)
    how = {**deployment_configuration.special(state.ecs_service), **run.request.deployment_configuration}
    run.request = replaced(run.request, deployment_configuration=how)
    if not run.request.check_mode:
        check_complete(run, compare.overlay({}, run.request.desired))
        _refuse_useless_role(run)
        delete(run, state.arn)
        run.restart_waiter()
    return create(run, state.service, before)


def recreate(run: Run, stuck: StuckDeployment) -> Result:
    """Delete a service in which nothing has ever run, and create it once more, with the time limit started anew."""
    result, arn = run.result, stuck.service_arn
    result.recreated = True
    result.warnings.append(
        f"Service {run.request.name!r} was stuck: {stuck.message}. As nothing had ever run in it, it was deleted "
        "and created again, once; its URL is another one than before"
    )
    run.waiter.report(f"stuck ({stuck.message}): deleting the service and creating it again, once")
    if not run.created:
        state = read_state(run, arn)
        state.managed_groups = managed_groups(run, state)
        _take_over(run, state)
    run.restart_waiter()
    delete(run, arn)
    run.restart_waiter()
    return create(run, {"serviceArn": arn}, result.before)


def _refuse_unknown_groups(run: Run, state: ServiceState) -> None:
    """Refuse if ECS's own group, which goes with the service, cannot be distinguished from those to take over."""
    attached = (state.canonical.get("network_configuration") or {}).get("security_groups")
    given = run.request.desired.get("network_configuration") or {}
    if state.managed_groups is None and attached and "security_groups" not in given:
        raise EcsExpressError(
            message=f"Service {run.request.name!r} is left as it is, because which of its security groups "
            f"({', '.join(attached)}) are ECS's own could not be found out: give those that the new service shall "
            "have in network_configuration.security_groups"
        )


def _refuse_useless_role(run: Run) -> None:
    """Refuse to delete a running service if the new role could not create another one."""
    role = str(run.request.infrastructure_role_arn)
    problems = preflight.role_problems(run.clients("iam"), role, run.waiter)
    if problems:
        raise EcsExpressError(
            message=f"Service {run.request.name!r} is left as it is, because it could not be created again: "
            + " ".join(problems)
        )


def _take_over(run: Run, state: ServiceState) -> None:
    """Complete the request with settings of the service that the user did not give."""
    request = run.request
    old = compare.without_managed_groups(state.canonical, state.managed_groups)
    if "task_definition_arn" in request.desired:
        old = {k: v for k, v in old.items() if k in ("health_check_path", "network_configuration", "scaling_target")}
    else:
        old.pop("task_definition_arn", None)
        old = _without_managed_log_group(old, transformations.cluster_name(request.cluster), request.name)
    tags = transformations.tags(state.service)
    if request.tags is not None:
        tags = {} if request.purge_tags else tags
        tags.update(request.tags)
    role = request.infrastructure_role_arn or state.service.get("infrastructureRoleArn")
    desired = compare.overlay(old, request.desired)
    run.request = replaced(request, desired=desired, tags=tags, infrastructure_role_arn=role)


def _without_managed_log_group(config: Canonical, cluster: str, name: str) -> Canonical:
    """Return the configuration without a log group that ECS chose: given by name, it would have to exist."""
    container = dict(config.get("primary_container") or {})
    logs = container.get("aws_logs_configuration") or {}
    if not re.fullmatch(f"/aws/ecs/{re.escape(cluster)}/{re.escape(name)}-[0-9A-Za-z]+", str(logs.get("log_group"))):
        return config
    del container["aws_logs_configuration"]
    return {**config, "primary_container": container}
