# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles auth and ecs_express make of a user's wishes for the login, and what a task does before its server."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import ROLES
from plays import play_of
from plays import run
from plays import shown_in

BOOT = ROLES / "auth" / "files" / "basic_config.py"
PREFIX = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mlflow/"
URI = "postgresql+psycopg2://mlflow@database.example.com:5432/mlflow"
# Every printable ASCII character, as a password may have them.
EVERY = "".join(chr(code) for code in range(33, 127))
Render = Callable[..., Any]
Boot = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """An expression over the variables of some roles, as a play sees it."""

    def go(expression: str, roles: list[str], **variables: Any) -> Any:
        shown = tmp_path / "shown.json"
        files = (ROLES / role / part / "main.yml" for role in roles for part in ("defaults", "vars"))
        task = shown_in(f"{{{{ ({expression}) | to_json }}}}", str(shown))
        run(tmp_path, play_of([task], *files), extra=variables)
        return json.loads(shown.read_text(encoding="utf-8"))

    return go


@pytest.fixture
def basic(render: Render) -> Render:
    """What the role auth hands over with MLflow's own login."""
    expression = "__auth_login.basic | combine({'secrets': __auth_encryption_secrets | combine(__auth_basic_secrets)})"
    made = {
        "__auth_server_made": {"secret": {"arn": f"{PREFIX}server-AbCdEf"}},
        "__auth_login_made": {"secret": {"arn": f"{PREFIX}login-AbCdEf"}},
        "role_path": str(ROLES / "auth"),
    }
    return lambda **variables: render(expression, ["auth"], **{**made, **variables})


@pytest.fixture
def command(render: Render) -> Render:
    """The service's command and environment."""
    given = {
        "ecs_express_context": {"region": "eu-central-1", "partition": "aws", "dns_suffix": "amazonaws.com"},
        "ecs_express_service_name": "mlflow",
        "ecs_express_database_host": "database.example.com",
        "ecs_express_database_secret_arn": f"{PREFIX}database-AbCdEf",
        "ecs_express_bucket": "mlflow-artifacts",
        "role_path": str(ROLES / "ecs_express"),
    }
    expression = "{'command': __ecs_express_command, 'environment': __ecs_express_environment}"
    return lambda **variables: render(expression, ["ecs_express"], **{**given, **variables})


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    """Runs what a task runs before its server, in an image with some packages."""

    def go(password: str, packages: tuple[str, ...] = ("psycopg2", "boto3", "flask_wtf")) -> Any:
        for package in packages:
            (tmp_path / "image" / package).mkdir(parents=True, exist_ok=True)
        return subprocess.run(
            # Without this machine's packages.
            [sys.executable, "-S", str(BOOT), "default_permission=NO_PERMISSIONS", "auth_cache_ttl_seconds=60"],
            env={
                "PYTHONPATH": str(tmp_path / "image"),
                "MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "auth.ini"),
                "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
                "MLFLOW_AUTH_ADMIN_PASSWORD": password,
                "MLFLOW_BACKEND_STORE_URI": URI,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return go


def written(tmp_path: Path) -> dict[str, str]:
    """The file as MLflow reads it: with interpolation."""
    config = configparser.ConfigParser()
    config.read(tmp_path / "auth.ini")
    return dict(config["mlflow"])


@pytest.mark.known_issue(2)
def test_login_and_keys_are_generated_only_once() -> None:
    tasks = yaml.safe_load((ROLES / "auth" / "tasks" / "create.yml").read_text(encoding="utf-8"))
    both = [task[key] for task in tasks if (key := "mlops.mlflow_aws.secretsmanager_secret") in task]
    assert len(both) == 2
    for made in both:
        assert "generate" in made
        assert not {"rotate", "value"} & set(made)


@pytest.mark.known_issue(3)
@pytest.mark.parametrize("password", ["", "elevenchars", "password1234", " a-space-before-it", "a-line\nand-another"])
def test_short_or_public_password_ends_the_task_with_one_message(boot: Boot, tmp_path: Path, password: str) -> None:
    done = boot(password)
    assert done.returncode == 1
    assert done.stderr.startswith("MLflow cannot start: the login's password")
    assert done.stderr.count("\n") == 1
    assert not password or password not in done.stderr
    assert not (tmp_path / "auth.ini").exists()


@pytest.mark.parametrize(
    "password", [EVERY, EVERY[::-1], "%(admin_username)s-%%-%d", "#;=:[]-and-more", '"quoted"-too']
)
def test_every_printable_character_survives(boot: Boot, tmp_path: Path, password: str) -> None:
    done = boot(password)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert written(tmp_path) == {
        "database_uri": URI,
        "admin_username": "admin",
        "admin_password": password,
        "default_permission": "NO_PERMISSIONS",
        "auth_cache_ttl_seconds": "60",
    }


@pytest.mark.known_issue(4)
def test_users_are_stored_in_the_database_and_not_in_the_task(boot: Boot, tmp_path: Path, command: Render) -> None:
    assert boot(EVERY).returncode == 0
    assert "sqlite" not in (tmp_path / "auth.ini").read_text(encoding="utf-8")
    shown = command(ecs_express_boot=["true"])
    assert shown["environment"]["MLFLOW_BACKEND_STORE_URI"] == URI
    assert URI in shown["command"][-1]


@pytest.mark.known_issue(15)
def test_image_without_packages_reports_which(boot: Boot) -> None:
    done = boot(EVERY, ("boto3",))
    assert done.returncode == 1
    assert done.stderr == "MLflow cannot start: its image lacks the Python packages psycopg2, flask_wtf\n"


def test_secrets_come_from_their_keys_and_stand_nowhere_else(basic: Render) -> None:
    found = basic()
    assert found["secrets"] == {
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": f"{PREFIX}server-AbCdEf:webhook_encryption_key::",
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": f"{PREFIX}server-AbCdEf:crypto_kek_passphrase::",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": f"{PREFIX}server-AbCdEf:flask_secret_key::",
        "MLFLOW_AUTH_ADMIN_USERNAME": f"{PREFIX}login-AbCdEf:username::",
        "MLFLOW_AUTH_ADMIN_PASSWORD": f"{PREFIX}login-AbCdEf:password::",
    }
    # The server itself needs them no more: they are in the file that it reads.
    assert found["boot"][-1] == "unset MLFLOW_AUTH_ADMIN_USERNAME MLFLOW_AUTH_ADMIN_PASSWORD"
    assert "secretsmanager" not in "".join(found["boot"])
    assert "Copyright" not in "".join(found["boot"])


def test_retired_administrator_gives_the_server_no_login(basic: Render) -> None:
    found = basic(auth_bootstrap_admin=False)
    assert sorted(found["secrets"]) == [
        "MLFLOW_CRYPTO_KEK_PASSPHRASE",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY",
    ]
    assert "bootstrap_admin=false" in found["settings"]
    assert "bootstrap_admin=false" in found["boot"][-1]
    assert "bootstrap_admin" not in str(basic()["settings"])


@pytest.mark.parametrize(
    ("version", "cached", "tables_first", "packages"),
    [
        ("3.10.0", False, True, ["flask-wtf==1.3.0", "wtforms==3.3.2"]),
        ("3.13.0", True, True, ["flask-wtf==1.3.0", "wtforms==3.3.2"]),
        ("3.14.0", True, True, []),
        ("3.17.2", True, False, []),
    ],
)
def test_what_each_version_lacks_is_made_up_for(
    basic: Render, version: str, cached: bool, tables_first: bool, packages: list[str]
) -> None:
    found = basic(auth_mlflow_version=version)
    boot = "\n".join(found["boot"])
    assert ("auth_cache_ttl_seconds=60" in boot) is cached
    assert ("mlflow.server.auth db upgrade" in boot) is tables_first
    assert [package.partition(" ")[0] for package in found["packages"]] == packages


def test_nothing_is_installed_where_that_was_not_wanted(basic: Render) -> None:
    assert basic(auth_mlflow_version="3.10.0", auth_pip_install=False)["packages"] == []


def test_command_without_login_is_the_guides(command: Render) -> None:
    assert command()["command"][:2] == ["bash", "-c"]
    start, server = command()["command"][2].split(" && exec mlflow server ")
    # No package is installed; the plugins are the collection's own.
    assert start.startswith('umask 077 && PLUGINS="$(mktemp -d)" && ')
    assert server.startswith("--backend-store-uri ")


def test_command_with_login_runs_all_or_nothing(command: Render) -> None:
    shown = command(
        ecs_express_boot=["first", "second"],
        ecs_express_pip_packages=["a==1 --hash=sha256:abc", "b==2 ; python_version < '3.12' --hash=sha256:def"],
        ecs_express_server_args=["--app-name", "basic-auth"],
    )
    start, server = shown["command"][2].split(" && exec mlflow server ")
    assert start.startswith('umask 077 && PINNED="$(mktemp)" && printf ')
    assert start.index("exec pip install ") < start.index("PLUGINS=")
    assert start.endswith(" && first && second")
    assert "--app-name basic-auth" in server


def test_domain_of_ones_own_is_added_to_both_lists(command: Render) -> None:
    found = command(ecs_express_custom_domain="mlflow.example.com")["environment"]
    pattern = "ml-*.ecs.eu-central-1.on.aws"
    assert found["MLFLOW_SERVER_ALLOWED_HOSTS"] == f"{pattern},localhost:*,127.0.0.1:*,mlflow.example.com"
    assert found["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == f"https://{pattern},https://mlflow.example.com"
    found = command(
        ecs_express_custom_domain="mlflow.example.com",
        ecs_express_allowed_hosts=["ml-1.ecs.eu-central-1.on.aws"],
        ecs_express_cors_allowed_origins=["https://ml-1.ecs.eu-central-1.on.aws"],
    )["environment"]
    assert found["MLFLOW_SERVER_ALLOWED_HOSTS"] == "ml-1.ecs.eu-central-1.on.aws,mlflow.example.com"
    assert found["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == (
        "https://ml-1.ecs.eu-central-1.on.aws,https://mlflow.example.com"
    )


@pytest.mark.parametrize(
    ("version", "origin"),
    [("3.10.0", "https://ml-1.ecs.eu-central-1.on.aws"), ("3.10.1", "https://ml-*.ecs.eu-central-1.on.aws")],
)
def test_origin_is_exact_where_patterns_are_not_known(command: Render, version: str, origin: str) -> None:
    """A newer version must not take it up: it would be a change, and a deployment, on the second run."""
    before = {"services": [{"status": {"status_code": "ACTIVE"}, "url": "https://ml-1.ecs.eu-central-1.on.aws"}]}
    found = command(ecs_express_mlflow_version=version, __ecs_express_before=before)["environment"]
    assert found["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == origin


@pytest.mark.parametrize(
    ("version", "first", "count"),
    [
        ("3.10.0", "webhooks", 10),
        ("3.11.1", "traces and their assessments", 8),
        ("3.16.1", "scorers", 2),
        ("3.17.0", "", 0),
    ],
)
def test_what_the_login_does_not_guard_is_told_by_version(render: Render, version: str, first: str, count: int) -> None:
    found = render("__auth_login.unguarded", ["auth"], auth_mlflow_version=version, role_path=str(ROLES / "auth"))
    assert (len(found), (found or [""])[0]) == (count, first)
