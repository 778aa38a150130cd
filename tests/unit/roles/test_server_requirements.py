# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles and inputs must see to so that the server which Express Mode runs is a good one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3 import settings
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import deployment

ROLES = Path(__file__).resolve().parents[3] / "roles"


def read(role: str, *parts: str) -> Any:
    return yaml.safe_load((ROLES / role).joinpath(*parts).read_text(encoding="utf-8"))


def included(name: str) -> list[tuple[str, str]]:
    """The roles of a task file of the role mlflow, in their order, each with the file of tasks."""
    key = "ansible.builtin.import_role"
    parts = [task[key] for task in read("mlflow", "tasks", f"{name}.yml") if key in task]
    return [(part["name"].rsplit(".", 1)[-1], part.get("tasks_from", "main.yml")) for part in parts]


def problems(**given: Any) -> list[str]:
    found = deployment.input_violations(given, account_id="123456789012", region="eu-central-1")
    return [str(one) for one in found]


@pytest.mark.known_issue(13)
def test_server_may_delete_artifacts_and_abort_multipart_uploads() -> None:
    statement = read("iam", "vars", "main.yml")["__iam_artifacts_policy"]["Statement"][0]
    needed = {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:AbortMultipartUpload"}
    assert set(statement["Action"]) == needed, "less breaks the server, more is not needed"
    # ListBucket is about the bucket, the others are about its objects.
    assert [resource.partition("}}")[2] for resource in statement["Resource"]] == ["", "/*"]


@pytest.mark.known_issue(14)
def test_no_artifact_is_ever_archived() -> None:
    """Neither by the role nor by the module's own rule: an object in an archive cannot be read for hours."""
    task = next(item for item in read("bucket", "tasks", "create.yml") if "mlops.mlflow_aws.s3_artifact_bucket" in item)
    assert not [name for name in task["mlops.mlflow_aws.s3_artifact_bucket"] if "transition" in name or "tier" in name]
    (rule,) = settings.with_abort_rule([], 7)
    assert set(rule) <= {"ID", "Status", "Filter", "Prefix", "AbortIncompleteMultipartUpload"}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


@pytest.mark.known_issue(15)
@pytest.mark.parametrize("version", ["latest", "", "3.17", "v3.17.2", 3.17, "2.22.0"])
def test_invalid_version_is_refused_before_any_call_to_aws(version: Any) -> None:
    assert problems(mlflow_version=version)


@pytest.mark.known_issue(15)
def test_image_without_drivers_is_refused_before_any_call_to_aws() -> None:
    """The plain image of MLflow holds neither psycopg2 nor boto3. The role's own choice is the other one."""
    for image in ("ghcr.io/mlflow/mlflow:v3.17.2", "docker.io/mlflow/mlflow:v3.17.2@sha256:" + "0" * 64):
        (problem,) = problems(mlflow_image=image)
        assert "-full" in problem
        assert problems(mlflow_image=image.replace("v3.17.2", "v3.17.2-full")) == []
    # A third-party image may contain anything.
    assert problems(mlflow_image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/mlflow:v3.17.2") == []
    own = read("ecs_express", "vars", "main.yml")["__ecs_express_mlflow_image"]
    assert own.endswith("}}-full")


@pytest.mark.known_issue(15)
def test_inputs_are_checked_first() -> None:
    for name in ("inputs", "absent", "validate"):
        assert "mlops.mlflow_aws.role_variables" in read("mlflow", "tasks", f"{name}.yml")[0]
    assert read("mlflow", "tasks", "main.yml")[0]["ansible.builtin.import_tasks"] == "inputs.yml"


@pytest.mark.known_issue(17)
def test_memory_has_a_minimum_and_workers_a_maximum() -> None:
    assert problems(mlflow_cpu=1024, mlflow_memory=2048) == []
    assert problems(mlflow_cpu=256, mlflow_memory=1024)
    assert problems(mlflow_workers=1) == []
    assert problems(mlflow_workers=0)
    assert problems(mlflow_workers=1000)
    given = read("mlflow", "defaults", "main.yml")
    assert int(given["mlflow_memory"]) >= 2048
    assert int(given["mlflow_workers"]) <= 4


@pytest.mark.known_issue(23)
def test_final_snapshot_has_a_name_of_its_own() -> None:
    tasks = read("rds", "tasks", "absent.yml")
    [arguments] = [task[key] for task in tasks if (key := "mlops.mlflow_aws.rds_postgresql_instance") in task]
    assert "rds_final_snapshot" in arguments["final_db_snapshot_identifier"]
    [kept] = [task for task in tasks if "rds_final_snapshot" in task.get("ansible.builtin.set_fact", {})]
    assert "__rds_final_snapshot" in kept["ansible.builtin.set_fact"]["rds_final_snapshot"]
    name = kept["vars"]["__rds_final_snapshot"]
    assert "rds_name" in name
    assert "now(" in name, "the second one of a name would be refused"
    assert arguments["disable_deletion_protection"] is True, "a protected instance would stop the destruction half-way"
    assert read("mlflow", "defaults", "main.yml")["mlflow_skip_final_snapshot"] is False


@pytest.mark.known_issue(25)
def test_database_is_available_before_the_service_and_checked_through_it_after() -> None:
    order = [*included("converge"), *included("server"), *included("main")]
    available, service = order.index(("rds", "available.yml")), order.index(("ecs_express", "create.yml"))
    assert available < service < order.index(("validation", "server.yml"))
    # The server itself answers the health check only once it has spoken with its database.
    waits = next(
        item["mlops.mlflow_aws.ecs_express_service"]
        for item in read("ecs_express", "tasks", "deploy.yml")
        if "mlops.mlflow_aws.ecs_express_service" in item
    )
    assert (waits["health_check_path"], waits["wait"]) == ("/health", True)
