# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""What belongs to a deployment, and what a question about it is."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client

Answer = dict[str, typing.Any]
Resources = dict[str, Answer]
#: Returns the client of a service, in another region than the deployment's if one is given.
Clients = Callable[..., Client]
#: Asks for one or more resources, and returns them by name.
Ask = Callable[..., Resources]


_MAINTENANCE_ROLES = ("iam_role_gc", "iam_role_archive", "iam_role_scheduler")


@dataclass(frozen=True)
class Scope:
    """What belongs to a deployment, and what its settings refer to.

    Attributes:
        name: of the deployment, of which most names derive.
        cluster: name of the ECS cluster.
        account_id: of the AWS account.
        region: AWS region.
        partition: AWS partition.
        bucket: name of the bucket.
        bucket_adopted: whether it is used as it is, so that its settings do not matter.
        access_log_bucket: name of the bucket that takes its access logs; empty if there are none.
        database: identifier of the RDS instance; empty if there is none.
        parameter_group: of the RDS instance.
        login: whether there is a secret with the administrator's login.
        subnet_ids: of the service; empty for the default subnets.
        database_subnet_ids: of the database; empty for the service's.
        alarm_prefix: with which the names of its alarms begin; empty if it has none.
        dashboard, topic: names of its dashboard and of the topic that its alarms are sent to; likewise.
        schedule_group: name of the group of its schedules; empty if it has none.
        kms_keys, secrets, policies: ARNs that settings refer to.
    """

    name: str
    cluster: str
    account_id: str
    region: str
    partition: str
    bucket: str
    bucket_adopted: bool = False
    access_log_bucket: str = ""
    database: str = ""
    parameter_group: str = ""
    login: bool = True
    subnet_ids: list[str] = field(default_factory=list)
    database_subnet_ids: list[str] = field(default_factory=list)
    alarm_prefix: str = ""
    dashboard: str = ""
    topic: str = ""
    schedule_group: str = ""
    kms_keys: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)

    def arn(self, service: str, rest: str) -> str:
        """Return the ARN of a resource of the deployment."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{rest}"

    @property
    def unwatched(self) -> frozenset[str]:
        """What is not asked for, as it is not known whether the deployment has it."""
        alarms = () if self.alarm_prefix else ("alarms", "dashboard", "topic")
        schedules = () if self.schedule_group else ("schedules", "maintenance_queue", *_MAINTENANCE_ROLES)
        return frozenset((*alarms, *schedules))

    @property
    def iam_roles(self) -> dict[str, str]:
        """The roles that the deployment has, by what they are for."""
        own = {one: f"{self.name}-{one}-role" for one in ("task", "execution", "infrastructure")}
        jobs = {one: f"{self.name}-maintenance-{one}-role" for one in ("gc", "archive")}
        return {**own, **jobs, "scheduler": f"{self.name}-scheduler-role"} if self.schedule_group else own

    @property
    def service_arn(self) -> str:
        """The ARN of the service, in ECS's long format, which Express Mode requires."""
        return self.arn("ecs", f"service/{self.cluster}/{self.name}")

    @property
    def log_group(self) -> str:
        """The log group of the tasks."""
        return f"/ecs/{self.cluster}/{self.name}"

    @property
    def own_secrets(self) -> dict[str, str]:
        """The secrets that the deployment has, by the last part of their names."""
        which = ["server", *(["login"] if self.login else []), *(["database"] if self.database else [])]
        return {one: f"{self.name}/{one}" for one in which}


@dataclass
class Answers:
    """What AWS answered.

    Attributes:
        resources: by name, as AWS describes them; one that does not exist is not there.
        unknown: questions that were not answered, with the reason.
    """

    resources: Resources = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A request, or several that depend on each other.

    Attributes:
        name: of the question.
        services: those whose clients *ask* takes.
        ask: asks them.
        region: another one than the deployment's.
    """

    name: str
    services: tuple[str, ...]
    ask: Ask
    region: str = ""
