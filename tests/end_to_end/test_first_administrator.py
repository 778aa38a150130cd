# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What MLflow does of itself: its defaults, and the administrator that it creates at each start."""

from __future__ import annotations

import copy
import os
import secrets
import subprocess
from pathlib import Path

import pytest
from harness import ROOT
from harness import eventually
from harness import runtime
from servers import MlflowServer

OLD, NEW = "3.10.0", "3.17.2"
# Their servers are the same.
GROUP = "users"


# What MLflow does where nobody says otherwise, printed by MLflow itself.
DEFAULTS = """
import importlib
from mlflow import environment_variables
from mlflow.utils.crypto import DEFAULT_KEK_PASSPHRASE
models = importlib.import_module("mlflow.store.model_registry.dbmodels.models")
for name in ("MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS", "MLFLOW_ENABLE_REMOTE_ASSISTANT"):
    if hasattr(environment_variables, name):
        print(name, getattr(environment_variables, name).get())
print("passphrase", DEFAULT_KEK_PASSPHRASE)
print("key", models.EncryptedString().cipher._encryption_key.hex())
"""


@pytest.mark.parametrize("version", [NEW, pytest.param(OLD, marks=pytest.mark.long)])
def test_defaults_of_mlflow_are_what_the_page_says(servers: dict[str, MlflowServer], version: str) -> None:
    """Code of users is run by nobody; the passphrase is a public constant, the key for webhooks one per process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
    command = [str(runtime(version) / "bin/python"), "-c", DEFAULTS]
    said = [
        dict(line.split(" ", 1) for line in done.stdout.splitlines())
        for done in [subprocess.run(command, env=kept, capture_output=True, text=True, check=True) for _n in range(2)]
    ]
    for name in ("MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS", "MLFLOW_ENABLE_REMOTE_ASSISTANT"):
        assert said[0].get(name, "False") == "False"
    assert (version != NEW) or "MLFLOW_ENABLE_REMOTE_ASSISTANT" in said[0]
    assert said[0]["passphrase"] == said[1]["passphrase"]
    assert said[0]["key"] != said[1]["key"]
    rotate = [str(runtime(version) / "bin/mlflow"), "crypto", "rotate-kek", "--help"]
    assert "--new-passphrase" in subprocess.run(rotate, env=kept, capture_output=True, text=True, check=True).stdout


@pytest.mark.long
def test_changed_password_ends_when_no_worker_remembers_it(servers: dict[str, MlflowServer], tmp_path: Path) -> None:
    server = MlflowServer(tmp_path / "server", NEW, servers[NEW].environment["PYTHONPATH"], options=("--workers", "2"))
    path = "/api/2.0/mlflow/users/get?username=admin"
    try:
        server.stop()
        with server.config.open("a", encoding="utf-8") as stream:
            stream.write("auth_cache_ttl_seconds = 5\n")
        server.start()
        server.wait()
        old, new = server.password, secrets.token_urlsafe(16)
        # Both workers have seen it.
        assert [server.call("GET", path) for _n in range(20)] == [200] * 20
        body = {"username": "admin", "password": new, "current_password": old}
        assert server.call("PATCH", "/api/2.0/mlflow/users/update-password", body) == 200
        eventually(
            lambda: {server.call("GET", path, login=("admin", old)) for _n in range(20)} == {401}, "the old one's end"
        )
        assert server.call("GET", path, login=("admin", new)) == 200
    finally:
        server.stop()


BOOT = ROOT / "roles/auth/files/basic_config.py"
# As the role auth passes them when the role mlflow includes it.
RETIRED = (
    "default_permission=NO_PERMISSIONS",
    "bootstrap_admin=false",
    "bootstrap_admin_variable=mlflow_bootstrap_admin",
)


def retire(server: MlflowServer) -> subprocess.CompletedProcess[str]:
    """Write its configuration as a task does that has no first administrator."""
    return subprocess.run(
        [runtime(server.version) / "bin/python", BOOT, *RETIRED],
        env={**server.environment, "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{server.folder}/auth.db"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", [NEW, pytest.param(OLD, marks=pytest.mark.long)])
def test_deleted_administrator_comes_back_unless_retired(
    servers: dict[str, MlflowServer], tmp_path: Path, version: str
) -> None:
    boss, carl = (("boss", secrets.token_urlsafe(16)), ("carl", secrets.token_urlsafe(16)))
    users = "/api/2.0/mlflow/users"
    server = MlflowServer(tmp_path / "server", version, servers[version].environment["PYTHONPATH"])
    try:
        server.wait()
        assert server.call("POST", f"{users}/create", {"username": boss[0], "password": boss[1]}) == 200
        assert server.call("PATCH", f"{users}/update-admin", {"username": boss[0], "is_admin": True}) == 200
        assert server.call("POST", f"{users}/create", {"username": carl[0], "password": carl[1]}) == 200
        for retired in (False, True):
            assert server.call("DELETE", f"{users}/delete", {"username": "admin"}, login=boss) == 200
            assert server.call("GET", f"{users}/get?username=admin") == 401
            server.stop()
            if retired:
                done = retire(server)
                assert (done.returncode, done.stdout) == (0, ""), done.stderr
                assert server.password not in server.config.read_text(encoding="utf-8")
            server.start()
            server.wait()
            assert server.call("GET", f"{users}/get?username=admin") == (401 if retired else 200)
            assert server.call("GET", f"{users}/get?username=boss", login=boss) == 200
            # With the configuration that was written meanwhile, nobody reads without a permission.
            read = "/api/2.0/mlflow/experiments/get?experiment_id=0"
            assert server.call("GET", read, login=carl) == (403 if retired else 200)
    finally:
        server.stop()


def test_retired_administrator_needs_users_in_the_database(servers: dict[str, MlflowServer], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    server = copy.copy(servers[NEW])
    server.folder = tmp_path / "empty"
    server.environment = {**server.environment, "MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "auth.ini")}
    done = retire(server)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("MLflow cannot start: mlflow_bootstrap_admin is false")
    assert not (tmp_path / "auth.ini").exists()
