# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: throttling, credentials that expire, services of another kind."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_clients
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import THROTTLING_CODES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run


def test_throttling_is_repeated(run: Run, ecs: FakeEcs) -> None:
    ecs.errors["CreateExpressGatewayService"] = [Answer("ThrottlingException", "Rate exceeded")]
    assert run(full_params())["changed"] is True


def test_throttling_is_repeated_with_jitter(ecs: FakeEcs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules' own clients: the pauses grow, and differ from those of clients throttled at the same time."""
    pauses: list[float] = []
    monkeypatch.setattr("ansible_collections.amazon.aws.plugins.module_utils.cloud.time.sleep", pauses.append)

    class Module:
        params: dict[str, Any] = {}

        def client(self, service: str) -> Any:
            return ecs.wrapped_client(service)

    for number, code in enumerate(THROTTLING_CODES):
        ecs.errors["DescribeServices"] = [Answer(code, "Rate exceeded")] * 6
        client = make_clients(Module())("ecs")
        assert api.find_service(client, cluster="default", name="none") is None
        assert len(pauses) == 6 * (number + 1)
    rounds = [pauses[start : start + 6] for start in range(0, len(pauses), 6)]
    assert len({tuple(pauses) for pauses in rounds}) == len(rounds), "all wait the same time"
    assert all(pause <= 60 for pause in pauses)


def test_expired_credentials_are_named(run: Run, ecs: FakeEcs) -> None:
    expired = Answer("ExpiredTokenException", "The security token included in the request is expired")
    ecs.errors["DescribeServiceDeployments"] = [expired]
    result = run(full_params())
    assert "credentials expired" in result["msg"]


def test_a_region_without_express_mode_is_named(run: Run, ecs: FakeEcs) -> None:
    ecs.errors["CreateExpressGatewayService"] = [Answer("UnknownOperationException", "None")]
    result = run(full_params())
    assert "no Express Mode in this region" in result["msg"]


def test_classic_service_is_left_alone(run: Run, ecs: FakeEcs) -> None:
    ecs.clusters.add("default")
    ecs.services[ARN] = {
        "serviceArn": ARN,
        "serviceName": "tracking",
        "status": "ACTIVE",
        "resourceManagementType": "CUSTOMER",
    }
    for state in ("present", "absent"):
        result = run(full_params(state=state))
        assert "classic" in result["msg"]
    assert ecs.changing_calls == 0
    assert run({}, module=ecs_express_service_info)["services"] == []


def test_credentials_that_expire_during_the_wait_are_named(run: Run, ecs: FakeEcs) -> None:
    expired = Answer("ExpiredTokenException", "The security token included in the request is expired")

    def later() -> None:
        if ecs.now >= 15:
            for operation in ("ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions"):
                ecs.errors[operation] = [expired] * 10

    ecs.on_tick = later
    result = run(full_params())
    assert result["failed"]
    assert "credentials expired" in result["msg"]
    assert "run the same task again" in result["msg"]
    assert result["changed"] is True
    assert any("IN_PROGRESS" in line for line in result["progress"])
