# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits in botocore's models, in the words in which AWS's newer services name them.

"2 validation errors detected: Value 'x' at 'name' failed to satisfy constraint: Member must …" is what services whose
models are Smithy's answer (https://smithy.io/2.0/spec/constraint-traits.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape
from botocore.model import MapShape
from botocore.model import Shape
from botocore.model import StructureShape


def violations(shape: Shape, params: Any) -> str:
    """What is beyond the limits; empty if nothing is. Types have been checked before."""
    found = list(_walk(shape, params, ""))
    if not found:
        return ""
    errors = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {errors} detected: {'; '.join(found)}"


def _walk(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if reason := _reason(shape, value):
        shown = f"Value '{value}'" if isinstance(value, str | int | float) else "Value"
        yield f"{shown} at '{path}' failed to satisfy constraint: Member must {reason}"
    if isinstance(shape, StructureShape):
        for name, item in value.items():
            if item is not None:
                member = f"{name[:1].lower()}{name[1:]}"
                yield from _walk(shape.members[name], item, f"{path}.{member}" if path else member)
    elif isinstance(shape, ListShape):
        for number, item in enumerate(value, 1):
            yield from _walk(shape.member, item, f"{path}.{number}.member")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from _walk(shape.value, item, f"{path}.{key}.member")


def _reason(shape: Shape, value: Any) -> str:
    limits = shape.metadata
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return _beyond(limits, value, "value")
    return _beyond(limits, len(value), "length") or _unlike(limits, value) if hasattr(value, "__len__") else ""


def _beyond(limits: dict[str, Any], number: float, what: str) -> str:
    if number < limits.get("min", number):
        return f"have {what} greater than or equal to {limits['min']}"
    if number > limits.get("max", number):
        return f"have {what} less than or equal to {limits['max']}"
    return ""


def _unlike(limits: dict[str, Any], value: Any) -> str:
    if "enum" in limits and value not in limits["enum"]:
        return f"satisfy enum value set: [{', '.join(limits['enum'])}]"
    if "pattern" in limits and re.fullmatch(limits["pattern"], value, re.ASCII) is None:
        return f"satisfy regular expression pattern: {limits['pattern']}"
    return ""
