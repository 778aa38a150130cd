# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this machine reaches a server is asked before an upgrade stops it, and the way out is said."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow import readiness
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.rest import MlflowError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._upgrade import server
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.verbs_fake import Unhurried

SERVICE = {"activeConfigurations": [{"ingressPaths": [{"accessType": "PRIVATE", "endpoint": "tr-1.example.com"}]}]}


def ask(service: dict, waits: Unhurried | None = None) -> None:
    server.require_reachable(service, "", 60, waits or Unhurried(timeout=3600, delay=10))


def test_a_server_that_is_not_reached_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(client: Client) -> float:
        asked.append(client.connection.tracking_uri)
        raise MlflowError("timeout", "It takes no connection.", waiting_helps=True)

    monkeypatch.setattr(readiness, "check_health", refuse)
    with pytest.raises(UserError) as refused:
        ask(SERVICE)
    for part in ("https://tr-1.example.com", "takes no connection", "machine in its VPC", "ca_path", "Nothing"):
        assert part in str(refused.value)
    # A minute, and not the hour that a step may take.
    assert len(asked) == 13


def test_one_that_answers_after_a_lost_request_is_upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([MlflowError("timeout", "Lost.", waiting_helps=True), None])

    def answer(_client: Client) -> float:
        if error := next(answers):
            raise error
        return 1.0

    monkeypatch.setattr(readiness, "check_health", answer)
    ask(SERVICE)
    assert list(answers) == []


def test_what_waiting_does_not_help_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_client: Client) -> float:
        raise MlflowError("certificate", "Its certificate is signed by an unknown authority.")

    monkeypatch.setattr(readiness, "check_health", refuse)
    with pytest.raises(UserError, match="unknown authority"):
        ask(SERVICE, Unhurried(timeout=1, delay=1))


def test_a_service_without_a_url_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "check_health", lambda _client: pytest.fail("asked"))
    ask({})
