# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IAM is asked about a request: which questions, in which order.

``enforce`` takes the place of ministack's own function for the operations that ministack answers; the services of this
package ask through ``policies``. Both put the same steps together:

1. one question for each resource that AWS checks (``_each_resource``);
2. after a creation with tags, one for the permission to tag (``enforce_one``);
3. each question goes to ministack's evaluator, and into the record (``_ask``).
"""

from __future__ import annotations

import contextvars
import dataclasses
from collections.abc import Iterator
from typing import Any

from ..ministack_adapter import credentials
from ..ministack_adapter import evaluator
from ..ministack_adapter import resource_tags
from ..ministack_adapter import scope
from ..ministack_adapter.evaluator import Refusal
from ..ministack_adapter.hooks import Inquiry
from ..ministack_adapter.hooks import Question
from ..protocol import requests
from . import request_context
from . import tag_on_create
from .checks import CHECKS
from .conditions import conditions
from .resources import Scope
from .resources import resources

# Services whose requests are parsed here to find the resources; for all others ministack's reading stays.
_PARSED = ("ec2", "ecs", "iam", "logs", "rds", "secretsmanager", "ssm")


@dataclasses.dataclass(frozen=True)
class _Pending:
    """What is still to be checked of the request that ministack is answering in this context."""

    action: str = ""
    arns: tuple[str, ...] = ()
    context: dict[str, Any] = dataclasses.field(default_factory=dict)


_NOTHING = _Pending()
_pending: contextvars.ContextVar[_Pending] = contextvars.ContextVar("local_aws_pending", default=_NOTHING)


def resource_of(inquiry: Inquiry, found: str) -> str:
    """The first ARN that a request is checked on; ``enforce`` is asked about it next, and finds the others itself.

    :arg found: the one that ministack has found.
    """
    _pending.set(_NOTHING)
    if inquiry.service not in _PARSED:
        if found != "*":
            return found
        return request_context.resource_of(
            inquiry.service, dict(inquiry.query), inquiry.body, inquiry.region, inquiry.account_id
        )
    flat = {name: value[0] if isinstance(value, list) else value for name, value in inquiry.query.items()}
    request = requests.identify(inquiry.headers, flat, inquiry.body)
    where = Scope(inquiry.region, inquiry.account_id, request.operation)
    action = f"{inquiry.service}:{request.operation}"
    arns = resources(action, where, request.params, found)
    _pending.set(_Pending(action, tuple(arns), conditions(action, where, request.params)))
    return arns[0]


def enforce(question: Question) -> Refusal | None:
    """The refusal of a request that ministack answers; None: it is allowed."""
    for one in _each_resource(question):
        refusal = enforce_one(one)
        if refusal is not None:
            return refusal
    return None


def _each_resource(question: Question) -> Iterator[Question]:
    pending = _pending.get()
    arns: tuple[str, ...] = (question.resource,)
    context = question.context
    if pending.action == question.action and pending.arns[:1] == arns:
        arns = pending.arns
        context = {**pending.context, **context}
    yield dataclasses.replace(question, context=context)
    for arn in arns[1:]:
        yield dataclasses.replace(question, resource=arn, context=_without_tags(context))


def _without_tags(context: dict[str, Any]) -> dict[str, Any]:
    """The request's tags belong to what is made, not to what it uses."""
    return {
        key: value for key, value in context.items() if not key.lower().startswith(("aws:requesttag/", "aws:tagkeys"))
    }


def enforce_one(question: Question) -> Refusal | None:
    """The refusal of an action on one resource; None: it is allowed, as is the action that tags what it creates."""
    refusal = _ask(question)
    tagging = None if refusal is not None else tag_on_create.tagging_question(question)
    if tagging is None:
        return refusal
    refusal = _ask(tagging)
    if refusal is None or refusal.code:
        return refusal
    # ministack would name the creating action.
    return evaluator.refusal("AccessDenied", denial(refusal, tagging.action, tagging.resource))


def denial(refusal: Refusal, action: str, resource: str, principal: str = "") -> str:
    """AWS's sentence for a refusal by policies."""
    reason = (
        "with an explicit deny in an identity-based policy"
        if refusal.is_explicit
        else f"because no identity-based policy allows the {action} action"
    )
    user = principal or refusal.principal
    return f"User: {user} is not authorized to perform: {action} on resource: {resource} {reason}"


def _ask(question: Question) -> Refusal | None:
    """Asks ministack's evaluator, and records what it said about principals that have policies."""
    key = question.access_key_id
    if not key and credentials.is_unsigned() and evaluator.is_served_unsigned(question.service, question.action):
        # ministack takes the empty key for root's, which it is not any more. The operation itself asks the role's trust
        # policy.
        return None
    refusal = evaluator.decide(question)
    if key and not credentials.is_root(key):
        tags = resource_tags.tags_of(question.resource)
        context = {f"aws:resourcetag/{name}": value for name, value in tags.items()} | question.context
        principal = credentials.principal_in(key, scope.get_account_id())
        CHECKS.add(principal, question.action, question.resource, context, allowed=refusal is None)
    return refusal
