# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: decide by a service's state what to do.

Raises EcsExpressError; knows nothing of Ansible's module object.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import compare
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import update
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.create import check_complete
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.create import create
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.delete import delete
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.delete import wait_until_gone
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import FAILING
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import StuckDeployment
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import configuration_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import read_state
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.read import wait_for_rollback
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.replace import recreate
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.replace import replace
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.request import Result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import EXPECTED_DELETION
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import Run

Resource = dict[str, Any]


def ensure_present(run: Run) -> Result:
    """Create the service, or change what differs; create it again, once, if its first deployment is stuck."""

    def work() -> Result:
        try:
            return _present(run)
        except StuckDeployment as e:
            return recreate(run, e)

    return run.with_context(work)


def ensure_absent(run: Run) -> Result:
    """Delete the service."""
    return run.with_context(lambda: _absent(run))


def _present(run: Run) -> Result:
    request = run.request
    _check_botocore(run)
    found = run.find_service()
    status = (found or {}).get("status")
    _refuse_classic(run, found)
    if found is None or status == "INACTIVE":
        return create(run, found)
    if status == "DRAINING":
        if not request.check_mode:
            check_complete(run, compare.overlay({}, request.desired))
            wait_until_gone(run, str(found["serviceArn"]))
        return create(run, found)
    state = read_state(run, str(found["serviceArn"]))
    if request.wait and not request.check_mode and state.in_flight and state.in_flight["status"] in FAILING:
        state = wait_for_rollback(run, state)
    state.ecs_service = found
    changes = update.find_changes(run, state)
    update.report_rollback(run, state, changes)
    if update.role_differs(run, state):
        return replace(run, state)
    return update.update(run, state, changes)


def _check_botocore(run: Run) -> None:
    for option, member in (("cpu_architecture", "cpuArchitecture"), ("task_definition_arn", "taskDefinitionArn")):
        if option in run.request.desired and not api.supports(run.ecs, "CreateExpressGatewayService", member):
            raise EcsExpressError(
                message=f"{option} is set, but the installed botocore does not know {member}: "
                f"update boto3 and botocore, or leave {option} out"
            )


def _refuse_classic(run: Run, found: Resource | None) -> None:
    if found and found.get("status") != "INACTIVE" and found.get("resourceManagementType") != "ECS":
        raise EcsExpressError(
            message=f"Service {run.request.name!r} in cluster {run.request.cluster!r} is a classic ECS service, "
            f"not one of Express Mode, and was left alone: choose another {run.request.option_names.of('service_name')}"
        )


def _absent(run: Run) -> Result:
    run.display.expected_duration = EXPECTED_DELETION
    request, result = run.request, run.result
    found = run.find_service()
    _refuse_classic(run, found)
    if found is None or found.get("status") == "INACTIVE":
        return result
    arn = str(found["serviceArn"])
    if found.get("status") == "DRAINING":
        if request.wait and not request.check_mode:
            wait_until_gone(run, arn)
        return result
    service = api.describe_express(run.ecs, arn)
    if service is None:
        return result
    result.changed = True
    result.before = {"service_name": request.name, **transformations.masked(configuration_of(service))}
    if not request.check_mode:
        delete(run, arn, wait=request.wait)
    return result
