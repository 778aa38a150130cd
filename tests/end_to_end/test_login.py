# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment has a login that nobody gets around, keeps its users, and shows no secret.

One deployment goes through the tests here, in their order.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.parse import urlsplit

import pytest
from harness import LocalAws
from harness import eventually
from harness import prepare_software
from login_server import ASSISTANT
from login_server import LISTED
from login_server import NAMES
from login_server import NEW
from login_server import SEARCH
from login_server import CommandLines
from login_server import Server
from login_server import deploy
from login_server import forms
from login_server import of_the_server
from login_server import places
from login_server import walk


@pytest.fixture(scope="module")
def quick(aws: LocalAws) -> LocalAws:
    """The local AWS, with the server's software."""
    prepare_software(NEW, aws.home / "owner")
    return aws


@pytest.fixture(scope="module")
def scenario(quick: LocalAws) -> dict[str, Any]:
    """The deployment of the present version, and all that was seen while it was made."""
    with CommandLines() as lines:
        first = deploy(quick, arguments=["-vvv", "--diff"]).succeeded()
    return {"server": Server(quick, NAMES[NEW]), "outputs": [first.output], "lines": lines.seen}


@pytest.fixture
def server(scenario: dict[str, Any]) -> Server:
    """The deployed server."""
    return scenario["server"]


def test_every_route_asks_for_the_login(server: Server) -> None:
    walk(server, NEW)


@pytest.mark.parametrize(
    "path", [LISTED, "/", "/graphql", "/version", "/api/2.0/mlflow-artifacts/artifacts?path=1", "/no/such/route"]
)
def test_a_wrong_login_is_none(server: Server, path: str) -> None:
    for login in (
        ("admin", "wrong-and-unlikely"),
        ("nobody", server.admin[1]),
        ("admin", "password1234"),
        ("admin", ""),
    ):
        assert server.ask("GET", path, login)[0] == 401
    # MLflow 3.17 stumbles over a token where it expects a name, once it remembers logins. It lets nobody in by that.
    status, answer = server.ask("GET", path, Authorization="Bearer made-up-and-unlikely")
    assert status == 401 or (status == 500 and "experiments" not in str(answer))


def test_what_is_open_tells_nothing(server: Server) -> None:
    assert server.ask("GET", "/health") == (200, "OK")
    status, info = server.ask("GET", "/api/3.0/mlflow/server-info")
    assert status == 200
    assert set(info) == {
        "store_type",
        "workspaces_enabled",
        "trace_archival_enabled",
        "multipart_uploads_enabled",
        "multipart_downloads_enabled",
        "presigned_upload_model_id_supported",
        "presigned_upload_run_id_supported",
        "features_enabled",
    }
    assert info["store_type"] == "SqlStore"
    assert {type(value) for name, value in info.items() if name not in ("store_type", "features_enabled")} == {bool}
    assert server.ask("GET", "/static-files/../server/auth/basic_auth.ini")[0] in (401, 404)


def test_the_balancers_health_check_needs_neither_login_nor_name(server: Server) -> None:
    assert server.ask("GET", "/health", Host="10.0.3.7:5000") == (200, "OK")


@pytest.mark.parametrize("host", ["evil.example.com", "{own}.evil.example.com", "evil.{own}", "169.254.169.254"])
@pytest.mark.known_issue(11)
def test_a_foreign_host_name_is_refused(server: Server, host: str) -> None:
    own = f"{server.name[:2]}-0123456789abcdef.{server.aws.info['domain']}"
    assert server.ask("GET", LISTED, server.admin, Host=own)[0] == 200
    status, text = server.ask("GET", LISTED, server.admin, Host=host.format(own=own))
    assert (status, "Invalid Host header" in str(text)) == (403, True)


@pytest.mark.parametrize("claimed", ["", "127.0.0.1", "::1", "127.0.0.1, 127.0.0.1"])
def test_the_assistant_is_not_for_clients_elsewhere(server: Server, claimed: str) -> None:
    """MLflow keeps it for clients on the server's own machine, and behind a load balancer nobody is (api.py)."""
    headers = {"X-Forwarded-For": claimed} if claimed else {}
    status, answer = server.ask("PUT", ASSISTANT, server.admin, {}, **headers)
    assert (status, "same host" in str(answer)) == (403, True)


def test_a_page_elsewhere_changes_nothing(server: Server) -> None:
    own = f"https://{server.name[:2]}-0123456789abcdef.{server.aws.info['domain']}"
    assert server.ask("POST", SEARCH, server.admin, {"max_results": 1}, Origin=own)[0] == 200
    for origin in ("https://evil.example.com", f"{own}.evil.example.com", "null"):
        status, text = server.ask("POST", SEARCH, server.admin, {"max_results": 1}, Origin=origin)
        assert (status, text) == (403, "Cross-origin request blocked")
    assert server.ask("POST", SEARCH, server.admin, {"max_results": 1}, Origin=server.url)[0] == 200


def test_preflight_needs_no_login_and_gives_no_data(server: Server) -> None:
    """And only exact origins may send a login: none is configured, for the server's own is known as a pattern only."""
    host = urlsplit(server.url).netloc
    for origin in (server.url, "https://evil.example.com"):
        headers = {
            "Host": host,
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        with server.connection() as connection:
            connection.request("OPTIONS", SEARCH, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        assert answer.status in (200, 204, 400, 403)
        assert answer.headers.get("Access-Control-Allow-Origin") is None
        assert "experiments" not in text


def test_failed_logins_are_not_limited(server: Server) -> None:
    for number in range(30):
        assert server.ask("GET", LISTED, ("admin", f"wrong-and-unlikely-{number}"))[0] == 401
    assert server.ask("GET", LISTED, server.admin)[0] == 200


@pytest.mark.known_issue(2)
def test_a_second_run_changes_and_generates_nothing(scenario: dict[str, Any], quick: LocalAws) -> None:
    before = scenario["server"].secrets
    again = deploy(quick, arguments=["-vvv", "--diff"]).succeeded()
    scenario["outputs"].append(again.output)
    assert again.changed == {"localhost": 0}
    assert scenario["server"].secrets == before


@pytest.mark.known_issue(3)
def test_the_password_is_long_enough_for_mlflow(server: Server) -> None:
    assert len(server.admin[1]) >= 16
    assert server.ask("GET", "/api/2.0/mlflow/users/get?username=admin", server.admin)[0] == 200


ANA = ("ana", secrets.token_urlsafe(16))
EXPERIMENT = {"name": "before-the-restart"}


def sign_up(server: Server, form: tuple[str, str], name: str, origin: str) -> tuple[int, str]:
    """Send MLflow's form for a new user as a browser does, with the cookie and the token that came with it."""
    cookie, token = form
    fields = {"csrf_token": token, "username": name, "password": secrets.token_urlsafe(16)}
    basic = base64.b64encode(":".join(server.admin).encode()).decode()
    headers = {
        "Host": urlsplit(server.url).netloc,
        "Authorization": f"Basic {basic}",
        "Cookie": cookie,
        "Origin": origin,
        "Referer": f"{origin}/signup",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    with server.connection() as connection:
        connection.request("POST", "/api/2.0/mlflow/users/create-ui", urlencode(fields), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def form_of(server: Server) -> tuple[str, str]:
    """The cookie and the token of MLflow's form for a new user."""
    basic = base64.b64encode(":".join(server.admin).encode()).decode()
    with server.connection() as connection:
        host = urlsplit(server.url).netloc
        connection.request("GET", "/signup", headers={"Host": host, "Authorization": f"Basic {basic}"})
        answer = connection.getresponse()
        text = answer.read().decode()
    cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
    [token] = re.findall(r'name="csrf_token"\s+value="([^"]+)"', text)
    return cookie, token


@pytest.mark.known_issue(4)
def test_users_and_permissions_outlive_the_task(server: Server) -> None:
    """And so does the key with which forms are signed, so that two tasks take each other's."""
    body = {"username": ANA[0], "password": ANA[1]}
    assert server.ask("POST", "/api/2.0/mlflow/users/create", server.admin, body)[0] == 200
    assert server.ask("POST", "/api/2.0/mlflow/experiments/create", ANA, EXPERIMENT)[0] == 200
    form = form_of(server)
    server.restart()
    knows_and_owns(server)
    assert sign_up(server, form, "berta", "https://evil.example.com") == (403, "Cross-origin request blocked")
    assert sign_up(server, (form[0], "made-up"), "berta", server.url)[0] == 400
    status, text = sign_up(server, form, "berta", server.url)
    assert (status, "Successfully signed up" in text) == (200, True)


def knows_and_owns(server: Server) -> None:
    """Ana can log in, owns what she made, and reads what others made: READ is the default permission."""
    name = EXPERIMENT["name"]
    status, found = server.ask("GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}", ANA)
    assert status == 200
    mine = {"experiment_id": found["experiment"]["experiment_id"], "key": "of", "value": "ana"}
    assert server.ask("POST", "/api/2.0/mlflow/experiments/set-experiment-tag", ANA, mine)[0] == 200
    others = {**mine, "experiment_id": "0"}
    assert server.ask("POST", "/api/2.0/mlflow/experiments/set-experiment-tag", ANA, others)[0] == 403
    assert server.ask("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", ANA)[0] == 200
    body = {"username": "carla", "password": secrets.token_urlsafe(16)}
    assert server.ask("POST", "/api/2.0/mlflow/users/create", ANA, body)[0] == 403


def test_a_user_names_no_place_of_files(server: Server) -> None:
    [bucket] = [one["Name"] for one in server.aws.client("s3").list_buckets()["Buckets"] if server.name in one["Name"]]
    for place in (f"s3://{bucket}/1", "/etc", "file:///tmp/x", "mlflow-artifacts:/1", "mlflow-artifacts://other/1"):
        body = {"name": "elsewhere", "artifact_location": place}
        status, answer = server.ask("POST", "/api/2.0/mlflow/experiments/create", ANA, body)
        assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert server.ask("POST", "/api/2.0/mlflow/registered-models/create", ANA, {"name": "anas"})[0] == 200
    for place in (f"s3://{bucket}/1/0123456789abcdef0123456789abcdef/artifacts", "s3://other/x", "file:///etc", "/etc"):
        body = {"name": "anas", "source": place}
        assert server.ask("POST", "/api/2.0/mlflow/model-versions/create", ANA, body)[0] == 400


def test_validation_logs_in_and_tells_a_wrong_login(scenario: dict[str, Any], quick: LocalAws) -> None:
    variables = quick.small(mlflow_name=NAMES[NEW], mlflow_demo=False)
    with CommandLines() as lines:
        played = quick.play("validate", variables, arguments=["-vvv", "--diff"]).succeeded()
    scenario["lines"] |= lines.seen
    scenario["outputs"].append(played.output)
    manager, secret = quick.client("secretsmanager"), f"{NAMES[NEW]}/login"
    right = manager.get_secret_value(SecretId=secret)["SecretString"]
    manager.put_secret_value(SecretId=secret, SecretString=json.dumps({"username": "admin", "password": "wrong" * 4}))
    try:
        problem = quick.play("validate", variables).problem()
    finally:
        manager.put_secret_value(SecretId=secret, SecretString=right)
    assert "rejects the login of user admin" in problem


def test_the_login_is_shown_on_request_and_only_then(scenario: dict[str, Any], quick: LocalAws) -> None:
    shown = quick.play("login", hosts={"there": {"mlflow_name": NAMES[NEW]}, "nowhere": {"mlflow_name": "nobodys"}})
    assert set(shown.failures) == {"nowhere"}
    assert scenario["server"].admin[1] in shown.output
    assert f"the secret {NAMES[NEW]}/login" in scenario["outputs"][0]
    assert scenario["server"].admin[1].isalnum(), "shells and browsers take it as it is"
    assert "only deployments with mlflow_auth 'basic'" in shown.problem("nowhere")


@pytest.mark.known_issue(24)
def test_no_secret_is_shown_anywhere(scenario: dict[str, Any], quick: LocalAws, server: Server) -> None:
    found = {
        **places(quick, server),
        "Ansible's output": "\n".join(scenario["outputs"]),
        "a command line": "\n".join(line.decode(errors="replace") for line in scenario["lines"]),
    }
    # The watch must have seen what it was there for.
    assert "exec mlflow server" in found["a command line"]
    assert "module_args" in found["Ansible's output"]
    shown = [
        (name, place)
        for name, value in server.secrets.items()
        for place, text in found.items()
        for form in forms(value)
        if form in text
    ]
    assert not shown, shown


def test_the_server_keeps_its_login_in_a_file_of_its_own(quick: LocalAws, server: Server) -> None:
    def environments() -> list[dict[str, str]]:
        """Those of the server's processes; none while a task's command prepares the server's start."""
        found = [process.environ() for process in of_the_server(quick)]
        return found if all("MLFLOW_AUTH_CONFIG_PATH" in environment for environment in found) else []

    for environment in eventually(environments, "a server that has its login in a file"):
        assert "MLFLOW_AUTH_ADMIN_PASSWORD" not in environment
        path = Path(environment["MLFLOW_AUTH_CONFIG_PATH"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.admin[1].replace("%", "%%") in path.read_text(encoding="utf-8")


@pytest.mark.long
def test_modes_can_be_switched_and_users_stay(quick: LocalAws, server: Server) -> None:
    before = server.secrets
    without = {"mlflow_auth": "none", "mlflow_allow_public_without_login": True}
    played = deploy(quick, variables=without).succeeded()
    assert "none. Everybody who reaches the URL may use the server." in played.output
    name = EXPERIMENT["name"]
    assert server.ask("GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")[0] == 200
    assert deploy(quick, variables=without).succeeded().changed == {"localhost": 0}
    deploy(quick).succeeded()
    assert server.secrets == before
    assert server.ask("GET", LISTED)[0] == 401
    knows_and_owns(server)
