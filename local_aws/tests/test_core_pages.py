# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may see and use the local AWS's own pages, and under which names its port answers."""

from __future__ import annotations

import http.client
import json
import ssl
import stat
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest
from running import LocalAws

PAGES = [
    ("GET", "status"),
    ("GET", "calls"),
    ("DELETE", "calls"),
    ("GET", "permissions"),
    ("DELETE", "permissions"),
    ("GET", "faults"),
    ("POST", "faults"),
    ("DELETE", "faults"),
    ("POST", "images"),
    ("GET", "nothing"),
]


def token(aws: LocalAws) -> str:
    return Path(aws.info["token_file"]).read_text(encoding="ascii").strip()


def asked(aws: LocalAws, host: str, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and body of a GET to the port, under a name of the client's choice."""
    trusted = ssl.create_default_context(cafile=aws.info["ca_bundle"])
    connection = http.client.HTTPSConnection("127.0.0.1", aws.port, context=trusted)
    try:
        connection.putrequest("GET", path, skip_host=True)
        if host:
            connection.putheader("Host", host)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(("method", "path"), PAGES)
@pytest.mark.parametrize("shown", ["", "Bearer made-up-token-of-nobody", "Basic made-up-token-of-nobody", "Bearer"])
def test_a_page_needs_the_token(local_aws: LocalAws, method: str, path: str, shown: str) -> None:
    document = {"what": "ecs:NothingLikeThis", "image": "nothing"} if method == "POST" else None
    with pytest.raises(urllib.error.HTTPError) as caught:
        local_aws.page(path, method, document, headers={"Authorization": shown})
    assert caught.value.code == 401
    assert "token" in json.load(caught.value)["error"]


def test_credentials_of_the_account_are_no_token(local_aws: LocalAws) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        local_aws.page("status", headers={"Authorization": f"Bearer {local_aws.info['secret_access_key']}"})


def test_the_token_is_its_owners_alone_and_each_homes_own(new_local_aws: Callable[..., LocalAws]) -> None:
    aws = new_local_aws()
    aws.up()
    first = token(aws)
    assert stat.S_IMODE(Path(aws.info["token_file"]).stat().st_mode) == 0o600
    assert first not in aws.log()
    assert first not in json.dumps(aws.info)
    aws.down()
    aws.up()
    assert token(aws) == first
    aws.down("--wipe")
    assert not Path(aws.info["token_file"]).exists()
    aws.up()
    assert token(aws) != first


@pytest.mark.parametrize("host", ["localhost:{}", "LocalHost", "127.0.0.1:{}", "[::1]:{}", "[::1]", "x.localhost:{}"])
def test_the_port_answers_to_the_names_of_this_machine(local_aws: LocalAws, host: str) -> None:
    shown = {"Authorization": f"Bearer {token(local_aws)}"}
    status, body = asked(local_aws, host.format(local_aws.port), "/_local_aws/status", shown)
    assert status == 200, body


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example.com:{}",
        "rebound.example.com",
        "localhost.example.com:{}",
        "notlocalhost:{}",
        "127.0.0.1.example.com:{}",
        "10.0.0.1:{}",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/_local_aws/status", "/login", "/bucket/key", "/?Action=DescribeDBInstances"])
def test_the_port_answers_to_no_other_name(local_aws: LocalAws, host: str, path: str) -> None:
    """As a page of another site would come, once its name leads here (DNS rebinding)."""
    shown = {"Authorization": f"Bearer {token(local_aws)}"} if path.startswith("/_") else {}
    status, body = asked(local_aws, host.format(local_aws.port), path, shown)
    assert status == 400 if not host else status == 403, body
    assert "running" not in body and "AccessDenied" not in body
