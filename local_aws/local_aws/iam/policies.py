# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM on top of ministack's: credentials really checked, service principals, policies for our own operations."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

from ministack.core import iam_actions
from ministack.core import iam_evaluator
from ministack.core import responses
from ministack.services import iam as iam_service
from ministack.services import sts as sts_service

from ..protocol import requests
from ..service import ApiError
from ..service import Call
from ..service import TrustError
from ..settings import Settings
from . import resources
from . import service_linked_roles
from . import tag_on_create

_POLICIES = Path(__file__).with_name("managed_policies.json")


def prepare() -> None:
    """Closes what ministack leaves open, adds the managed policies that it does not have. Called once, at start."""
    _close_root()
    _refuse_root_roles()
    _serve_unsigned()
    _name_cbor_actions()
    resources.prepare_record()
    tag_on_create.prepare()
    resources.prepare()
    service_linked_roles.prepare()
    for arn, document in json.loads(_POLICIES.read_text(encoding="utf-8")).items():
        name = arn.removeprefix("arn:aws:iam::aws:policy/")
        record = iam_service._make_aws_managed_record(name, json.dumps(document), f"AWS managed policy {name}.")
        iam_service._aws_managed_policies[arn] = record


def _close_root() -> None:
    """Root is one key with one secret.

    ministack also takes the key "test", any twelve digits and an empty key for root, and never checks a root key's
    signature (core/iam_evaluator.py: is_root_access_key, pin_signed_request). A deployment with wrong credentials
    would then work here and fail on AWS.
    """

    def is_root(access_key_id: str) -> bool:
        return bool(access_key_id) and access_key_id == os.environ["AWS_ACCESS_KEY_ID"]

    iam_evaluator.is_root_access_key = is_root
    sts_service.is_root_access_key = is_root
    # Asked by the signature check alone whether it may be skipped.
    iam_evaluator._is_root_key = lambda access_key_id: False


def _serve_unsigned() -> None:
    """What AWS's own clients send without credentials needs none: a web identity is exchanged for a role's session.

    ministack takes the empty key of such a request for root's, which it is not any more. The operation itself asks the
    role's trust policy.
    """
    enforce = iam_evaluator.enforce

    def enforce_signed(access_key_id: str, iam_action: str, service: str, *rest: Any, **more: Any) -> Any:
        operation = iam_action.partition(":")[2]
        if (
            not access_key_id
            and iam_evaluator._anonymous.get()
            and operation in iam_actions.unsigned_operations(service)
        ):
            return None
        return enforce(access_key_id, iam_action, service, *rest, **more)

    iam_evaluator.enforce = enforce_signed


def _refuse_root_roles() -> None:
    """Root assumes no role, whatever the role trusts: ministack lets root stand for every service.

    AWS: "Roles may not be assumed by root accounts" (IAM user guide, troubleshooting roles).
    """
    evaluate = iam_evaluator.evaluate_trust_policy

    def evaluate_but_for_root(trust_doc: Any, caller_arn: str, ctx: iam_evaluator.EvalContext | None = None) -> bool:
        return not caller_arn.endswith(":root") and evaluate(trust_doc, caller_arn, ctx)

    iam_evaluator.evaluate_trust_policy = evaluate_but_for_root


def _name_cbor_actions() -> None:
    """Names the action of a request in the protocol rpc-v2-cbor, which only its path tells.

    CloudWatch speaks it beside JSON and Query. ministack finds no action in such a request, and asks no policy then.
    """
    extract = iam_actions.extract_iam_action

    def extract_iam_action(  # noqa: PLR0917 - ministack's signature
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> str | None:
        operation = requests.cbor_operation(path)
        namespace = iam_actions.SERVICE_TO_IAM_NAMESPACE.get(service)
        if operation and namespace:
            return f"{namespace}:{operation[1]}"
        found: str | None = extract(service, method, path, headers, body, query_params)
        return found

    iam_actions.extract_iam_action = extract_iam_action


def authenticate(
    *,
    service: str,
    method: str,
    raw_path: str,
    query: Mapping[str, list[str]],
    raw_headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    """Checks a request's signature, as ministack does for its own operations.

    Leaves the account and region of the caller in this task's context.

    :raises ApiError: the credentials are missing, unknown, expired, or the signature does not match.
    """
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw_headers}
    flat = {name: values[0] for name, values in query.items()}
    access_key_id, region, _unused = requests.credential_scope(headers, flat)
    account = iam_evaluator.find_iam_access_key_account(access_key_id) if access_key_id else None
    responses.set_request_account_id(account or access_key_id)
    responses.set_request_region(region)
    iam_evaluator.pin_signed_request(method, raw_path, dict(query), raw_headers)
    iam_evaluator.pin_signed_body(body)
    if not access_key_id:
        is_query = requests.protocol(service) in ("query", "ec2")
        code = "MissingAuthenticationToken" if is_query else "MissingAuthenticationTokenException"
        raise ApiError(code, "Missing Authentication Token", 403 if is_query else 400)
    failure = iam_evaluator.check_credentials(access_key_id, service)
    if failure is not None:
        # ministack knows how each service words it: SignatureDoesNotMatch, InvalidSignatureException, AuthFailure …
        status, _unused, body = iam_actions.access_denied_response(
            service, "", "", str(uuid.uuid4()), error_code=failure.code, message=failure.message, headers=headers
        )
        error = requests.parse_error(status, body, service)
        raise ApiError(error["Code"], error["Message"], status)


def principal_arn(access_key_id: str) -> str:
    """Whose key it is; empty where nobody's."""
    if not access_key_id:
        return ""
    try:
        account = iam_evaluator.find_iam_access_key_account(access_key_id)
    except iam_evaluator.AmbiguousAccessKeyError:
        return ""
    account = account or responses._account_from_sts_session(access_key_id) or os.environ["MINISTACK_ACCOUNT_ID"]
    credential = iam_evaluator.resolve_credential(access_key_id, account)
    return getattr(credential, "principal_arn", "")


def role_of_session(principal: str) -> str:
    """The ARN of the role whose session a principal is; empty for others. Without the role's path."""
    parts = principal.split(":")
    if len(parts) < 6 or not parts[5].startswith("assumed-role/"):
        return ""
    return f"arn:aws:iam::{parts[4]}:role/{parts[5].split('/')[1]}"


def enforce(call: Call, action: str, resource: str, context: dict[str, Any] | None) -> None:
    """See Context.allow()."""
    scope = resources.Scope(call.region, call.account_id, call.operation)
    given = {**resources.conditions(action, scope, call.params), **(context or {})}
    is_own = action.partition(":")[2] == call.operation
    if is_own:
        given = {**resources.request_tags(call.params), **given}
    resources.forget()
    for number, arn in enumerate(resources.resources(action, scope, call.params, resource)):
        _enforce_one(call, action, arn, given if number == 0 else context)
    for further in resources.further_actions(call.operation, call.params) if is_own else []:
        for arn in resources.resources(further, scope, call.params, resource):
            _enforce_one(call, further, arn, None)


def _enforce_one(call: Call, action: str, resource: str, context: dict[str, Any] | None) -> None:
    responses.set_request_account_id(call.account_id)
    responses.set_request_region(call.region)
    # The signature has been checked; only policies are asked here.
    anonymous = iam_evaluator._anonymous.set(False)
    try:
        denied = iam_evaluator.enforce(
            call.access_key_id,
            action,
            action.partition(":")[0],
            call.region,
            resource_arn=resource,
            service_context=context,
        )
    finally:
        iam_evaluator._anonymous.reset(anonymous)
    if denied is None:
        return
    is_xml = requests.protocol(call.service) in ("query", "ec2", "rest-xml")
    code = "AccessDenied" if is_xml else "AccessDeniedException"
    if isinstance(denied, tag_on_create.Denied):
        raise ApiError(code, denied.message, 403)
    if isinstance(denied, iam_evaluator.AuthError):
        raise ApiError(denied.code, denied.message, 403)
    if denied.decision == "Deny":
        reason = "with an explicit deny in an identity-based policy"
    else:
        reason = f"because no identity-based policy allows the {action} action"
    message = f"User: {call.principal_arn} is not authorized to perform: {action} on resource: {resource} {reason}"
    raise ApiError(code, message, 403)


def _role(role_arn: str) -> dict[str, Any]:
    parts = role_arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
        raise TrustError(f"{role_arn} is not the ARN of an IAM role.")
    role: dict[str, Any] | None = iam_service._roles.get_scoped(parts[4], None, parts[5].rsplit("/", 1)[-1])
    if role is None or role["Arn"] != role_arn:
        raise TrustError(f"The role with ARN {role_arn} does not exist.")
    return role


def check_trust(settings: Settings, role_arn: str, principal: str) -> None:
    """Whether a service may assume a role.

    ministack's own evaluation lets root stand for every service; here the statement must name this service.

    :raises TrustError: it may not.
    """
    document = _role(role_arn).get("AssumeRolePolicyDocument") or {}
    if isinstance(document, str):
        document = json.loads(document)
    context = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="Service",
        principal_account=settings.account_id,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=settings.region,
        service_context={
            "aws:sourceaccount": settings.account_id,
            # "Use the wildcard to specify all clusters": AWS documents arn:aws:ecs:<region>:<account>:* and nothing
            # narrower.
            # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
            "aws:sourcearn": f"arn:aws:ecs:{settings.region}:{settings.account_id}:task/local-aws",
        },
    )
    statements = document.get("Statement", [])
    allowed = False
    for statement in [statements] if isinstance(statements, dict) else statements:
        if not _trusts(statement, principal, context):
            continue
        if statement.get("Effect") == "Deny":
            allowed = False
            break
        allowed = allowed or statement.get("Effect") == "Allow"
    if not allowed:
        raise TrustError(
            f"{principal} is not authorized to perform: sts:AssumeRole on resource: {role_arn} "
            f"(the role's trust policy does not name this service, or its conditions do not hold)"
        )


def service_may(
    document: dict[str, Any], principal: str, action: str, resource: str, context: Mapping[str, Any]
) -> bool:
    """Whether a resource's policy lets a service do something.

    :arg context: the request's condition keys, in lower case.
    """
    asked = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=resource.split(":")[3],
        service_context=dict(context),
    )
    statements = document.get("Statement", [])
    effects = [
        one.get("Effect")
        for one in ([statements] if isinstance(statements, dict) else statements)
        if _trusts(one, principal, asked)
    ]
    return "Allow" in effects and "Deny" not in effects


def _trusts(statement: dict[str, Any], principal: str, context: iam_evaluator.EvalContext) -> bool:
    actions = _as_list(statement.get("Action"))
    if not iam_evaluator._action_matches(context.action, actions, _as_list(statement.get("NotAction"))):
        return False
    named = statement.get("Principal", {})
    services = _as_list(named.get("Service")) if isinstance(named, dict) else []
    if named != "*" and principal not in services:
        return False
    return bool(iam_evaluator._conditions_met(statement.get("Condition", {}), context))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def role_session(role_arn: str, principal: str, seconds: int) -> dict[str, str]:
    """Credentials of a role whose trust has been checked; see Context.role_credentials()."""
    name = f"{principal.partition('.')[0]}-{uuid.uuid4().hex[:16]}"
    assumed, error = sts_service._assumed_role_arn(role_arn, name)
    if error:
        raise TrustError(f"{role_arn} cannot be assumed.")
    access_key_id = sts_service._gen_session_access_key()
    secret, token = sts_service._gen_secret(), sts_service._gen_session_token()
    expires = time.time() + seconds
    sts_service.register_session(
        access_key_id,
        {
            "Arn": assumed,
            "UserId": f"{_role(role_arn)['RoleId']}:{name}",
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
    return {
        "AccessKeyId": access_key_id,
        "SecretAccessKey": secret,
        "Token": token,
        "Expiration": datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
