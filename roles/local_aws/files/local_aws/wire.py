# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and responses of AWS's protocols, checked against botocore's service models."""

from __future__ import annotations

from typing import Any


def serialize(output: dict[str, Any], service: str, operation: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of an operation's output.

    :raises TypeError: the output does not fit the model.
    """
    raise NotImplementedError


def parse(status: int, headers: dict[str, str], body: bytes, service: str, operation: str) -> dict[str, Any]:
    """What boto3 would make of a response, without ResponseMetadata."""
    raise NotImplementedError
