# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who calls: signatures of requests, and whose a key is."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..ministack_adapter import credentials
from ..ministack_adapter import scope
from ..protocol import models
from ..protocol import requests
from ..protocol import responses
from ..service import ApiError


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
    account = credentials.account_of(access_key_id) if access_key_id else ""
    scope.set_scope(account or access_key_id, region)
    refusal = credentials.check_signature(access_key_id, service, method, raw_path, dict(query), raw_headers, body)
    if not access_key_id:
        is_query = models.protocol_of(service) in ("query", "ec2")
        code = "MissingAuthenticationToken" if is_query else "MissingAuthenticationTokenException"
        raise ApiError(code, "Missing Authentication Token", 403 if is_query else 400)
    if refusal is not None:
        status, text = refusal
        error = responses.parse_error(status, text, service)
        raise ApiError(error["Code"], error["Message"], status)


def principal_arn(access_key_id: str) -> str:
    """The owner of the key; empty if it has none."""
    return credentials.principal_arn(access_key_id, os.environ["MINISTACK_ACCOUNT_ID"]) if access_key_id else ""


def role_of_session(principal: str) -> str:
    """The ARN of the role whose session a principal is; empty for others. Without the role's path."""
    parts = principal.split(":")
    if len(parts) < 6 or not parts[5].startswith("assumed-role/"):
        return ""
    return f"arn:aws:iam::{parts[4]}:role/{parts[5].split('/')[1]}"
