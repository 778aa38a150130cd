# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The input of an operation as boto3 would take it, read from JSON or from the fields of a form.

Whatever cannot be read so is left as it came: the validator finds it. botocore reads responses alone, and stops at what
does not fit, so that its parsers cannot do this.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any

from botocore.model import ListShape
from botocore.model import MapShape
from botocore.model import Shape
from botocore.model import StructureShape


def from_json(shape: Shape, value: Any) -> Any:
    """A JSON document by its shape; members that are null are absent."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {
            name: from_json(shape.members[name], item) if name in shape.members else item
            for name, item in value.items()
            if item is not None
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [from_json(shape.member, item) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: from_json(shape.value, item) for key, item in value.items()}
    if shape.type_name == "timestamp" and isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if shape.type_name == "blob" and isinstance(value, str):
        with contextlib.suppress(ValueError):
            return base64.b64decode(value, validate=True)
    return value


def from_form(shape: StructureShape, form: Mapping[str, str], *, is_ec2: bool) -> dict[str, Any]:
    """The fields of a form by their shape: ``Tags.member.1.Key`` and the like."""
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
    return _Form(is_ec2=is_ec2).structure(shape, tree)


class _Form:
    """Reads a tree of form fields by its shape."""

    def __init__(self, *, is_ec2: bool) -> None:
        self._is_ec2 = is_ec2

    def structure(self, shape: StructureShape, tree: Any) -> dict[str, Any]:
        """A structure's members; fields that it does not have keep their names."""
        if not isinstance(tree, dict):
            return {}
        names = {self._field(name, member): name for name, member in shape.members.items()}
        result = {}
        for key, node in tree.items():
            name = names.get(key)
            result[name or key] = node if name is None else self._value(shape.members[name], node)
        return result

    def _field(self, name: str, member: Shape) -> str:
        serialized = member.serialization
        if self._is_ec2:
            if "queryName" in serialized:
                return str(serialized["queryName"])
            name = str(serialized.get("name", name))
            return name[0].upper() + name[1:]
        if isinstance(member, ListShape) and serialized.get("flattened"):
            return str(member.member.serialization.get("name", serialized.get("name", name)))
        return str(serialized.get("name", name))

    def _value(self, shape: Shape, node: Any) -> Any:
        if isinstance(shape, StructureShape):
            return self.structure(shape, node)
        if isinstance(shape, ListShape):
            return self._list(shape, node)
        if isinstance(shape, MapShape):
            return self._map(shape, node)
        with contextlib.suppress(TypeError, ValueError, KeyError):
            return _SCALARS.get(shape.type_name, str)(node)
        return node

    def _list(self, shape: ListShape, node: Any) -> list[Any]:
        if not self._is_ec2 and not shape.serialization.get("flattened") and isinstance(node, dict):
            # Clients say either the model's name or the general "member".
            name = shape.member.serialization.get("name", "member")
            node = node.get(name, node.get("member", {}))
        return [self._value(shape.member, item) for item in _items(node)]

    def _map(self, shape: MapShape, node: Any) -> dict[str, Any]:
        if not shape.serialization.get("flattened") and isinstance(node, dict):
            node = node.get("entry", {})
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        return {item[key_name]: self._value(shape.value, item.get(value_name)) for item in _items(node)}


def _items(node: Any) -> list[Any]:
    """The numbered fields in their order."""
    if not isinstance(node, dict):
        return []
    return [node[key] for key in sorted((key for key in node if key.isdigit()), key=int)]


_SCALARS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": {"true": True, "false": False}.__getitem__,
    "timestamp": lambda text: datetime.fromisoformat(text.replace("Z", "+00:00")),
    "blob": base64.b64decode,
}
