# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of ecs_express_service and its info module against an ECS in memory."""

from __future__ import annotations

import contextlib
import functools
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.common import warnings as ansible_warnings
from ansible.module_utils.testing import patch_module_args

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service
from ansible_collections.mlops.mlflow_aws.plugins.modules import ecs_express_service_info
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake import FakeEcs
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.ecs_express_fake_state import ACCOUNT

ARN = f"{ACCOUNT}:service/default/tracking"
NEW_ROLE = "arn:aws:iam::123456789012:role/new"
Run = Callable[..., dict[str, Any]]


def runner(ecs: FakeEcs, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a module with the arguments given and returns its JSON result. Time is the fake's."""

    def clients(_module: Any) -> Any:
        return functools.cache(lambda service: Client(ecs.wrapped_client(service), attempts=3, delay=0))

    for module in (ecs_express_service, ecs_express_service_info):
        monkeypatch.setattr(module, "make_clients", clients)
    make_waiter = functools.partial(Waiter, sleep=ecs.sleep, clock=ecs.clock, wall=ecs.moment)

    def go(params: dict[str, Any], check: bool = False, module: Any = ecs_express_service) -> dict[str, Any]:
        arguments = {
            "region": "eu-central-1",
            "access_key": "AKIAFAKEFAKEFAKEFAKE",
            "secret_key": "a-made-up-key-that-is-long-enough",
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **params,
        }
        out = io.StringIO()
        # Where ansible-core takes this process for a controller, warnings go to the screen and not into the result.
        monkeypatch.setattr(_internal, "is_controller", False)
        with patch_module_args(arguments), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            module.main(**({"make_waiter": make_waiter} if module is ecs_express_service else {}))
        result: dict[str, Any] = json.loads(out.getvalue())
        assert "deprecations" not in result
        # Ansible collects them for the whole process.
        for warning in result.pop("warnings", []):
            text = warning["event"]["msg"] if isinstance(warning, dict) else warning
            result.setdefault("warnings", []).append(text)
        forget_warnings()
        return result

    return go


def forget_warnings() -> None:
    if hasattr(ansible_warnings, "_global_warnings"):
        ansible_warnings._global_warnings.clear()
        ansible_warnings._global_deprecations.clear()


def four_steps(run: Run, ecs: FakeEcs, params: dict[str, Any]) -> dict[str, Any]:
    """check, apply, check, apply: the first two say changed, the last two do nothing. Returns the second's result."""
    before = ecs.changing_calls
    checked = run(params, check=True)
    assert not checked.get("failed"), checked
    assert checked["changed"] is True
    assert ecs.changing_calls == before, "check mode changed something"
    applied = run(params)
    assert not applied.get("failed"), applied["msg"]
    assert applied["changed"] is True
    assert applied["diff"] == checked["diff"], "check mode predicted another change"
    done = ecs.changing_calls
    assert done > before
    for check in (True, False):
        again = run(params, check=check)
        assert not again.get("failed"), again
        assert again["changed"] is False, again["diff"]
        assert again["diff"] == {"before": {}, "after": {}}
    assert ecs.changing_calls == done, "a run without change changed something"
    return applied
