# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of a local AWS, each given what it needs of the others.

Imports ministack: environment.prepare() must have been called before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .context import Context
from .ministack_adapter import in_use
from .network.firewall import Firewall
from .service import Service
from .services import security_groups
from .services.acm import CertificateManager
from .services.ec2 import AccountAttributes
from .services.ecs_express import Express
from .services.ecs_tasks import EcsTasks
from .services.ecs_tasks import TaskController
from .services.ecs_tasks import TaskStore
from .services.elbv2 import Balancer
from .services.elbv2 import LoadBalancing
from .services.kms import EncryptedValues
from .services.logs import LogGroupKeys
from .services.rds import Databases
from .services.resource_tags import ResourceTags
from .services.secretsmanager import SecretsManager
from .services.security_groups import Interface


@dataclass(frozen=True)
class Services:
    """What the daemon and its pages know of the services.

    :arg all: in the order in which they are started, and asked whether they answer a call.
    """

    all: list[Service]
    balancer: Balancer
    tasks: TaskController


def build_services(ctx: Context) -> Services:
    """Makes the services and puts those checks before ministack's handlers that need them."""
    task_store = TaskStore()
    firewall = Firewall(ctx.settings.account_id, task_store)
    tasks = TaskController(ctx, task_store, firewall)
    balancer = Balancer(ctx, tasks)
    express = Express(ctx, firewall, balancer, tasks, task_store)

    def task_interfaces() -> Iterator[Interface]:
        for task in task_store.all():
            if task.last_status != "STOPPED":
                yield task.arn, firewall.groups_of(task), task.subnets

    security_groups.install(task_interfaces)
    in_use.install(task_interfaces, task_store.of_cluster, express.gateways.certificates_of)
    services: list[Service] = [
        Databases(ctx, firewall),
        EcsTasks(ctx, task_store, tasks),
        LoadBalancing(ctx, balancer),
        AccountAttributes(ctx),
        CertificateManager(ctx),
        express,
        ResourceTags(express.store.tagged),
        SecretsManager(ctx),
        EncryptedValues(ctx),
        LogGroupKeys(ctx),
    ]
    return Services(services, balancer, tasks)
