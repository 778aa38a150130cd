# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: why a deployment failed or stalls.

``collect`` asks ECS, the load balancer and CloudWatch Logs; what can't be read becomes a note and never hides
the failure itself. ``render`` and ``likely_cause`` are pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError

from . import api
from . import remedies
from . import transformations
from . import waiters

Resource = dict[str, Any]
Clients = Callable[[str], Any]

LOG_LINES = 20
_EVENTS = 5
_TASKS = 5
_CONTAINER = "Main"  # Express names the container so, always.


@dataclass(frozen=True)
class Subject:
    """Which service is to be explained."""

    cluster: str
    name: str
    arn: str | None = None


@dataclass
class Evidence:
    """What was found out, as text; lists are newest first, ``log`` is in the order written."""

    deployment: Resource | None = None
    says: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    log_source: str = ""
    notes: list[str] = field(default_factory=list)
    settings: remedies.ServiceSettings = field(default_factory=remedies.ServiceSettings)
    # Whether the wait found that ECS has given the service up.
    stuck: bool = False

    def of_aws(self) -> str:
        """What AWS says, for a search."""
        return "\n".join(self.says + self.events + self.resources + self.tasks + self.targets)

    def of_container(self) -> str:
        """What the container itself wrote, for a search."""
        return "\n".join(self.log)

    def as_dict(self) -> dict[str, Any]:
        """For the module's return values."""
        cause, remedy = likely_cause(self)
        return {
            "says": self.says,
            "events": self.events,
            "resources": self.resources,
            "tasks": self.tasks,
            "targets": self.targets,
            "log": self.log,
            "log_source": self.log_source,
            "notes": self.notes,
            "likely_cause": cause,
            "remedy": remedy,
        }


# ---- collecting


def collect(
    clients: Clients, subject: Subject, deployment: Resource | None, earlier: Evidence | None = None
) -> Evidence:
    """Look at everything that may tell why ``deployment`` (None: not known) does not succeed.

    ``earlier``: what was collected when it began to fail. Its tasks, targets and log are kept, because ECS removes them
    while it rolls back.
    """
    evidence = Evidence(deployment=deployment)
    ecs = clients("ecs")
    revisions: list[Resource] = []
    evidence.says = _says(deployment)

    def events() -> None:
        found = api.find_service(ecs, cluster=subject.cluster, name=subject.name) or {}
        reason = (deployment or {}).get("statusReason")
        texts = [str(event.get("message", "")) for event in since(found.get("events") or [], deployment)]
        evidence.events = [text for text in texts if _is_news(text, str(reason or ""))][:_EVENTS]

    def resources() -> None:
        revisions.extend(_revisions(ecs, subject, deployment))
        evidence.resources = _resource_lines(
            [leaf for revision in revisions for leaf in waiters.managed_resources(revision)]
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
    """The lines of the tasks say the same with more detail."""
    if evidence.tasks:
        evidence.events = [text for text in evidence.events if ") stopped: " not in text]


def _is_news(text: str, reason: str) -> bool:
    """Whether an event says more than that a deployment goes its way, or than the deployment's own reason."""
    told = text.partition(" deployment failed: ")[2]
    return not (_ROUTINE.search(text) or (reason and reason in text) or (told and told in reason))


def _try(evidence: Evidence, what: str, look: Callable[[], None]) -> None:
    try:
        look()
    except AnsibleAWSError as e:
        evidence.notes.append(f"{what} could not be read ({e})")


def _says(deployment: Resource | None) -> list[str]:
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
    """A line for each resource with a reason; the others that are not ACTIVE together, by status."""
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
    """Tasks or events that are not older than the deployment: ECS also shows those of a deleted service of the name."""
    begin = (deployment or {}).get("createdAt")
    return [item for item in items if not (begin and item.get("createdAt")) or item["createdAt"] >= begin]


def _revisions(ecs: Any, subject: Subject, deployment: Resource | None) -> list[Resource]:
    """The revision that the deployment moves to, else those that the service runs."""
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
    """Stopped tasks first, newest first; those that are older than the deployment are another story."""
    arns: list[str] = []
    for status in ("STOPPED", "RUNNING"):
        arns += api.list_tasks(ecs, cluster=subject.cluster, service=subject.name, status=status)
    tasks = since(api.describe_tasks(ecs, cluster=subject.cluster, tasks=arns), deployment)
    tasks.sort(key=lambda task: str(task.get("createdAt") or ""), reverse=True)
    return sorted(tasks, key=lambda task: not _unwanted_stop(task))


def _unwanted_stop(task: Resource) -> bool:
    """Stopped, and not because ECS scaled in or rolled back."""
    if task.get("lastStatus") not in ("STOPPED", "DEPROVISIONING", "STOPPING"):
        return False
    return task.get("stopCode") not in ("ServiceSchedulerInitiated", "UserInitiated") or any(
        container.get("exitCode") not in (None, 0, 143) for container in task.get("containers") or []
    )


def _task_lines(tasks: list[Resource]) -> list[str]:
    """A line for each task; those that ended in the same way share one."""
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
        for item in waiters.managed_resources(revision)
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
    """Log group and prefix of the revision's container.

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
    """How the service is configured: in the revision that failed, or else as ECS shows it."""
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
    """What a revision's task definition says; {} if it cannot be read."""
    if not revision.get("taskDefinition"):
        return {}
    try:
        return transformations.revision_configuration(
            revision, api.describe_task_definition(ecs, revision["taskDefinition"])
        )
    except AnsibleAWSError:
        return {}


# ---- judging


@dataclass(frozen=True)
class _Cause:
    pattern: re.Pattern[str]
    cause: str
    remedy: str | Callable[[remedies.Failure], str]
    in_log: bool
    given: re.Pattern[str] | None

    def matches(self, said: str, written: str) -> bool:
        """``said`` by AWS, ``written`` by the container."""
        if self.given and not self.given.search(said):
            return False
        return bool(self.pattern.search(said) or (self.in_log and self.pattern.search(written)))


def _cause(
    pattern: str, cause: str, remedy: str | Callable[[remedies.Failure], str], *, in_log: bool = False, given: str = ""
) -> _Cause:
    """``in_log``: the container's own log is searched too. A log may hold anything, so only for unmistakable texts.

    ``given``: what AWS must say besides.
    """
    return _Cause(re.compile(pattern, re.I), cause, remedy, in_log, re.compile(given, re.I) if given else None)


# MLflow's words (mlflow/server/fastapi_security.py). Anybody on the internet can cause such lines by calling the load
# balancer by its address, so they are to blame only where requests are refused, or where nothing else is.
_HOST = r"Invalid Host header|host not allowed|DNS rebinding"
_HOST_CAUSE = "the server refuses the host name it is called by"


# The first that matches wins: from the most specific to the most general. The texts matched are those of ECS ("Stopped
# tasks error messages" in its guide), Elastic Load Balancing (target health reasons), PostgreSQL's client and MLflow.
_CAUSES = (
    _cause(
        r"exec format error|descriptor matching platform",
        "the image is built for another processor architecture",
        remedies.other_architecture,
        in_log=True,
    ),
    _cause(
        r"unable to (retrieve|pull) secrets?|secretsmanager:GetSecretValue|ssm:GetParameters|"
        r"invalid ssm parameters|secrets manager can't find|retrieve secret from",
        "the execution role cannot read one of the secrets, or the secret or its JSON key does not exist",
        remedies.readable_secrets,
    ),
    _cause(
        r"CannotPull\w*|pull access denied|manifest (unknown|for .* not found)|pull image manifest",
        "the image cannot be pulled",
        remedies.pullable_image,
    ),
    _cause(
        r"log group .*(does not exist|not found)|specified log group|failed to (validate logger|initialize logging)|"
        r"logs:Create",
        "the container's log group is missing or the execution role may not write to it",
        remedies.log_group,
    ),
    _cause(
        r"OutOfMemory|out of memory|memory usage",
        "the container needs more memory than the task has",
        remedies.more_memory,
    ),
    _cause(
        r"certificate verify failed|server certificate for .* does not match host name|"
        r"root certificate file .* does not exist",
        "the container does not trust its database's certificate",
        "give it the certificate of the authority that signed the database's (PGSSLROOTCERT; mlflow_db_ca_path of the "
        "role mlflow), and the host name that the certificate is for",
        in_log=True,
    ),
    _cause(
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "the package index gave the task another file than the one whose hash is pinned, and pip refused it",
        "let the index serve PyPI's own wheels unchanged (mlflow_pip_index_url of the role mlflow), or install them"
        " into an image of your own (mlflow_image); the log names the package and both hashes",
        in_log=True,
    ),
    _cause(
        r"No matching distribution found for",
        "the package index does not have a package that the task installs when it starts, or cannot be reached",
        "check the way to the index (mlflow_pip_index_url of the role mlflow), or install the packages into an image of"
        " your own (mlflow_image)",
        in_log=True,
    ),
    _cause(
        r"remaining connection slots are reserved|too many clients already|too many connections for (role|database)",
        "the database has no connection left: all that max_connections allows are open",
        "let the server open fewer (fewer workers, a smaller connection pool), take a larger instance class for the "
        "database, or see who else is connected (pg_stat_activity)",
        in_log=True,
    ),
    _cause(
        r"password authentication failed|no pg_hba\.conf entry|"
        r"(connection to server|could not connect to server|could not translate host name)|"
        r"psycopg2?\S*OperationalError|OperationalError.*(refused|timed? ?out|timeout)",
        "the container cannot reach or log in to its database",
        "check that the database is available, that its security group allows the service's, and the credentials",
        in_log=True,
    ),
    _cause(
        _HOST,
        _HOST_CAUSE,
        remedies.allowed_host,
        in_log=True,
        given=r"codes: \[403|RollbackAlarm|in ALARM|alarm triggered",
    ),
    _cause(
        r"Permission denied.*(bind|port)|bind.*permission denied",
        "the container's user may not bind the port",
        remedies.high_port,
        in_log=True,
    ),
    _cause(
        r"codes: \[401",
        "the health check is answered with 401: the path needs a login",
        remedies.open_path,
    ),
    _cause(
        r"codes: \[403",
        "the health check is answered with 403: the path needs a login, or the server refuses to be called by address",
        remedies.unconditional_path,
    ),
    _cause(
        r"codes: \[404",
        "the health check path does not exist in the container",
        remedies.existing_path,
    ),
    _cause(
        r"codes: \[5\d\d",
        "the container answers the health check with a server error",
        remedies.see_log,
    ),
    _cause(
        r"Capacity is unavailable|RESOURCE:|insufficient capacity",
        "AWS has no Fargate capacity for the task now",
        remedies.other_capacity,
    ),
    _cause(
        r"availability zones?.*(load balancer|subnet)|(load balancer|subnet).*availability zones?",
        "the subnets are in other Availability Zones than the load balancer that the VPC's Express services share",
        remedies.other_zones,
    ),
    _cause(
        r"service.linked role",
        "a service-linked role is missing",
        "create it: aws iam create-service-linked-role --aws-service-name elasticloadbalancing.amazonaws.com "
        "(and ecs.amazonaws.com), then delete the service and create it again",
    ),
    _cause(
        r"(LoadBalancer|DescribeAccountAttributes|SecurityGroup|elasticloadbalancing|infrastructure).{0,200}"
        r"(AccessDenied|not authorized|cannot assume|unable to assume)|"
        r"(AccessDenied|not authorized|cannot assume|unable to assume).{0,200}"
        r"(LoadBalancer|DescribeAccountAttributes|SecurityGroup|elasticloadbalancing|infrastructure)",
        "the infrastructure role was not allowed to make the service's resources, mostly because it was just created; "
        "ECS does not try again",
        remedies.allowed_infrastructure_role,
    ),
    _cause(
        r"RollbackAlarm|alarm(s)? (detected|triggered)|alarm triggered|in ALARM",
        "more than 1 % of the requests during the deployment were answered with 4xx or 5xx",
        "look for clients that call without login or for things that do not exist (401, 404), then deploy again; with "
        "deployment_configuration.rollback_on_alarm=false they roll nothing back",
    ),
    _cause(
        r"Target\.Timeout|Request timed out",
        "the container does not answer the load balancer in time on the container port",
        remedies.reachable_port,
    ),
    _cause(
        r"exit code (?!0\b|143\b)-?\d+|Essential container in task exited",
        "the container ends by itself",
        remedies.see_log_and_command,
    ),
    _cause(
        r"is unhealthy|failed (ELB|container|load balancer)? ?health checks?|Target\.FailedHealthChecks",
        "the container does not pass the load balancer's health check",
        remedies.healthy_path,
    ),
    _cause(
        r"ResourceInitializationError",
        "the task's resources could not be prepared",
        remedies.task_resources,
    ),
    _cause(
        r"is FAILED|still FAILED",
        "a resource that ECS manages could not be made",
        "see its reason above; delete the service and create it again once that is put right",
    ),
    _cause(_HOST, _HOST_CAUSE, remedies.allowed_host, in_log=True),
    _cause(
        r"is PROVISIONING|still PROVISIONING",
        "ECS has not finished making the service's resources; the first service of a VPC takes 10 to 25 minutes",
        "wait longer (run again). If nothing moves for half an hour, the infrastructure role was not effective in time "
        "or Elastic Load Balancing's service-linked role is missing: delete the service and create it again",
    ),
)


_PROVISIONING = _CAUSES[-1]
_STUCK = (
    "ECS has given the service up: the infrastructure role was not effective in time, or Elastic Load Balancing's "
    "service-linked role is missing",
    "see that both roles are there, then delete the service and create it again (recreate_stuck does so by itself)",
)


def likely_cause(evidence: Evidence) -> tuple[str, str]:
    """(cause, remedy), each a clause without full stop; two empty strings if nothing known matches."""
    said, written = evidence.of_aws(), evidence.of_container()
    for entry in _CAUSES:
        if entry.matches(said, written):
            if evidence.stuck and entry is _PROVISIONING:
                return _STUCK
            failure = remedies.Failure(evidence.settings, said, written)
            return entry.cause, remedies.remedy_for(entry.remedy, failure)
    return _STUCK if evidence.stuck else ("", "")


def render(evidence: Evidence) -> str:
    """The explanation as lines: what ECS says, what failed, the log's end, the likely cause and remedy."""
    lines = [f"ECS says: {line}" for line in evidence.says]
    lines += [f"Event: {line}" for line in evidence.events]
    lines += [f"Resource: {line}" for line in evidence.resources]
    lines += [f"Task: {line}" for line in evidence.tasks]
    lines += [f"Health: {line}" for line in evidence.targets]
    if evidence.log:
        lines.append(f"Last lines of the log ({evidence.log_source}):")
        lines += [f"  {line}" for line in evidence.log]
    lines += [f"Note: {line}" for line in evidence.notes]
    cause, remedy = likely_cause(evidence)
    if cause:
        lines.append(f"Likely cause: {cause}.")
        lines.append(f"Remedy: {remedy}.")
    return "\n".join(lines)
