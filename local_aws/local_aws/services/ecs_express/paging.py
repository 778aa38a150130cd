# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of lists, as ECS makes them."""

from __future__ import annotations

from typing import Any

from .transformations import invalid

PAGE = 20


def paged(items: list[Any], params: dict[str, Any], default: int = PAGE) -> tuple[list[Any], str]:
    """One page of a list and the token of the next one; the token is an offset."""
    token = str(params.get("nextToken") or "0")
    if not token.isdigit():
        raise invalid("Invalid nextToken.")
    begin, size = int(token), int(params.get("maxResults") or default)
    following = begin + size
    return items[begin:following], str(following) if following < len(items) else ""
