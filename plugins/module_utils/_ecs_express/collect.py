# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: collect evidence from ECS, the load balancer and CloudWatch Logs.

Evidence that cannot be read becomes a note, and never hides the failure itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import deployments
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import remedies
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.evidence import Evidence
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.evidence import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.evidence import Subject

Clients = Callable[[str], Any]

LOG_LINES = 20

_EVENTS = 5

_TASKS = 5

_CONTAINER = "Main"  # The container's name in every Express service.


def collect(
    clients: Clients, subject: Subject, deployment: Resource | None, earlier: Evidence | None = None
) -> Evidence:
    """Collect everything that may explain why ``deployment`` (None: not known) does not succeed.

    ``earlier``: evidence from when it began to fail. Its tasks, targets and log are kept, because ECS removes them
    while it rolls back.
    """
    evidence = Evidence(deployment=deployment)
    ecs = clients("ecs")
    revisions: list[Resource] = []
    evidence.status_reasons = _status_reasons(deployment)

    def events() -> None:
        found = api.find_service(ecs, cluster=subject.cluster, name=subject.name) or {}
        reason = (deployment or {}).get("statusReason")
        texts = [str(event.get("message", "")) for event in since(found.get("events") or [], deployment)]
        evidence.events = [text for text in texts if _is_news(text, str(reason or ""))][:_EVENTS]

    def resources() -> None:
        revisions.extend(_revisions(ecs, subject, deployment))
        evidence.resources = _resource_lines(
            [leaf for revision in revisions for leaf in deployments.managed_resources(revision)]
        )

    def settings() -> None:
        evidence.settings = _settings(ecs, subject, revisions)

    _try(evidence, "the service's events", events)
    _try(evidence, "the resources that ECS manages", resources)
    _try(evidence, "the service's settings", settings)
    if earlier and (earlier.tasks or earlier.targets or earlier.log):
        evidence.tasks, evidence.targets = earlier.tasks, earlier.targets
        evidence.log, evidence.log_source = earlier.log, earlier.log_source
        evidence.events += [event for event in earlier.events if event not in evidence.events]
        evidence.resources += [line for line in earlier.resources if line not in evidence.resources]
        _drop_what_tasks_tell(evidence)
        return evidence
    tasks: list[Resource] = []
    _try(evidence, "the tasks", lambda: tasks.extend(_tasks(ecs, subject, deployment)))
    evidence.tasks = _task_lines(tasks[:_TASKS])
    _drop_what_tasks_tell(evidence)
    _try(evidence, "the health of the targets", lambda: _targets(clients, revisions, evidence))
    _try(evidence, "the container's log", lambda: _log(clients, subject, tasks, revisions, evidence))
    return evidence


# Events of each deployment, good or bad ("Amazon ECS service event messages" in ECS's guide).
_ROUTINE = re.compile(
    r"has (started|stopped) \d+ (running )?tasks|registered \d+ targets|has begun draining|steady state", re.I
)


def _drop_what_tasks_tell(evidence: Evidence) -> None:
    """Drop events that the lines of tasks repeat with more detail."""
    if evidence.tasks:
        evidence.events = [text for text in evidence.events if ") stopped: " not in text]


def _is_news(text: str, reason: str) -> bool:
    """Return whether an event is neither routine nor a repetition of the deployment's reason."""
    told = text.partition(" deployment failed: ")[2]
    return not (_ROUTINE.search(text) or (reason and reason in text) or (told and told in reason))


def _try(evidence: Evidence, what: str, read: Callable[[], None]) -> None:
    try:
        read()
    except AnsibleAWSError as e:
        evidence.notes.append(f"{what} could not be read ({e})")


def _status_reasons(deployment: Resource | None) -> list[str]:
    if not deployment:
        return []
    lines = [f"deployment {deployment.get('status')}"]
    if deployment.get("lifecycleStage"):
        lines[0] += f" in stage {deployment['lifecycleStage']}"
    if deployment.get("statusReason"):
        lines[0] += f": {deployment['statusReason']}"
    rollback = (deployment.get("rollback") or {}).get("reason")
    if rollback and rollback not in str(deployment.get("statusReason")):
        lines.append(f"rollback: {rollback}")
    breaker = deployment.get("deploymentCircuitBreaker") or {}
    if breaker.get("status") == "TRIGGERED":
        count = f" after {breaker['failureCount']} failed tasks" if breaker.get("failureCount") is not None else ""
        lines.append(f"the circuit breaker was triggered{count}")
    alarms = (deployment.get("alarms") or {}).get("triggeredAlarmNames") or []
    if alarms:
        lines.append(f"alarm triggered: {', '.join(alarms)}")
    return lines


def _resource_lines(resources: list[Resource]) -> list[str]:
    """Return a line for each resource with a reason; the others that are not ACTIVE together, by status."""
    lines = []
    silent: dict[str, list[str]] = {}
    for item in resources:
        if item["status"] == "ACTIVE":
            continue
        if item.get("statusReason"):
            name = " ".join(str(item[k]) for k in ("kind", "arn") if item.get(k))
            lines.append(f"{name} is {item['status']}: {item['statusReason']}")
        elif item["kind"] not in silent.setdefault(item["status"], []):
            silent[item["status"]].append(item["kind"])
    return lines + [f"still {status}: {', '.join(kinds)}" for status, kinds in silent.items()]


def since(items: list[Resource], deployment: Resource | None) -> list[Resource]:
    """Return tasks or events that are not older than the deployment.

    ECS also shows those of a deleted service with the same name.
    """
    begin = (deployment or {}).get("createdAt")
    return [item for item in items if not (begin and item.get("createdAt")) or item["createdAt"] >= begin]


def _revisions(ecs: Any, subject: Subject, deployment: Resource | None) -> list[Resource]:
    """Return the revision that the deployment moves to, else those that the service runs."""
    target = ((deployment or {}).get("targetServiceRevision") or {}).get("arn") or (deployment or {}).get(
        "targetServiceRevisionArn"
    )
    arns = [target] if target else []
    if not arns and subject.arn:
        service = api.describe_express(ecs, subject.arn) or {}
        found = [config.get("serviceRevisionArn") for config in service.get("activeConfigurations") or []]
        arns = [arn for arn in found if arn]
    return api.describe_revisions(ecs, arns)


def _tasks(ecs: Any, subject: Subject, deployment: Resource | None) -> list[Resource]:
    """Return the tasks of the deployment: stopped ones first, newest first."""
    arns: list[str] = []
    for status in ("STOPPED", "RUNNING"):
        arns += api.list_tasks(ecs, cluster=subject.cluster, service=subject.name, status=status)
    tasks = since(api.describe_tasks(ecs, cluster=subject.cluster, tasks=arns), deployment)
    tasks.sort(key=lambda task: str(task.get("createdAt") or ""), reverse=True)
    return sorted(tasks, key=lambda task: not _unwanted_stop(task))


def _unwanted_stop(task: Resource) -> bool:
    """Return whether a task stopped for another reason than scaling in or a rollback."""
    if task.get("lastStatus") not in ("STOPPED", "DEPROVISIONING", "STOPPING"):
        return False
    return task.get("stopCode") not in ("ServiceSchedulerInitiated", "UserInitiated") or any(
        container.get("exitCode") not in (None, 0, 143) for container in task.get("containers") or []
    )


def _task_lines(tasks: list[Resource]) -> list[str]:
    """Return a line for each task; those that ended in the same way share one."""
    alike: dict[str, list[str]] = {}
    for task in tasks:
        alike.setdefault(_task_fate(task), []).append(_task_id(task))
    return [f"task {ids[0]}{_likewise(len(ids) - 1)} {fate}" for fate, ids in alike.items()]


def _likewise(others: int) -> str:
    return f" (and {others} more likewise)" if others else ""


def _task_fate(task: Resource) -> str:
    line = str(task.get("lastStatus"))
    if task.get("stoppedReason"):
        line += f": {task['stoppedReason']}"
    for container in task.get("containers") or []:
        detail = []
        if container.get("exitCode") is not None:
            detail.append(f"exit code {container['exitCode']}")
        if container.get("reason") and container["reason"] != task.get("stoppedReason"):
            detail.append(str(container["reason"]))
        if detail:
            line += f"; container {container.get('name')}: {', '.join(detail)}"
    return line


def _task_id(task: Resource) -> str:
    return str(task.get("taskArn", "")).rsplit("/", 1)[-1]


def _targets(clients: Clients, revisions: list[Resource], evidence: Evidence) -> None:
    groups = {
        item["arn"]: item
        for revision in revisions
        for item in deployments.managed_resources(revision)
        if item["kind"] == "targetGroups" and item.get("arn") and item["status"] in ("ACTIVE", "PROVISIONING")
    }
    if not groups:
        return
    elb = clients("elbv2")
    for arn, group in groups.items():
        for item in api.target_health(elb, arn):
            health = item.get("TargetHealth") or {}
            if health.get("State") == "healthy":
                continue
            target = item.get("Target") or {}
            reason = " ".join(str(health[k]) for k in ("Reason", "Description") if health.get(k))
            evidence.targets.append(
                f"target {target.get('Id')}:{target.get('Port')} is {health.get('State')}"
                f" (health check path {group.get('healthCheckPath', '?')}): {reason or 'no reason given'}"
            )


def _log(
    clients: Clients, subject: Subject, tasks: list[Resource], revisions: list[Resource], evidence: Evidence
) -> None:
    if not tasks:
        evidence.notes.append("no task of this deployment was found")
        return
    group, prefix = _log_place(clients("ecs"), subject, revisions)
    if not group:
        return
    logs = clients("logs")
    for task in tasks[:_TASKS]:
        stream = f"{prefix}/{_CONTAINER}/{_task_id(task)}"
        found = api.newest_log_stream(logs, log_group=group, prefix=stream)
        if found:
            evidence.log = api.log_tail(logs, log_group=group, stream=found, lines=LOG_LINES)
            evidence.log_source = f"{group} {found}"
            return
    evidence.notes.append(f"log group {group} has nothing from these tasks: the container did not come to write")


def _log_place(ecs: Any, subject: Subject, revisions: list[Resource]) -> tuple[str, str]:
    """Return log group and prefix of the revision's container.

    The service's configurations tell, but one that was rolled back is no longer among them, and one with a task
    definition of the user's own need not show its container; the task definition always does.
    """
    service = (api.describe_express(ecs, subject.arn) if subject.arn else None) or {}
    desired = {revision.get("serviceRevisionArn") for revision in revisions}
    configs = [config for config in service.get("activeConfigurations") or [] if config]
    places = [
        _logs(transformations.configuration(item)) for item in configs if item.get("serviceRevisionArn") in desired
    ]
    if not any(places):
        places += [_logs(_of_revision(ecs, revision)) for revision in revisions]
    places += [_logs(transformations.configuration(config)) for config in configs]
    for revision in revisions:
        for item in (revision.get("ecsManagedResources") or {}).get("logGroups") or []:
            if item.get("logGroupName"):
                places.append((str(item["logGroupName"]), "ecs"))
    return next((place for place in places if place), ("", ""))


def _settings(ecs: Any, subject: Subject, revisions: list[Resource]) -> remedies.ServiceSettings:
    """Return how the service is configured: in the revision that failed, or else as ECS shows it."""
    service = (api.describe_express(ecs, subject.arn) if subject.arn else None) or {}
    desired = {revision.get("serviceRevisionArn") for revision in revisions}
    configs = [config for config in service.get("activeConfigurations") or [] if config]
    config: transformations.Canonical = {}
    for revision in revisions:
        config.update(_of_revision(ecs, revision))
    for item in configs:
        # One that was rolled back is no longer among them.
        if item.get("serviceRevisionArn") in desired or not config:
            config.update(transformations.configuration(item))
    return remedies.settings_of(service, config, transformations.endpoint(service))


def _logs(config: transformations.Canonical) -> tuple[str, str] | None:
    logs = config.get("primary_container", {}).get("aws_logs_configuration", {})
    return (str(logs["log_group"]), str(logs.get("log_stream_prefix") or "ecs")) if logs.get("log_group") else None


def _of_revision(ecs: Any, revision: Resource) -> transformations.Canonical:
    """Return what a revision's task definition says; {} if it cannot be read."""
    if not revision.get("taskDefinition"):
        return {}
    try:
        return transformations.revision_configuration(
            revision, api.describe_task_definition(ecs, revision["taskDefinition"])
        )
    except AnsibleAWSError:
        return {}
