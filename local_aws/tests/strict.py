# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second opinion on the local AWS's answers: boto3 drops members that it does not know, these checks do not.

Independent of the local AWS's own check (its package protocol), and applied to every answer that a test's boto3 client
reads.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.client import BaseClient
from botocore.model import ListShape
from botocore.model import MapShape
from botocore.model import OperationModel
from botocore.model import Shape
from botocore.model import StructureShape

#: Answered by services of our own; what ministack answers is its own affair.
SERVICES = ("ecs", "application-autoscaling")
#: Errors that every operation of AWS may answer with (API reference, Common Errors).
COMMON_ERRORS = frozenset(
    {
        "AccessDeniedException",
        "IncompleteSignature",
        "InternalFailure",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "ServiceUnavailable",
        "ThrottlingException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "ValidationException",
        "ValidationError",
    }
)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
}


class NotAwsLikeError(AssertionError):
    """The local AWS answered what AWS cannot answer."""


def check(model: OperationModel, status: int, body: bytes) -> None:
    """Compares one JSON answer with botocore's model of its operation."""
    document = json.loads(body or b"{}")
    if status >= 300:
        code = str(document.get("__type", "")).rpartition("#")[2]
        declared = {shape.metadata.get("error", {}).get("code", shape.name) for shape in model.error_shapes}
        if code not in declared | {shape.name for shape in model.error_shapes} | COMMON_ERRORS:
            raise NotAwsLikeError(f"{model.name} does not declare the error {code}: {document}")
        return
    if model.output_shape is not None:
        _compare(model.output_shape, document, model.name)


def _compare(shape: Shape, value: Any, path: str) -> None:
    if isinstance(shape, StructureShape):
        unknown = sorted(set(_typed(value, dict, path)) - set(shape.members))
        if unknown:
            raise NotAwsLikeError(f"{path} has no member {', '.join(unknown)}.")
        for name, item in value.items():
            _compare(shape.members[name], item, f"{path}.{name}")
    elif isinstance(shape, ListShape):
        for item in _typed(value, list, path):
            _compare(shape.member, item, f"{path}[]")
    elif isinstance(shape, MapShape):
        for key, item in _typed(value, dict, path).items():
            _compare(shape.value, item, f"{path}.{key}")
    else:
        _compare_scalar(shape, value, path)


def _compare_scalar(shape: Shape, value: Any, path: str) -> None:
    allowed = _TYPES[shape.type_name]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise NotAwsLikeError(f"{path} is {value!r}, but must be a {shape.type_name}.")
    enum = getattr(shape, "enum", None)
    if enum and value not in enum:
        raise NotAwsLikeError(f"{path} is {value!r}, but must be one of {', '.join(enum)}.")


def _typed(value: Any, kind: type, path: str) -> Any:
    if not isinstance(value, kind):
        raise NotAwsLikeError(f"{path} is a {type(value).__name__}, but must be a {kind.__name__}.")
    return value


def watch(client: BaseClient) -> BaseClient:
    """Has every answer that a client reads compared with the model."""

    def compare(operation_model: OperationModel, response_dict: dict[str, Any], **_unused: Any) -> None:
        check(operation_model, response_dict["status_code"], response_dict["body"])

    if client.meta.service_model.service_name in SERVICES:
        client.meta.events.register("before-parse", compare)
    return client
