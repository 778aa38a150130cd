# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running deployment gets users, a new password of its administrator, and new keys of sessions.

One deployment goes through all tests here, in their order.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import QUICK
from harness import ROOT
from harness import LocalAws
from harness import Played
from harness import eventually
from harness import interrupt

pytestmark = pytest.mark.long
NAME = "rotation"
USERS = "/api/2.0/mlflow/users"


class Deployment:
    """The deployment, its secrets, and who gets in."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws, self.url = aws, ""
        self.manager = aws.client("secretsmanager")

        self.environment: dict[str, str] = {}

    def play(self, playbook: str, variables: dict[str, Any] | None = None, **options: Any) -> Played:
        """Run a playbook for it, as the user of the present environment."""
        given = self.aws.small(mlflow_name=NAME, **(variables or {}))
        return self.aws.play(playbook, given, environment=self.environment, **options)

    def tasks(self) -> list[str]:
        """The running ones."""
        return list(self.aws.client("ecs").list_tasks(serviceName=NAME, desiredStatus="RUNNING")["taskArns"])

    def restart(self) -> None:
        """End its task, and wait until another one answers."""
        [before] = self.tasks()
        self.aws.client("ecs").stop_task(task=before, reason="a test")
        eventually(lambda: self.tasks() not in ([], [before]), "another task")
        eventually(lambda: self.ask("GET", "/health", "") == 200, "an answer")

    def find(self) -> None:
        """Where it answers."""
        [arn] = [arn for arn in self.aws.client("ecs").list_services()["serviceArns"] if arn.endswith(f"/{NAME}")]
        service = self.aws.client("ecs").describe_express_gateway_service(serviceArn=arn)["service"]
        self.url = f"https://{service['activeConfigurations'][0]['ingressPaths'][0]['endpoint']}"

    def secret(self, name: str, stage: str = "AWSCURRENT") -> dict[str, str] | None:
        """The members of one of its secrets; None if no version has that label."""
        try:
            answer = self.manager.get_secret_value(SecretId=f"{NAME}/{name}", VersionStage=stage)
        except self.manager.exceptions.ResourceNotFoundException:
            return None
        return json.loads(answer["SecretString"])

    @property
    def password(self) -> str:
        """The administrator's, by the secret."""
        found = self.secret("login")
        assert found
        return found["password"]

    def ask(self, method: str, path: str, password: str, body: Any = None, *, user: str = "admin") -> int:
        """The status of what the server answers to a user with that password."""
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=headers, method=method)
        trusted = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.aws.info["ca_bundle"]))
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({}), trusted).open(
                request, timeout=1800
            ) as got:
                return int(got.status)
        except urllib.error.HTTPError as error:
            return error.code

    def admits(self, password: str) -> bool:
        """Whether the administrator gets in with it."""
        status = self.ask("GET", f"{USERS}/list", password)
        assert status in (200, 401)
        return status == 200


@pytest.fixture(scope="module")
def deployment(aws: LocalAws, software: None) -> Deployment:
    """Deployed, with one worker, so that no other remembers a login."""
    aws.kill()
    aws.up(QUICK)
    aws.page("faults", "DELETE")
    made = Deployment(aws)
    made.play("deploy").succeeded()
    made.find()
    return made


def documented(language: str) -> str:
    """The one block of that language in the page."""
    text = (ROOT / "docs/login.md").read_text(encoding="utf-8")
    [block] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    return block


@pytest.fixture
def limited(deployment: Deployment) -> Iterator[Deployment]:
    """Played as an IAM user who may do what the page says and nothing else."""
    policy = documented("json").replace("mlflow", NAME)
    iam = deployment.aws.client("iam")
    iam.create_user(UserName="changer")
    iam.put_user_policy(UserName="changer", PolicyName="changer", PolicyDocument=policy)
    key = iam.create_access_key(UserName="changer")["AccessKey"]
    deployment.environment = {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    yield deployment
    deployment.environment = {}
    iam.delete_access_key(UserName="changer", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="changer", PolicyName="changer")
    iam.delete_user(UserName="changer")


def test_the_documented_play(deployment: Deployment) -> None:
    path = deployment.aws.home / "people.yml"
    path.write_text(documented("yaml"), encoding="utf-8")
    variables = {"mlflow_name": NAME, "mlflow_url": deployment.url, "mlflow_ca_path": deployment.aws.info["ca_bundle"]}
    assert deployment.aws.play(str(path), variables, check=True).succeeded().changed["localhost"] > 0
    played = deployment.aws.play(str(path), variables).succeeded()
    assert deployment.aws.play(str(path), variables).succeeded().changed == {"localhost": 0}
    for name, status in (("ana", 200), ("bob", 403)):
        login = deployment.secret(f"users/{name}") or {}
        assert login["password"] not in played.output
        assert deployment.ask("GET", f"{USERS}/get?username=admin", login["password"], user=name) == status
    bob = (deployment.secret("users/bob") or {})["password"]
    tag = {"experiment_id": "0", "key": "by", "value": "bob"}
    assert deployment.ask("POST", "/api/2.0/mlflow/experiments/set-experiment-tag", bob, tag, user="bob") == 200


def test_the_password_is_changed(limited: Deployment) -> None:
    deployment = limited
    before = deployment.password
    assert deployment.admits(before)
    checked = deployment.play("rotate_login", check=True).succeeded()
    assert checked.changed["localhost"] > 0
    assert deployment.password == before
    assert deployment.secret("login", "AWSPENDING") is None
    bob = "bob", "made-up-and-long-enough-for-bob"
    body = {"username": bob[0], "password": bob[1]}
    made = deployment.ask("POST", f"{USERS}/create", before, body)
    assert made in (200, 400), "the play has created the user, if it was run"
    tasks = deployment.tasks()
    played = deployment.play("rotate_login").succeeded()
    assert deployment.tasks() == tasks, "nothing restarts"
    assert made == 400 or deployment.ask("GET", f"{USERS}/get?username=bob", bob[1], user="bob") == 200
    after = deployment.password
    assert after != before
    assert deployment.admits(after)
    assert not deployment.admits(before)
    assert deployment.secret("login", "AWSPENDING") is None
    assert (deployment.secret("login", "AWSPREVIOUS") or {})["password"] == before
    for password in (before, after):
        assert password not in played.output


@pytest.mark.parametrize(
    "task",
    ["Keep a new password beside", "Set the new password on the server", "Make the new password the current one"],
)
def test_a_change_that_is_cut_off_is_completed_by_the_next_run(deployment: Deployment, task: str) -> None:
    before = deployment.password
    assert deployment.play("rotate_login", at=task, then=interrupt).code != 0
    # One of the two gets in, and Secrets Manager knows it.
    pending = deployment.secret("login", "AWSPENDING")
    begun = pending if deployment.password == before else None
    known = [value["password"] for value in (deployment.secret("login"), pending) if value]
    assert [password for password in known if deployment.admits(password)]
    deployment.play("rotate_login").succeeded()
    after = deployment.password
    assert deployment.admits(after)
    assert after != before
    assert not deployment.admits(before)
    if begun and after != begun["password"]:
        # The module that was at work when Ansible was cut off may have completed it after we looked.
        was = deployment.secret("login", "AWSPREVIOUS") or {}
        assert was["password"] == begun["password"], "a rotation that was begun is completed before another one begins"


def test_a_change_whose_answer_was_lost(deployment: Deployment) -> None:
    """The server has the new password, and the secret does not."""
    before = deployment.password
    after = "made-up-and-long-enough-to-be-one"
    value = json.dumps({"username": "admin", "password": after})
    deployment.manager.put_secret_value(SecretId=f"{NAME}/login", SecretString=value, VersionStages=["AWSPENDING"])
    body = {"username": "admin", "password": after, "current_password": before}
    assert deployment.ask("PATCH", f"{USERS}/update-password", before, body) == 200
    failed = deployment.play("validate")
    assert failed.code != 0
    assert "rejects the login of user admin" in failed.output
    deployment.play("rotate_login").succeeded()
    assert deployment.password == after
    assert deployment.admits(after)


def test_a_password_that_somebody_else_has_changed(deployment: Deployment) -> None:
    mine, theirs = deployment.password, "changed-by-somebody-in-the-browser"
    body = {"username": "admin", "password": theirs, "current_password": mine}
    assert deployment.ask("PATCH", f"{USERS}/update-password", mine, body) == 200
    played = deployment.play("rotate_login")
    assert "rejects the login of user admin" in played.problem()
    assert played.changed == {"localhost": 0}
    assert (deployment.password, deployment.secret("login", "AWSPENDING")) == (mine, None)
    back = {"username": "admin", "password": mine, "current_password": theirs}
    assert deployment.ask("PATCH", f"{USERS}/update-password", theirs, back) == 200
    deployment.play("rotate_login").succeeded()
    assert deployment.admits(deployment.password)


def test_the_keys_of_sessions(limited: Deployment) -> None:
    deployment = limited
    before, password = deployment.secret("server") or {}, deployment.password
    tasks = deployment.aws.client("ecs").list_tasks(cluster="default", serviceName=NAME)["taskArns"]
    played = deployment.play("rotate_session_keys").succeeded()
    after = deployment.secret("server") or {}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"flask_secret_key", "session_secret_key"}
    assert not set(tasks) & set(
        deployment.aws.client("ecs").list_tasks(cluster="default", serviceName=NAME)["taskArns"]
    )
    assert deployment.admits(password), "users and passwords are as before"
    for value in (*before.values(), *after.values()):
        assert value not in played.output
    deployment.environment = {}
    assert deployment.play("deploy").succeeded().changed == {"localhost": 0}


def test_another_value_in_the_secret_changes_no_password(deployment: Deployment) -> None:
    before, other = deployment.password, "written-into-the-secret-by-hand"
    for value in (other, before):
        text = json.dumps({"username": "admin", "password": value})
        deployment.manager.put_secret_value(SecretId=f"{NAME}/login", SecretString=text)
        if value == other:
            deployment.restart()
            assert deployment.admits(before)
            assert not deployment.admits(other)


BOSS = f"{NAME}/users/boss"
RETIRED = {"mlflow_bootstrap_admin": False, "mlflow_admin_login_secret": BOSS}


@pytest.fixture(scope="module")
def boss(deployment: Deployment) -> tuple[str, str]:
    """Another administrator, whose login is in a secret."""
    login = "boss", "made-up-and-long-enough-for-a-boss"
    members = dict(zip(("username", "password"), login, strict=True))
    deployment.manager.create_secret(Name=BOSS, SecretString=json.dumps(members))
    assert deployment.ask("POST", f"{USERS}/create", deployment.password, members) == 200
    return login


def test_first_administrator_is_not_retired_in_favour_of_nobody(deployment: Deployment, boss: tuple[str, str]) -> None:
    for secret, sentence in ((BOSS, "boss, whose login is in the secret"), (f"{NAME}/login", "the login of admin")):
        played = deployment.play("deploy", {**RETIRED, "mlflow_admin_login_secret": secret})
        assert sentence in played.problem()
        assert played.changed == {"localhost": 0}
    body = {"username": "boss", "is_admin": True}
    assert deployment.ask("PATCH", f"{USERS}/update-admin", deployment.password, body) == 200


def test_deleted_administrator_comes_back_with_the_next_task(deployment: Deployment, boss: tuple[str, str]) -> None:
    user, password = boss
    assert deployment.ask("DELETE", f"{USERS}/delete", password, {"username": "admin"}, user=user) == 200
    played = deployment.play("rotate_login")
    problem = played.problem()
    assert "rejects the login of user admin" in problem
    assert "mlflow_bootstrap_admin to false" in problem
    assert played.changed == {"localhost": 0}
    assert deployment.secret("login", "AWSPENDING") is None
    deployment.restart()
    assert deployment.admits(deployment.password)


def test_retired_administrator_stays_away(deployment: Deployment, boss: tuple[str, str]) -> None:
    user, password = boss
    deployment.play("deploy", RETIRED).succeeded()
    assert deployment.play("deploy", RETIRED).succeeded().changed == {"localhost": 0}
    assert deployment.ask("DELETE", f"{USERS}/delete", password, {"username": "admin"}, user=user) == 200
    deployment.restart()
    assert not deployment.admits(deployment.password)
    assert deployment.ask("GET", f"{USERS}/list", password, user=user) == 200
    ecs = deployment.aws.client("ecs")
    [task] = ecs.list_tasks(serviceName=NAME, desiredStatus="RUNNING")["taskArns"]
    definition = ecs.describe_tasks(tasks=[task])["tasks"][0]["taskDefinitionArn"]
    container = ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]["containerDefinitions"][0]
    assert f"secret:{NAME}/login" not in json.dumps(container)
    deployment.play("validate", {**RETIRED, "mlflow_demo": False}).succeeded()
    played = deployment.play("rotate_login", RETIRED).succeeded()
    new = (deployment.secret("users/boss") or {})["password"]
    assert new != password
    assert new not in played.output
    for one, status in ((new, 200), (password, 401)):
        assert deployment.ask("GET", f"{USERS}/list", one, user=user) == status
    assert new in deployment.play("login", RETIRED).succeeded().output


def test_retired_administrator_is_taken_back(deployment: Deployment) -> None:
    deployment.play("deploy").succeeded()
    assert deployment.admits(deployment.password)


def test_without_a_deployment(deployment: Deployment) -> None:
    for playbook, secret in (("rotate_login", "nowhere/login"), ("rotate_session_keys", "nowhere")):
        played = deployment.aws.play(playbook, deployment.aws.small(mlflow_name="nowhere"))
        assert secret in played.problem()
