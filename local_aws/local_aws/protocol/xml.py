# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of the protocols awsQuery and ec2Query. Values have been checked against the model before."""

from __future__ import annotations

import base64
from datetime import UTC
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import ListShape
from botocore.model import MapShape
from botocore.model import OperationModel
from botocore.model import Shape
from botocore.model import StructureShape

#: How a document begins.
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


def xml_body(model: OperationModel, output: dict[str, Any], request_id: str, *, is_ec2: bool) -> bytes:
    """The body of a response."""
    shape = model.output_shape
    inner = "" if shape is None else _members(shape, output, is_ec2=is_ec2)
    namespace = model.service_model.metadata.get("xmlNamespace", "")
    name = model.name
    if is_ec2:
        content = f"<requestId>{request_id}</requestId>{inner}"
    else:
        wrapper = None if shape is None else shape.serialization.get("resultWrapper", f"{name}Result")
        content = f"<{wrapper}>{inner}</{wrapper}>" if wrapper else ""
        content += f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return f'{XML}<{name}Response xmlns="{namespace}">{content}</{name}Response>'.encode()


def _members(shape: StructureShape, value: dict[str, Any], *, is_ec2: bool) -> str:
    members = ((name, shape.members[name], item) for name, item in value.items())
    return "".join(
        _element(member.serialization.get("name", name), member, item, is_ec2=is_ec2) for name, member, item in members
    )


def _element(tag: str, shape: Shape, value: Any, *, is_ec2: bool) -> str:
    if isinstance(shape, ListShape):
        flattened = shape.serialization.get("flattened")
        item_tag = shape.member.serialization.get("name", tag if flattened else "item" if is_ec2 else "member")
        inner = "".join(_element(item_tag, shape.member, item, is_ec2=is_ec2) for item in value)
        return inner if flattened else f"<{tag}>{inner}</{tag}>"
    if isinstance(shape, StructureShape):
        inner = _members(shape, value, is_ec2=is_ec2)
    elif isinstance(shape, MapShape):
        key_tag = shape.key.serialization.get("name", "key")
        value_tag = shape.value.serialization.get("name", "value")
        inner = "".join(
            f"<entry><{key_tag}>{escape(str(key))}</{key_tag}>"
            f"{_element(value_tag, shape.value, item, is_ec2=is_ec2)}</entry>"
            for key, item in value.items()
        )
    else:
        inner = escape(_text(value))
    return f"<{tag}>{inner}</{tag}>"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)
