# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: reading services for ecs_express_service_info."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_expired
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import collect
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import deployments
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import diagnose
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.evidence import Subject
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.transformations import Canonical

Clients = Callable[[str], Any]


def describe(
    clients: Clients,
    *,
    cluster: str,
    name: str | None,
    explanations: bool = False,
    resources: bool = False,
    warnings: list[str] | None = None,
) -> list[Canonical]:
    """Return the Express services of the cluster, or the one of ``name``, by name; no deleted or classic ones.

    If one of many cannot be described, for lack of a permission for example, it is returned with what is known, and
    ``warnings`` gets a sentence.
    """
    ecs = clients("ecs")
    desired = [name] if name else api.list_express_arns(ecs, cluster=cluster)
    found = api.describe_services(ecs, cluster=cluster, services=desired)
    services: list[Canonical] = []
    for item in found:
        if item.get("resourceManagementType") != "ECS" or item.get("status") == "INACTIVE":
            continue
        try:
            service = _describe_one(clients, cluster, str(item["serviceArn"]), explanations)
            if service and (explanations or resources):
                service["managed_resources"] = _resources(ecs, service)
        except EcsExpressError as e:
            if name or warnings is None or is_expired(e.exception):
                raise
            warnings.append(f"Service {item.get('serviceName')!r} could not be described: {e}")
            service = _outline(item)
        if service:
            services.append(service)
    return sorted(services, key=lambda item: str(item["service_name"]))


def _outline(item: Canonical) -> Canonical:
    """Return a service with what DescribeServices reports."""
    known = {**item, "status": {"statusCode": item.get("status")}, "cluster": item.get("clusterArn"), "tags": []}
    return {**transformations.service(known), "deployment": {}}


def _describe_one(clients: Clients, cluster: str, arn: str, explanations: bool) -> Canonical | None:
    ecs = clients("ecs")
    boto = api.describe_express(ecs, arn)
    if boto is None:
        return None
    latest = next(iter(api.list_deployments(ecs, cluster=cluster, service=arn)), None)
    if latest:
        latest = {**latest, **(api.describe_deployment(ecs, latest["serviceDeploymentArn"]) or {})}
    service = transformations.service(boto, deployments.target_revision(latest))
    service["deployment"] = transformations.deployment(latest) or {}
    if explanations:
        subject = Subject(transformations.cluster_name(cluster), str(service["service_name"]), arn)
        evidence = collect.collect(clients, subject, latest)
        service["explanation"] = {**diagnose.as_dict(evidence), "text": diagnose.render(evidence)}
    return service


def _resources(ecs: Any, service: Canonical) -> list[Canonical]:
    arn = service.get("service_revision_arn")
    return [
        {
            "kind": item["kind"],
            "arn": item.get("arn"),
            "status": item["status"],
            "status_reason": item.get("statusReason"),
        }
        for revision in api.describe_revisions(ecs, [arn] if arn else [])
        for item in deployments.managed_resources(revision)
    ]
