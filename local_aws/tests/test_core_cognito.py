# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon Cognito as an OpenID Connect provider: what a browser and a server do with it, without AWS credentials."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import ssl
import urllib.error
import urllib.parse
import urllib.request
from html import unescape
from typing import Any

import pytest
from botocore.exceptions import ClientError
from running import LocalAws

CALLBACK = "https://server.example/callback"
USER = "ada@example.org"


class _Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are looked at, not followed."""

    def redirect_request(self, *_unused: Any) -> None:
        return None


def ask(aws: LocalAws, url: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Any:
    """Status, headers and text of an answer."""
    trusted = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=aws.info["ca_bundle"]))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusted, _Stay())
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with opener.open(request, timeout=1800) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


@pytest.fixture(scope="module")
def pool(local_aws: LocalAws) -> dict[str, str]:
    """A user pool with a client and a user."""
    cognito = local_aws.client("cognito-idp")
    password = f"Aa1-{secrets.token_urlsafe(12)}"
    pool_id = cognito.create_user_pool(PoolName="people", UsernameAttributes=["email"])["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="server",
        GenerateSecret=True,
        AllowedOAuthFlows=["code"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=["openid", "email"],
        CallbackURLs=[CALLBACK],
        SupportedIdentityProviders=["COGNITO"],
    )["UserPoolClient"]
    cognito.create_group(UserPoolId=pool_id, GroupName="mlflow")
    cognito.admin_create_user(
        UserPoolId=pool_id,
        Username=USER,
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": "email", "Value": USER}, {"Name": "email_verified", "Value": "true"}],
    )
    cognito.admin_set_user_password(UserPoolId=pool_id, Username=USER, Password=password, Permanent=True)
    cognito.admin_add_user_to_group(UserPoolId=pool_id, Username=USER, GroupName="mlflow")
    return {
        "id": pool_id,
        "client": client["ClientId"],
        "secret": client["ClientSecret"],
        "password": password,
        "url": f"{local_aws.info['endpoint_url']}/{pool_id}",
    }


def test_a_pools_documents_name_this_endpoint(local_aws: LocalAws, pool: dict[str, str]) -> None:
    status, _headers, text = ask(local_aws, f"{pool['url']}/.well-known/openid-configuration")
    document = json.loads(text)
    assert status == 200
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
        assert document[name].startswith(local_aws.info["endpoint_url"] + "/"), name
    assert ask(local_aws, document["jwks_uri"])[0] == 200


def test_a_login_with_an_authorization_code(local_aws: LocalAws, pool: dict[str, str]) -> None:
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": pool["client"],
        "redirect_uri": CALLBACK,
        "scope": "openid email",
        "state": "s",
        "nonce": "n",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    endpoint = local_aws.info["endpoint_url"]
    status, _headers, page = ask(local_aws, f"{endpoint}/oauth2/authorize?{urllib.parse.urlencode(query)}")
    assert status == 200
    hidden = {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)}
    status, headers, _text = ask(
        local_aws, f"{endpoint}/login", {**hidden, "username": USER, "password": pool["password"]}
    )
    assert status == 302
    back = urllib.parse.urlsplit(headers["location"])
    answer = dict(urllib.parse.parse_qsl(back.query))
    assert headers["location"].startswith(f"{CALLBACK}?")
    assert answer["state"] == "s"
    basic = base64.b64encode(f"{pool['client']}:{pool['secret']}".encode()).decode()
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": verifier,
    }
    status, _headers, text = ask(
        local_aws, f"{endpoint}/oauth2/token", form, headers={"Authorization": f"Basic {basic}"}
    )
    assert status == 200, text
    payload = json.loads(text)["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == pool["client"]
    assert claims["email"] == USER
    assert claims["nonce"] == "n"
    assert claims["cognito:groups"] == ["mlflow"]


def test_an_unregistered_callback_is_refused(local_aws: LocalAws, pool: dict[str, str]) -> None:
    query = {"response_type": "code", "client_id": pool["client"], "redirect_uri": "https://elsewhere.example/"}
    url = f"{local_aws.info['endpoint_url']}/oauth2/authorize?{urllib.parse.urlencode(query)}"
    status, headers, _text = ask(local_aws, url)
    assert status == 400
    assert "location" not in headers


def test_buckets_are_no_more_open_than_before(local_aws: LocalAws) -> None:
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="login")
    s3.put_object(Bucket="login", Key="x", Body=b"x")
    endpoint = local_aws.info["endpoint_url"]
    assert ask(local_aws, f"{endpoint}/login/x")[0] == 403
    assert s3.get_object(Bucket="login", Key="x")["Body"].read() == b"x"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="login")["Contents"]] == ["x"]
    foreign = local_aws.client("s3", "AKIA0000000000000000", "wrong")
    with pytest.raises(ClientError):
        foreign.list_objects_v2(Bucket="login")
