# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an HTTP request asks of AWS: the protocols awsJson1_1, awsQuery and ec2Query of Smithy's documents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import StructureShape

from .inputs import from_form
from .inputs import from_json
from .models import operation_model
from .models import protocol_of
from .validation import InvalidMember
from .validation import problems_of

# Signing names that are not botocore's service names.
_BY_SIGNING_NAME = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "tagging": "resourcegroupstaggingapi",
}
#: Of JSON requests, some of which are unsigned or signed with another service's name.
SERVICE_BY_TARGET_PREFIX = {
    "AmazonEC2ContainerServiceV20141113": "ecs",
    "AnyScaleFrontendService": "application-autoscaling",
    "CertificateManager": "acm",
    "GraniteServiceVersion20100801": "cloudwatch",
    "Logs_20140328": "logs",
    "secretsmanager": "secretsmanager",
}
_BY_VERSION = {
    "2010-05-08": "iam",
    "2011-06-15": "sts",
    "2014-10-31": "rds",
    "2015-12-01": "elbv2",
    "2016-11-15": "ec2",
}
_SCOPE = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request")


@dataclass
class Request:
    """What an HTTP request asks of AWS.

    :arg service: botocore's service name, or the signing name where botocore knows none; empty: cannot be told.
    :arg operation: empty where only the service's own routes tell (REST protocols).
    :arg problems: what is wrong with the input.
    """

    service: str
    operation: str
    access_key_id: str
    region: str
    params: dict[str, Any] = field(default_factory=dict)
    problems: list[InvalidMember] = field(default_factory=list)


def credential_scope(headers: Mapping[str, str], query: Mapping[str, str]) -> tuple[str, str, str]:
    """Access key id, region and signing name that a request names; empty strings where it is not signed."""
    source = headers.get("authorization", "")
    if not source and query.get("X-Amz-Credential"):
        source = f"Credential={query['X-Amz-Credential']}"
    match = _SCOPE.search(source)
    return (match[1], match[3], match[4]) if match else ("", "", "")


def identify(headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Request:
    """What a request asks for, with its input parsed and checked where its protocol is JSON or Query."""
    access_key_id, region, signing_name = credential_scope(headers, query)
    service = _BY_SIGNING_NAME.get(signing_name, signing_name)
    target = headers.get("x-amz-target", "")
    if "." in target:
        prefix, _unused, operation = target.rpartition(".")
        request = Request(SERVICE_BY_TARGET_PREFIX.get(prefix, service), operation, access_key_id, region)
        _parse_json(request, body)
        return request
    form = _form(headers, query, body)
    if "Action" in form:
        service = service or _BY_VERSION.get(form.get("Version", ""), "")
        request = Request(service, form["Action"], access_key_id, region)
        _parse_query(request, form)
        return request
    return Request(service, "", access_key_id, region)


def _form(headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> dict[str, str]:
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return dict(query)


def _parse_json(request: Request, body: bytes) -> None:
    shape = _input_shape(request)
    if shape is None:
        return
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        request.problems.append(InvalidMember("type", "The request body is not JSON."))
        return
    accept(request, shape, from_json(shape, document))


def _parse_query(request: Request, form: Mapping[str, str]) -> None:
    shape = _input_shape(request)
    if shape is not None:
        accept(request, shape, from_form(shape, form, is_ec2=protocol_of(request.service) == "ec2"))


def _input_shape(request: Request) -> StructureShape | None:
    model = operation_model(request.service, request.operation)
    return model.input_shape if model is not None else None


def accept(request: Request, shape: StructureShape, params: Any) -> None:
    """Takes over the input, but for members that are wrong: who looks at it before it is refused can rely on types."""
    request.problems += problems_of(shape, params)
    wrong = {problem.member for problem in request.problems}
    members = params.items() if isinstance(params, dict) else ()
    request.params = {name: value for name, value in members if name not in wrong}
