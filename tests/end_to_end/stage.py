# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that can be brought from MLflow's own login to a provider and back, and who uses it."""

from __future__ import annotations

import functools
import json
from typing import Any

import requests
from harness import LocalAws
from harness import Played
from people import ADMINISTRATORS
from people import MEMBERS
from people import Browser
from people import People

NAME = "people"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


class Stage:
    """The deployment, and who uses it."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.people = People(aws)
        self.connection = requests.Session()
        self.connection.trust_env, self.connection.verify = False, aws.info["ca_bundle"]
        self.ada = self.people.add("ada", MEMBERS, ADMINISTRATORS)
        self.bob = self.people.add("bob", MEMBERS)
        self.dan = self.people.add("dan", MEMBERS)
        self.eve = self.people.add("eve")
        manager = aws.client("secretsmanager")
        self.client_secret_arn = manager.create_secret(
            Name="people/mlflow", SecretString=json.dumps({"client_secret": self.people.client_secret})
        )["ARN"]
        self.token_arn = manager.create_secret(Name="people/token", SecretString=json.dumps({"token": "none"}))["ARN"]

    def variables(self, mode: str, **more: Any) -> dict[str, Any]:
        """Of one of the modes."""
        oidc = {
            "mlflow_oidc_discovery_url": self.people.discovery_url,
            "mlflow_oidc_client_id": self.people.client_id,
            "mlflow_oidc_client_secret_arn": self.client_secret_arn,
            "mlflow_oidc_client_secret_key": "client_secret",
            "mlflow_oidc_groups_attribute": "cognito:groups",
            "mlflow_oidc_ca_path": self.aws.info["ca_bundle"],
            "mlflow_oidc_provision_on_bearer": True,
        }
        given = oidc if mode == "oidc" else {}
        return self.aws.small(**{"mlflow_name": NAME, "mlflow_auth": mode, **given, **more})

    def deploy(self, mode: str, **more: Any) -> Played:
        """Bring the deployment into a mode."""
        return self.aws.play("deploy", self.variables(mode, **more)).succeeded()

    @functools.cached_property
    def url(self) -> str:
        """Of the server."""
        [service] = self.aws.client("ecs").list_services(cluster="default")["serviceArns"]
        answer = self.aws.client("ecs").describe_express_gateway_service(serviceArn=service)["service"]
        [path] = answer["activeConfigurations"][0]["ingressPaths"]
        return f"https://{path['endpoint'].removeprefix('https://')}"

    def browser(self) -> Browser:
        """One that has not been used yet."""
        return Browser(self.url, self.aws.info["ca_bundle"])

    def ask(self, path: str = SEARCH, method: str = "GET", **options: Any) -> requests.Response:
        """One request without a session."""
        self.connection.cookies.clear()
        return self.connection.request(method, f"{self.url}{path}", allow_redirects=False, timeout=1800, **options)

    def login(self) -> tuple[str, str]:
        """The administrator of MLflow's own login."""
        text = self.aws.client("secretsmanager").get_secret_value(SecretId=f"{NAME}/login")["SecretString"]
        secret = json.loads(text)
        return secret["username"], secret["password"]
