# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Responses and errors in the protocol of a service, and the other way round."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

import botocore.parsers
import cbor2

from .models import CBOR
from .models import error_status
from .models import operation_model
from .models import protocol_of
from .validation import problems_of
from .validation import without_none
from .xml import XML
from .xml import xml_body


def serialize(output: dict[str, Any], service: str, operation: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of an operation's output.

    :raises TypeError: the output does not fit the model.
    """
    model = operation_model(service, operation)
    if model is None:
        raise TypeError(f"botocore knows no operation {service}:{operation}.")
    output = without_none(output)
    wrong = [] if model.output_shape is None else problems_of(model.output_shape, output)
    if any(problem.kind != "missing" for problem in wrong):
        raise TypeError(f"The output of {service}:{operation}: {' '.join(problem.message for problem in wrong)}")
    speaks = protocol_of(service)
    request_id = str(uuid.uuid4())
    if speaks == "json":
        version = model.service_model.metadata.get("jsonVersion", "1.1")
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amzn-requestid": request_id}
        document = {} if model.output_shape is None else output
        return headers, json.dumps(document, default=_json_scalar).encode()
    if speaks == "rest-json":
        headers = {"content-type": "application/json", "x-amzn-requestid": request_id}
        return headers, json.dumps(output, default=_json_scalar).encode()
    if speaks not in ("query", "ec2"):
        raise TypeError(f"{service} speaks {speaks}; only json, rest-json, query and ec2 are served here.")
    body = xml_body(model, output, request_id, is_ec2=speaks == "ec2")
    return {"content-type": "text/xml", "x-amzn-requestid": request_id}, body


def _json_scalar(value: Any) -> Any:
    """How the protocols of JSON write moments and blobs."""
    return value.timestamp() if isinstance(value, datetime) else base64.b64encode(value).decode()


def serialize_error(
    code: str,
    message: str,
    status: int,
    service: str,
    fields: Mapping[str, Any] | None = None,
    *,
    speaks: str = "",
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error, in the protocol of the service.

    :arg speaks: the protocol of the request, where the service has several and this is not the one of boto3.
    """
    request_id = str(uuid.uuid4())
    speaks = speaks or (protocol_of(service) if service else "query")
    status = error_status(code, service) or status
    if speaks == CBOR:
        headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return status, headers, cbor2.dumps({"__type": code, "message": message, **(fields or {})})
    if speaks in ("json", "rest-json"):
        body = json.dumps({"__type": code, "message": message, **(fields or {})})
        headers = {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": request_id}
        return status, {**headers, "x-amzn-errortype": code}, body.encode()
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if speaks == "ec2":
        body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    elif speaks == "rest-xml":
        body = f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
    else:
        kind = "Receiver" if status >= 500 else "Sender"
        error = f"<Error><Type>{kind}</Type>{error}</Error>"
        body = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
    headers = {"content-type": "text/xml", "x-amzn-requestid": request_id}
    return status, headers, f"{XML}{body}".encode()


def parse(status: int, headers: dict[str, str], body: bytes, service: str, operation: str) -> dict[str, Any]:
    """What boto3 would make of a response, without ResponseMetadata."""
    model = operation_model(service, operation)
    if model is None:
        raise TypeError(f"botocore knows no operation {service}:{operation}.")
    parser = botocore.parsers.create_parser(protocol_of(service))
    parsed: dict[str, Any] = parser.parse({"status_code": status, "headers": headers, "body": body}, model.output_shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


def parse_error(status: int, body: bytes, service: str) -> dict[str, str]:
    """Code and message of an error response, as boto3 reads it."""
    parser = botocore.parsers.create_parser(protocol_of(service))
    parsed = parser.parse({"status_code": status, "headers": {}, "body": body}, None)
    return {"Code": parsed["Error"]["Code"], "Message": parsed["Error"].get("Message", "")}


def error_code(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """The AWS error code in a response, or its HTTP status."""
    if status < 400:
        return str(status)
    if headers.get("content-type", "").startswith("application/cbor"):
        with contextlib.suppress(cbor2.CBORDecodeError):
            return str(cbor2.loads(body).get("__type", status)).rpartition("#")[2]
    match = re.search(rb'<Code>([^<]+)</Code>|"__type"\s*:\s*"(?:[^"]*#)?([^"]+)"', body)
    if match:
        return (match[1] or match[2]).decode("utf-8", "replace")
    return headers.get("x-amzn-errortype", "").partition(":")[0] or str(status)
