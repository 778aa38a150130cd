# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL instances of Amazon RDS. Private to the collection."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.create import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.create import create
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.describe import find
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.describe import to_result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.update import update
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import explain_status
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import wait_gone
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import wait_ready


def ensure_present(
    clients: Clients, desired: DesiredState, wait_options: WaitOptions, check_mode: bool
) -> ModuleResult:
    """Create the instance, or change what differs.

    Raises:
        UserError: what is asked for is impossible, or it takes too long.
    """
    rds = clients.rds
    instance = find(rds, desired.name)
    if instance and instance["DBInstanceStatus"] == "deleting":
        if not wait_options.wait:
            raise UserError(explain_status(rds, desired.name, "deleting"))
        if not check_mode:
            wait_gone(rds, desired.name, wait_options)
        instance = None
    if instance is None:
        created = create(clients, desired, wait_options, check_mode)
        if created:
            return created
        # Perhaps not visible everywhere yet.
        instance = find(rds.retrying("DBInstanceNotFound", "DBInstanceNotFoundFault"), desired.name)
        if instance is None:
            raise UserError(
                f"RDS says of the instance {desired.name} that it exists, and that it does not: it is being made or"
                " deleted by another caller; run this again in a minute."
            )
    return update(clients, desired, wait_options, instance, check_mode)


def ensure_available(rds: Client, name: str, wait_options: WaitOptions, check_mode: bool) -> ModuleResult:
    """Wait for an existing instance; in check mode only describe it.

    Raises:
        UserError: there is none, it is stopped or broken, or it takes too long.
    """
    if check_mode:
        # In check mode the task that would have created it changed nothing.
        instance = find(rds, name)
        return ModuleResult(False, {}, {}, {"instance": to_result(instance) if instance else {}}, [])
    return ModuleResult(False, {}, {}, {"instance": to_result(wait_ready(rds, name, wait_options))}, [])
