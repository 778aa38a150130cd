# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and responses of AWS's JSON and Query protocols, checked against botocore's service models.

Source of the shapes: botocore's models (``botocore/data/<service>``); of the wire formats: Smithy's documents on the
protocols awsJson1_1, awsQuery and ec2Query.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import re
import uuid
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.parsers
import botocore.session
import cbor2
from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape
from botocore.model import MapShape
from botocore.model import OperationModel
from botocore.model import OperationNotFoundError
from botocore.model import ServiceModel
from botocore.model import Shape
from botocore.model import StructureShape

#: The name that botocore has for the protocol.
CBOR = "smithy-rpc-v2-cbor"

# Signing names that are not botocore's service names.
_BY_SIGNING_NAME = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "tagging": "resourcegroupstaggingapi",
}
# Unsigned JSON requests, and services that sign with another one's name.
_BY_TARGET_PREFIX = {
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
_CBOR_PATH = re.compile(r"/service/([A-Za-z0-9_]+)/operation/([A-Za-z0-9]+)")
_SCOPE = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request")


@dataclass
class Request:
    """What an HTTP request asks of AWS.

    :arg service: botocore's service name, or the signing name where botocore knows none; empty: cannot be told.
    :arg operation: empty where only the service's own routes tell (REST protocols).
    :arg problems: what is wrong with the input: (kind, message); kinds ``missing``, ``unknown``, ``type``.
    """

    service: str
    operation: str
    access_key_id: str
    region: str
    params: dict[str, Any] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@functools.cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of a service; raises UnknownServiceError."""
    return _session().get_service_model(service)


@functools.cache
def operation_model(service: str, operation: str) -> OperationModel | None:
    """botocore's model of an operation; None where botocore knows no such service or operation."""
    try:
        return service_model(service).operation_model(operation)
    except (UnknownServiceError, OperationNotFoundError):
        return None


def protocol(service: str) -> str:
    """The protocol in which botocore's clients speak to a service: json, query, ec2, rest-json, rest-xml."""
    try:
        model = service_model(service)
    except UnknownServiceError:
        return "json"
    return str(model.resolved_protocol)


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
        request = Request(_BY_TARGET_PREFIX.get(prefix, service), operation, access_key_id, region)
        _parse_json(request, body)
        return request
    form = _form(headers, query, body)
    if "Action" in form:
        service = service or _BY_VERSION.get(form.get("Version", ""), "")
        request = Request(service, form["Action"], access_key_id, region)
        _parse_query(request, form)
        return request
    return Request(service, "", access_key_id, region)


def cbor_operation(path: str) -> tuple[str, str] | None:
    """Service and operation that the path of a request in the protocol rpc-v2-cbor names; None for other paths.

    https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html: /service/{service}/operation/{operation}
    """
    match = _CBOR_PATH.fullmatch(path)
    return (_BY_TARGET_PREFIX.get(match[1], match[1]), match[2]) if match else None


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


def _form(headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> dict[str, str]:
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return dict(query)


# --- input -----------------------------------------------------------------------------------------------------------


def _parse_json(request: Request, body: bytes) -> None:
    model = operation_model(request.service, request.operation)
    if model is None:
        return
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        request.problems.append(("type", "The request body is not JSON."))
        return
    shape = model.input_shape
    if shape is None:
        return
    request.params = _Input(request.problems).value(shape, document, "") or {}


class _Input:
    """Reads a JSON document by its shape; collects what does not fit."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems

    def value(self, shape: Shape, value: Any, path: str) -> Any:
        """The value as boto3 would take it; None where it does not fit."""
        readers: dict[str, Callable[[Any, Any, str], Any]] = {
            "structure": self._structure,
            "list": self._list,
            "map": self._map,
            "timestamp": self._timestamp,
            "blob": self._blob,
        }
        reader = readers.get(shape.type_name, self._scalar)
        return reader(shape, value, path)

    def _wrong(self, shape: Shape, value: Any, path: str) -> None:
        text = f'Invalid type for parameter "{path or "input"}": {type(value).__name__}, expected {shape.type_name}.'
        self.problems.append(("type", text))

    def _structure(self, shape: StructureShape, value: Any, path: str) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            self._wrong(shape, value, path)
            return None
        result = {}
        for name, item in value.items():
            where = f"{path}.{name}" if path else name
            if name not in shape.members:
                self.problems.append(("unknown", _unknown(where, shape)))
            elif item is not None:
                result[name] = self.value(shape.members[name], item, where)
        _require(shape, result, path, self.problems)
        return result

    def _list(self, shape: ListShape, value: Any, path: str) -> list[Any] | None:
        if not isinstance(value, list):
            self._wrong(shape, value, path)
            return None
        return [self.value(shape.member, item, f"{path}[{index}]") for index, item in enumerate(value)]

    def _map(self, shape: MapShape, value: Any, path: str) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            self._wrong(shape, value, path)
            return None
        return {key: self.value(shape.value, item, f"{path}.{key}") for key, item in value.items()}

    def _timestamp(self, shape: Shape, value: Any, path: str) -> datetime | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(shape, value, path)
            return None
        return datetime.fromtimestamp(value, UTC)

    def _blob(self, shape: Shape, value: Any, path: str) -> bytes | None:
        try:
            return base64.b64decode(value, validate=True)
        except (TypeError, ValueError):
            self._wrong(shape, value, path)
            return None

    def _scalar(self, shape: Shape, value: Any, path: str) -> Any:
        if isinstance(value, bool) != (shape.type_name == "boolean") or not isinstance(value, _TYPES[shape.type_name]):
            self._wrong(shape, value, path)
            return None
        return value


_TYPES: dict[str, Any] = {
    "string": str,
    "character": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": int | float,
    "double": int | float,
}


def _unknown(where: str, shape: StructureShape) -> str:
    return f'Unknown parameter "{where}", must be one of: {", ".join(sorted(shape.members))}.'


def _require(shape: StructureShape, value: dict[str, Any], path: str, problems: list[tuple[str, str]]) -> None:
    for name in shape.required_members:
        if name not in value:
            where = f"{path}.{name}" if path else name
            problems.append(("missing", f'Missing required parameter "{where}".'))


def _parse_query(request: Request, form: dict[str, str]) -> None:
    model = operation_model(request.service, request.operation)
    if model is None:
        return
    tree: dict[str, Any] = {}
    for key, text in form.items():
        if key in ("Action", "Version") or key.startswith("X-Amz-"):
            continue
        node = tree
        *parents, last = key.split(".")
        for part in parents:
            child = node.setdefault(part, {})
            node = child if isinstance(child, dict) else node
        node[last] = text
    if model.input_shape is not None:
        reader = _Form(request.problems, is_ec2=protocol(request.service) == "ec2")
        request.params = reader.structure(model.input_shape, tree, "")


class _Form:
    """Reads a tree of form fields by its shape; collects what does not fit."""

    def __init__(self, problems: list[tuple[str, str]], *, is_ec2: bool) -> None:
        self.problems = problems
        self.is_ec2 = is_ec2

    def structure(self, shape: StructureShape, tree: Any, path: str) -> dict[str, Any]:
        """A structure's fields; unknown and missing ones are collected."""
        if not isinstance(tree, dict):
            tree = {}
        names = {self._name(name, member): name for name, member in shape.members.items()}
        result = {}
        for key, node in tree.items():
            where = f"{path}.{key}" if path else key
            if key not in names:
                self.problems.append(("unknown", _unknown(where, shape)))
                continue
            result[names[key]] = self.value(shape.members[names[key]], node, where)
        _require(shape, result, path, self.problems)
        return result

    def _name(self, name: str, member: Shape) -> str:
        serialized = member.serialization
        if self.is_ec2:
            if "queryName" in serialized:
                return str(serialized["queryName"])
            name = str(serialized.get("name", name))
            return name[0].upper() + name[1:]
        if member.type_name == "list" and serialized.get("flattened"):
            return str(member.member.serialization.get("name", serialized.get("name", name)))
        return str(serialized.get("name", name))

    def value(self, shape: Shape, node: Any, path: str) -> Any:
        """A value of any shape; None where it does not fit."""
        if isinstance(shape, StructureShape):
            return self.structure(shape, node, path)
        if isinstance(shape, ListShape):
            return self._list(shape, node, path)
        if isinstance(shape, MapShape):
            return self._map(shape, node, path)
        return self._scalar(shape, node, path)

    def _items(self, node: Any) -> list[Any]:
        if not isinstance(node, dict):
            return []
        return [node[key] for key in sorted((key for key in node if key.isdigit()), key=int)]

    def _list(self, shape: ListShape, node: Any, path: str) -> list[Any]:
        if not self.is_ec2 and not shape.serialization.get("flattened") and isinstance(node, dict):
            # Clients say either the model's name or the general "member".
            name = shape.member.serialization.get("name", "member")
            node = node.get(name, node.get("member", {}))
        items = self._items(node)
        return [self.value(shape.member, item, f"{path}[{index}]") for index, item in enumerate(items)]

    def _map(self, shape: MapShape, node: Any, path: str) -> dict[str, Any]:
        if not shape.serialization.get("flattened") and isinstance(node, dict):
            node = node.get("entry", {})
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        return {item[key_name]: self.value(shape.value, item.get(value_name), path) for item in self._items(node)}

    def _scalar(self, shape: Shape, text: Any, path: str) -> Any:
        try:
            return _SCALARS.get(shape.type_name, str)(text)
        except (TypeError, ValueError, KeyError):
            message = f'Invalid value for parameter "{path}": {text!r}, expected {shape.type_name}.'
            self.problems.append(("type", message))
            return None


_SCALARS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": {"true": True, "false": False}.__getitem__,
    "timestamp": lambda text: datetime.fromisoformat(text.replace("Z", "+00:00")),
    "blob": base64.b64decode,
}


_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'

# --- output ----------------------------------------------------------------------------------------------------------


def serialize(output: dict[str, Any], service: str, operation: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of an operation's output.

    :raises TypeError: the output does not fit the model.
    """
    model = operation_model(service, operation)
    if model is None:
        raise TypeError(f"botocore knows no operation {service}:{operation}.")
    speaks = protocol(service)
    request_id = str(uuid.uuid4())
    if speaks == "json":
        document = {} if model.output_shape is None else _to_json(model.output_shape, output, "output")
        version = model.service_model.metadata.get("jsonVersion", "1.1")
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amzn-requestid": request_id}
        return headers, json.dumps(document).encode()
    if speaks not in ("query", "ec2"):
        raise TypeError(f"{service} speaks {speaks}; only json, query and ec2 are served here.")
    body = _xml_body(model, output, request_id, is_ec2=speaks == "ec2")
    return {"content-type": "text/xml", "x-amzn-requestid": request_id}, body


def _to_json(shape: Shape, value: Any, path: str) -> Any:
    if isinstance(shape, StructureShape):
        return {
            shape.members[name].serialization.get("name", name): _to_json(shape.members[name], item, f"{path}.{name}")
            for name, item in _members(shape, value, path)
        }
    if isinstance(shape, ListShape):
        return [_to_json(shape.member, item, f"{path}[]") for item in _typed(value, list | tuple, shape, path)]
    if isinstance(shape, MapShape):
        return {
            key: _to_json(shape.value, item, f"{path}.{key}") for key, item in _typed(value, dict, shape, path).items()
        }
    if shape.type_name == "timestamp":
        return _typed(value, datetime, shape, path).timestamp()
    if shape.type_name == "blob":
        return base64.b64encode(_typed(value, bytes, shape, path)).decode()
    return _checked_scalar(shape, value, path)


def _members(shape: StructureShape, value: Any, path: str) -> list[tuple[str, Any]]:
    """A structure's members; None counts as absent, an unknown name is a mistake."""
    unknown = sorted(set(_typed(value, dict, shape, path)) - set(shape.members))
    if unknown:
        raise TypeError(f"{path} has no member {', '.join(unknown)} in botocore's model of {shape.name}.")
    return [(name, item) for name, item in value.items() if item is not None]


def _typed(value: Any, kind: Any, shape: Shape, path: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{path} must be a {shape.type_name} ({shape.name}), not {type(value).__name__}.")
    return value


def _checked_scalar(shape: Shape, value: Any, path: str) -> Any:
    if isinstance(value, bool) != (shape.type_name == "boolean"):
        raise TypeError(f"{path} must be a {shape.type_name}, not {type(value).__name__}.")
    return _typed(value, _TYPES[shape.type_name], shape, path)


def _xml_body(model: OperationModel, output: dict[str, Any], request_id: str, *, is_ec2: bool) -> bytes:
    shape = model.output_shape
    inner = "" if shape is None else "".join(_to_xml(shape, output, "output", is_ec2=is_ec2))
    namespace = model.service_model.metadata.get("xmlNamespace", "")
    name = model.name
    if is_ec2:
        content = f"<requestId>{request_id}</requestId>{inner}"
    else:
        wrapper = None if shape is None else shape.serialization.get("resultWrapper", f"{name}Result")
        content = f"<{wrapper}>{inner}</{wrapper}>" if wrapper else ""
        content += f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return f'{_XML}<{name}Response xmlns="{namespace}">{content}</{name}Response>'.encode()


def _to_xml(shape: StructureShape, value: Any, path: str, *, is_ec2: bool) -> list[str]:
    parts = []
    for name, item in _members(shape, value, path):
        member = shape.members[name]
        parts.append(_xml_member(member.serialization.get("name", name), member, item, f"{path}.{name}", is_ec2=is_ec2))
    return parts


def _xml_member(tag: str, shape: Shape, value: Any, path: str, *, is_ec2: bool) -> str:
    if isinstance(shape, StructureShape):
        return f"<{tag}>{''.join(_to_xml(shape, value, path, is_ec2=is_ec2))}</{tag}>"
    if isinstance(shape, ListShape):
        flattened = shape.serialization.get("flattened")
        item_tag = shape.member.serialization.get("name", tag if flattened else "item" if is_ec2 else "member")
        items = _typed(value, list | tuple, shape, path)
        inner = "".join(_xml_member(item_tag, shape.member, item, f"{path}[]", is_ec2=is_ec2) for item in items)
        return inner if flattened else f"<{tag}>{inner}</{tag}>"
    if isinstance(shape, MapShape):
        key_tag = shape.key.serialization.get("name", "key")
        value_tag = shape.value.serialization.get("name", "value")
        entries = "".join(
            f"<entry><{key_tag}>{escape(str(key))}</{key_tag}>"
            f"{_xml_member(value_tag, shape.value, item, f'{path}.{key}', is_ec2=is_ec2)}</entry>"
            for key, item in _typed(value, dict, shape, path).items()
        )
        return f"<{tag}>{entries}</{tag}>"
    return f"<{tag}>{escape(_xml_text(shape, value, path))}</{tag}>"


def _xml_text(shape: Shape, value: Any, path: str) -> str:
    if shape.type_name == "timestamp":
        moment: datetime = _typed(value, datetime, shape, path).astimezone(UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    if shape.type_name == "blob":
        return base64.b64encode(_typed(value, bytes, shape, path)).decode()
    value = _checked_scalar(shape, value, path)
    return str(value).lower() if isinstance(value, bool) else str(value)


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
    speaks = speaks or (protocol(service) if service else "query")
    status = _modelled_status(code, service) or status
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
    return status, headers, f"{_XML}{body}".encode()


@functools.cache
def _modelled_status(code: str, service: str) -> int | None:
    """The HTTP status that botocore's model gives an error."""
    try:
        shape = service_model(service).shape_for_error_code(code)
    except UnknownServiceError:
        return None
    return shape.metadata.get("error", {}).get("httpStatusCode") if shape is not None else None


def parse(status: int, headers: dict[str, str], body: bytes, service: str, operation: str) -> dict[str, Any]:
    """What boto3 would make of a response, without ResponseMetadata."""
    model = operation_model(service, operation)
    if model is None:
        raise TypeError(f"botocore knows no operation {service}:{operation}.")
    parser = botocore.parsers.create_parser(protocol(service))
    parsed: dict[str, Any] = parser.parse({"status_code": status, "headers": headers, "body": body}, model.output_shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


def parse_error(status: int, body: bytes, service: str) -> dict[str, str]:
    """Code and message of an error response, as boto3 reads it."""
    parser = botocore.parsers.create_parser(protocol(service))
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
