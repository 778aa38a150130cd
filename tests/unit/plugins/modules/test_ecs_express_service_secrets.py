# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_express_service against an ECS in memory: values that look secret are not shown."""

from __future__ import annotations

import json

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import full_params
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_runs import Run


def test_secrets_in_the_environment_are_hidden(run: Run, ecs: FakeEcs) -> None:
    password = "correct-horse-battery"
    params = full_params()
    params["primary_container"]["environment"] = {"DB_PASSWORD": password, "URI": f"postgresql://u:{password}@h/db"}
    results = [run(params), run(params, module=ecs_express_service), run({}, module=ecs_express_service_info)]
    params["primary_container"]["environment"]["DB_PASSWORD"] = "another-secret-value"
    results.append(run(params))
    assert results[-1]["diff"]["before"] == {"primary_container": {"environment": {"DB_PASSWORD": "(hidden)"}}}
    assert results[-1]["diff"]["after"] == {"primary_container": {"environment": {"DB_PASSWORD": "(hidden, changed)"}}}
    assert password not in json.dumps(results)
    assert "another-secret-value" not in json.dumps(results)


@pytest.mark.known_issue(24)
def test_short_secrets_are_not_echoed(run: Run, ecs: FakeEcs, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(
        "ansible.module_utils.basic.AnsibleModule.log", lambda self, msg, log_args=None: logged.append(str(msg))
    )
    params = full_params()
    container = {**params["primary_container"], "environment": {"DB_PASSWORD": "q7x", "API_KEY": "a-long-secret"}}
    given = {**params, "primary_container": container}
    wrong = {**given, "cpu_architecture": "VAX"}
    as_text = {**wrong, "primary_container": json.dumps(container)}
    for arguments in (given, wrong, as_text):
        result = run(arguments)
        text = json.dumps(result)
        assert "invocation" in result
        assert "q7x" not in text
        assert "a-long-secret" not in text
    assert logged
    assert "q7x" not in "".join(logged)
    environment = ecs.sent["CreateExpressGatewayService"]["primaryContainer"]["environment"]
    assert {"name": "DB_PASSWORD", "value": "q7x"} in environment, "the service itself must get it"
