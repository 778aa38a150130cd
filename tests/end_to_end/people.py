# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""People in an Amazon Cognito user pool, and how they come to an MLflow server: in a browser, or with a token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from dataclasses import field
from html import unescape
from typing import Any
from urllib.parse import urljoin

import requests
from harness import REGION
from harness import LocalAws

MEMBERS, ADMINISTRATORS = "mlflow", "mlflow-admin"
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass
class People:
    """A user pool with a client for the server."""

    aws: LocalAws
    pool_id: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    passwords: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.cognito = self.aws.client("cognito-idp")
        pool = self.cognito.create_user_pool(PoolName="people", UsernameAttributes=["email"])
        self.pool_id = pool["UserPool"]["Id"]
        client = self.cognito.create_user_pool_client(
            UserPoolId=self.pool_id, ClientName="mlflow", GenerateSecret=True, **self._flows("https://none.example/")
        )["UserPoolClient"]
        self.client_id, self.client_secret = client["ClientId"], client["ClientSecret"]
        for group in (MEMBERS, ADMINISTRATORS):
            self.cognito.create_group(UserPoolId=self.pool_id, GroupName=group)

    @staticmethod
    def _flows(callback: str) -> dict[str, Any]:
        return {
            "AllowedOAuthFlows": ["code"],
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthScopes": ["openid", "email", "profile"],
            "SupportedIdentityProviders": ["COGNITO"],
            "ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            "CallbackURLs": [callback],
        }

    @property
    def discovery_url(self) -> str:
        """The pool's document; at AWS it is below https://cognito-idp.<region>.amazonaws.com."""
        return f"{self.aws.info['endpoint_url']}/{self.pool_id}/.well-known/openid-configuration"

    @property
    def issuer(self) -> str:
        """Who signs, as ministack says it."""
        return f"https://cognito-idp.{REGION}.amazonaws.com/{self.pool_id}"

    def register(self, callback: str) -> None:
        """Let the server's callback be the one that the provider sends people back to."""
        self.cognito.update_user_pool_client(UserPoolId=self.pool_id, ClientId=self.client_id, **self._flows(callback))

    def add(self, name: str, *groups: str) -> str:
        """Create a user, whose e-mail address is the name on the server."""
        user, password = f"{name}@example.org", f"Aa1-{secrets.token_urlsafe(16)}"
        attributes = {"email": user, "email_verified": "true", "name": name}
        self.cognito.admin_create_user(
            UserPoolId=self.pool_id,
            Username=user,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": key, "Value": value} for key, value in attributes.items()],
        )
        self.cognito.admin_set_user_password(UserPoolId=self.pool_id, Username=user, Password=password, Permanent=True)
        for group in groups:
            self.cognito.admin_add_user_to_group(UserPoolId=self.pool_id, Username=user, GroupName=group)
        self.passwords[user] = password
        return user

    def token(self, user: str) -> str:
        """What a program of that user sends: the ID token, which names the client as its audience."""
        digest = hmac.new(self.client_secret.encode(), f"{user}{self.client_id}".encode(), hashlib.sha256).digest()
        answer = self.cognito.admin_initiate_auth(
            UserPoolId=self.pool_id,
            ClientId=self.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={
                "USERNAME": user,
                "PASSWORD": self.passwords[user],
                "SECRET_HASH": base64.b64encode(digest).decode(),
            },
        )
        return str(answer["AuthenticationResult"]["IdToken"])


class Browser:
    """What a browser does with redirects, forms and cookies, step by step."""

    def __init__(self, server: str, ca_bundle: str) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = ca_bundle
        self.visited: list[str] = []

    def get(self, path: str, **options: Any) -> requests.Response:
        """One request to the server, without following."""
        return self.session.get(urljoin(self.server, path), allow_redirects=False, timeout=1800, **options)

    def post(self, path: str, document: Any, **headers: str) -> requests.Response:
        """A POST of the user interface: JSON, with the page's origin."""
        return self.session.post(
            urljoin(self.server, path),
            data=json.dumps(document),
            headers={"Content-Type": "application/json", "Origin": self.server.rstrip("/"), **headers},
            allow_redirects=False,
            timeout=1800,
        )

    def log_in(self, user: str, password: str, headers: dict[str, str] | None = None) -> requests.Response:
        """From the server to the provider, through its form, and back; the page on which that ends."""
        answer = self._follow(self.get("/login", headers=headers))
        assert answer.status_code == 200, answer.text
        assert 'name="password"' in answer.text, answer.text
        fields = {
            name: unescape(value)
            for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text)
        }
        action = re.search(r'<form method="POST" action="([^"]+)"', answer.text)
        assert action is not None
        sent = self.session.post(
            urljoin(answer.url, unescape(action[1])),
            data={**fields, "username": user, "password": password},
            allow_redirects=False,
            timeout=1800,
        )
        return self._follow(sent)

    def _follow(self, answer: requests.Response) -> requests.Response:
        while answer.status_code in REDIRECTS:
            url = urljoin(answer.url, answer.headers["location"])
            self.visited.append(url)
            answer = self.session.get(url, allow_redirects=False, timeout=1800)
        return answer
