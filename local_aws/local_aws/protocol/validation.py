# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not fit botocore's model, found by botocore's own validator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.model import ListShape
from botocore.model import Shape
from botocore.model import StructureShape
from botocore.validate import ParamValidator
from botocore.validate import ValidationErrors

# The Python types of botocore's validator are wider: clients may give a text for a moment, and a boolean is an integer.
_TYPES: dict[str, Any] = {
    "structure": dict,
    "map": dict,
    "list": list | tuple,
    "string": str,
    "character": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": int | float,
    "double": int | float,
    "timestamp": datetime,
    "blob": bytes,
}


@dataclass(frozen=True)
class InvalidMember:
    """What is wrong with a value.

    :arg kind: ``missing``, ``unknown`` or ``type``.
    :arg message: the sentence that the user reads.
    :arg member: the member of the whole input that it is in; empty: none.
    """

    kind: str
    message: str
    member: str = ""


class _Validator(ParamValidator):  # type: ignore[misc]
    """Reports the model's name of a type, never the value: it may be a password."""

    def _validate(self, params: Any, shape: Shape, errors: ValidationErrors, name: str) -> None:
        is_boolean = shape.type_name == "boolean"
        if getattr(shape, "is_document_type", False):
            return
        if not isinstance(params, _TYPES[shape.type_name]) or (isinstance(params, bool) and not is_boolean):
            errors.report(name, "invalid type", param=params, valid_types=[shape.type_name])
        elif isinstance(shape, ListShape):
            # botocore does not look at each item of a list of scalars as closely.
            for index, item in enumerate(params):
                self._validate(item, shape.member, errors, f"{name}[{index}]")
        else:
            super()._validate(params, shape, errors, name)


_VALIDATOR = _Validator()


def problems_of(shape: StructureShape, params: Any) -> list[InvalidMember]:
    """Unknown and missing members, and wrong types.

    Limits of lengths and numbers are left to those who answer: AWS has errors of its own for most of them.
    """
    errors = _VALIDATOR.validate(params, shape)
    return [
        problem
        for reason, path, details in (errors._errors if errors.has_errors() else ())
        if (problem := _problem(reason, path.removeprefix("."), details)) is not None
    ]


def _problem(reason: str, path: str, details: dict[str, Any]) -> InvalidMember | None:
    before = f"{path}." if path else ""
    if reason == "missing required field":
        where = f"{before}{details['required_name']}"
        return InvalidMember("missing", f'Missing required parameter "{where}".', _member(where))
    if reason == "unknown field":
        where = f"{before}{details['unknown_param']}"
        names = ", ".join(sorted(details["valid_names"]))
        return InvalidMember("unknown", f'Unknown parameter "{where}", must be one of: {names}.', _member(where))
    if reason == "invalid type":
        given, wanted = type(details["param"]).__name__, " or ".join(details["valid_types"])
        return InvalidMember(
            "type", f'Invalid type for parameter "{path or "input"}": {given}, expected {wanted}.', _member(path)
        )
    return None


def _member(path: str) -> str:
    return path.partition(".")[0].partition("[")[0].partition(" ")[0]


def without_none(value: Any) -> Any:
    """A copy without members that are None: they count as absent."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_none(item) for item in value]
    return value
