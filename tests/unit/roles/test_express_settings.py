# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role ecs_express must say by itself, as Express Mode's own defaults are wrong for MLflow or disputed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import ROLES
from plays import play_of
from plays import run
from plays import shown_in

Render = Callable[..., dict[str, Any]]


def tasks(role: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROLES / role / "tasks" / f"{name}.yml").read_text(encoding="utf-8"))
    return found


def task_of(role: str, name: str, module: str) -> dict[str, Any]:
    """The arguments of the first task with that module."""
    found: dict[str, Any] = next(task[module] for task in tasks(role, name) if module in task)
    return found


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    return task_of("ecs_express", "deploy", "mlops.mlflow_aws.ecs_express_service")


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """The role's command and environment for some variables."""
    given = {
        "ecs_express_context": {"region": "eu-central-1", "partition": "aws", "dns_suffix": "amazonaws.com"},
        "ecs_express_service_name": "mlflow",
        "ecs_express_database_host": "database.example.com",
        "ecs_express_database_secret_arn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mlflow-AbCdEf",
        "ecs_express_bucket": "mlflow-artifacts",
        "role_path": str(ROLES / "ecs_express"),
    }

    def go(**variables: Any) -> dict[str, Any]:
        files = (ROLES / "ecs_express" / part / "main.yml" for part in ("defaults", "vars"))
        shown = "{{ {'command': __ecs_express_command, 'environment': __ecs_express_environment, "
        shown += "'secrets': __ecs_express_secrets} | to_json }}"
        task = shown_in(shown, str(tmp_path / "shown.json"))
        run(tmp_path, play_of([task], *files), extra={**given, **variables})
        result: dict[str, Any] = json.loads((tmp_path / "shown.json").read_text(encoding="utf-8"))
        return result

    return go


@pytest.mark.known_issue(10)
def test_nothing_is_left_to_the_defaults_of_express_mode(service: dict[str, Any]) -> None:
    assert service["health_check_path"] == "/health"
    assert set(service["primary_container"]) >= {"image", "container_port", "command", "environment", "secrets"}
    assert {"cpu", "memory"} <= set(service)
    assert set(service["scaling_target"]) == {
        "min_task_count",
        "max_task_count",
        "auto_scaling_metric",
        "auto_scaling_target_value",
    }


@pytest.mark.known_issue(16)
def test_roles_and_groups_outlive_the_service() -> None:
    order = [
        task[key]["name"].rsplit(".", 1)[-1]
        for task in tasks("mlflow", "absent")
        for key in ("ansible.builtin.include_role", "ansible.builtin.import_role")
        if key in task
    ]
    assert order.index("ecs_express") < order.index("network")
    assert order.index("ecs_express") < order.index("iam")
    gone = task_of("ecs_express", "absent", "mlops.mlflow_aws.ecs_express_service")
    assert (gone["state"], gone["wait"]) == ("absent", True)


@pytest.mark.known_issue(19)
def test_log_group_is_created_before_the_service_and_expires(service: dict[str, Any]) -> None:
    group = task_of("ecs_express", "log_group", "mlops.mlflow_aws.logs_log_group")
    assert "retention_in_days" in group
    assert service["primary_container"]["aws_logs_configuration"]["log_group"] == group["log_group_name"]
    imported = [task.get("ansible.builtin.import_tasks") for task in tasks("ecs_express", "main")]
    assert imported[-2:] == ["log_group.yml", "create.yml"]


@pytest.mark.known_issue(20)
def test_number_of_tasks_is_one(service: dict[str, Any]) -> None:
    assert service["scaling_target"]["min_task_count"] == service["scaling_target"]["max_task_count"] == 1


@pytest.mark.known_issue(24)
def test_password_is_not_in_the_plain_task_definition(render: Render) -> None:
    shown = render()
    assert list(shown["secrets"]) == ["PGPASSWORD"]
    assert shown["secrets"]["PGPASSWORD"].endswith(":password::")
    plain = json.dumps([shown["command"], shown["environment"]])
    assert "PGPASSWORD" not in plain
    assert "secretsmanager" not in plain


@pytest.mark.known_issue(11, 26)
def test_security_middleware_is_on_unless_disabled_explicitly(render: Render) -> None:
    usual = render()
    assert "--disable-security-middleware" not in json.dumps(usual["command"])
    assert usual["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")[0] == "ml-*.ecs.eu-central-1.on.aws"
    without = render(ecs_express_disable_security_middleware=True)
    assert "--disable-security-middleware" in without["command"][-1]
    assert "MLFLOW_SERVER_ALLOWED_HOSTS" not in without["environment"]


@pytest.mark.known_issue(1)
@pytest.mark.parametrize("user", ["mlflow", "a user@the/place"])
def test_special_characters_in_the_database_user_are_encoded(render: Render, user: str) -> None:
    command = render(ecs_express_database_username=user)["command"][-1]
    assert f"postgresql+psycopg2://{'mlflow' if user == 'mlflow' else 'a%20user%40the/place'}@" in command


def test_what_the_server_cannot_be_without_is_said_before_anything_is_made(tmp_path: Path) -> None:
    import_role = {"name": "mlops.mlflow_aws.ecs_express", "tasks_from": "service.yml"}
    play = play_of([{"ansible.builtin.import_role": import_role}], ecs_express_bucket="mlflow-artifacts")
    said = run(tmp_path, play, code=2)
    assert "ecs_express_database_host and ecs_express_database_secret_arn and ecs_express_task_role_arn" in said
    assert "must be given for the service" in said
    assert "Express Mode service]" not in said


def test_roles_of_another_account_are_refused(tmp_path: Path) -> None:
    """A role can be handed to ECS within its own account alone."""
    given = {
        "ecs_express_context": {"account_id": "123456789012", "partition": "aws", "region": "eu-central-1"},
        "ecs_express_task_role_arn": "arn:aws:iam::210987654321:role/theirs",
    }
    play = play_of([{"ansible.builtin.import_role": {"name": "mlops.mlflow_aws.ecs_express"}}], **given)
    said = " ".join(run(tmp_path, play, code=2).split())
    assert "ecs_express_task_role_arn is of the account 210987654321" in said
    assert "but must be of 123456789012" in said


@pytest.mark.parametrize(
    ("version", "transfers", "plugin", "announced"),
    [
        # Before 3.15.0 a server announces nothing, from 3.18.0 on what its environment says.
        ("3.10.0", "proxied", False, "false"),
        ("3.14.0", "presigned", False, "true"),
        ("3.15.0", "proxied", True, "false"),
        ("3.17.2", "proxied", True, "false"),
        ("3.17.2", "presigned", False, "true"),
        ("3.18.0", "proxied", False, "false"),
        ("3.18.0", "presigned", False, "true"),
    ],
)
def test_how_artifacts_are_transferred_is_what_the_server_announces(
    render: Render, version: str, transfers: str, plugin: bool, announced: str
) -> None:
    shown = render(ecs_express_mlflow_version=version, ecs_express_artifact_transfers=transfers)
    assert ("mlflow.artifact_repository" in shown["command"][-1]) == plugin
    names = ("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD")
    assert [shown["environment"][name] for name in names] == [announced] * 2


def test_the_server_counts_its_connections_and_a_one_off_task_needs_nothing_of_it(render: Render) -> None:
    shown = render(ecs_express_boot=["true"])
    command, uri = shown["command"][-1], shown["environment"]["MLFLOW_BACKEND_STORE_URI"]
    assert f"--backend-store-uri '{uri}?plugin=mlflow_bounded_pool&plugin=mlflow_uri_guard'" in command
    # The login's commands find the server's address: users are kept in the same database.
    assert command.index(
        f"export MLFLOW_BACKEND_STORE_URI='{uri}?plugin=mlflow_bounded_pool&plugin=mlflow_uri_guard'"
    ) < command.index("&& true &&")
    assert "plugin" not in uri
    assert shown["environment"]["MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"] == "4"
    assert shown["environment"]["MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW"] == "3"


def test_what_users_may_name_is_limited_unless_the_guard_is_off(render: Render) -> None:
    sources, locations = "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX", "ARTIFACT_LOCATION_VALIDATION_REGEX"
    usual = render()
    assert locations not in usual["environment"]
    assert not re.search(usual["environment"][sources], "s3://shared.models/x")
    wider = render(
        ecs_express_allowed_model_sources=["s3://shared.models/", "gs://other/"],
        ecs_express_allowed_artifact_locations=["s3://team/a/", "mlflow-artifacts:/team/"],
    )["environment"]
    for source in ("s3://shared.models/x", "gs://other/x", "runs:/1/model", "mlflow-artifacts:/1/2", "dummy-source"):
        assert re.search(wider[sources], source), source
    for source in (
        "s3://sharedXmodels/x",
        "x s3://shared.models/x",
        "dummy-source/x",
        "runs://1",
        "s3://shared.models/x?y",
    ):
        assert not re.search(wider[sources], source), source
    for location in ("s3://team/a/", "s3://team/a/b", "mlflow-artifacts:/team/x.y"):
        assert re.fullmatch(wider[locations], location), location
    for location in (
        "s3://team/a",
        "s3://team/a/../b",
        "s3://team/a/..",
        "mlflow-artifacts:/team/./b",
        "mlflow-artifacts:/1",
    ):
        assert not re.fullmatch(wider[locations], location), location
    off = render(ecs_express_uri_guard=False)
    assert sources not in off["environment"]
    assert "plugin=mlflow_bounded_pool'" in off["command"][-1]
    assert "SqlModelVersion" not in off["command"][-1]
    assert "SqlModelVersion" in usual["command"][-1]


def test_a_worker_that_is_slow_to_answer_is_given_time_unless_the_user_says_otherwise(render: Render) -> None:
    name = "UVICORN_TIMEOUT_WORKER_HEALTHCHECK"
    assert int(render()["environment"][name]) >= 60
    assert render(ecs_express_extra_env={name: 5})["environment"][name] == "5"
