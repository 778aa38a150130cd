# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of environment variables and secrets that the roles set themselves, and packages that a task installs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import roles
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import server
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.server_environment import server_environment
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import SECRET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import problems_of
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import said_of
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import yaml_of


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (
            {"mlflow_extra_env": {"PGPASSWORD": "x"}},
            "mlflow_extra_env has PGPASSWORD, which the roles set as a secret: set",
        ),
        ({"mlflow_extra_env": {"MLFLOW_CRYPTO_KEK_PASSPHRASE": "x"}}, "as a secret: leave it out"),
        ({"mlflow_extra_env": {"MLFLOW_AUTH_ADMIN_PASSWORD": "x"}}, "as a secret: leave it out"),
        ({"mlflow_extra_env": {"SECRET_KEY": "x"}, "mlflow_auth": "oidc"}, "as a secret: leave it out"),
        ({"mlflow_extra_env": {"PGSSLMODE": "disable"}}, "set mlflow_db_sslmode"),
        ({"mlflow_extra_env": {"MLFLOW_WORKERS": 9}}, "set mlflow_workers"),
        ({"mlflow_extra_env": {"MLFLOW_GUNICORN_OPTS": "-w 9"}}, "one of uvicorn, gunicorn and waitress"),
        ({"mlflow_extra_secrets": {"PGPASSWORD": SECRET}}, "set mlflow_db_secret_arn"),
        ({"mlflow_extra_secrets": {"AWS_DEFAULT_REGION": SECRET}}, "as an environment variable: leave it out"),
        (
            {"mlflow_extra_secrets": {"PIP_INDEX_URL": SECRET}, "mlflow_pip_index_url": "https://pypi.example.com"},
            "set mlflow_pip_index_url",
        ),
        ({"mlflow_extra_env": {"A": "x"}, "mlflow_extra_secrets": {"A": SECRET}}, "A is in mlflow_extra_env and in"),
    ],
)
def test_names_that_the_roles_set(extra: dict[str, Any], words: str) -> None:
    problems = [one for one in problems_of(**extra) if "mlflow_oidc" not in one]
    assert len(problems) == 1 and words in problems[0], problems


@pytest.mark.parametrize(
    "given",
    ["a", "a==1", "a>=1 --hash=sha256:" + 64 * "0", "a==1 --hash=sha256:abc", "a==1 --hash=md5:" + 64 * "0", "-r file"],
)
def test_what_a_task_installs_is_pinned(given: str) -> None:
    [problem] = problems_of(mlflow_oidc_plugin_requirements=[given])
    assert problem.startswith(f"mlflow_oidc_plugin_requirements[0] is {given[:50]!r}"[:60])
    assert "name==version --hash=sha256:" in problem
    [problem] = said_of(roles.role_violations, {"ecs_express_pip_packages": [given]})
    assert problem.startswith("ecs_express_pip_packages[0] is")


def test_several_hashes_and_a_marker_are_fine() -> None:
    given = f"a-b.c==1.0rc1 ; python_version < '3.12' --hash=sha256:{64 * '0'} --hash=sha256:{64 * '1'}"
    assert problems_of(mlflow_oidc_plugin_requirements=[given]) == []


def test_names_that_may_be_given() -> None:
    env = {
        "PGCONNECT_TIMEOUT": 9,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "PGSSLROOTCERT": "/x",
        "SECRET_KEY": "x",
        "OIDC_X": 1,
    }
    secrets = {"PIP_INDEX_URL": SECRET, "MLFLOW_CRYPTO_KEK_PASSPHRASE": SECRET}
    assert problems_of(mlflow_extra_env=env, mlflow_extra_secrets=secrets) == []


def names_in(value: Any) -> set[str]:
    """Names of environment variables in a role's variables: keys of dictionaries, and of those in expressions."""
    found = set(value) if isinstance(value, dict) else set()
    return found | set(re.findall(r"'([A-Z][A-Z_]+)':", str(value)))


def test_all_names_that_the_roles_set_are_known() -> None:
    express, login = yaml_of("ecs_express", "vars", "main.yml"), yaml_of("auth", "vars", "main.yml")
    settings = dict.fromkeys(express["__ecs_express_settings"], "x")
    lists = ("allowed_hosts", "cors_allowed_origins", "known_origins", "allowed_artifact_locations")
    given: dict[str, Any] = {name: [] for name in lists} | {
        "allowed_model_sources": [],
        "login_environment": {},
        "extra_env": {},
        "variables": {},
    }
    nothing = {"disable_security_middleware": False}
    environment = server_environment({**settings, **given, **nothing, "allowed_artifact_locations": ["s3://x/"]}).keys()
    assert len(environment) > 8 and environment <= server.ENVIRONMENT.keys()
    of_database = names_in(express["__ecs_express_database_login"]) | names_in(express["__ecs_express_user"])
    assert of_database | names_in(login["__auth_encryption_secrets"]) == server.SECRETS.keys()
    of_basic = names_in(login["__auth_basic_secrets"]) | names_in(login["__auth_bootstrap_secrets"])
    assert of_basic == server.LOGIN_SECRETS["basic"].keys()
    assert names_in(login["__auth_oidc_secrets"]) == server.LOGIN_SECRETS["oidc"].keys()
    more = (login[f"__auth_oidc_{name}"] for name in ("environment", "redirect", "trusted"))
    assert {name for one in more for name in names_in(one)} == server.LOGIN_ENVIRONMENT["oidc"].keys()
