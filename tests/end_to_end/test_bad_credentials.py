# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials, regions and endpoints with which nothing can begin: one clear sentence, with nothing created."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import pytest
from harness import REGION
from harness import LocalAws
from refusals import assert_nothing_done
from servers import run_module

from ansible_collections.mlops.mlflow_aws.plugins.modules import aws_caller_context
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.action.sentences import assert_clear

# They share a local AWS.
GROUP = "refusals"
CREDENTIALS: dict[str, tuple[dict[str, str | None], list[str]]] = {
    "no region": ({"AWS_REGION": None}, ["No AWS region", "AWS_REGION"]),
    "unknown region": ({"AWS_REGION": "mars-central"}, ["mars-central", "AWS_REGION"]),
    "no credentials": (
        {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        ["No AWS credentials", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"],
    ),
    "half of the credentials": ({"AWS_SECRET_ACCESS_KEY": None}, ["No AWS credentials", "AWS_SECRET_ACCESS_KEY"]),
    "wrong key": ({"AWS_ACCESS_KEY_ID": "AKIAMADEUPANDUNLIKELY"}, ["does not know this access key"]),
    "wrong secret": (
        {"AWS_SECRET_ACCESS_KEY": "made-up-and-unlikely-51e9"},
        ["does not belong", "AWS_SECRET_ACCESS_KEY"],
    ),
    "unknown profile": (
        {"AWS_PROFILE": "nobodys", "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        ["nobodys", "AWS_PROFILE"],
    ),
}


@pytest.fixture(scope="module")
def aws(refusals: LocalAws) -> LocalAws:
    """The one of all files that are about refusals."""
    return refusals


def asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], exported: Mapping[str, str | None]
) -> str:
    """What the module says with which every playbook asks whose the credentials are; for users who export that."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in exported.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    result = run_module(capsys, aws_caller_context)
    assert result["failed"]
    return str(result["msg"])


@pytest.mark.parametrize("case", CREDENTIALS)
def test_credentials_and_region(
    calm: LocalAws, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment, parts = CREDENTIALS[case]
    assert_clear(asked(monkeypatch, capsys, {**calm.user_environment(), **environment}), parts)


def test_an_expired_token(calm: LocalAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    message = "The security token included in the request is expired"
    calm.order_fault("sts:GetCallerIdentity", code="ExpiredToken", message=message, status=403, times=0)
    assert_clear(asked(monkeypatch, capsys, calm.user_environment()), ["credentials", "expired"])


def test_no_way_to_aws(calm: LocalAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"https://127.0.0.1:{closed.getsockname()[1]}"
        exported = {**calm.user_environment(), "AWS_URL": nowhere, "AWS_ENDPOINT_URL": nowhere}
        assert_clear(asked(monkeypatch, capsys, exported), ["cannot be reached", nowhere])


def test_a_playbook_ends_with_what_the_module_says(calm: LocalAws) -> None:
    environment, parts = CREDENTIALS["wrong secret"]
    played = calm.play("deploy", environment=environment)
    assert_clear(played.problem(), parts)
    assert_nothing_done(calm, played)


def test_certificates_of_rds_that_cannot_be_fetched(calm: LocalAws) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1,localhost"}
    played = calm.play("deploy", {"mlflow_name": "apart"}, environment=nowhere)
    bundle = f"https://truststore.pki.rds.amazonaws.com/{REGION}/{REGION}-bundle.pem"
    assert_clear(played.problem(), [bundle, "mlflow_db_ca_path", "mlflow_db_sslmode to require"])
    assert_nothing_done(calm, played)
