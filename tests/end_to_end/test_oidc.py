# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose users come from Amazon Cognito, and the way there and back from MLflow's own login.

One deployment goes through all tests here, in their order: each takes up what the one before has left.
"""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlsplit

import pytest
from conftest import QUICK
from harness import SOFTWARE
from harness import LocalAws
from harness import eventually
from people import ADMINISTRATORS
from people import MEMBERS
from people import People
from stage import NAME
from stage import SEARCH
from stage import Stage

CREATE = "/ajax-api/2.0/mlflow/experiments/create"


@pytest.fixture(scope="module")
def aws(software: None) -> Iterator[LocalAws]:
    """A quick local AWS of its own."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-oidc-"))
    home.chmod(0o755)
    local_aws = LocalAws(home)
    try:
        local_aws.up(QUICK)
        yield local_aws
    finally:
        local_aws.down()
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def stage(aws: LocalAws) -> Stage:
    return Stage(aws)


class Carol:
    """A user of MLflow's own login."""

    name, password = "carol", secrets.token_urlsafe(16)


def test_a_deployment_with_mlflows_own_login_gets_a_user(stage: Stage) -> None:
    stage.deploy("basic")
    document = {"username": Carol.name, "password": Carol.password}
    made = stage.ask("/api/2.0/mlflow/users/create", "POST", json=document, auth=stage.login())
    assert made.status_code == 200, made.text
    assert stage.ask(auth=(Carol.name, Carol.password)).status_code == 200


def test_it_is_given_to_a_provider_and_says_what_to_register_there(stage: Stage) -> None:
    played = stage.deploy("oidc")
    assert f"{stage.url}/callback" in played.output
    assert "/login, shown by" not in played.output
    stage.people.register(f"{stage.url}/callback")


@pytest.mark.parametrize(
    "path",
    [
        SEARCH,
        "/version",
        "/graphql",
        "/v1/traces",
        "/get-artifact?path=x&run_uuid=y",
        "/api/2.0/mlflow-artifacts/artifacts",
        "/api/3.0/mlflow/server-info",
        "/ajax-api/3.0/jobs/search",
        "/gateway/x/mlflow/invocations",
        "/docs",
        "/openapi.json",
        "/metrics",
    ],
)
def test_nobody_gets_anywhere_without_a_login(stage: Stage, path: str) -> None:
    for headers in ({}, {"X-Forwarded-Prefix": "/health"}, {"Authorization": "Bearer x.y.z"}):
        for method in ("GET", "POST"):
            answer = stage.ask(path, method, headers=headers)
            assert answer.status_code in (401, 404) or answer.headers.get("location", "").endswith("/login"), path
            hidden = stage.ask(f"/health{path}", method, headers=headers)
            assert hidden.status_code in (401, 404, 405), path


def test_the_balancers_question_needs_none(stage: Stage) -> None:
    assert stage.ask("/health").status_code == 200


def test_the_old_login_is_none_any_more(stage: Stage) -> None:
    assert stage.ask(auth=stage.login()).status_code == 401
    assert stage.ask(auth=(Carol.name, Carol.password)).status_code == 401


def test_an_administrator_logs_in_with_a_browser(stage: Stage) -> None:
    browser = stage.browser()
    page = browser.log_in(stage.ada, stage.people.passwords[stage.ada])
    assert page.status_code == 200
    asked = parse_qs(urlsplit(browser.visited[0]).query)
    assert asked["redirect_uri"] == [f"{stage.url}/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    me = browser.get("/api/2.0/mlflow/users/current").json()
    assert me["username"] == stage.ada
    assert me["is_admin"] is True
    [cookie] = [one for one in browser.session.cookies if one.name == "session"]
    assert cookie.secure
    assert cookie.has_nonstandard_attr("HttpOnly") or cookie.has_nonstandard_attr("httponly")
    assert browser.post(CREATE, {"name": "from the user interface"}).status_code == 200


def test_foreign_pages_cannot_use_his_session(stage: Stage) -> None:
    browser = stage.browser()
    browser.log_in(stage.ada, stage.people.passwords[stage.ada])
    assert browser.post(CREATE, {"name": "from elsewhere"}, Origin="https://evil.example").status_code == 403
    # Where MLflow's check of the origin does not reach, the browser keeps the cookie back.
    answer = browser.get("/login")
    assert "samesite=lax" in answer.headers["set-cookie"].lower()


def test_headers_that_a_client_makes_up_count_for_nothing(stage: Stage) -> None:
    for header, value in {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/elsewhere",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example",
    }.items():
        answer = stage.ask("/login", headers={header: value})
        asked = parse_qs(urlsplit(answer.headers["location"]).query)
        assert asked["redirect_uri"] == [f"{stage.url}/callback"], header


def test_no_address_that_a_client_claims_is_the_servers_own(stage: Stage) -> None:
    """MLflow has an assistant for clients on its own machine alone (mlflow/server/assistant/api.py)."""
    browser = stage.browser()
    browser.log_in(stage.ada, stage.people.passwords[stage.ada])
    for claimed in ("", "127.0.0.1", "::1", "127.0.0.1, 127.0.0.1"):
        headers = {"X-Forwarded-For": claimed} if claimed else {}
        answer = browser.post("/ajax-api/3.0/mlflow/assistant/skills/install", {}, **headers)
        assert answer.status_code == 403, answer.text
        assert "same host" in answer.text


def test_a_member_may_read_and_a_stranger_nothing(stage: Stage) -> None:
    member = stage.browser()
    member.log_in(stage.bob, stage.people.passwords[stage.bob])
    me = member.get("/api/2.0/mlflow/users/current").json()
    assert me["is_admin"] is False
    assert member.get(SEARCH).status_code == 200
    change = {"experiment_id": "0", "new_name": "mine"}
    assert member.post("/ajax-api/2.0/mlflow/experiments/update", change).status_code == 403
    stranger = stage.browser()
    page = stranger.log_in(stage.eve, stage.people.passwords[stage.eve])
    assert "error=" in page.url
    assert stranger.get(SEARCH).status_code == 401


def test_programs_come_with_tokens(stage: Stage) -> None:
    def status(token: str) -> int:
        return stage.ask(headers={"Authorization": f"Bearer {token}"}).status_code

    assert status(stage.people.token(stage.bob)) == 200
    # dan has never logged in with a browser.
    assert status(stage.people.token(stage.dan)) == 200
    assert status(stage.people.token(stage.eve)) == 401
    head, body, signature = stage.people.token(stage.bob).split(".")
    assert status(f"{head}.{body}.{signature[:-8]}AAAAAAA") == 401
    # Of another client of the same pool.
    other = People.token.__get__(_other_client(stage))(stage.bob)
    assert status(other) == 401


def test_members_register_what_they_may_read_and_name_no_place_of_files(stage: Stage) -> None:
    def made(path: str, status: int = 200, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {stage.people.token(stage.bob)}"}
        answer = stage.ask(f"/api/2.0/mlflow/{path}", "POST", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    assert (
        "leave it out"
        in made("experiments/create", 400, name="elsewhere", artifact_location="file:///tmp/x")["message"]
    )
    experiment = made("experiments/create", name="bobs own")["experiment_id"]
    run = made("runs/create", experiment_id=experiment)["run"]["info"]
    made("registered-models/create", name="bobs")
    made("model-versions/create", name="bobs", source=f"{run['artifact_uri']}/m", run_id=run["run_id"])
    made("model-versions/create", name="bobs", source="models:/bobs/1")
    # The plugin itself is asked first.
    made("model-versions/create", 403, name="bobs", source="s3://other/m")


def test_token_alone_makes_nobody_an_administrator(stage: Stage) -> None:
    hal = stage.people.add("hal", MEMBERS, ADMINISTRATORS)
    headers = {"Authorization": f"Bearer {stage.people.token(hal)}"}
    assert stage.ask(headers=headers).status_code == 200
    assert stage.ask("/api/2.0/mlflow/users/current", headers=headers).json()["is_admin"] is False


def test_groups_count_at_each_login(stage: Stage) -> None:
    gus = stage.people.add("gus", MEMBERS)
    group = {"UserPoolId": stage.people.pool_id, "Username": gus, "GroupName": ADMINISTRATORS}
    for change, is_admin in (("admin_add_user_to_group", True), ("admin_remove_user_from_group", False)):
        getattr(stage.people.cognito, change)(**group)
        browser = stage.browser()
        browser.log_in(gus, stage.people.passwords[gus])
        assert browser.get("/api/2.0/mlflow/users/current").json()["is_admin"] is is_admin


def access_token(stage: Stage, user: str) -> str:
    """One that the user creates in the browser."""
    browser = stage.browser()
    browser.log_in(user, stage.people.passwords[user])
    made = browser.session.patch(
        f"{stage.url}/api/2.0/mlflow/users/access-token", json={}, headers={"Origin": stage.url}, timeout=60
    )
    assert made.status_code == 200, made.text
    return str(made.json()["token"])


def test_access_token_is_a_password(stage: Stage) -> None:
    token = access_token(stage, stage.bob)
    assert stage.ask(auth=(stage.bob, token)).status_code == 200
    assert stage.ask(auth=(stage.bob, f"{token}0")).status_code == 401


def _other_client(stage: Stage) -> People:
    people = stage.people
    other = object.__new__(People)
    other.__dict__.update(people.__dict__)
    made = people.cognito.create_user_pool_client(
        UserPoolId=people.pool_id,
        ClientName="other",
        GenerateSecret=True,
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]
    other.client_id, other.client_secret = made["ClientId"], made["ClientSecret"]
    return other


def test_validation_with_a_token_fills_the_server_with_the_demo(stage: Stage) -> None:
    text = json.dumps({"token": stage.people.token(stage.ada)})
    stage.aws.client("secretsmanager").put_secret_value(SecretId=stage.token_arn, SecretString=text)
    client = SOFTWARE / "runtimes" / "mlflow-3.17.2-full" / "bin" / "mlflow"
    variables = stage.variables(
        "oidc", mlflow_validation_token_secret_arn=stage.token_arn, mlflow_client_executable=str(client)
    )
    played = stage.aws.play("validate", variables).succeeded()
    assert "Database:  answers" in played.output
    assert "MLflow Demo" in played.output


def test_no_secret_is_where_it_can_be_seen(stage: Stage) -> None:
    manager = stage.aws.client("secretsmanager")
    server = json.loads(manager.get_secret_value(SecretId=f"{NAME}/server")["SecretString"])
    hidden = [stage.people.client_secret, *server.values()]
    ecs = stage.aws.client("ecs")
    [service] = ecs.list_services(cluster="default")["serviceArns"]
    shown = json.dumps(ecs.describe_express_gateway_service(serviceArn=service), default=str)
    logs = stage.aws.client("logs")
    group = f"/ecs/default/{NAME}"
    for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
        shown += json.dumps(events["events"])
    assert not [secret for secret in hidden if secret in shown]


@pytest.mark.long
def test_sessions_outlive_the_task_and_end_with_the_keys(stage: Stage) -> None:
    browser, ecs, token = stage.browser(), stage.aws.client("ecs"), access_token(stage, stage.bob)
    browser.log_in(stage.ada, stage.people.passwords[stage.ada])
    [task] = running(stage)
    ecs.stop_task(task=task, reason="a test")
    eventually(lambda: running(stage) not in ([], [task]), "another task")
    eventually(lambda: stage.ask("/health").status_code == 200, "an answer")
    assert browser.get(SEARCH).status_code == 200
    played = stage.aws.play("rotate_session_keys", stage.variables("oidc")).succeeded()
    assert token not in played.output
    assert browser.get(SEARCH).status_code == 401
    assert stage.ask(auth=(stage.bob, token)).status_code == 200
    assert stage.ask(headers={"Authorization": f"Bearer {stage.people.token(stage.bob)}"}).status_code == 200


def running(stage: Stage) -> list[str]:
    """The tasks."""
    return list(stage.aws.client("ecs").list_tasks(serviceName=NAME, desiredStatus="RUNNING")["taskArns"])


@pytest.mark.long
def test_back_with_mlflows_own_login_its_users_are_there(stage: Stage) -> None:
    stage.deploy("basic")
    assert stage.ask(auth=stage.login()).status_code == 200
    assert stage.ask(auth=(Carol.name, Carol.password)).status_code == 200
    # MLflow's own login knows no tokens: 3.17.2 fails on one, where older versions say 401.
    assert stage.ask(headers={"Authorization": f"Bearer {stage.people.token(stage.ada)}"}).status_code in (401, 500)


@pytest.mark.long
def test_and_with_the_provider_again_all_know_him(stage: Stage) -> None:
    browser = stage.browser()
    stage.deploy("oidc", mlflow_oidc_provision_on_bearer=False)
    # Nobody new is let in by a token now, but dan was.
    fay = stage.people.add("fay", MEMBERS)
    for user, status in ((stage.dan, 200), (fay, 401)):
        assert stage.ask(headers={"Authorization": f"Bearer {stage.people.token(user)}"}).status_code == status
    browser.log_in(stage.ada, stage.people.passwords[stage.ada])
    found = browser.get("/api/2.0/mlflow/experiments/get-by-name?experiment_name=from the user interface")
    assert found.status_code == 200
