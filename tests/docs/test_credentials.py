# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials in every way in which amazon.aws takes them: for our modules and for its own.

IAM is enforced: in each way the caller is a principal who may do a little and no more.
"""

from __future__ import annotations

import base64
import http.server
import json
import os
import secrets
import stat
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from blocks import ROOT
from controllers import Controller
from controllers import RegionalAws
from principals import User
from servers import run_module

from ansible_collections.amazon.aws.plugins.modules import ec2_vpc_net_info
from ansible_collections.mlops.mlflow_aws.plugins.modules import aws_caller_context
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info
from ansible_collections.mlops.mlflow_aws.plugins.modules import secretsmanager_secret_info

ACCOUNT = "123456789012"
ROLE = "role-of-the-tests"
ISSUER = "ci.example.org"
LITTLE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Little",
            "Effect": "Allow",
            "Action": [
                "ecs:DescribeServices",
                "ecs:DescribeExpressGatewayService",
                "ec2:DescribeVpcs",
                "ec2:DescribeVpcAttribute",
                "sts:AssumeRole",
            ],
            "Resource": "*",
        }
    ],
}
Server = Callable[[dict[str, str]], str]


def trust() -> dict[str, Any]:
    """Whom the role trusts: the account's users, and the tokens of an identity provider."""
    user = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    federated = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"},
        "Condition": {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}},
    }
    return {"Version": "2012-10-17", "Statement": [user, federated]}


@dataclass
class Principal:
    """A user who may do a little, and a role that they may assume."""

    aws: RegionalAws
    user: User
    folder: Path
    files: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> dict[str, str]:
        """The user's."""
        return self.user.environment

    def session(self, name: str = "by-hand") -> dict[str, Any]:
        """Temporary credentials of the role."""
        sts = self.aws.client(
            "sts",
            aws_access_key_id=self.keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.keys["AWS_SECRET_ACCESS_KEY"],
        )
        answer: dict[str, Any] = sts.assume_role(RoleArn=role_arn(), RoleSessionName=name)["Credentials"]
        return answer

    def profiles(self, text: str) -> dict[str, str]:
        """The AWS configuration files of a user: keys under [keys], and further profiles."""
        credentials, config = self.folder / "credentials", self.folder / "config"
        credentials.write_text(
            f"[keys]\naws_access_key_id = {self.keys['AWS_ACCESS_KEY_ID']}\n"
            f"aws_secret_access_key = {self.keys['AWS_SECRET_ACCESS_KEY']}\n"
        )
        config.write_text(text)
        return {"AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_CONFIG_FILE": str(config)}


def role_arn() -> str:
    """Of the role."""
    return f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"


@pytest.fixture(scope="module")
def principal(aws: RegionalAws, tmp_path_factory: pytest.TempPathFactory) -> Principal:
    """Who has all these credentials."""
    user = User(aws, "principal", [LITTLE])
    iam = aws.client("iam")
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust()))
    iam.put_role_policy(RoleName=ROLE, PolicyName="little", PolicyDocument=json.dumps(LITTLE))
    return Principal(aws, user, tmp_path_factory.mktemp("aws"))


@pytest.fixture
def endpoint() -> Iterator[Server]:
    """Starts a server on this machine that answers GET and PUT by path."""
    servers = []

    def start(answers: dict[str, str]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                known = self.path in answers
                body = answers.get(self.path, "").encode()
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = answer

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def container_answer(principal: Principal) -> str:
    """What the credentials endpoint of a container answers."""
    found = principal.session("container")
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": found["AccessKeyId"],
            "SecretAccessKey": found["SecretAccessKey"],
            "Token": found["SessionToken"],
            "Expiration": until,
            "LastUpdated": until,
        }
    )


def exported_keys(principal: Principal, server: Server) -> dict[str, str]:
    return principal.keys


def exported_keys_by_their_other_names(principal: Principal, server: Server) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY": principal.keys["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_KEY": principal.keys["AWS_SECRET_ACCESS_KEY"],
    }


def exported_session(principal: Principal, server: Server) -> dict[str, str]:
    found = principal.session()
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
    }


def profile_with_keys(principal: Principal, server: Server) -> dict[str, str]:
    return {"AWS_PROFILE": "keys", **principal.profiles("")}


def default_profile(principal: Principal, server: Server) -> dict[str, str]:
    found = principal.profiles("")
    Path(found["AWS_SHARED_CREDENTIALS_FILE"]).write_text(
        Path(found["AWS_SHARED_CREDENTIALS_FILE"]).read_text().replace("[keys]", "[default]")
    )
    return found


def profile_that_assumes_a_role(principal: Principal, server: Server) -> dict[str, str]:
    text = f"[profile deployer]\nrole_arn = {role_arn()}\nsource_profile = keys\nrole_session_name = assumed\n"
    return {"AWS_PROFILE": "deployer", **principal.profiles(text)}


def profile_with_a_process(principal: Principal, server: Server) -> dict[str, str]:
    found = principal.session("process")
    names = {name: found[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    answer = principal.folder / "answer.json"
    answer.write_text(json.dumps({"Version": 1, **names}))
    return {"AWS_PROFILE": "vault", **principal.profiles(f"[profile vault]\ncredential_process = cat {answer}\n")}


def web_identity(principal: Principal, server: Server) -> dict[str, str]:
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": f"https://{ISSUER}", "aud": "sts.amazonaws.com", "sub": "repo", "iat": now, "exp": now + 600}
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    token = principal.folder / "token"
    token.write_text(".".join([*encoded, secrets.token_urlsafe(32)]))
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": role_arn(), "AWS_ROLE_SESSION_NAME": "ci"}


def container(principal: Principal, server: Server) -> dict[str, str]:
    url = server({"/credentials": container_answer(principal)})
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/credentials"}


def instance(principal: Principal, server: Server) -> dict[str, str]:
    path = "/latest/meta-data/iam/security-credentials/"
    answers = {"/latest/api/token": "token", path: ROLE, f"{path}{ROLE}": container_answer(principal)}
    return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": server(answers)}


AS_USER, AS_ROLE = f"arn:aws:iam::{ACCOUNT}:user/principal", f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/"
WAYS = [
    (exported_keys, AS_USER),
    (exported_keys_by_their_other_names, AS_USER),
    (exported_session, f"{AS_ROLE}by-hand"),
    (profile_with_keys, AS_USER),
    (default_profile, AS_USER),
    (profile_that_assumes_a_role, f"{AS_ROLE}assumed"),
    (profile_with_a_process, f"{AS_ROLE}process"),
    (web_identity, f"{AS_ROLE}ci"),
    (container, f"{AS_ROLE}container"),
    (instance, f"{AS_ROLE}container"),
]


def exports(
    monkeypatch: pytest.MonkeyPatch, aws: RegionalAws, environment: dict[str, str], *, region: bool = True
) -> None:
    """Have these in the environment, and nothing else of AWS."""
    for name in os.environ:
        if name.startswith(("AWS_", "BOTO_")):
            monkeypatch.delenv(name)
    nothing = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    wanted = {**nothing, **aws.where(), **({"AWS_REGION": aws.region} if region else {}), **environment}
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)


def asks_all_three(capsys: pytest.CaptureFixture[str], caller: str, **options: Any) -> None:
    """One of our modules for each base that they stand on, and one of amazon.aws; and a thing that is not allowed."""
    context = run_module(capsys, aws_caller_context, **options)
    assert context.get("arn") == caller, context
    assert context["region"] == "eu-central-1"
    services = run_module(capsys, ecs_express_service_info, service_name="nothing-of-that-name", **options)
    assert services.get("services") == [], services
    networks = run_module(capsys, ec2_vpc_net_info, **options)
    assert len(networks.get("vpcs", [])) == 1, networks
    refused = run_module(capsys, secretsmanager_secret_info, name="mlflow/login", **options)
    assert refused.get("failed"), refused
    assert "secretsmanager:DescribeSecret" in refused["msg"] or "AccessDenied" in refused["msg"], refused


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0].__name__)
def test_the_environment_gives_credentials(
    way: tuple[Callable[[Principal, Server], dict[str, str]], str],
    principal: Principal,
    endpoint: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment, caller = way
    exports(monkeypatch, principal.aws, environment(principal, endpoint))
    asks_all_three(capsys, caller)


def test_options_give_credentials(
    principal: Principal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As module_defaults hand them to each module."""
    exports(monkeypatch, principal.aws, {}, region=False)
    found = principal.session()
    names = {"access_key": "AccessKeyId", "secret_key": "SecretAccessKey", "session_token": "SessionToken"}
    options = {option: found[name] for option, name in names.items()}
    asks_all_three(capsys, f"{AS_ROLE}by-hand", region="eu-central-1", **options)


def test_a_profile_gives_the_region_too(
    principal: Principal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = principal.profiles("[profile keys]\nregion = eu-central-1\n")
    exports(monkeypatch, principal.aws, files, region=False)
    asks_all_three(capsys, AS_USER, profile="keys")


OURS = [
    (aws_caller_context, {}),
    (ecs_express_service_info, {"service_name": "mlflow"}),
    (secretsmanager_secret_info, {"name": "mlflow/login"}),
]


@pytest.mark.parametrize(("module", "options"), OURS, ids=[one.__name__.rpartition(".")[2] for one, _unused in OURS])
def test_a_profile_beside_keys_is_said_in_a_sentence(
    module: Any,
    options: dict[str, Any],
    principal: Principal,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exports(monkeypatch, principal.aws, {**principal.keys, "AWS_PROFILE": "keys", **principal.profiles("")})
    said = run_module(capsys, module, **options)
    assert said["failed"]
    assert said["msg"].startswith("Both a profile and access keys are given"), said
    assert "unset AWS_PROFILE" in said["msg"]


def test_empty_options_choose_the_profile(
    principal: Principal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exports(monkeypatch, principal.aws, {**principal.keys, **principal.profiles("")})
    asks_all_three(capsys, AS_USER, profile="keys", access_key="", secret_key="", session_token="")


# --- whole playbooks -------------------------------------------------------------------------------------------------


def test_a_playbook_says_it_before_anything_else(controller: Controller, principal: Principal) -> None:
    environment = {**principal.aws.root(), "AWS_PROFILE": "keys", **principal.profiles("")}
    for playbook in ("deploy", "validate", "login"):
        played = controller.play(playbook, {"mlflow_name": "mlflow"}, environment=environment)
        assert "Both a profile and access keys are given" in played.output, played.output


def deployers(principal: Principal) -> None:
    """Let the role deploy, and nothing else."""
    iam = principal.aws.client("iam")
    for number, file in enumerate(("deploy", "deploy-roles")):
        document = (ROOT / "docs/policies" / f"{file}.json").read_text(encoding="utf-8")
        arn = iam.create_policy(PolicyName=f"deployers-{number}", PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn)


def test_an_assumed_role_deploys(
    deployed: str, controller: Controller, principal: Principal, variables: dict[str, Any]
) -> None:
    """With action plugins, our modules and those of amazon.aws; it finds nothing to change."""
    deployers(principal)
    before = len(principal.user.checks())
    environment = {**profile_that_assumes_a_role(principal, lambda _unused: ""), "AWS_REGION": "eu-central-1"}
    played = controller.play("deploy", variables, "--check", "--diff", environment=environment).succeeded()
    assert played.changed == {"localhost": 0}, played.output
    assert "\n+++ after" not in played.output, played.output
    assert {check["action"] for check in principal.user.checks()[before:]} <= {"sts:AssumeRole"}


def test_module_defaults_reach_every_module_of_a_role(
    deployed: str, controller: Controller, principal: Principal
) -> None:
    """Neither credentials nor a region are exported; the first role has modules of amazon.aws, the second ours."""
    root = principal.aws.root()
    names = {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY", "region": "AWS_REGION"}
    roles = ("network", "bucket")
    play = {
        "name": "Whatever the roles ask AWS",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "ansible_python_interpreter": sys.executable,
            "network_name": deployed,
            "bucket_deployment": deployed,
        },
        "module_defaults": {
            "group/mlops.mlflow_aws.all": {option: root[variable] for option, variable in names.items()}
        },
        "tasks": [
            {"name": role, "ansible.builtin.import_role": {"name": f"mlops.mlflow_aws.{role}"}} for role in roles
        ],
    }
    path = controller.work / "play.yml"
    path.write_text(json.dumps([play]), encoding="utf-8")
    path.chmod(stat.S_IRUSR)
    played = controller.run(["ansible-playbook", "play.yml", "--check"], {}).succeeded()
    assert played.changed == {"localhost": 0}, played.output
