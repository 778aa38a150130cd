# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The deployment that a verb works on: its service, as ECS describes it now."""

from __future__ import annotations

import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.deployments import in_flight
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import Canonical

Resource = dict[str, typing.Any]


@dataclass(frozen=True)
class Target:
    """A deployment.

    Attributes:
        name: of the service.
        cluster: of ECS.
        arn: of the service, whether it exists or not.
        who: ARN of the caller.
    """

    name: str
    cluster: str
    arn: str
    who: str


def locate(clients: Clients, name: str, cluster: str, region: str) -> Target:
    """Return the deployment of a name in this account and region."""
    caller = caller_identity(clients("sts"))
    arn = f"arn:{caller.partition}:ecs:{region}:{caller.account_id}:service/{cluster}/{name}"
    return Target(name, cluster, arn, caller.arn)


def describe(clients: Clients, target: Target) -> Resource | None:
    """Return the service as DescribeExpressGatewayService has it, None if there is none."""
    service = api.describe_express(clients("ecs"), target.arn)
    if not service or (service.get("status") or {}).get("statusCode") == "INACTIVE":
        return None
    return service


def tags(service: Resource | None) -> dict[str, str]:
    """Return all tags, those that are internal too."""
    listed = (service or {}).get("tags") or []
    return {str(item.get("key")): str(item.get("value") or "") for item in listed}


def require(clients: Clients, target: Target, changing: bool = False) -> Resource:
    """Return the service, which must be there and not change at the moment.

    Args:
        clients: returns the client of a service.
        target: the deployment.
        changing: whether it may change nevertheless.

    Raises:
        UserError: it is not, or it does.
    """
    service = describe(clients, target)
    if service is None:
        raise UserError(
            f"There is no service '{target.name}' in cluster '{target.cluster}' of this account and region: deploy it"
            " first, or check its name, the cluster and AWS_REGION."
        )
    status = (service.get("status") or {}).get("statusCode")
    if status != "ACTIVE":
        raise UserError(f"The service '{target.name}' is {status}: it is being deleted.")
    if changing:
        return service
    current = in_flight(api.list_deployments(clients("ecs"), cluster=target.cluster, service=target.arn, limit=5))
    if current:
        raise UserError(
            f"A deployment of the service '{target.name}' is {current['status']}: wait for its end, which the playbook"
            " status shows, and run this again."
        )
    return service


def configuration(service: Resource) -> Canonical:
    """Return the newest configuration of the service, in canonical form."""
    return transformations.configuration(transformations.newest_configuration(service) or {})


def revision(service: Resource) -> str:
    """Return the id of the revision that a service has; empty if it has none."""
    arn = (transformations.newest_configuration(service) or {}).get("serviceRevisionArn")
    return str(arn or "").rpartition("/")[2]


def describe_revision(clients: Clients, target: Target, revision_id: str) -> Resource | None:
    """Return a revision of the service as DescribeServiceRevisions has it; None if ECS does not know it any more.

    Args:
        clients: returns the client of a service.
        target: the deployment.
        revision_id: the last part of its ARN, which else is the service's; an ARN is taken as well. Empty for none.
    """
    if not revision_id:
        return None
    # arn:aws:ecs:REGION:ACCOUNT:service-revision/CLUSTER/SERVICE/ID (ECS API Reference, ServiceRevision).
    arn = f"{target.arn.replace(':service/', ':service-revision/', 1)}/{revision_id.rpartition('/')[2]}"
    found = api.describe_revisions(clients("ecs"), [arn])
    return found[0] if found else None


def former_container(clients: Clients, target: Target, revision_id: str) -> Canonical | None:
    """Return the container of a revision; None if ECS does not know it any more, or does not show it."""
    try:
        found = describe_revision(clients, target, revision_id)
        if found is None:
            return None
        definition = api.describe_task_definition(clients("ecs"), str(found.get("taskDefinition")))
    except AnsibleAWSError:
        # The image alone is better than no server.
        return None
    return dict(transformations.revision_configuration(found, definition).get("primary_container") or {})


def is_public(service: Resource) -> bool:
    """Return whether the service's tasks have public addresses."""
    paths = (transformations.newest_configuration(service) or {}).get("ingressPaths") or []
    return any(path.get("accessType") == "PUBLIC" for path in paths)
