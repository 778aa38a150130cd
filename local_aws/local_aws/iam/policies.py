# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies for the operations that this package answers itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..ministack_adapter import credentials
from ..ministack_adapter import scope
from ..ministack_adapter.hooks import Question
from ..protocol import models
from ..service import ApiError
from ..service import Call
from . import enforcement
from .conditions import conditions
from .conditions import request_tags
from .resources import Scope
from .resources import further_actions
from .resources import resources

_MANAGED = Path(__file__).with_name("managed_policies.json")


def managed() -> dict[str, Any]:
    """The AWS managed policies that ministack lacks: ARN to document."""
    found: dict[str, Any] = json.loads(_MANAGED.read_text(encoding="utf-8"))
    return found


def enforce(call: Call, action: str, resource: str, context: dict[str, Any] | None) -> None:
    """See Context.allow()."""
    where = Scope(call.region, call.account_id, call.operation)
    given = {**conditions(action, where, call.params), **(context or {})}
    is_own = action.partition(":")[2] == call.operation
    if is_own:
        given = {**request_tags(call.params), **given}
    for number, arn in enumerate(resources(action, where, call.params, resource)):
        _enforce_one(call, action, arn, given if number == 0 else context or {})
    for further in further_actions(call.operation, call.params) if is_own else []:
        for arn in resources(further, where, call.params, resource):
            _enforce_one(call, further, arn, {})


def _enforce_one(call: Call, action: str, resource: str, context: dict[str, Any]) -> None:
    scope.set_scope(call.account_id, call.region)
    question = Question(call.access_key_id, action, action.partition(":")[0], call.region, resource, context)
    with credentials.already_checked():
        refusal = enforcement.enforce_one(question)
    if refusal is None:
        return
    is_xml = models.protocol_of(call.service) in ("query", "ec2", "rest-xml")
    code = "AccessDenied" if is_xml else "AccessDeniedException"
    if refusal.code == "AccessDenied":
        raise ApiError(code, refusal.message, 403)
    if refusal.code:
        raise ApiError(refusal.code, refusal.message, 403)
    raise ApiError(code, enforcement.denial(refusal, action, resource, call.principal_arn), 403)
