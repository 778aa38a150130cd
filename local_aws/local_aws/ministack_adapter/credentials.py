# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access keys, sessions and signatures, which ministack keeps and checks."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import Any

from ministack.core import iam_actions
from ministack.core import iam_evaluator
from ministack.core import responses
from ministack.services import iam
from ministack.services import sts

from . import scope
from .hooks import Hooks
from .patch import Patch
from .patch import Target


def account_of(access_key_id: str) -> str:
    """The account that a user's key belongs to; empty if there is no such key.

    :raises ValueError: several accounts have this key.
    """
    return str(iam_evaluator.find_iam_access_key_account(access_key_id) or "")


def principal_arn(access_key_id: str, default_account: str) -> str:
    """The owner of the key; empty if it has none."""
    try:
        account = account_of(access_key_id)
    except iam_evaluator.AmbiguousAccessKeyError:
        return ""
    account = account or responses._account_from_sts_session(access_key_id) or default_account
    return principal_in(access_key_id, account)


def principal_in(access_key_id: str, account_id: str) -> str:
    """The owner of the key in an account; empty if it has none."""
    return str(getattr(iam_evaluator.resolve_credential(access_key_id, account_id), "principal_arn", ""))


def is_root(access_key_id: str) -> bool:
    """Whether it is root's key, as ``close_root`` defines it."""
    return bool(iam_evaluator.is_root_access_key(access_key_id))


def check_signature(  # noqa: PLR0917 - what a signature is made of
    access_key_id: str,
    service: str,
    method: str,
    raw_path: str,
    query: dict[str, list[str]],
    raw_headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> tuple[int, bytes] | None:
    """Checks key and signature; None: they are good.

    :returns: status and body of the refusal: SignatureDoesNotMatch, InvalidSignatureException, AuthFailure … in the
        words that each service has for it.
    """
    iam_evaluator.pin_signed_request(method, raw_path, query, raw_headers)
    iam_evaluator.pin_signed_body(body)
    if not access_key_id:
        return None
    failure = iam_evaluator.check_credentials(access_key_id, service)
    if failure is None:
        return None
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw_headers}
    status, _unused, refusal = iam_actions.access_denied_response(
        service, "", "", str(uuid.uuid4()), error_code=failure.code, message=failure.message, headers=headers
    )
    return status, refusal


def is_unsigned() -> bool:
    """Whether the request of this task has no signature."""
    return bool(iam_evaluator._anonymous.get())


@contextlib.contextmanager
def already_checked() -> Iterator[None]:
    """Within it, only policies are asked: the signature has been checked."""
    token = iam_evaluator._anonymous.set(False)
    try:
        yield
    finally:
        iam_evaluator._anonymous.reset(token)


def role(account_id: str, name: str) -> dict[str, Any] | None:
    """The record of a role; None: there is none."""
    found: dict[str, Any] | None = scope.read(iam._roles, account_id, "", name)
    return found


def new_session(role_arn: str, role_id: str, name: str, expires: float, principal: str) -> dict[str, str] | None:
    """Makes a session of a role for a service; None: the ARN is not one of a role.

    :arg expires: seconds since the epoch.
    :returns: AccessKeyId, SecretAccessKey, Token.
    """
    assumed, error = sts._assumed_role_arn(role_arn, name)
    if error:
        return None
    access_key_id = sts._gen_session_access_key()
    secret, token = sts._gen_secret(), sts._gen_session_token()
    sts.register_session(
        access_key_id,
        {
            "Arn": assumed,
            "UserId": f"{role_id}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": expires,
            "AccountId": role_arn.split(":")[4],
            "PrincipalType": "AssumedRole",
            "SourcePrincipalArn": principal,
            "SessionTags": [],
            "SessionPolicies": None,
        },
    )
    return {"AccessKeyId": access_key_id, "SecretAccessKey": secret, "Token": token}


# Patches -------------------------------------------------------------------------------------------------------------


def _close_root(_hooks: Hooks) -> None:
    def is_root_key(access_key_id: str) -> bool:
        return bool(access_key_id) and access_key_id == os.environ["AWS_ACCESS_KEY_ID"]

    iam_evaluator.is_root_access_key = is_root_key
    sts.is_root_access_key = is_root_key
    # Asked by the signature check alone whether it may be skipped.
    iam_evaluator._is_root_key = lambda access_key_id: False


CLOSE_ROOT = Patch(
    name="close_root",
    reason=(
        'ministack takes the key "test", any twelve digits and an empty key for root, and never checks the signature '
        "of a root key: a deployment with wrong credentials would work here and fail on AWS."
    ),
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html",
    targets=(
        Target("core.iam_evaluator", "is_root_access_key", "access_key_id"),
        Target("services.sts", "is_root_access_key", "access_key_id"),
        Target("core.iam_evaluator", "_is_root_key", "access_key_id"),
    ),
    apply=_close_root,
)


def _refuse_root_roles(_hooks: Hooks) -> None:
    evaluate = iam_evaluator.evaluate_trust_policy

    def evaluate_but_for_root(trust_doc: Any, caller_arn: str, ctx: Any = None) -> bool:
        return not caller_arn.endswith(":root") and bool(evaluate(trust_doc, caller_arn, ctx))

    iam_evaluator.evaluate_trust_policy = evaluate_but_for_root


REFUSE_ROOT_ROLES = Patch(
    name="refuse_root_roles",
    reason="ministack lets root assume the role of any service; on AWS root assumes no role.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_roles.html",
    targets=(Target("core.iam_evaluator", "evaluate_trust_policy", "trust_doc caller_arn ctx"),),
    apply=_refuse_root_roles,
)


def _name_linked_roles(hooks: Hooks) -> None:
    make = iam._create_service_linked_role
    roles = iam._roles

    def make_and_name(parameters: dict[str, Any]) -> Any:
        service = iam._p(parameters, "AWSServiceName")
        name = hooks.linked_roles.get(service)
        if name is None:
            return make(parameters)
        if name in roles:
            # The message of https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceLinkedRole.html
            message = f"Service role name {name} has been taken in this account, please try a different suffix."
            return iam._error(400, "InvalidInput", message, ns="iam")
        # ministack's own name may be another service's role by now: it is put aside for the moment of the call.
        own_name = f"AWSServiceRoleFor{service.split('.')[0].capitalize()}"
        other = roles.pop(own_name, None)
        try:
            status, headers, body = make(parameters)
            record = roles.pop(own_name)
        finally:
            if other is not None:
                roles[own_name] = other
        record["Arn"] = record["Arn"].replace(own_name, name)
        record["RoleName"] = name
        roles[name] = record
        return status, headers, body.replace(own_name.encode(), name.encode())

    iam._IAM_HANDLERS["CreateServiceLinkedRole"] = make_and_name


NAME_LINKED_ROLES = Patch(
    name="name_linked_roles",
    reason=(
        "ministack derives the name of a service-linked role from the first word of the service alone, so that "
        "ecs.amazonaws.com and ecs.application-autoscaling.amazonaws.com would share one role."
    ),
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html",
    targets=(
        Target("services.iam", "_create_service_linked_role", "p"),
        Target("services.iam", "_p", "params key default"),
        Target("services.iam", "_error", "status code message ns"),
        Target("services.iam", "_IAM_HANDLERS", keys=("CreateServiceLinkedRole",)),
    ),
    apply=_name_linked_roles,
)
