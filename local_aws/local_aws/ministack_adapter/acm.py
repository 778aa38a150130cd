# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ministack's records of certificates, which it issues at once."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import request_scope
from ministack.services import acm


def certificate(account_id: str, region: str, arn: str) -> dict[str, Any] | None:
    """The record of a certificate, which may be changed in place."""
    with request_scope(account_id, region):
        record: dict[str, Any] | None = acm._certificates.get(arn)
    return record


def certificates(account_id: str, region: str) -> list[dict[str, Any]]:
    """The records of all certificates of a region."""
    with request_scope(account_id, region):
        return list(acm._certificates.values())
