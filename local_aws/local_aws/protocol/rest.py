# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of requests that do not name them: REST services, and the protocol rpc-v2-cbor."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import UnknownServiceError

from .models import service_model
from .requests import SERVICE_BY_TARGET_PREFIX

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
