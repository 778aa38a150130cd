# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: delete a service."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployment_wait import wait_for_inactive
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import WaitTimeout
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import is_draining
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.run import Run


def delete(run: Run, arn: str, *, wait: bool = True) -> None:
    """Delete the service, and wait until its name is free."""
    try:
        api.delete_express(run.ecs, arn)
        run.sent = True
    except EcsExpressError as e:
        if not is_draining(e):
            raise
    if wait:
        wait_until_gone(run, arn)


def wait_until_gone(run: Run, arn: str) -> None:
    """Wait until a service that is being deleted is gone.

    Raises:
        EcsExpressWaitError: it takes too long.
    """
    try:
        wait_for_inactive(run.ecs, cluster=run.request.cluster, name=run.request.name, waiter=run.waiter)
    except WaitTimeout as e:
        raise run.explained(e, arn, None) from e
