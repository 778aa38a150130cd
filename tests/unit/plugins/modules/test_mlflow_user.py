# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""mlflow_user and mlflow_permission as Ansible runs them, on a stand-in for a server of either interface."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from botocore.exceptions import ClientError

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_demo
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_health
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_permission
from ansible_collections.mlops.mlflow_aws.plugins.modules import mlflow_user
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import INVALID_HOST
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_fake import reply
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_users_fake import ADMIN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_users_fake import NOT_FOUND
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.mlflow_users_fake import FakeUsers

FIRST, SECOND = "first-password-of-ana", "second-password-of-ana"
Run = Callable[..., dict[str, Any]]


@pytest.fixture(params=[False, True], ids=["new", "old"])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeUsers]:
    server = FakeUsers(old=request.param)
    yield server
    server.close()


@pytest.fixture
def run(fake: FakeUsers, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_module(module: Any, check: bool = False, **arguments: Any) -> dict[str, Any]:
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        if "token" in arguments or "login_secret_arn" in arguments:
            login = {}
        given = {"tracking_uri": fake.url, **login, **arguments, "_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        result.pop("invocation", None)
        for secret in (FIRST, SECOND, ADMIN[1]):
            assert secret not in json.dumps(result)
        return result

    return run_module


def four_steps(fake: FakeUsers, run: Run, module: Any, **arguments: Any) -> dict[str, Any]:
    before = len(fake.writes)
    checked = run(module, check=True, **arguments)
    assert len(fake.writes) == before, "check mode writes nothing"
    done = run(module, **arguments)
    written = len(fake.writes)
    assert written > before
    again = [run(module, check=check, **arguments) for check in (True, False)]
    assert len(fake.writes) == written, "nothing is left to do"
    assert [result.get("changed") for result in (checked, done, *again)] == [True, True, False, False]
    assert checked["diff"] == done["diff"]
    return done


def test_a_user(fake: FakeUsers, run: Run) -> None:
    done = four_steps(fake, run, mlflow_user, name="ana", user_password=FIRST)
    assert (done["user"]["username"], done["user"]["is_admin"], done["password_changed"]) == ("ana", False, True)
    assert not run(mlflow_user, name="ana", user_password=SECOND, update_password="on_create")["changed"]
    assert fake.users["ana"]["password"] == FIRST
    done = four_steps(fake, run, mlflow_user, name="ana", user_password=SECOND, is_admin=True)
    assert done["diff"]["before"] == {"username": "ana", "is_admin": False, "password": "(another one)"}
    assert fake.users["ana"] == {"id": 2, "password": SECOND, "is_admin": True}
    assert not run(mlflow_user, name="ana")["changed"], "what is not given is left alone"
    four_steps(fake, run, mlflow_user, name="ana", state="absent")
    assert "ana" not in fake.users


def test_a_user_made_by_a_request_whose_answer_was_lost(fake: FakeUsers, run: Run) -> None:
    """The rights are completed by the next run."""
    fake.add("ana", FIRST)
    assert run(mlflow_user, name="ana", user_password=FIRST, is_admin=True)["changed"]
    assert fake.users["ana"]["is_admin"]


def test_the_own_password(fake: FakeUsers, run: Run) -> None:
    own = {"name": "admin", "user_password": FIRST}
    assert run(mlflow_user, check=True, **own)["changed"]
    assert run(mlflow_user, **own)["password_changed"]
    assert fake.users["admin"]["password"] == FIRST
    assert not run(mlflow_user, **own)["changed"], "the login is the old password by now"
    assert not run(mlflow_user, **{**own, "password": FIRST})["changed"]
    assert run(mlflow_user, name="admin", user_password=SECOND)["reason"] == "login_rejected"


def test_a_user_without_rights_has_none_to_give_up(fake: FakeUsers, run: Run) -> None:
    fake.add("ana", FIRST)
    own = {"username": "ana", "password": FIRST, "name": "ana", "is_admin": False}
    assert not run(mlflow_user, **own)["changed"]
    assert run(mlflow_user, **own, user_password=SECOND)["password_changed"]


def test_the_password_of_a_user_who_goes_is_not_looked_at(fake: FakeUsers, run: Run) -> None:
    fake.add("ana", FIRST)
    assert run(mlflow_user, name="ana", user_password="short", state="absent")["changed"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"name": "ana"}, "bad_password"),
        ({"name": "ana", "user_password": "only-eleven"}, "bad_password"),
        ({"name": "an:a", "user_password": FIRST}, "bad_user"),
        ({"name": "", "user_password": FIRST}, "bad_user"),
        ({"name": "admin", "state": "absent"}, "own_login"),
        ({"name": "admin", "is_admin": False}, "own_login"),
    ],
)
def test_what_is_refused_before_anything_is_done(
    fake: FakeUsers, run: Run, arguments: dict[str, Any], reason: str
) -> None:
    for check in (True, False):
        assert run(mlflow_user, check=check, **arguments)["reason"] == reason
    assert fake.writes == []


def test_a_password_that_is_taken_but_does_not_hold(fake: FakeUsers, run: Run) -> None:
    fake.add("ana", FIRST)
    fake.canned["PATCH", "/api/2.0/mlflow/users/update-password"] = reply({})
    assert run(mlflow_user, name="ana", user_password=SECOND)["reason"] == "password_unchanged"


@pytest.mark.parametrize(
    ("kind", "arguments", "ident"),
    [
        ("experiment", {"resource": "churn"}, "1"),
        ("experiment", {"resource_id": "1"}, "1"),
        ("registered_model", {"resource": "model"}, "model"),
        ("prompt", {"resource": "prompt"}, "prompt"),
        ("scorer", {"resource": "sco/rer", "experiment": "churn"}, "1/sco%2Frer"),
        ("scorer", {"resource": "sco/rer", "experiment_id": "1"}, "1/sco%2Frer"),
        ("gateway_secret", {"resource": "key"}, "s-1"),
        ("gateway_secret", {"resource_id": "s-1"}, "s-1"),
    ],
)
def test_a_permission(fake: FakeUsers, run: Run, kind: str, arguments: dict[str, str], ident: str) -> None:
    fake.add("ana", FIRST)
    if fake.old:
        ident = ident.replace("%2F", "/")
        stored = ("ana", "registered_model" if kind == "prompt" else kind, ident)
    else:
        stored = ("ana", kind, ident)
    wanted = {"user": "ana", "resource_type": kind, **arguments}
    done = four_steps(fake, run, mlflow_permission, **wanted, permission="READ")
    assert (done["previous"], done["permission"]) == (None, "READ")
    assert fake.grants == {stored: "READ"}
    done = four_steps(fake, run, mlflow_permission, **wanted, permission="EDIT")
    assert done["previous"] == "READ"
    assert fake.grants == {stored: "EDIT"}
    four_steps(fake, run, mlflow_permission, **wanted, state="absent")
    assert fake.grants == {}


def test_a_change_leaves_no_gap(fake: FakeUsers, run: Run) -> None:
    fake.add("ana", FIRST)
    wanted = {"user": "ana", "resource": "churn"}
    run(mlflow_permission, **wanted, permission="READ")
    fake.writes.clear()
    run(mlflow_permission, **wanted, permission="EDIT")
    assert len(fake.writes) == 1, "between a revocation and a new grant the default permission would hold"


def test_what_the_old_interface_lacks(fake: FakeUsers, run: Run) -> None:
    fake.add("ana", FIRST)
    for arguments in ({"resource": "*"}, {"resource_type": "mcp_server", "resource": "files"}):
        result = run(mlflow_permission, user="ana", **arguments, permission="EDIT")
        if fake.old:
            assert result["reason"] == "unsupported_version"
            assert "before 3.13" in result["msg"]
        else:
            assert result["changed"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"user": "nobody", "resource": "churn"}, "no_user"),
        ({"user": "ana", "resource": "typo"}, "no_resource"),
        ({"user": "ana", "resource_id": "99"}, "no_resource"),
        ({"user": "ana", "resource_type": "registered_model", "resource": "typo"}, "no_resource"),
        ({"user": "ana", "resource_type": "gateway_secret", "resource": "typo"}, "no_resource"),
        ({"user": "ana", "resource_type": "scorer", "resource": "typo", "experiment": "churn"}, "no_resource"),
    ],
)
def test_what_does_not_exist(fake: FakeUsers, run: Run, arguments: dict[str, Any], reason: str) -> None:
    fake.add("ana", FIRST)
    assert run(mlflow_permission, **arguments, permission="READ")["reason"] == reason
    predicted = run(mlflow_permission, check=True, **arguments, permission="READ")
    assert predicted["changed"]
    assert not run(mlflow_permission, **arguments, state="absent")["changed"]
    assert fake.writes == []


def test_the_workspace_is_asked_for(fake: FakeUsers, run: Run) -> None:
    """Each request names it, and a grant in another one is not taken for it."""
    fake.add("ana", FIRST)
    wanted = {"user": "ana", "resource": "churn", "permission": "READ"}
    assert run(mlflow_permission, **wanted)["changed"]
    assert set(fake.workspaces) == {""}
    fake.workspaces.clear()
    elsewhere = run(mlflow_permission, check=True, **wanted, workspace="team")
    assert set(fake.workspaces) == {"team"}
    # In the old interface it is the server that keeps them apart.
    assert elsewhere["changed"] is not fake.old


def test_a_prompt_is_no_model(fake: FakeUsers, run: Run) -> None:
    fake.add("ana", FIRST)
    for kind, name in (("registered_model", "prompt"), ("prompt", "model")):
        result = run(mlflow_permission, user="ana", resource_type=kind, resource=name, permission="READ")
        assert result["reason"] == "wrong_kind"


def test_mlflows_own_refusal_is_told(fake: FakeUsers, run: Run) -> None:
    fake.add("ana", FIRST)
    result = run(mlflow_permission, user="ana", resource="churn", permission="NO_PERMISSIONS")
    assert result["changed"] if fake.old else "Invalid permission" in result["msg"]


# Every module that logs in, with arguments that need a login and an answer.
MODULES: dict[Any, dict[str, Any]] = {
    mlflow_user: {"name": "ana", "state": "absent"},
    mlflow_permission: {"user": "ana", "resource": "churn", "state": "absent"},
    mlflow_health: {"wait_timeout": 0},
    mlflow_demo: {},
}
EVERY_PATH = [
    ("GET", path)
    for path in (
        "/health",
        "/version",
        "/api/3.0/mlflow/server-info",
        "/api/2.0/mlflow/users/get",
        "/api/2.0/mlflow/experiments/search",
    )
]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("wrong", ("login_rejected", "rejects the login of user admin (Basic)")),
        ("token", ("login_rejected", "rejects the login of the token (Basic)")),
        ("none", ("login_required", "give username and password, or token")),
        ("closed", ("connection_refused", "refuses connections")),
        ("host", ("host_not_allowed", "allowed hosts")),
        ("balancer", ("balancer_unavailable", "no healthy server")),
        ("database", ("database_unavailable", "cannot use its database")),
        ("broken", ("server_error", "runs but fails")),
    ],
)
def test_a_wrong_login_is_not_a_dead_server(
    fake: FakeUsers, run: Run, module: Any, what: str, said: tuple[str, str]
) -> None:
    arguments = dict(MODULES[module])
    answers = {
        "host": (403, {}, INVALID_HOST.encode()),
        "balancer": (503, {}, b"<html>503</html>"),
        "database": reply({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "connection refused"}, 503),
        "broken": (500, {}, b"Internal Server Error"),
    }
    if what == "wrong":
        arguments.update(password="wrong-password-of-somebody")
    elif what == "token":
        arguments.update(token="a-token-that-nobody-issued")
    elif what == "none":
        arguments.update(username=None, password=None)
    elif what == "closed":
        fake.close()
    else:
        for place in EVERY_PATH:
            # Health checks need no login and no database, and any host may make them.
            if what == "balancer" or place[1] != "/health":
                fake.canned[place] = answers[what]
    result = run(module, **arguments)
    assert result["failed"]
    assert result["reason"] == said[0]
    assert said[1] in result["msg"]


def test_a_wrong_login_is_not_waited_for(fake: FakeUsers, run: Run) -> None:
    result = run(mlflow_health, password="wrong-password-of-somebody", wait_timeout=3600, delay=1, patience=1)
    assert result["reason"] == "login_rejected"
    assert result["elapsed"] < 60
    assert "Waiting longer does not help" in result["msg"]


def test_who_is_no_administrator(fake: FakeUsers, run: Run) -> None:
    fake.add("ana", FIRST)
    fake.add("bob", SECOND)
    for module, arguments in (
        (mlflow_user, {"name": "bob", "is_admin": True}),
        (mlflow_user, {"name": "ana", "is_admin": True}),
        (mlflow_permission, {"user": "ana", "resource": "churn", "permission": "MANAGE"}),
    ):
        result = run(module, username="ana", password=FIRST, **arguments)
        assert result["reason"] == "permission_denied"
        assert "log in as an administrator" in result["msg"]
    assert fake.grants == {}


@pytest.mark.parametrize("module", [mlflow_user, mlflow_permission])
# The plugin for OpenID Connect has users of its own, and takes "get" for a user's name.
@pytest.mark.parametrize("answer", [NOT_FOUND, reply({"detail": "User not found"}, 404), reply({"username": "get"})])
def test_a_server_without_users(fake: FakeUsers, run: Run, module: Any, answer: Any) -> None:
    place = ("GET", "/api/2.0/mlflow/users/get")
    fake.canned[place] = answer
    result = run(module, **MODULES[module])
    assert result["reason"] == "no_users"
    assert "does not keep its users" in result["msg"]
    fake.canned["GET", "/version"] = (200, {}, b"3.17.2")
    assert "it runs without authentication" in run(module, **MODULES[module])["msg"]


class Secrets:
    """Secrets Manager."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def get_secret_value(self, SecretId: str, VersionStage: str) -> dict[str, str]:
        name = SecretId if VersionStage == "AWSCURRENT" else f"{SecretId}:{VersionStage}"
        if name not in self.values:
            message = "Secrets Manager can't find the specified secret."
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": message}}, "GetSecretValue")
        return {"SecretString": self.values[name]}


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    found = Secrets(login=json.dumps({"username": ADMIN[0], "password": ADMIN[1]}))
    monkeypatch.setattr(AnsibleAWSModule, "client", lambda _self, _service, **_more: found)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_the_login_lies_in_a_secret(fake: FakeUsers, run: Run, vault: Secrets, module: Any) -> None:
    fake.make_demo()
    assert not run(module, login_secret_arn="login", **MODULES[module]).get("failed")
    assert run(module, login_secret_arn="other", **MODULES[module])["reason"] == "bad_secret"
    for value, words in (
        ("plain-text-of-a-secret", "JSON object"),
        ('["plain-text-of-a-secret"]', "JSON object"),
        ('{"username": "admin"}', "no member password"),
        ('{"username": "admin", "password": 5}', "no member password"),
    ):
        vault.values["login"] = value
        result = run(module, login_secret_arn="login", **MODULES[module])
        assert words in result["msg"]
        assert "plain-text" not in json.dumps(result)


def test_the_password_lies_in_a_secret(fake: FakeUsers, run: Run, vault: Secrets) -> None:
    wanted = {"name": "ana", "login_secret_arn": "login", "user_password_secret_arn": "anas"}
    assert run(mlflow_user, **wanted)["reason"] == "bad_secret"
    predicted = run(mlflow_user, check=True, **wanted)
    assert predicted["changed"], "an earlier task may be going to make the secret"
    vault.values["anas"] = json.dumps({"password": FIRST, "other": SECOND})
    assert run(mlflow_user, **wanted)["changed"]
    assert fake.users["ana"]["password"] == FIRST
    assert run(mlflow_user, **wanted, user_password_secret_key="other")["changed"]
    assert fake.users["ana"]["password"] == SECOND
    vault.values["anas:AWSPENDING"] = FIRST
    pending = {"user_password_secret_stage": "AWSPENDING", "user_password_secret_key": ""}
    assert run(mlflow_user, **wanted, **pending)["changed"]
    assert fake.users["ana"]["password"] == FIRST
    assert "no member nope" in run(mlflow_user, **wanted, user_password_secret_key="nope")["msg"]
    assert run(mlflow_user, name="ana", state="absent", user_password_secret_arn="gone")["changed"]


@pytest.mark.parametrize("module", MODULES)
def test_one_login_only(run: Run, module: Any) -> None:
    for more in ({"username": "admin", "password": FIRST}, {"token": "a-token-that-nobody-issued"}):
        assert "mutually exclusive" in run(module, login_secret_arn="login", **more, **MODULES[module])["msg"]
