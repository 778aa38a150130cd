# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The task definition of what is done to a deployment on a schedule.

Unlike that of a verb's task it stays, as a schedule refers to it. It has the server's image, network and password, and
a role of its own.
"""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import timedelta

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import database_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.database_task import Database
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc import collection
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._gc import gc_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._maintenance import archive_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._maintenance import scheduled_program
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import one_off_task
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import target

Document = dict[str, typing.Any]

JOBS = {"gc": gc_program, "archive": archive_program}
#: Where the tasks leave what they have found; of the bucket's prefixes, the server may not read it (role iam).
PREFIX = "_verbs"
_CPU, _MEMORY = "1024", "2048"
# A run that takes longer hangs.
_TIME_LIMIT_SECONDS = 6 * 3600
_NOT_THERE = ("ClientException",)


@dataclass(frozen=True)
class Job:
    """What is done.

    Attributes:
        name: one of JOBS.
        age: how old something must be.
        deployment: whose.
        bucket: of the deployment.
        database: where it is, but for the address of an RDS instance.
        task_role: ARN of the task's role.
        queue_url: of the queue that is told what fails.
        region: AWS region.
        tags: of the definition; None leaves them as they are.
        purge_tags: whether others are left out.
    """

    name: str
    age: timedelta
    deployment: target.Target
    bucket: str
    database: Database
    task_role: str
    queue_url: str
    region: str
    tags: Tags | None
    purge_tags: bool

    @property
    def family(self) -> str:
        """Of the task definition."""
        return family(self.deployment.name, self.name)

    @property
    def report_key(self) -> str:
        """Where the last report is."""
        return f"{PREFIX}/{self.deployment.name}/maintenance/{self.name}.json"


def family(deployment: str, job: str) -> str:
    """Return the family of a job's task definitions."""
    return f"{deployment}-maintenance-{job}"


def build(job: Job, service: target.Resource, database: Database, found: Document) -> Document:
    """Return the task definition, as RegisterTaskDefinition takes it.

    Args:
        job: what is done.
        service: of the deployment.
        database: where it is.
        found: the newest definition, whose tags may stay.
    """
    task = database_task.build(service, database, family=job.family, bucket=job.bucket, report_key=job.report_key)
    configuration = target.configuration(service)
    container = dict(configuration.get("primary_container") or {})
    settings: Document = {
        "ARTIFACTS_DESTINATION": collection.destination(container, job.deployment.name),
        "OLDER_THAN_SECONDS": f"{job.age.total_seconds():.0f}",
    }
    environment = {
        **task.environment,
        **settings,
        "JOB": job.name,
        "LOCK_PREFIX": markers.LOCK_PREFIX,
        "PROGRAM": database_task.source(JOBS[job.name]),
        "QUEUE_URL": job.queue_url,
        "SERVICE_ARN": job.deployment.arn,
        "SETTINGS": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        "STOPPED_KEY": markers.STOPPED_KEY,
        "TIME_LIMIT_SECONDS": str(_TIME_LIMIT_SECONDS),
    }
    built = replace(
        task,
        command=("python", "-c", database_task.source(scheduled_program)),
        environment=environment,
        tags=predict_tags({one["key"]: one["value"] for one in found.get("tags", [])}, job.tags, job.purge_tags),
        region=job.region,
        cpu=_CPU,
        memory=_MEMORY,
        task_role=job.task_role,
    )
    return one_off_task.definition(built, configuration)


def newest(ecs: Client, family: str) -> Document:
    """Return the newest active task definition of a family with its tags, empty if there is none."""
    try:
        found = ecs.describe_task_definition(taskDefinition=family, include=["TAGS"])
    except ClientError as e:
        # "Unable to describe task definition."
        if error_code(e) in _NOT_THERE:
            return {}
        raise
    return {**found["taskDefinition"], "tags": found.get("tags") or []}


def same(wanted: Mapping[str, typing.Any], found: Mapping[str, typing.Any]) -> Document:
    """Return of a definition that was found what the wanted one says, in its form."""
    if not found:
        return {}
    shown = {name: found.get(name) for name in wanted}
    [container], [given] = found["containerDefinitions"], wanted["containerDefinitions"]
    shown["containerDefinitions"] = [{name: _ordered(container.get(name)) for name in given}]
    shown["tags"] = sorted(found["tags"], key=lambda one: str(one["key"]))
    return shown


def _ordered(value: typing.Any) -> typing.Any:
    is_named = isinstance(value, list) and all(isinstance(one, dict) and "name" in one for one in value)
    return sorted(value, key=lambda one: str(one["name"])) if is_named else value


def summary(definition: Mapping[str, typing.Any]) -> Document:
    """Return what people see of a definition: programs by their digests."""
    if not definition:
        return {}
    [container] = definition["containerDefinitions"]
    environment = {one["name"]: one["value"] for one in container["environment"]}
    programs = "".join([*container["command"], environment.pop("PROGRAM", "")])
    return {
        "family": definition["family"],
        "image": container["image"],
        "task_role_arn": definition["taskRoleArn"],
        "execution_role_arn": definition["executionRoleArn"],
        "environment": environment,
        "program": hashlib.sha256(programs.encode()).hexdigest(),
        "tags": {one["key"]: one["value"] for one in definition["tags"]},
    }


def active(ecs: Client, family: str) -> list[str]:
    """Return the ARNs of all active definitions of a family."""
    return [str(one) for one in ecs.pages("list_task_definitions", "taskDefinitionArns", familyPrefix=family)]
