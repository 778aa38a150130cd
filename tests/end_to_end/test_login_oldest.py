# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login of a deployment of the oldest version of MLflow."""

from __future__ import annotations

import pytest
from harness import LocalAws
from harness import prepare_software
from login_server import ASSISTANT
from login_server import LISTED
from login_server import NAMES
from login_server import OLD
from login_server import SEARCH
from login_server import Server
from login_server import deploy
from login_server import places
from login_server import walk

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def quick(aws: LocalAws) -> LocalAws:
    """The local AWS, with the server's software."""
    prepare_software(OLD, aws.home / "owner")
    return aws


@pytest.fixture(scope="module")
def oldest(quick: LocalAws) -> Server:
    """A deployment of the oldest version, with several workers, of which each would make the tables of users."""
    deploy(quick, OLD, variables={"mlflow_workers": 3}).succeeded()
    return Server(quick, NAMES[OLD])


def test_the_oldest_version_asks_for_the_login_too(oldest: Server) -> None:
    walk(oldest, OLD)


def test_the_oldest_versions_assistant_is_not_for_clients_elsewhere(oldest: Server) -> None:
    for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}):
        status, answer = oldest.ask("PUT", ASSISTANT, oldest.admin, {}, **headers)
        assert (status, "same host" in str(answer)) == (403, True)


def test_the_oldest_versions_public_password_is_none(oldest: Server) -> None:
    assert oldest.ask("GET", LISTED, ("admin", "password1234"))[0] == 401
    assert oldest.ask("GET", LISTED, oldest.admin)[0] == 200


def test_the_oldest_version_makes_its_tables_once(quick: LocalAws, oldest: Server) -> None:
    text = places(quick, oldest)["the logs"]
    assert "Traceback" not in text
    assert "UniqueViolation" not in text


def test_the_oldest_versions_pages_can_change_things(quick: LocalAws, oldest: Server) -> None:
    body = {"max_results": 1}
    assert oldest.ask("POST", SEARCH, oldest.admin, body, Origin=oldest.url)[0] == 200
    assert oldest.ask("POST", SEARCH, oldest.admin, body, Origin="https://evil.example.com")[0] == 403
    [environment] = [
        {pair["name"]: pair["value"] for pair in one["primaryContainer"]["environment"]}
        for one in oldest.service["activeConfigurations"]
    ]
    assert environment["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == oldest.url
    # Once the URL is known there is nothing left to do.
    assert deploy(quick, OLD, variables={"mlflow_workers": 3}).succeeded().changed == {"localhost": 0}
