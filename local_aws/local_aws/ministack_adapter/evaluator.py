# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ministack's evaluation of policies, and the patches that put our own enforcement around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_actions
from ministack.core import iam_evaluator
from ministack.services import iam
from ministack.services import tagging

from . import resource_tags
from .hooks import Hooks
from .hooks import Inquiry
from .hooks import Question
from .patch import Patch
from .patch import Target

# ministack's own, from before it is patched.
_enforce = iam_evaluator.enforce
_ENFORCE = "access_key_id iam_action service region resource_arn service_context"


@dataclass(frozen=True)
class Refusal:
    """Why something is not allowed.

    :arg code: of an authentication failure; empty: policies do not allow it.
    :arg message: of an authentication failure.
    :arg principal: whom the policies do not allow it.
    :arg is_explicit: a policy denies it, rather than none allowing it.
    :arg original: ministack's own, for ministack to show.
    """

    code: str
    message: str
    principal: str
    is_explicit: bool
    original: Any


def decide(question: Question) -> Refusal | None:
    """What ministack's evaluator says to one question; None: it is allowed."""
    found = _enforce(
        question.access_key_id,
        question.action,
        question.service,
        question.region,
        question.resource,
        question.context,
    )
    if found is None:
        return None
    if isinstance(found, iam_evaluator.AuthError):
        return Refusal(found.code, found.message, "", is_explicit=False, original=found)
    return Refusal("", "", found.principal_arn, is_explicit=found.decision == "Deny", original=found)


def refusal(code: str, message: str) -> Refusal:
    """A refusal in our own words, which ministack shows as they are."""
    return Refusal(code, message, "", is_explicit=False, original=iam_evaluator.AuthError(code, message))


def is_served_unsigned(service: str, action: str) -> bool:
    """Whether an operation takes no credentials: AssumeRoleWithWebIdentity, and the links in SNS's messages."""
    return bool(iam_evaluator._served_unsigned(service, action))


def service_question(  # noqa: PLR0917 - what ministack evaluates
    service: str, action: str, resource: str, region: str, context: Mapping[str, Any], account_id: str = ""
) -> Any:
    """What resource policies and trust policies are evaluated for.

    :arg service: the principal: ``ecs-tasks.amazonaws.com``.
    :arg context: the request's condition keys, in lower case.
    """
    return iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account_id,
        action=action,
        resource_arn=resource,
        region=region,
        service_context=dict(context),
    )


def statement_applies(statement: Mapping[str, Any], asked: Any) -> bool:
    """Whether action and conditions of a statement fit what is asked; its principal and effect are not looked at."""
    actions, others = as_list(statement.get("Action")), as_list(statement.get("NotAction"))
    if not iam_evaluator._action_matches(asked.action, actions, others):
        return False
    return bool(iam_evaluator._conditions_met(statement.get("Condition", {}), asked))


def as_list(value: Any) -> list[Any]:
    """A member of a policy that may be a list or one item."""
    return value if isinstance(value, list) else [] if value is None else [value]


# Patches -------------------------------------------------------------------------------------------------------------


def _enforce_here(hooks: Hooks) -> None:
    def enforce(  # noqa: PLR0917 - ministack's signature
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        question = Question(access_key_id, iam_action, service, region, resource_arn, service_context or {})
        refused = hooks.enforce(question)
        return None if refused is None else refused.original

    iam_evaluator.enforce = enforce


ENFORCE = Patch(
    name="enforce",
    reason=(
        "ministack asks one question for each request. AWS asks for each resource that is concerned, and for the "
        "permission to tag when something is created with tags."
    ),
    source="https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html",
    targets=(
        Target("core.iam_evaluator", "enforce", _ENFORCE),
        Target("core.iam_evaluator", "AuthError", "code message details"),
        Target("core.iam_evaluator", "_served_unsigned", "service iam_action"),
        Target("core.iam_evaluator", "_action_matches", "request_action actions not_actions"),
        Target("core.iam_evaluator", "_conditions_met", "conditions ctx"),
    ),
    apply=_enforce_here,
)


def _name_cbor_actions(hooks: Hooks) -> None:
    extract = iam_actions.extract_iam_action

    def extract_iam_action(  # noqa: PLR0917 - ministack's signature
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> str | None:
        operation = hooks.cbor_operation(path)
        namespace = iam_actions.SERVICE_TO_IAM_NAMESPACE.get(service)
        if operation and namespace:
            return f"{namespace}:{operation[1]}"
        found: str | None = extract(service, method, path, headers, body, query_params)
        return found

    iam_actions.extract_iam_action = extract_iam_action


NAME_CBOR_ACTIONS = Patch(
    name="name_cbor_actions",
    reason="ministack finds no action in a request of the protocol rpc-v2-cbor, and asks no policy then.",
    source="https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html",
    targets=(
        Target("core.iam_actions", "extract_iam_action", "service method path headers body query_params"),
        Target("core.iam_actions", "SERVICE_TO_IAM_NAMESPACE", keys=("monitoring",)),
    ),
    apply=_name_cbor_actions,
)


def _find_resources(hooks: Hooks) -> None:
    extract = iam_actions.extract_resource_arn

    def extract_resource_arn(  # noqa: PLR0917 - ministack's signature
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        body = hooks.readable(body)
        found: str = extract(service, method, path, headers, body, query_params, region, account_id)
        return hooks.resource(Inquiry(service, headers, body, query_params, region, account_id), found)

    iam_actions.extract_resource_arn = extract_resource_arn


FIND_RESOURCES = Patch(
    name="find_resources",
    reason='ministack checks many calls on "*", where AWS checks the ARNs that the request names or makes.',
    source="https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html",
    targets=(
        Target(
            "core.iam_actions",
            "extract_resource_arn",
            "service method path headers body query_params region account_id",
        ),
    ),
    apply=_find_resources,
)

# Services on whose resources the condition key aws:ResourceTag is evaluated here.
_TAGS_KNOWN_BY_SERVICE = ("acm", "cloudwatch", "ec2", "elasticloadbalancing")


def _add_conditions(hooks: Hooks) -> None:
    tag_context = iam_actions.request_tag_context

    def request_tag_context(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = tag_context(service, iam_action, hooks.readable(body), params)
        return {**found, **hooks.context(service, iam_action.split(":", 1)[-1], params, found)}

    iam_actions.request_tag_context = request_tag_context
    for service, operations in hooks.tagging_operations.items():
        iam_actions._TAG_OPERATIONS[service] = operations | iam_actions._tag_operations(service)
    for service in _TAGS_KNOWN_BY_SERVICE:
        tagging._RESOURCE_TAG_COLLECTORS.setdefault(service, resource_tags.COLLECTORS[service])


ADD_CONDITIONS = Patch(
    name="add_conditions",
    reason=(
        "ministack evaluates aws:ResourceTag for a few services only, finds no tags in the requests of Elastic Load "
        "Balancing, CloudWatch and EC2, and does not know iam:AWSServiceName. The managed policy of Express Mode's "
        "infrastructure role rests on these."
    ),
    source="https://docs.aws.amazon.com/aws-managed-policy/latest/reference/",
    targets=(
        Target("core.iam_actions", "request_tag_context", "service iam_action body params"),
        Target("core.iam_actions", "_tag_operations", "service"),
        Target("core.iam_actions", "_TAG_OPERATIONS"),
        Target("services.tagging", "_RESOURCE_TAG_COLLECTORS", keys=("secretsmanager",)),
    ),
    apply=_add_conditions,
)


def _add_managed_policies(hooks: Hooks) -> None:
    for arn, document in hooks.managed_policies.items():
        name = arn.removeprefix("arn:aws:iam::aws:policy/")
        record = iam._make_aws_managed_record(name, json.dumps(document), f"AWS managed policy {name}.")
        iam._aws_managed_policies[arn] = record


ADD_MANAGED_POLICIES = Patch(
    name="add_managed_policies",
    reason="ministack has only some of AWS's managed policies.",
    source="https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html",
    targets=(
        Target("services.iam", "_make_aws_managed_record", "name document description"),
        Target("services.iam", "_aws_managed_policies"),
    ),
    apply=_add_managed_policies,
)
