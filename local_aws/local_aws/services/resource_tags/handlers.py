# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""GetResources, GetTagKeys and GetTagValues over all services, a page at a time.

Limits and defaults: Resource Groups Tagging API Reference, GetResources (ResourcesPerPage: 1 to 100, 50 by default).
The services that take part, which IAM's roles do not: "Services that support the Resource Groups Tagging API".
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from ...service import parse_response

SERVICE = "resourcegroupstaggingapi"
_LISTS = {"GetResources": "ResourceTagMappingList", "GetTagKeys": "TagKeys", "GetTagValues": "TagValues"}
_PAGE = 50
# GetTagKeys and GetTagValues have no parameter for it.
_LONG_PAGE = 100


class ResourceTags:
    """The reads of the Resource Groups Tagging API."""

    name = "resource_tags"

    def owns(self, call: Call) -> bool:
        """Whether it is one of its reads."""
        return call.service == SERVICE and call.operation in _LISTS

    async def handle(self, call: Call) -> Response:
        """One page of what ministack finds with the collectors of all services."""
        found = await call.passthrough()
        output = parse_response(found, SERVICE, call.operation)
        if found.status != 200:
            return found
        name = _LISTS[call.operation]
        items = output.get(name, [])
        if call.operation == "GetResources":
            items = sorted((item for item in items if item.get("Tags")), key=lambda item: str(item["ResourceARN"]))
        begin = _begin(call.params.get("PaginationToken"), len(items))
        end = begin + _page_length(call)
        token = _token(end) if end < len(items) else ""
        return aws_response({name: items[begin:end], "PaginationToken": token}, SERVICE, call.operation)

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def state(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""


def _page_length(call: Call) -> int:
    if call.operation != "GetResources":
        return _LONG_PAGE
    length = int(call.params.get("ResourcesPerPage") or _PAGE)
    if not 1 <= length <= _LONG_PAGE:
        raise ApiError("InvalidParameterException", f"ResourcesPerPage must be from 1 to {_LONG_PAGE}, not {length}.")
    return length


def _token(begin: int) -> str:
    return base64.urlsafe_b64encode(str(begin).encode()).decode()


def _begin(token: str | None, total: int) -> int:
    """Where the page of a token begins.

    :raises ApiError: PaginationTokenExpiredException, for a token that did not come from here.
    """
    if not token:
        return 0
    try:
        begin = int(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        begin = -1
    if not 0 <= begin <= total:
        raise ApiError("PaginationTokenExpiredException", "The pagination token is not valid.")
    return begin
