# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the roles; what needs a role's variables is tested in tests/unit/roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.mlops.mlflow_aws.plugins.filter import database_findings
from ansible_collections.mlops.mlflow_aws.plugins.filter import ingress_rules
from ansible_collections.mlops.mlflow_aws.plugins.filter import mlflow_login
from ansible_collections.mlops.mlflow_aws.plugins.filter import mlflow_server_command
from ansible_collections.mlops.mlflow_aws.plugins.filter import mlflow_server_environment
from ansible_collections.mlops.mlflow_aws.plugins.filter import network_findings
from ansible_collections.mlops.mlflow_aws.plugins.filter import owner_tags
from ansible_collections.mlops.mlflow_aws.plugins.filter import retained_resources

ROLES = Path(__file__).resolve().parents[4] / "roles"
FILES = ROLES / "ecs_express/files"
SERVER: dict[str, Any] = {
    "service_name": "mlflow",
    "region": "eu-central-1",
    "version": "3.17.2",
    "bucket": "artifacts",
    "database_host": "db.example.com",
    "database_port": 5432,
    "database_name": "mlflow",
    "database_username": "mlflow",
    "database_sslmode": "verify-full",
    "database_ca_certificates": "",
    "workers": 4,
    "keep_alive_seconds": 75,
    "job_execution": True,
    "artifact_transfers": "proxied",
    "uri_guard": True,
    "allowed_artifact_locations": [],
    "allowed_model_sources": [],
    "db_pool_size": 4,
    "db_pool_max_overflow": 3,
    "db_pool_recycle_seconds": 1800,
    "server_args": [],
    "extra_args": [],
    "extra_env": {},
    "login_environment": {},
    "pip_packages": [],
    "boot": [],
    "disable_security_middleware": False,
    "domain": "ecs.eu-central-1.on.aws",
    "custom_domain": "",
    "allowed_hosts": [],
    "cors_allowed_origins": [],
    "known_origins": [],
    "variables": {"database_host": "ecs_express_database_host"},
}
LOGIN: dict[str, Any] = {
    "mode": "basic",
    "public": True,
    "allow_public_without_login": False,
    "version": "3.17.2",
    "image": "",
    "pip_install": True,
    "default_permission": "READ",
    "bootstrap_admin": True,
    "oidc_plugin_version": "",
    "oidc_plugin_requirements": [],
    "oidc_ca_path": "",
    "variables": {"oidc_discovery_url": "auth_oidc_discovery_url"},
}


@pytest.mark.parametrize(
    "plugin",
    [
        *(database_findings, ingress_rules, mlflow_login, mlflow_server_command, mlflow_server_environment),
        *(network_findings, owner_tags, retained_resources),
    ],
)
def test_each_filter_is_found_by_its_name(plugin: Any) -> None:
    name = plugin.__name__.rsplit(".", 1)[-1]
    assert plugin.FilterModule().filters() == {name: getattr(plugin, name)}
    assert yaml.safe_load(plugin.DOCUMENTATION)["name"] == name


def test_settings_are_those_that_the_roles_list() -> None:
    for role, name, settings in (("ecs_express", "__ecs_express_settings", SERVER), ("auth", "__auth_settings", LOGIN)):
        listed = yaml.safe_load((ROLES / role / "vars/main.yml").read_text(encoding="utf-8"))[name]
        assert listed.keys() == settings.keys()


def test_the_command_becomes_the_server() -> None:
    shell, option, text = mlflow_server_command.mlflow_server_command(SERVER, str(FILES))
    assert (shell, option) == ("bash", "-c")
    server = text.rpartition(" && ")[2]
    assert server.startswith("exec mlflow server --backend-store-uri 'postgresql+psycopg2://mlflow@db.example.com:5432")
    assert server.endswith("--artifacts-destination s3://artifacts/ --host 0.0.0.0 --port 5000")


def test_the_users_environment_takes_the_place_of_the_roles() -> None:
    given = {**SERVER, "login_environment": {"A": "login", "B": "login"}, "extra_env": {"A": "user", "PGSSLMODE": "x"}}
    found = mlflow_server_environment.mlflow_server_environment(given)
    assert (found["A"], found["B"], found["PGSSLMODE"]) == ("user", "login", "x")
    assert "MLFLOW_BACKEND_STORE_URI" not in found
    assert mlflow_server_environment.mlflow_server_environment({**SERVER, "boot": ["x"]})["MLFLOW_BACKEND_STORE_URI"]


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        ({"mode": "none"}, "auth_mode"),
        ({"version": "3.10.0", "pip_install": False}, "auth_pip_install"),
        ({"mode": "oidc", "version": "3.13.0"}, "auth_mode"),
        ({"mode": "oidc", "version": "3.18.0"}, "auth_mode"),
        ({"mode": "oidc", "oidc_plugin_version": "12.0.0"}, "auth_oidc_plugin_version"),
        ({"mode": "oidc", "oidc_ca_path": "/no/such/file"}, "auth_oidc_ca_path"),
        ({"mode": "oidc", "oidc_ca_path": yaml.__file__}, "auth_oidc_ca_path"),
    ],
)
def test_a_login_that_cannot_work_is_refused(given: dict[str, Any], variable: str) -> None:
    [found] = mlflow_login.mlflow_login({**LOGIN, **given}, str(ROLES / "auth/files"))["violations"]
    assert found["variable"] == variable
    assert found["reason"].startswith("is ")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"mode": "none", "public": False},
        {"mode": "none", "allow_public_without_login": True},
        {"mode": "oidc"},
        {"version": "3.10.0", "pip_install": False, "image": "registry.example.com/ours:1"},
    ],
)
def test_a_login_that_works_is_not(given: dict[str, Any]) -> None:
    assert mlflow_login.mlflow_login({**LOGIN, **given}, str(ROLES / "auth/files"))["violations"] == []


def test_an_authority_that_is_too_large_for_a_task_definition_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n" * 400, encoding="utf-8")
    given = {**LOGIN, "mode": "oidc", "oidc_ca_path": str(file)}
    [found] = mlflow_login.mlflow_login(given, str(ROLES / "auth/files"))["violations"]
    assert "more than the 16384 characters" in found["reason"]


def test_the_tags_of_an_owner() -> None:
    assert owner_tags.owner_tags({"Team": "x"}, "vision") == {"ManagedBy": "mlops.mlflow_aws", "MlflowName": "vision"}
    assert owner_tags.owner_tags({"MlflowName": 7}, "vision")["MlflowName"] == "7"
    with pytest.raises(AnsibleFilterError):
        owner_tags.owner_tags(["x"], "vision")
