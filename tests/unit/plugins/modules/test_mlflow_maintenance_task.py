# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_maintenance_task: the task definition follows the server, and is registered anew for nothing else."""

from __future__ import annotations

import json
import typing

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tracking/database-AbCdEf:password::"
QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/mlflow-tracking-maintenance"
ROLE = "arn:aws:iam::123456789012:role/tracking-maintenance-gc-role"
FAMILY = "tracking-maintenance-gc"
GIVEN = {
    "name": "tracking",
    "job": "gc",
    "older_than": "30d",
    "bucket": "artifacts",
    "database_host": "db.example.com",
    "task_role_arn": ROLE,
    "queue_url": QUEUE,
    "tags": {"MlflowName": "tracking"},
}


class Ecs(Fake):
    """One Express service, and task definitions."""

    def __init__(self) -> None:
        super().__init__()
        self.definitions: dict[str, dict] = {}
        self.registered = 0
        self.is_there = True
        self.container: dict[str, typing.Any] = {
            "image": "ghcr.io/mlflow/mlflow:v3.17.2-full",
            "containerPort": 5000,
            "command": ["bash", "-c", "mlflow server --artifacts-destination s3://artifacts"],
            "environment": [{"name": "PGSSLMODE", "value": "verify-full"}],
            "secrets": [{"name": "PGPASSWORD", "valueFrom": SECRET}],
        }

    def call_describe_express_gateway_service(self, serviceArn: str, include: list[str]) -> dict:
        configuration = {
            "primaryContainer": self.container,
            "executionRoleArn": "arn:aws:iam::123456789012:role/tracking-execution-role",
            "taskRoleArn": "arn:aws:iam::123456789012:role/tracking-task-role",
            "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]},
            "ingressPaths": [{"accessType": "PUBLIC", "endpoint": "x"}],
        }
        status = {"statusCode": "ACTIVE" if self.is_there else "INACTIVE"}
        return {"service": {"serviceArn": serviceArn, "status": status, "activeConfigurations": [configuration]}}

    def call_describe_task_definition(self, taskDefinition: str, include: list[str]) -> dict:
        newest = next(reversed(self.definitions.values()), None)
        if newest is None:
            raise error("ClientException")
        assert newest["family"] == taskDefinition
        # ECS fills in what was not given, and returns lists in an order of its own.
        [container] = newest["containerDefinitions"]
        shown = {**container, "environment": container["environment"][::-1], "cpu": 0, "mountPoints": []}
        definition = {name: value for name, value in newest.items() if name != "tags"}
        return {"taskDefinition": {**definition, "containerDefinitions": [shown]}, "tags": newest["tags"][::-1]}

    def call_register_task_definition(self, **given: typing.Any) -> dict:
        self.registered += 1
        arn = f"arn:aws:ecs:eu-central-1:123456789012:task-definition/{given['family']}:{self.registered}"
        self.definitions[arn] = {**given, "taskDefinitionArn": arn, "revision": self.registered}
        return {"taskDefinition": self.definitions[arn]}

    def call_deregister_task_definition(self, taskDefinition: str) -> dict:
        del self.definitions[taskDefinition]
        return {}

    def call_list_task_definitions(self, familyPrefix: str) -> dict:
        return {"taskDefinitionArns": [arn for arn in self.definitions if f"/{familyPrefix}:" in arn]}


@pytest.fixture(name="cloud")
def _cloud(monkeypatch: pytest.MonkeyPatch) -> typing.Any:
    made: typing.Any = Cloud(monkeypatch)
    made.ecs = Ecs()
    return made


def cycle(cloud: typing.Any, **params: typing.Any) -> list[dict]:
    found: list[dict] = cloud.cycle("mlflow_maintenance_task", cloud.ecs, **{**GIVEN, **params})
    return found


def container_of(cloud: typing.Any) -> dict:
    [definition] = cloud.ecs.definitions.values()
    [container] = definition["containerDefinitions"]
    return dict(container)


def test_four_steps(cloud: typing.Any) -> None:
    last = cycle(cloud)[-1]
    assert last["task_definition_arn"].endswith(f":task-definition/{FAMILY}:1")
    assert last["cluster_arn"] == "arn:aws:ecs:eu-central-1:123456789012:cluster/default"
    assert (last["subnets"], last["security_groups"], last["assign_public_ip"]) == (["subnet-1"], ["sg-1"], True)
    [definition] = cloud.ecs.definitions.values()
    assert (definition["family"], definition["taskRoleArn"]) == (FAMILY, ROLE)


def test_what_the_task_is_told(cloud: typing.Any) -> None:
    cycle(cloud, older_than="1d12h")
    container = container_of(cloud)
    environment = {one["name"]: one["value"] for one in container["environment"]}
    assert container["secrets"] == [{"name": "PGPASSWORD", "valueFrom": SECRET}]
    assert {
        name: environment[name] for name in ("PGHOST", "PGSSLMODE", "JOB", "QUEUE_URL", "ARTIFACTS_DESTINATION")
    } == {
        "PGHOST": "db.example.com",
        "PGSSLMODE": "verify-full",
        "JOB": "gc",
        "QUEUE_URL": QUEUE,
        "ARTIFACTS_DESTINATION": "s3://artifacts",
    }
    assert environment["OLDER_THAN_SECONDS"] == "129600"
    assert environment["REPORT_KEY"] == "_verbs/tracking/maintenance/gc.json"
    assert (environment["LOCK_PREFIX"], environment["STOPPED_KEY"]) == (markers.LOCK_PREFIX, markers.STOPPED_KEY)
    compile(container["command"][-1], "scheduled", "exec")
    compile(environment["PROGRAM"], "job", "exec")
    # Amazon ECS developer guide, "Amazon ECS service quotas": a task definition has up to 64 KiB.
    assert len(json.dumps(next(iter(cloud.ecs.definitions.values())))) < 64 * 1024


def test_other_settings_only_list_at_first(cloud: typing.Any) -> None:
    """The program compares what it finds in the bucket with this value."""

    def settings() -> str:
        return next(one["value"] for one in container_of(cloud)["environment"] if one["name"] == "SETTINGS")

    cycle(cloud)
    before = settings()
    cycle(cloud, older_than="40d")
    assert settings() != before
    cycle(cloud)
    assert settings() == before


def test_a_new_image_is_followed_and_the_old_definition_goes(cloud: typing.Any) -> None:
    cycle(cloud)
    cloud.ecs.container["image"] = "ghcr.io/mlflow/mlflow:v3.18.0-full"
    cycle(cloud)
    assert [one["revision"] for one in cloud.ecs.definitions.values()] == [2]
    assert container_of(cloud)["image"].endswith("v3.18.0-full")


def test_nothing_younger_than_the_backups_is_deleted(cloud: typing.Any) -> None:
    hint = "-e mlflow_maintenance_gc_{name}={value}"
    result = cloud.run("mlflow_maintenance_task", **GIVEN, backup_retention_days=35, option_hint=hint)
    assert "less than the 35 days" in result["msg"] and "mlflow_maintenance_gc_older_than=35d" in result["msg"]
    assert cloud.ecs.writes() == []
    # What is archived is still there.
    assert cloud.run("mlflow_maintenance_task", **{**GIVEN, "job": "archive"}, backup_retention_days=35)["changed"]


def test_without_a_service(cloud: typing.Any) -> None:
    cloud.ecs.is_there = False
    assert cloud.run("mlflow_maintenance_task", check=True, **GIVEN)["changed"]
    assert "There is no service 'tracking'" in cloud.run("mlflow_maintenance_task", **GIVEN)["msg"]


def test_absent(cloud: typing.Any) -> None:
    cycle(cloud)
    cloud.cycle("mlflow_maintenance_task", cloud.ecs, name="tracking", job="gc", state="absent")
    assert cloud.ecs.definitions == {}
