# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of a local AWS, each given what it needs of the others.

Imports ministack: environment.prepare() must have been called before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .context import Context
from .iam import enforcement
from .iam import policies
from .iam import request_context
from .iam import service_linked_roles
from .ministack_adapter.hooks import Hooks
from .ministack_adapter.patches import apply_patches
from .network.firewall import Firewall
from .protocol import rest
from .service import Service
from .services import security_groups
from .services.acm import CertificateManager
from .services.acm import metrics as acm_metrics
from .services.cloudwatch import AlarmController
from .services.cloudwatch import CloudWatch
from .services.cloudwatch import CustomMetrics
from .services.cloudwatch import Source
from .services.cloudwatch import dashboards
from .services.ec2 import AccountAttributes
from .services.ecs_express import Express
from .services.ecs_express import alarm as rollback_alarm
from .services.ecs_tasks import EcsTasks
from .services.ecs_tasks import TaskController
from .services.ecs_tasks import TaskStore
from .services.ecs_tasks import metrics as ecs_metrics
from .services.elbv2 import Balancer
from .services.elbv2 import LoadBalancing
from .services.elbv2 import metrics as elbv2_metrics
from .services.kms import EncryptedValues
from .services.logs import LogGroupKeys
from .services.rds import Databases
from .services.rds import metrics as rds_metrics
from .services.resource_tags import ResourceTags
from .services.scheduler import NAMESPACE as SCHEDULER
from .services.scheduler import ScheduleController
from .services.scheduler import Scheduler
from .services.scheduler import SchedulerMetrics
from .services.scheduler import Schedules
from .services.secretsmanager import SecretsManager
from .services.security_groups import Interface
from .services.security_groups import dependents
from .services.sqs import metrics as sqs_metrics


@dataclass(frozen=True)
class Services:
    """What the daemon and its pages know of the services.

    :arg all: in the order in which they are started, and asked whether they answer a call.
    """

    all: list[Service]
    balancer: Balancer
    tasks: TaskController


def build_services(ctx: Context) -> Services:
    """Makes the services, and patches ministack so that it asks them and IAM."""
    task_store = TaskStore()
    firewall = Firewall(ctx.settings.account_id, task_store)
    tasks = TaskController(ctx, task_store, firewall)
    balancer = Balancer(ctx, tasks)
    express = Express(ctx, firewall, balancer, tasks, task_store)

    def task_interfaces() -> Iterator[Interface]:
        for task in task_store.all():
            if task.last_status != "STOPPED":
                yield task.arn, firewall.groups_of(task), task.subnets

    def cluster_is_used(arn: str) -> bool:
        return any(task.last_status != "STOPPED" for task in task_store.of_cluster(arn))

    apply_patches(
        Hooks(
            enforce=enforcement.enforce,
            resource=enforcement.resource_of,
            context=request_context.context_of,
            readable=request_context.as_json,
            cbor_operation=rest.cbor_operation,
            managed_policies=policies.managed(),
            tagging_operations=request_context.tagging_operations(),
            linked_roles=service_linked_roles.NAMES,
            ec2_operations=security_groups.handlers(task_interfaces),
            merged_permissions=security_groups.merged_permissions,
            subnet_is_used=lambda subnet: bool(dependents.of_subnet(task_interfaces, subnet)),
            cluster_is_used=cluster_is_used,
            certificate_is_used=lambda listener, arn: arn in express.gateways.certificates_of(listener),
            dashboard_problems=dashboards.problems,
            alarm_state=express.alarms.state,
            express_services=express.store.tagged,
            subscribers=lambda: (ctx.endpoint_url, str(ctx.authority.bundle)),
        )
    )
    databases = Databases(ctx, firewall)
    scheduler, invocations = _scheduler(ctx)
    metrics: dict[str, Source] = {
        elbv2_metrics.NAMESPACE: elbv2_metrics.TargetGroupMetrics(balancer),
        rds_metrics.NAMESPACE: databases.metrics,
        SCHEDULER: invocations,
    }
    services: list[Service] = [
        databases,
        EcsTasks(ctx, task_store, tasks),
        LoadBalancing(ctx, balancer),
        AccountAttributes(ctx),
        CertificateManager(ctx),
        express,
        ResourceTags(),
        SecretsManager(ctx),
        EncryptedValues(ctx),
        LogGroupKeys(ctx),
        _cloudwatch(ctx, task_store, metrics),
        scheduler,
    ]
    return Services(services, balancer, tasks)


def _scheduler(ctx: Context) -> tuple[Scheduler, SchedulerMetrics]:
    """EventBridge Scheduler, and what it counts."""
    schedules, invocations = Schedules(), SchedulerMetrics(ctx.clock)
    return Scheduler(ctx, schedules, ScheduleController(ctx, schedules, invocations)), invocations


def _cloudwatch(ctx: Context, tasks: TaskStore, metrics: dict[str, Source]) -> CloudWatch:
    """CloudWatch, with the metrics of these namespaces, and of those that need nothing of another service."""
    sources: dict[str, Source] = {
        acm_metrics.NAMESPACE: acm_metrics.CertificateMetrics(),
        ecs_metrics.NAMESPACE: ecs_metrics.ServiceMetrics(tasks),
        sqs_metrics.NAMESPACE: sqs_metrics.QueueMetrics(ctx),
        **metrics,
    }
    return CloudWatch(AlarmController(ctx, sources, CustomMetrics(ctx.clock), rollback_alarm.is_own))
