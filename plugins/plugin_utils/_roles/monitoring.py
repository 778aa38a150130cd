# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The alarms of a deployment, as the module cloudwatch_alarms takes them. Pure Python.

Each is on resources that exist, also after the next deployment: Express Mode has two target groups for as long as a
service lives, and sends traffic to the one or the other, so what concerns the tasks is the sum over both. A target
group without targets has no HealthyHostCount, one without requests no count of errors ("Reported if there are
registered targets", "Reported if there is a nonzero value"; Elastic Load Balancing, "CloudWatch metrics for your
Application Load Balancer"), and SUM over a list leaves out what is missing.

ECS tells restarts and the number of running tasks with Container Insights alone, so a task that ended shows as a server
without a healthy task, for as long as the next one takes to get healthy.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.connections import RESERVED
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.connections import class_memory
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.connections import max_connections
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs.monitoring import effective

Alarm = dict[str, typing.Any]

RDS, ELB, ECS, ACM = "AWS/RDS", "AWS/ApplicationELB", "AWS/ECS", "AWS/CertificateManager"
SQS, SCHEDULER = "AWS/SQS", "AWS/Scheduler"
#: What stands for what does not exist yet.
UNKNOWN = "to-be-created"
ABOVE, BELOW = "GreaterThanThreshold", "LessThanThreshold"
_GIB = 1024**3
_DAY = 86400
# Below this an instance may run full before anybody reads a message, however small it is.
_LEAST_STORAGE_GIB = 2
# CPU in percent that a burstable instance may use for ever (Amazon EC2 User Guide, "Key concepts for burstable
# performance instances", baseline utilization of T3 and T4g).
_BASELINES = {"micro": 10, "small": 20, "medium": 20, "large": 30, "xlarge": 40, "2xlarge": 40}


@dataclass(frozen=True)
class Subject:
    """What is watched.

    Attributes:
        cluster, service: names.
        context: account, partition and region.
        alarm_prefix: with which the names of the alarms begin.
        wanted_tasks: how many tasks there are to be.
        load_balancer: the last part of its ARN, as CloudWatch's dimensions have it.
        target_groups: likewise.
        certificate: ARN; empty if there is none.
        bucket: name; empty if there is none.
        database: identifier of the RDS instance; empty for a database that is looked after elsewhere.
        instance_class, storage_gib: of it.
        thresholds: at which values alarms fire.
        dead_letter_queue: name of the queue that is told what failed; empty if there is none.
        schedule_group: name of a group of schedules; empty if there is none.
    """

    cluster: str
    service: str
    context: Mapping[str, str] = field(default_factory=dict)
    alarm_prefix: str = ""
    wanted_tasks: int = 1
    load_balancer: str = UNKNOWN
    target_groups: tuple[str, ...] = (f"{UNKNOWN}-1", f"{UNKNOWN}-2")
    certificate: str = ""
    bucket: str = ""
    database: str = ""
    instance_class: str = ""
    storage_gib: int = 0
    thresholds: Mapping[str, float] = field(default_factory=lambda: effective({}))
    dead_letter_queue: str = ""
    schedule_group: str = ""

    @property
    def region(self) -> str:
        return str(self.context.get("region") or "")

    @property
    def of_database(self) -> dict[str, str]:
        return {"DBInstanceIdentifier": self.database}

    @property
    def of_service(self) -> dict[str, str]:
        return {"ClusterName": self.cluster, "ServiceName": self.service}

    @property
    def of_groups(self) -> list[dict[str, str]]:
        return [{"LoadBalancer": self.load_balancer, "TargetGroup": group} for group in self.target_groups]

    @property
    def is_burstable(self) -> bool:
        return self.instance_class.startswith("db.t")


def subject(answers: Mapping[str, typing.Any]) -> Subject:
    """Return what is watched.

    Args:
        answers: the role's variables, and AWS's answers as C(vars/main.yml) of the role monitoring lists them.
    """
    services = answers.get("services") or []
    instances = answers.get("instances") or []
    made: list[Mapping[str, typing.Any]] = [
        one for service in services[:1] for one in service.get("managed_resources") or [] if one.get("arn")
    ]
    by_kind: dict[str, list[str]] = {}
    for one in made:
        by_kind.setdefault(str(one["kind"]), []).append(str(one["arn"]))
    balancers = [arn.rpartition("loadbalancer/")[2] for arn in by_kind.get("loadBalancer", [])]
    groups = sorted(arn.rpartition(":")[2] for kind in ("targetGroup", "targetGroups") for arn in by_kind.get(kind, []))
    instance = instances[0] if instances else {}
    known: dict[str, typing.Any] = {"load_balancer": balancers[0]} if balancers else {}
    known |= {"target_groups": tuple(groups)} if groups else {}
    return Subject(
        cluster=str(answers["cluster"]),
        service=str(answers["service_name"]),
        context=dict(answers.get("context") or {}),
        alarm_prefix=str(answers.get("alarm_prefix") or ""),
        wanted_tasks=int(answers.get("wanted_tasks") or 1),
        certificate=next(iter(by_kind.get("certificate", [])), "") if services else UNKNOWN,
        bucket=str(answers.get("bucket") or ""),
        database=str(answers.get("database") or ""),
        instance_class=str(instance.get("db_instance_class") or answers.get("instance_class") or ""),
        storage_gib=int(instance.get("allocated_storage") or answers.get("allocated_storage") or 0),
        thresholds=effective(answers.get("thresholds")),
        dead_letter_queue=str(answers.get("dead_letter_queue") or ""),
        schedule_group=str(answers.get("schedule_group") or ""),
        **known,
    )


def alarms(watched: Subject) -> list[Alarm]:
    """Return the alarms, by name."""
    found = [*_service_alarms(watched), *_certificate_alarms(watched), *_maintenance_alarms(watched)]
    if watched.database:
        found += _database_alarms(watched)
    return sorted(found, key=lambda one: str(one["name"]))


def alarm_arns(watched: Subject) -> list[str]:
    """Return the ARNs of the alarms, by name."""
    where = {name: watched.context.get(name, "") for name in ("partition", "region", "account_id")}
    begin = f"arn:{where['partition']}:cloudwatch:{where['region']}:{where['account_id']}:alarm:{watched.alarm_prefix}"
    return [f"{begin}{one['name']}" for one in alarms(watched)]


def topic_policy(answers: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the policy of the topic: CloudWatch publishes to it, for the alarms of the deployment and for no other.

    Amazon CloudWatch User Guide, "Notifying users on alarm changes". Principals of the account need no statement: what
    their own policies allow is enough.
    """
    context = answers["context"]
    partition, where = context["partition"], f"{context['region']}:{context['account_id']}"
    own = f"arn:{partition}:cloudwatch:{where}:alarm:{answers['alarm_prefix']}*"
    statement = {
        "Sid": "Alarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": f"arn:{partition}:sns:{where}:{answers['topic_name']}",
        "Condition": {"StringEquals": {"aws:SourceAccount": context["account_id"]}, "ArnLike": {"aws:SourceArn": own}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


# ---- database


def _database_alarms(watched: Subject) -> Iterator[Alarm]:
    limits = watched.thresholds
    storage = max(limits["database_free_storage_percent"] / 100 * watched.storage_gib, _LEAST_STORAGE_GIB)
    yield _alarm(
        "database-storage",
        f"The database {watched.database} has little storage left. Give it more, or a maximum"
        " up to which RDS enlarges it by itself.",
        _metric(RDS, "FreeStorageSpace", watched.of_database, "Average", 300),
        (BELOW, round(storage * _GIB)),
        3,
    )
    yield _alarm(
        "database-cpu",
        f"The database {watched.database} has been busy for a quarter of an hour. Look at slow queries and at the"
        " number of requests, or take a larger instance class.",
        _metric(RDS, "CPUUtilization", watched.of_database, "Average", 300),
        (ABOVE, limits["database_cpu_percent"]),
        3,
    )
    yield _alarm(
        "database-transaction-ids",
        f"The database {watched.database} uses up its transaction ids: autovacuum does not keep up. PostgreSQL stops"
        " writing at 2 billion. Look for transactions that stay open, and vacuum.",
        _metric(RDS, "MaximumUsedTransactionIDs", watched.of_database, "Maximum", 300),
        (ABOVE, limits["database_transaction_ids"]),
        1,
    )
    yield from _class_alarms(watched)


def _class_alarms(watched: Subject) -> Iterator[Alarm]:
    """Yield what depends on the class of the instance, if it is known."""
    limits = watched.thresholds
    memory, connections = class_memory(watched.instance_class), max_connections(watched.instance_class)
    if memory is not None:
        yield _alarm(
            "database-memory",
            f"The database {watched.database} has hardly any memory left. Open fewer"
            " connections, or take a larger instance class.",
            _metric(RDS, "FreeableMemory", watched.of_database, "Average", 300),
            (BELOW, round(limits["database_free_memory_percent"] / 100 * memory * _GIB)),
            3,
        )
    if connections is not None:
        usable = connections - RESERVED
        yield _alarm(
            "database-connections",
            f"The database {watched.database} accepts about {usable} connections, and most of them are open. At the"
            " limit requests fail: take smaller pools, fewer workers, or a larger instance class.",
            _metric(RDS, "DatabaseConnections", watched.of_database, "Maximum", 300),
            (ABOVE, int(limits["database_connections_percent"] / 100 * usable)),
            2,
        )
    baseline = _BASELINES.get(watched.instance_class.rpartition(".")[2])
    if watched.is_burstable and baseline is not None:
        # A new instance has no credits yet and needs none, so few credits alone are no reason.
        credits = limits["database_credits"]
        queries = [
            {"id": "credits", **_metric(RDS, "CPUCreditBalance", watched.of_database, "Average", 300)},
            {"id": "cpu", **_metric(RDS, "CPUUtilization", watched.of_database, "Average", 300)},
            _expression("busy", f"IF(credits < {credits:g}, cpu, 0)", "CPU without credits (%)"),
        ]
        yield _alarm(
            "database-credits",
            f"The database {watched.database} has used up its CPU credits and works above what its class gives for"
            " ever, which is slow or costs extra. Take a larger instance class.",
            {"metrics": queries},
            (ABOVE, baseline),
            6,
        )


# ---- service


def _service_alarms(watched: Subject) -> Iterator[Alarm]:
    limits = watched.thresholds
    yield _alarm(
        "service-tasks",
        f"The server {watched.service} has fewer healthy tasks than the {watched.wanted_tasks} that it is to have. A"
        " task has ended, or does not start: run the playbook status.",
        _sum(watched, "HealthyHostCount", "Minimum", 60, "Healthy tasks"),
        (BELOW, watched.wanted_tasks),
        3,
        # Without any target there is no metric.
        missing="breaching",
    )
    yield _alarm(
        "service-unhealthy",
        f"A task of the server {watched.service} does not answer the load balancer's health checks: run the playbook"
        " status, and look at the log.",
        _sum(watched, "UnHealthyHostCount", "Maximum", 60, "Unhealthy tasks"),
        (ABOVE, 0),
        5,
    )
    yield _alarm(
        "service-errors",
        f"The server {watched.service} answers with errors (5xx): look at its log.",
        _sum(watched, "HTTPCode_Target_5XX_Count", "Sum", 300, "Errors of the server (5xx)"),
        (ABOVE, limits["service_errors"]),
        1,
    )
    yield _alarm(
        "service-memory",
        f"The tasks of the server {watched.service} have hardly any memory left, and are killed at the limit. Give"
        " them more, or take fewer workers.",
        _metric(ECS, "MemoryUtilization", watched.of_service, "Average", 300),
        (ABOVE, limits["service_memory_percent"]),
        3,
    )


def _certificate_alarms(watched: Subject) -> Iterator[Alarm]:
    if watched.certificate:
        # ACM renews 60 days before the end, and tells the metric twice a day (ACM user guide).
        yield _alarm(
            "certificate",
            f"The certificate of the server {watched.service} was not renewed. ACM's page on it says why.",
            _metric(ACM, "DaysToExpiry", {"CertificateArn": watched.certificate}, "Minimum", _DAY),
            (BELOW, watched.thresholds["certificate_days"]),
            1,
            missing="ignore",
        )


def _maintenance_alarms(watched: Subject) -> Iterator[Alarm]:
    if watched.dead_letter_queue:
        yield _alarm(
            "maintenance-failed",
            f"What is done to {watched.service} on a schedule has failed: the messages in the queue"
            f" {watched.dead_letter_queue} say why. Fires until the queue is empty.",
            _metric(
                SQS, "ApproximateNumberOfMessagesVisible", {"QueueName": watched.dead_letter_queue}, "Maximum", 300
            ),
            (ABOVE, 0),
            1,
        )
    if watched.schedule_group:
        # Also where the queue could not be told, as the schedules' role is gone.
        yield _alarm(
            "maintenance-not-started",
            f"A schedule of the group {watched.schedule_group} could not start its task: look at its role, its task"
            " definition and the queue of what failed.",
            _metric(SCHEDULER, "InvocationDroppedCount", {"ScheduleGroup": watched.schedule_group}, "Sum", 300),
            (ABOVE, 0),
            1,
        )


# ---- what all consist of


def _alarm(
    name: str,
    description: str,
    what: Alarm,
    limit: tuple[str, float],
    periods: int,
    *,
    missing: str = "notBreaching",
) -> Alarm:
    """Return an alarm; *periods*: for how many the limit must be exceeded."""
    return {
        "name": name,
        "alarm_description": description,
        **what,
        "comparison_operator": limit[0],
        "threshold": float(limit[1]),
        "datapoints_to_alarm": periods,
        "evaluation_periods": periods,
        "treat_missing_data": missing,
    }


def _metric(namespace: str, name: str, dimensions: Mapping[str, str], statistic: str, period: int) -> Alarm:
    return {
        "namespace": namespace,
        "metric_name": name,
        "dimensions": dict(dimensions),
        "statistic": statistic,
        "period": period,
    }


def _sum(watched: Subject, metric: str, statistic: str, period: int, label: str) -> Alarm:
    """Return the sum of a metric over all target groups."""
    queries = [
        {"id": f"group{number}", **_metric(ELB, metric, dimensions, statistic, period)}
        for number, dimensions in enumerate(watched.of_groups, 1)
    ]
    names = ", ".join(str(query["id"]) for query in queries)
    return {"metrics": [*queries, _expression("total", f"SUM([{names}])", label)]}


def _expression(name: str, expression: str, label: str) -> Alarm:
    return {"id": name, "expression": expression, "label": label, "return_data": True}
