# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a dashboard's body is one.

Amazon CloudWatch API Reference, "Dashboard Body Structure and Syntax": the members, their types and limits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_TYPES = ("metric", "text", "log", "alarm", "explorer", "custom", "pipeline")
# Member → lowest and highest value; a dashboard is 24 columns wide.
_RANGES = {"x": (0, 23), "y": (0, None), "width": (1, 24), "height": (1, 1000)}
_MOST_WIDGETS = 500


def problems(body: str) -> list[dict[str, str]]:
    """What is wrong with a body, as DashboardValidationMessages: DataPath and Message."""
    try:
        document = json.loads(body)
    except ValueError:
        return [{"DataPath": "/", "Message": "The dashboard body must be a valid JSON document"}]
    if not isinstance(document, dict):
        return [{"DataPath": "/", "Message": "Should be object"}]
    widgets = document.get("widgets")
    if not isinstance(widgets, list):
        return [{"DataPath": "/widgets", "Message": "Should be array"}]
    if len(widgets) > _MOST_WIDGETS:
        return [{"DataPath": "/widgets", "Message": f"Should NOT have more than {_MOST_WIDGETS} items"}]
    return [
        {"DataPath": f"/widgets/{index}{path}", "Message": message}
        for index, widget in enumerate(widgets)
        for path, message in _widget_problems(widget)
    ]


def _widget_problems(widget: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(widget, dict):
        yield "", "Should be object"
        return
    if widget.get("type") not in _TYPES:
        yield "/type", f"Should be one of {', '.join(_TYPES)}"
    for name, (lowest, highest) in _RANGES.items():
        value = widget.get(name, lowest)
        if isinstance(value, bool) or not isinstance(value, int):
            yield f"/{name}", "Should be integer"
        elif value < lowest or (highest is not None and value > highest):
            yield f"/{name}", f"Should be from {lowest} to {highest}" if highest else f"Should be {lowest} or more"
    properties = widget.get("properties")
    if not isinstance(properties, dict):
        yield "/properties", "Should be object"
    elif widget.get("type") == "metric":
        yield from _metric_problems(properties)
    elif widget.get("type") == "text" and not isinstance(properties.get("markdown"), str):
        yield "/properties", "Should have property markdown"


def _metric_problems(properties: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "metrics" not in properties and "annotations" not in properties:
        yield "/properties", "Should have property metrics or annotations"
    metrics = properties.get("metrics", [])
    if not isinstance(metrics, list):
        yield "/properties/metrics", "Should be array"
        return
    for index, metric in enumerate(metrics):
        if not isinstance(metric, list) or not metric:
            yield f"/properties/metrics/{index}", "Should be array"
