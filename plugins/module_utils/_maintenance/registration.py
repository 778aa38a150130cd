# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Registers the task definition of what is done on a schedule, and deregisters those that are of no use any more."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc import collection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._maintenance import definition
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._maintenance.definition import Document
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._maintenance.definition import Job
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import one_off_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs.target import Target


def ensure_present(clients: Clients, job: Job, instance: str, check_mode: bool) -> ModuleResult:
    """Register the task definition, if the newest one is another.

    Args:
        clients: returns the client of a service.
        job: what is done.
        instance: identifier of the RDS instance; empty for a database of the user's own.
        check_mode: whether nothing is changed.

    Raises:
        UserError: there is no server.
    """
    service = target.describe(clients, job.deployment)
    if service is None:
        if check_mode:
            return ModuleResult(True, {}, {"family": job.family}, _values(job.deployment, "", {}), [])
        raise UserError(
            f"There is no service '{job.deployment.name}' in cluster '{job.deployment.cluster}' of this account and"
            " region, so there is nothing that could be maintained."
        )
    database = collection.of_instance(clients, instance, job.database) if instance else job.database
    ecs = clients("ecs")
    found = definition.newest(ecs, job.family)
    wanted = definition.build(job, service, database, found)
    before = definition.same(wanted, found)
    arn = str(found.get("taskDefinitionArn") or "")
    changed = before != wanted
    if changed and not check_mode:
        registered = ecs.register_task_definition(**wanted)["taskDefinition"]
        arn = str(registered["taskDefinitionArn"])
        for old in definition.active(ecs, job.family):
            if old != arn:
                ecs.deregister_task_definition(taskDefinition=old)
    network = one_off_task.network(service, target.configuration(service))
    shown = [definition.summary(one) for one in (before, wanted)]
    return ModuleResult(changed, shown[0], shown[1], _values(job.deployment, arn, network), [])


def ensure_absent(clients: Clients, deployment: Target, job: str, check_mode: bool) -> ModuleResult:
    """Deregister all task definitions of a job."""
    ecs = clients("ecs")
    family = definition.family(deployment.name, job)
    found = definition.active(ecs, family)
    if not check_mode:
        for arn in found:
            ecs.deregister_task_definition(taskDefinition=arn)
    before = {"task_definitions": found} if found else {}
    return ModuleResult(bool(found), before, {}, _values(deployment, "", {}), [])


def _values(deployment: Target, arn: str, network: Document) -> dict[str, typing.Any]:
    return {
        "task_definition_arn": arn,
        "cluster_arn": deployment.arn.replace(":service/", ":cluster/").rpartition("/")[0],
        "subnets": network.get("subnets", []),
        "security_groups": network.get("securityGroups", []),
        "assign_public_ip": network.get("assignPublicIp") == "ENABLED",
    }
