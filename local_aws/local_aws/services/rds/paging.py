# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters and pages of RDS's lists, as botocore's texts on their parameters have them."""

from __future__ import annotations

from typing import Any

from . import rules

_PAGE = range(20, 101)


def filtered(items: list[dict[str, Any]], params: dict[str, Any], filters: dict[str, str]) -> list[dict[str, Any]]:
    """What a request's Filters leave.

    :arg filters: the name of a filter → the member that it looks at; an ARN stands for the name at its end.
    :raises ApiError: there is no such filter.
    """
    for given in params.get("Filters") or []:
        name = given.get("Name")
        if name not in filters:
            raise rules.invalid(f"Unrecognized filter name: {name}")
        wanted = {str(value).rpartition(":")[2].lower() for value in given.get("Values") or []}
        items = [item for item in items if str(item.get(filters[name], "")).lower() in wanted]
    return items


def page(name: str, items: list[dict[str, Any]], params: dict[str, Any], key: str) -> dict[str, Any]:
    """One page of a list under its name.

    :arg key: the member that tells the items apart; the marker is that of the last one.
    :raises ApiError: the page's size or the marker is wrong.
    """
    size = int(params.get("MaxRecords") or _PAGE.stop - 1)
    if size not in _PAGE:
        raise rules.invalid(f"Invalid value {size} for MaxRecords. Must be between 20 and 100")
    items = sorted(items, key=lambda item: str(item[key]))
    if params.get("Marker"):
        marker = str(params["Marker"])
        if marker not in [item[key] for item in items]:
            raise rules.invalid("The marker is not valid.")
        items = [item for item in items if str(item[key]) > marker]
    output: dict[str, Any] = {name: items[:size]}
    return output | ({"Marker": items[size - 1][key]} if len(items) > size else {})
