# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: deletion."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import Answer
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import ARN
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import four_steps


def test_delete(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    params = {"service_name": "tracking", "state": "absent"}
    result = four_steps(run, ecs, params)
    assert ecs.services[ARN]["status"] == "INACTIVE"
    assert result["diff"]["before"]["service_name"] == "tracking"
    assert (result["service"], result["url"]) == ({}, "")
    assert ecs.now >= ecs.drained_after, "did not wait for INACTIVE"


GONE = {
    "inactive": Answer("ServiceNotActiveException", "Cannot perform this operation on a service in INACTIVE status"),
    "unknown": Answer("ServiceNotFoundException", "Service not found."),
    "resource": Answer("InvalidParameterException", "Resource not found"),
    "declared": Answer("ResourceNotFoundException", "not there"),
    "cluster": Answer("ClusterNotFoundException", "Cluster not found."),
    "draining": Answer("ServiceNotActiveException", "Service is in DRAINING status"),
}


@pytest.mark.parametrize("answer", GONE.values(), ids=GONE)
def test_already_gone_is_success(run: Run, ecs: FakeEcs, answer: Answer) -> None:
    run(full_params())
    ecs.errors["DeleteExpressGatewayService"] = [answer]
    result = run({"service_name": "tracking", "state": "absent", "wait": False})
    assert not result.get("failed"), result


def test_absent_in_an_unknown_cluster(run: Run, ecs: FakeEcs) -> None:
    result = run({"service_name": "tracking", "cluster": "none", "state": "absent"})
    assert result["changed"] is False


def test_delete_times_out(run: Run, ecs: FakeEcs) -> None:
    run(full_params())
    absent = {"service_name": "tracking", "state": "absent", "wait_timeout": 20}
    assert "still DRAINING after 20 s (wait_timeout)" in run(absent)["msg"]
    called = run({**absent, "variables": {"wait_timeout": "mlflow_wait_timeout"}})
    assert "still DRAINING after 20 s (mlflow_wait_timeout)" in called["msg"]
