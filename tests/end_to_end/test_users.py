# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and permissions on real MLflow servers, of both interfaces that MLflow has had for permissions."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import MlflowServer
from servers import free_port
from servers import run_module

from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_demo
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_health
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_permission
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_user

OLD, NEW = "3.10.0", "3.17.2"
# Their servers are the same.
GROUP = "users"
Run = Callable[..., dict[str, Any]]


@pytest.fixture(params=[NEW, pytest.param(OLD, marks=pytest.mark.long)])
def server(request: pytest.FixtureRequest, servers: dict[str, MlflowServer]) -> MlflowServer:
    """Each of the two that tests go through."""
    return servers[request.param]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a module on a server, as the administrator unless told otherwise."""

    def run_on(server: MlflowServer, module: Any, **arguments: Any) -> dict[str, Any]:
        login = {} if "token" in arguments else {"username": "admin", "password": server.password}
        return run_module(capsys, module, **{"tracking_uri": server.url, **login, **arguments})

    return run_on


@pytest.fixture
def ana(server: MlflowServer) -> tuple[str, str]:
    """A user with an unused name, and her password."""
    login = f"ana-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    body = {"username": login[0], "password": login[1]}
    assert server.call("POST", "/api/2.0/mlflow/users/create", body) == 200
    return login


def four_steps(run: Run, server: MlflowServer, module: Any, **arguments: Any) -> list[dict[str, Any]]:
    """Check mode, the change, check mode, and again; returns all four results."""
    checked = run(server, module, check=True, **arguments)
    done = run(server, module, **arguments)
    again = [run(server, module, check=check, **arguments) for check in (True, False)]
    results = [checked, done, *again]
    assert [result.get("changed") for result in results] == [True, True, False, False], results
    assert checked["diff"] == done["diff"]
    return results


def test_a_user_from_birth_to_end(run: Run, server: MlflowServer) -> None:
    name, first, second = f"u-{secrets.token_hex(4)}", secrets.token_urlsafe(16), 'p@ss:w/o#r%d?[x]&=+ "é'
    steps = four_steps(run, server, mlflow_user, name=name, user_password=first)
    assert steps[1]["user"]["username"] == name
    assert steps[1]["user"]["is_admin"] is False
    assert server.call("GET", f"/api/2.0/mlflow/users/get?username={name}", login=(name, first)) == 200
    four_steps(run, server, mlflow_user, name=name, is_admin=True)
    assert server.call("GET", "/api/2.0/mlflow/users/list", login=(name, first)) == 200
    kept = run(server, mlflow_user, name=name, user_password=second, update_password="on_create")
    assert not kept["changed"]
    changed = four_steps(run, server, mlflow_user, name=name, user_password=second, is_admin=False)
    assert changed[1]["password_changed"]
    assert server.call("GET", f"/api/2.0/mlflow/users/get?username={name}", login=(name, first)) == 401
    assert server.call("GET", f"/api/2.0/mlflow/users/get?username={name}", login=(name, second)) == 200
    assert first not in json.dumps(changed)
    assert second not in json.dumps(changed, ensure_ascii=False)
    four_steps(run, server, mlflow_user, name=name, state="absent")


def test_the_own_password_and_a_run_that_was_cut_off(run: Run, server: MlflowServer, ana: tuple[str, str]) -> None:
    name, old = ana
    new = secrets.token_urlsafe(16)
    own = {"username": name, "password": old, "name": name, "user_password": new}
    assert run(server, mlflow_user, check=True, **own)["changed"]
    assert run(server, mlflow_user, **own)["changed"]
    # The login is the old password, which no longer holds.
    assert not run(server, mlflow_user, **own)["changed"]
    assert not run(server, mlflow_user, **{**own, "password": new})["changed"]
    neither = run(server, mlflow_user, **{**own, "user_password": secrets.token_urlsafe(16)})
    assert neither["reason"] == "login_rejected"


def test_the_login_of_the_last_administrator_is_safe(run: Run, server: MlflowServer) -> None:
    for arguments in ({"state": "absent"}, {"is_admin": False}):
        assert run(server, mlflow_user, name="admin", **arguments)["reason"] == "own_login"
    assert server.call("GET", "/api/2.0/mlflow/users/list") == 200


def test_an_experiment(run: Run, server: MlflowServer, ana: tuple[str, str]) -> None:
    name = f"experiment {secrets.token_hex(4)}"
    _status, made = server.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": name})
    tag = {"experiment_id": made["experiment_id"], "key": "k", "value": "v"}

    def may_edit() -> bool:
        return server.call("POST", "/api/2.0/mlflow/experiments/set-experiment-tag", tag, login=ana) == 200

    assert not may_edit()
    four_steps(run, server, mlflow_permission, user=ana[0], resource=name, permission="EDIT")
    assert may_edit()
    by_id = run(server, mlflow_permission, user=ana[0], resource_id=made["experiment_id"], permission="EDIT")
    assert not by_id["changed"]
    steps = four_steps(run, server, mlflow_permission, user=ana[0], resource=name, permission="READ")
    assert steps[1]["previous"] == "EDIT"
    assert not may_edit()
    nothing = "DENY" if server.version == NEW else "NO_PERMISSIONS"
    four_steps(run, server, mlflow_permission, user=ana[0], resource=name, permission=nothing)
    read = f"/api/2.0/mlflow/experiments/get?experiment_id={made['experiment_id']}"
    assert server.call("GET", read, login=ana) == 403
    four_steps(run, server, mlflow_permission, user=ana[0], resource=name, state="absent")
    assert server.call("GET", read, login=ana) == 200


def test_models_prompts_and_scorers(run: Run, server: MlflowServer, ana: tuple[str, str]) -> None:
    mark = secrets.token_hex(4)
    models = "/api/2.0/mlflow/registered-models/create"
    assert server.call("POST", models, {"name": f"model-{mark}"}) == 200
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    assert server.call("POST", models, {"name": f"prompt-{mark}", "tags": tags}) == 200
    scorer = {"experiment_id": "0", "name": f"sco/rer {mark}", "serialized_scorer": "{}"}
    assert server.call("POST", "/api/3.0/mlflow/scorers/register", scorer) == 200
    for kind, resource, more in (
        ("registered_model", f"model-{mark}", {}),
        ("prompt", f"prompt-{mark}", {}),
        ("scorer", scorer["name"], {"experiment": "Default"}),
    ):
        wanted = {"user": ana[0], "resource_type": kind, "resource": resource, **more}
        four_steps(run, server, mlflow_permission, **wanted, permission="MANAGE")
        four_steps(run, server, mlflow_permission, **wanted, permission="USE")
        four_steps(run, server, mlflow_permission, **wanted, state="absent")
    wrong = {"user": ana[0], "resource_type": "registered_model", "resource": f"prompt-{mark}", "permission": "EDIT"}
    assert run(server, mlflow_permission, **wrong)["reason"] == "wrong_kind"


def test_a_model_grant_works(run: Run, server: MlflowServer, ana: tuple[str, str]) -> None:
    model, prompt = f"model-{secrets.token_hex(4)}", f"prompt-{secrets.token_hex(4)}"
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    for name, more in ((model, {}), (prompt, {"tags": tags})):
        assert server.call("POST", "/api/2.0/mlflow/registered-models/create", {"name": name, **more}) == 200
        body = {"name": name, "description": "by ana"}
        assert server.call("PATCH", "/api/2.0/mlflow/registered-models/update", body, login=ana) == 403
        kind = "prompt" if more else "registered_model"
        run(server, mlflow_permission, user=ana[0], resource_type=kind, resource=name, permission="EDIT")
        assert server.call("PATCH", "/api/2.0/mlflow/registered-models/update", body, login=ana) == 200


def test_the_gateway(run: Run, server: MlflowServer, ana: tuple[str, str]) -> None:
    mark = secrets.token_hex(4)
    gateway = "/api/3.0/mlflow/gateway"
    secret = {
        "secret_name": f"key-{mark}",
        "secret_value": {"api_key": secrets.token_urlsafe(24)},
        "provider": "openai",
    }
    status, made = server.ask("POST", f"{gateway}/secrets/create", secret)
    assert status == 200, made
    model = {
        "name": f"model-{mark}",
        "secret_id": made["secret"]["secret_id"],
        "provider": "openai",
        "model_name": "gpt-5",
    }
    status, made = server.ask("POST", f"{gateway}/model-definitions/create", model)
    assert status == 200, made
    config = {"model_definition_id": made["model_definition"]["model_definition_id"], "linkage_type": "PRIMARY"}
    endpoint = {"name": f"endpoint-{mark}", "model_configs": [config]}
    status, made = server.ask("POST", f"{gateway}/endpoints/create", endpoint)
    assert status == 200, made
    for kind, name in (
        ("gateway_secret", f"key-{mark}"),
        ("gateway_model_definition", f"model-{mark}"),
        ("gateway_endpoint", f"endpoint-{mark}"),
    ):
        wanted = {"user": ana[0], "resource_type": kind, "resource": name}
        four_steps(run, server, mlflow_permission, **wanted, permission="USE")
        four_steps(run, server, mlflow_permission, **wanted, state="absent")


def test_what_one_interface_has_alone(run: Run, server: MlflowServer, ana: tuple[str, str]) -> None:
    everything = {"user": ana[0], "resource_type": "registered_model", "resource": "*"}
    server_of_mcp = {"user": ana[0], "resource_type": "mcp_server", "resource": "files"}
    if server.version == NEW:
        four_steps(run, server, mlflow_permission, **everything, permission="EDIT")
        four_steps(run, server, mlflow_permission, **everything, state="absent")
        four_steps(run, server, mlflow_permission, **server_of_mcp, permission="USE")
        refused = run(server, mlflow_permission, user=ana[0], resource="Default", permission="NO_PERMISSIONS")
    else:
        for wanted in (everything, server_of_mcp):
            answer = run(server, mlflow_permission, **wanted, permission="EDIT")
            assert answer["reason"] == "unsupported_version"
            assert "before 3.13" in answer["msg"]
        refused = run(server, mlflow_permission, user=ana[0], resource="Default", permission="DENY")
    assert refused["reason"] == "refused"
    assert "Invalid permission" in refused["msg"]


def test_what_does_not_exist(run: Run, server: MlflowServer, ana: tuple[str, str]) -> None:
    for arguments, reason in (
        ({"user": "nobody", "resource": "Default"}, "no_user"),
        ({"user": ana[0], "resource": "no such"}, "no_resource"),
        ({"user": ana[0], "resource_id": "4711"}, "no_resource"),
        ({"user": ana[0], "resource": "no", "resource_type": "gateway_secret"}, "no_resource"),
        ({"user": ana[0], "resource": "no", "resource_type": "prompt"}, "no_resource"),
        ({"user": ana[0], "resource": "no", "resource_type": "scorer", "experiment_id": "0"}, "no_resource"),
    ):
        failed = run(server, mlflow_permission, **arguments, permission="READ")
        assert failed["reason"] == reason, failed
        predicted = run(server, mlflow_permission, check=True, **arguments, permission="READ")
        assert predicted["changed"]
        assert failed["msg"] in json.dumps(predicted["warnings"])
        assert not run(server, mlflow_permission, **arguments, state="absent")["changed"]


def test_who_may_not(run: Run, server: MlflowServer, ana: tuple[str, str]) -> None:
    as_ana = {"username": ana[0], "password": ana[1]}
    for module, arguments in (
        (mlflow_user, {"name": "new", "user_password": secrets.token_urlsafe(16)}),
        (mlflow_permission, {"user": "admin", "resource": "Default", "permission": "READ"}),
        # What she may ask for: herself.
        (mlflow_user, {"name": ana[0], "is_admin": True}),
        (mlflow_permission, {"user": ana[0], "resource": "Default", "permission": "MANAGE"}),
    ):
        failed = run(server, module, **as_ana, **arguments)
        assert failed["reason"] == "permission_denied", failed
        assert "administrator" in failed["msg"]


ALL: dict[Any, dict[str, Any]] = {
    mlflow_user: {"name": "x", "state": "absent"},
    mlflow_permission: {"user": "x", "resource": "Default", "permission": "READ"},
    mlflow_health: {"wait_timeout": 1800, "patience": 0, "delay": 1},
    mlflow_demo: {},
}


@pytest.mark.parametrize("module", ALL)
def test_a_wrong_login_is_not_a_dead_server(run: Run, server: MlflowServer, module: Any) -> None:
    arguments = ALL[module]
    wrong = run(server, module, password=secrets.token_urlsafe(16), **arguments)
    assert wrong["reason"] == "login_rejected"
    assert "rejects the login of user admin" in wrong["msg"]
    token = run(server, module, token=secrets.token_urlsafe(16), **arguments)
    assert token["reason"] == "login_rejected"
    without = run(server, module, username=None, password=None, **arguments)
    assert without["reason"] == "login_required"
    arguments = {**arguments, "tracking_uri": f"http://127.0.0.1:{free_port()}", "password": secrets.token_urlsafe(16)}
    if module is mlflow_health:
        arguments["wait_timeout"] = 0
    dead = run(server, module, **arguments)
    assert dead["reason"] == "connection_refused"


def test_every_user_can_list_the_names(server: MlflowServer, ana: tuple[str, str]) -> None:
    status, found = server.ask("GET", "/api/2.0/mlflow/users/list", login=ana)
    assert status == 200
    assert {"admin", ana[0]} <= {user["username"] for user in found["users"]}


def test_passwords_are_stored_hashed(server: MlflowServer, ana: tuple[str, str]) -> None:
    with contextlib.closing(sqlite3.connect(server.folder / "auth.db")) as database:
        [(stored,)] = database.execute("SELECT password_hash FROM users WHERE username = ?", (ana[0],)).fetchall()
    assert ana[1] not in stored
    assert stored.startswith(("pbkdf2:", "scrypt:"))


def test_workspaces(run: Run, servers: dict[str, MlflowServer]) -> None:
    server = servers["workspaces"]
    name, password = f"u-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    four_steps(run, server, mlflow_user, name=name, user_password=password)
    assert server.call("POST", "/api/3.0/mlflow/workspaces", {"name": "team"}) in (200, 201)
    there = {"X-MLFLOW-WORKSPACE": "team"}
    status, made = server.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": "ours"}, headers=there)
    assert status == 200, made
    wanted = {"user": name, "resource": "ours"}
    assert run(server, mlflow_permission, **wanted, permission="EDIT")["reason"] == "no_resource"
    four_steps(run, server, mlflow_permission, **wanted, workspace="team", permission="EDIT")
    four_steps(run, server, mlflow_permission, **wanted, workspace="team", permission="MANAGE")
    in_default = {"user": name, "resource": "Default"}
    four_steps(run, server, mlflow_permission, **in_default, permission="EDIT")
    four_steps(run, server, mlflow_permission, **wanted, workspace="team", state="absent")
    assert run(server, mlflow_permission, **in_default, permission="EDIT")["changed"] is False
    failed = run(servers[NEW], mlflow_permission, user="admin", resource="Default", workspace="team", state="absent")
    assert "workspaces are not enabled" in failed["msg"]


def test_a_password_shows_nowhere(tmp_path: Path, server: MlflowServer) -> None:
    """Not in Ansible's output at -vvv and with a diff, though given as a variable."""
    first, second = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
    task = {
        "tracking_uri": server.url,
        "username": "admin",
        "password": server.password,
        "name": f"u-{secrets.token_hex(4)}",
    }
    tasks = [{"mlops.mlflow_aws.mlflow_user": {**task, "user_password": value}} for value in (first, second)]
    play = tmp_path / "play.yml"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), str(play), "-vvv", "--diff"],
        env={**os.environ, "ANSIBLE_PYTHON_INTERPRETER": sys.executable, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout
    assert "(the given one)" in done.stdout
    for value in (first, second, server.password):
        assert value not in done.stdout + done.stderr
