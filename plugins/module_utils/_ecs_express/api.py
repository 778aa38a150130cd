# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: one function per API call. Each raises EcsExpressError, naming the attempted operation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

with contextlib.suppress(ImportError):  # Handled by AnsibleAWSModule
    import botocore.exceptions

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressErrorHandler
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import is_gone

Client = Any
Resource = dict[str, Any]

# More configurations, deployments or services per call are refused by ECS (botocore model).
_DESCRIBE_SERVICES_MAX = 10


def supports(client: Client, operation: str, member: str) -> bool:
    """Return whether the installed botocore knows ``member`` as an input of ``operation`` (boto names)."""
    try:
        shape = client.meta.service_model.operation_model(operation).input_shape
    except (AttributeError, botocore.exceptions.BotoCoreError):
        return False
    return shape is not None and member in shape.members


def _none_if_gone(call: Any, **params: Any) -> Any:
    try:
        return call(**params)
    except botocore.exceptions.ClientError as e:
        if is_gone(e):
            return None
        raise


@EcsExpressErrorHandler.common_error_handler("look up the service by name")
def find_service(client: Client, *, cluster: str, name: str) -> Resource | None:
    """DescribeServices for one name; None if the service or the cluster is unknown.

    Express Mode has no call of its own by name; ``resourceManagementType`` tells an Express service (``ECS``) from a
    classic one (``CUSTOMER``).
    """
    answer = _none_if_gone(client.describe_services, cluster=cluster, services=[name])
    services = (answer or {}).get("services") or []
    return services[0] if services else None


@EcsExpressErrorHandler.common_error_handler("describe the Express service")
def describe_express(client: Client, arn: str) -> Resource | None:
    """DescribeExpressGatewayService with tags; None if it is unknown."""
    answer = _none_if_gone(client.describe_express_gateway_service, serviceArn=arn, include=["TAGS"])
    return answer["service"] if answer else None


@EcsExpressErrorHandler.common_error_handler("list the Express services of the cluster")
def list_express_arns(client: Client, *, cluster: str) -> list[str]:
    """Return ARNs of the cluster's Express services, [] for an unknown cluster."""
    params: Resource = {"cluster": cluster}
    if supports(client, "ListServices", "resourceManagementType"):
        params["resourceManagementType"] = "ECS"
    return [arn for page in _pages(client.list_services, **params) for arn in page.get("serviceArns") or []]


@EcsExpressErrorHandler.common_error_handler("describe the services of the cluster")
def describe_services(client: Client, *, cluster: str, services: list[str]) -> list[Resource]:
    """DescribeServices for any number of names or ARNs; unknown ones are left out."""
    found: list[Resource] = []
    for start in range(0, len(services), _DESCRIBE_SERVICES_MAX):
        part = services[start : start + _DESCRIBE_SERVICES_MAX]
        answer = _none_if_gone(client.describe_services, cluster=cluster, services=part)
        found += (answer or {}).get("services") or []
    return found


@EcsExpressErrorHandler.common_error_handler("create the Express service")
def create_express(client: Client, **params: Any) -> Resource:
    """CreateExpressGatewayService. The caller retries errors caused by new roles."""
    service: Resource = client.create_express_gateway_service(**params)["service"]
    return service


@EcsExpressErrorHandler.common_error_handler("update the Express service")
def update_express(client: Client, **params: Any) -> Resource:
    """UpdateExpressGatewayService; its answer has ``targetConfiguration``, not ``activeConfigurations``."""
    service: Resource = client.update_express_gateway_service(**params)["service"]
    return service


@EcsExpressErrorHandler.common_error_handler("delete the Express service")
def delete_express(client: Client, arn: str) -> Resource | None:
    """DeleteExpressGatewayService; None if there is nothing to delete (any more)."""
    answer = _none_if_gone(client.delete_express_gateway_service, serviceArn=arn)
    return answer["service"] if answer else None


@EcsExpressErrorHandler.common_error_handler("start a new deployment of the service")
def force_deployment(client: Client, *, cluster: str, name: str) -> Resource:
    """UpdateService with forceNewDeployment, which ECS allows for Express services."""
    service: Resource = client.update_service(cluster=cluster, service=name, forceNewDeployment=True)["service"]
    return service


@EcsExpressErrorHandler.common_error_handler("change how the service's updates are carried out")
def configure_deployments(client: Client, *, cluster: str, name: str, configuration: Resource) -> Resource:
    """UpdateService with nothing but deploymentConfiguration, which starts no deployment; the service after it."""
    answer = client.update_service(cluster=cluster, service=name, deploymentConfiguration=configuration)
    service: Resource = answer["service"]
    return service


@EcsExpressErrorHandler.common_error_handler("list the deployments of the service")
def list_deployments(client: Client, *, cluster: str, service: str, limit: int = 20) -> list[Resource]:
    """Return the newest ``limit`` deployments, newest first.

    That is [] while ECS does not know the service yet (or any more).
    """
    found: list[Resource] = []
    for page in _pages(client.list_service_deployments, cluster=cluster, service=service):
        found += page.get("serviceDeployments") or []
        if len(found) >= limit:
            break
    # AWS returns the newest first, but does not document it.
    return sorted(found, key=lambda item: str(item.get("createdAt", "")), reverse=True)[:limit]


@EcsExpressErrorHandler.common_error_handler("describe the deployment of the service")
def describe_deployment(client: Client, arn: str) -> Resource | None:
    """Return one deployment in full; None while ECS answers MISSING, as it does right after it began."""
    answer = _none_if_gone(client.describe_service_deployments, serviceDeploymentArns=[arn])
    found = (answer or {}).get("serviceDeployments") or []
    return found[0] if found else None


@EcsExpressErrorHandler.common_error_handler("describe the revision of the service")
def describe_revisions(client: Client, arns: list[str]) -> list[Resource]:
    """Service revisions; those that ECS does not know (yet) are left out, all of them if the service is INACTIVE."""
    if not arns:
        return []
    try:
        answer = _none_if_gone(client.describe_service_revisions, serviceRevisionArns=arns[:20])
    except botocore.exceptions.ClientError as e:
        if "DescribeServiceRevisions for a service that is INACTIVE" in str(e):
            return []
        raise
    return (answer or {}).get("serviceRevisions") or []


@EcsExpressErrorHandler.common_error_handler("describe the task definition of the service")
def describe_task_definition(client: Client, arn: str) -> Resource:
    definition: Resource = client.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    return definition


@EcsExpressErrorHandler.common_error_handler("tag the service")
def tag(client: Client, arn: str, tags: dict[str, str]) -> None:
    client.tag_resource(resourceArn=arn, tags=[{"key": k, "value": v} for k, v in tags.items()])


@EcsExpressErrorHandler.common_error_handler("remove tags of the service")
def untag(client: Client, arn: str, keys: list[str]) -> None:
    client.untag_resource(resourceArn=arn, tagKeys=keys)


@EcsExpressErrorHandler.common_error_handler("find out which security groups are ECS's own")
def groups_of_ecs(client: Client, ids: list[str]) -> set[str]:
    """Return those of the groups that carry the tag that ECS gives to what it makes (EC2 client)."""
    marked = [{"Name": "group-id", "Values": ids}, {"Name": "tag:AmazonECSManaged", "Values": ["true"]}]
    answer = client.describe_security_groups(Filters=marked)
    return {str(group["GroupId"]) for group in answer.get("SecurityGroups") or []}


@EcsExpressErrorHandler.common_error_handler("list the tasks of the service")
def list_tasks(client: Client, *, cluster: str, service: str, status: str) -> list[str]:
    """Return ARNs of the newest tasks in ``status`` (RUNNING or STOPPED).

    ECS forgets stopped ones after about an hour.
    """
    answer = _none_if_gone(client.list_tasks, cluster=cluster, serviceName=service, desiredStatus=status)
    return list((answer or {}).get("taskArns") or [])


@EcsExpressErrorHandler.common_error_handler("describe the tasks of the service")
def describe_tasks(client: Client, *, cluster: str, tasks: list[str]) -> list[Resource]:
    if not tasks:
        return []
    answer = _none_if_gone(client.describe_tasks, cluster=cluster, tasks=tasks[:100])
    return list((answer or {}).get("tasks") or [])


@EcsExpressErrorHandler.common_error_handler("read the health of the load balancer's targets")
def target_health(client: Client, target_group_arn: str) -> list[Resource]:
    answer = client.describe_target_health(TargetGroupArn=target_group_arn)
    return list(answer.get("TargetHealthDescriptions") or [])


@EcsExpressErrorHandler.common_error_handler("find the container's log stream")
def newest_log_stream(client: Client, *, log_group: str, prefix: str) -> str | None:
    """Return the stream written to last among those that begin with ``prefix``."""
    answer = client.describe_log_streams(logGroupName=log_group, logStreamNamePrefix=prefix, limit=50)
    streams = answer.get("logStreams") or []
    newest = max(streams, key=lambda s: s.get("lastEventTimestamp") or s.get("creationTime") or 0, default=None)
    return newest["logStreamName"] if newest else None


@EcsExpressErrorHandler.common_error_handler("read the container's log")
def log_tail(client: Client, *, log_group: str, stream: str, lines: int) -> list[str]:
    answer = client.get_log_events(logGroupName=log_group, logStreamName=stream, limit=lines, startFromHead=False)
    return [str(event.get("message", "")).rstrip("\n") for event in answer.get("events") or []][-lines:]


def _pages(call: Any, **params: Any) -> Iterator[Resource]:
    """botocore has no paginator for the newer ECS lists, so the token is carried by hand."""
    while True:
        answer = _none_if_gone(call, **params)
        if answer is None:
            return
        yield answer
        token = answer.get("nextToken")
        if not token:
            return
        params = {**params, "nextToken": token}
