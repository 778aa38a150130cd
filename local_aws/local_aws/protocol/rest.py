# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of requests that do not name them: REST services, and the protocol rpc-v2-cbor."""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import UnknownServiceError
from botocore.model import Shape

from .inputs import from_json
from .models import operation_model
from .models import service_model
from .requests import SERVICE_BY_TARGET_PREFIX
from .requests import Request
from .requests import accept
from .requests import credential_scope
from .validation import InvalidMember

_CBOR_PATH = re.compile(r"/service/([A-Za-z0-9_]+)/operation/([A-Za-z0-9]+)")


def cbor_operation(path: str) -> tuple[str, str] | None:
    """Service and operation that the path of a request in the protocol rpc-v2-cbor names; None for other paths.

    https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html: /service/{service}/operation/{operation}
    """
    match = _CBOR_PATH.fullmatch(path)
    return (SERVICE_BY_TARGET_PREFIX.get(match[1], match[1]), match[2]) if match else None


def rest_operation(service: str, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The operation that a REST request stands for; for what botocore does not know the method.

    The one whose fixed parts (path, query, required query fields and headers) are all there, and are most.
    """
    parts = [part for part in path.split("/") if part]
    best, best_score = method, -1
    for route in _routes(service):
        if route.method != method or not route.headers <= headers.keys() or not route.query <= query.keys():
            continue
        fixed = _fixed_parts(route.path, parts)
        score = -1 if fixed is None else fixed + len(route.query) + len(route.headers)
        if score > best_score:
            best, best_score = route.name, score
    return best


def json_request(
    service: str,
    *,
    method: str,
    raw_path: str,
    query: Mapping[str, list[str]],
    headers: Mapping[str, str],
    body: bytes,
) -> Request:
    """What a request of the protocol rest-json asks for, with its input parsed and checked.

    Where a member stands is in botocore's model, as its ``location``: in the path, the query, or the body.
    """
    flat = {name: values[0] for name, values in query.items()}
    access_key_id, region, _unused = credential_scope(headers, flat)
    operation = rest_operation(service, method, raw_path, query, headers)
    request = Request(service, operation, access_key_id, region)
    model = operation_model(service, operation)
    shape = model.input_shape if model is not None else None
    if model is None or shape is None:
        return request
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        request.problems.append(InvalidMember("type", "The request body is not JSON."))
        return request
    labels = _labels(model.http["requestUri"], raw_path)
    params = {} if not isinstance(document, dict) else {**document}
    for name, member in shape.members.items():
        location, field = member.serialization.get("location"), member.serialization.get("name", name)
        if location == "uri" and field in labels:
            params[name] = _read_text(member, [labels[field]])
        elif location == "querystring" and field in query:
            params[name] = _read_text(member, query[field])
    accept(request, shape, from_json(shape, params))
    return request


def _labels(template: str, raw_path: str) -> dict[str, str]:
    """The variable parts of a path; what is escaped in them is not where they end."""
    parts = raw_path.strip("/").split("/")
    wanted = template.partition("?")[0].strip("/").split("/")
    return {name[1:-1]: unquote(part) for name, part in zip(wanted, parts, strict=False) if name.startswith("{")}


def _read_text(shape: Shape, texts: list[str]) -> Any:
    if shape.type_name == "list":
        return texts
    if shape.type_name in ("integer", "long"):
        with contextlib.suppress(ValueError):
            return int(texts[0])
    return texts[0]


def _fixed_parts(template: tuple[str, ...], parts: list[str]) -> int | None:
    """How many parts of a path are fixed in the template that it fits; None: it does not fit."""
    is_greedy = bool(template) and template[-1].endswith("+}")
    if len(parts) < len(template) or (len(parts) > len(template) and not is_greedy):
        return None
    fixed = [(wanted, part) for wanted, part in zip(template, parts, strict=False) if not wanted.startswith("{")]
    return len(fixed) if all(wanted == part for wanted, part in fixed) else None


@dataclass(frozen=True)
class _Route:
    """How an operation of a REST service is recognised: method, path, required query fields and headers."""

    name: str
    method: str
    path: tuple[str, ...]
    query: frozenset[str]
    headers: frozenset[str]


@functools.cache
def _routes(service: str) -> list[_Route]:
    """The routes of a service; none where botocore does not know it."""
    try:
        model = service_model(service)
    except UnknownServiceError:
        return []
    routes = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        path, _unused, query = operation.http["requestUri"].partition("?")
        fields = {item.partition("=")[0] for item in query.split("&") if item}
        headers = set()
        shape = operation.input_shape
        for member in shape.required_members if shape is not None else ():
            serialized = shape.members[member].serialization
            if serialized.get("location") == "querystring":
                fields.add(serialized["name"])
            elif serialized.get("location") == "header":
                headers.add(serialized["name"].lower())
        template = tuple(part for part in path.split("/") if part)
        routes.append(_Route(name, operation.http["method"], template, frozenset(fields), frozenset(headers)))
    return routes
