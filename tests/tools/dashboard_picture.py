# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the dashboard of the role monitoring into docs/images/dashboard.svg; with --check, only compare.

The widgets, their places, lines, colours and thresholds are those that CloudWatch gets. The values are made up: a day
of an ordinary server.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import monitoring
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles import monitoring_dashboard

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "dashboard.svg"
_COLUMN, _ROW, _GAP = 42, 30, 6
_POINTS = 72
_GIB = 1024**3
_ELB = "arn:aws:elasticloadbalancing:eu-central-1:123456789012"
_MADE = [
    {"kind": "loadBalancer", "arn": f"{_ELB}:loadbalancer/app/gateway/1"},
    *({"kind": "targetGroups", "arn": f"{_ELB}:targetgroup/{name}/1"} for name in ("blue", "green")),
    {"kind": "certificate", "arn": "arn:aws:acm:eu-central-1:123456789012:certificate/1"},
]
_ANSWERS: dict[str, Any] = {
    "cluster": "default",
    "service_name": "mlflow",
    "alarm_prefix": "mlflow.mlflow/",
    "context": {"account_id": "123456789012", "partition": "aws", "region": "eu-central-1"},
    "bucket": "mlflow-artifacts",
    "database": "mlflow",
    "services": [{"managed_resources": _MADE}],
    "instances": [{"db_instance_class": "db.t4g.micro", "allocated_storage": 20}],
}
# Of each line of each graph: the level around which a day's values are, and by how much they rise at noon.
_LEVELS = {
    "2xx": (40, 160),
    "4xx": (1, 3),
    "5xx": (0, 0.3),
    "half": (0.02, 0.02),
    "95 %": (0.12, 0.2),
    "memory": (48, 12),
    "CPU": (6, 28),
    "CPU credits": (80, -25),
    "connections": (12, 22),
    "read": (0.0006, 0.0006),
    "write": (0.0011, 0.001),
    "ids": (180_000_000, 4_000_000),
}
_FREE = {"Database: free storage (bytes)": (15.2 * _GIB, 0), "Database: free memory (bytes)": (0.21 * _GIB, 0)}
_NUMBERS = {"requests": "18,420", "errors": "2", "p95": "0.31", "tasks": "1", "size": "41.7 G"}
_STYLE = """
    .page { fill: #f2f3f3; } .widget { fill: #ffffff; stroke: #d5dbdb; } text { fill: #16191f; }
    .small { font-size: 11px; fill: #545b64; } .title { font-size: 13px; font-weight: bold; }
    .grid { stroke: #eaeded; } .limit { stroke: #d62728; stroke-dasharray: 4 3; }
    .ok { fill: #eaf6ed; stroke: #1d8102; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; } .widget { fill: #161b22; stroke: #30363d; } text { fill: #e6edf3; }
      .small { fill: #9fb0bb; } .grid { stroke: #30363d; } .ok { fill: #12261a; stroke: #2ea043; }
    }"""


def picture() -> str:
    """Return the picture."""
    widgets = monitoring_dashboard.body(monitoring.subject(_ANSWERS))["widgets"]
    width = monitoring_dashboard.COLUMNS * _COLUMN + _GAP
    height = max(widget["y"] + widget["height"] for widget in widgets) * _ROW + _GAP
    titles = ", ".join(widget["properties"].get("title", "") for widget in widgets if "title" in widget["properties"])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="14" role="img" aria-labelledby="title desc">',
        '  <title id="title">The dashboard, with made-up values</title>',
        f'  <desc id="desc">{escape(titles)}</desc>',
        f"  <style>{_STYLE}\n  </style>",
        f'  <rect class="page" width="{width}" height="{height}" rx="8"/>',
    ]
    for widget in widgets:
        parts += _widget(widget)
    return "\n".join([*parts, "</svg>", ""])


def _widget(widget: dict[str, Any]) -> list[str]:
    left, top = widget["x"] * _COLUMN + _GAP, widget["y"] * _ROW + _GAP
    width, height = widget["width"] * _COLUMN - _GAP, widget["height"] * _ROW - _GAP
    properties = widget["properties"]
    if widget["type"] == "text":
        head, _line, rest = properties["markdown"].removeprefix("# ").partition("\n")
        return [
            f'  <text x="{left + 4}" y="{top + 24}" font-size="20" font-weight="bold">{escape(head)}</text>',
            f'  <text class="small" x="{left + 4}" y="{top + 44}">{escape(rest)}</text>',
        ]
    parts = [f'  <rect class="widget" x="{left}" y="{top}" width="{width}" height="{height}" rx="4"/>']
    parts.append(f'  <text class="title" x="{left + 10}" y="{top + 20}">{escape(properties["title"])}</text>')
    if widget["type"] == "alarm":
        return parts + _states(properties["alarms"], left + 10, top + 32, width - 20)
    shown = [row[-1] for row in properties["metrics"] if row[-1].get("visible", True)]
    if properties["view"] == "singleValue":
        value = _NUMBERS[shown[0]["label"]]
        return [*parts, f'  <text x="{left + 10}" y="{top + 70}" font-size="30">{value}</text>']
    return parts + _lines(properties, shown, (left + 10, top + 32, width - 20, height - 62))


def _states(arns: list[str], left: float, top: float, width: float) -> list[str]:
    """Two rows of alarms, all of which are well."""
    columns = math.ceil(len(arns) / 2)
    each = width / columns
    parts = []
    for number, arn in enumerate(arns):
        x, y = left + number % columns * each, top + number // columns * 24
        name = arn.rpartition("/")[2]
        parts.append(f'  <rect class="ok" x="{x:.1f}" y="{y}" width="{each - 6:.1f}" height="19" rx="3"/>')
        parts.append(f'  <text class="small" x="{x + 6:.1f}" y="{y + 13.5}">{escape(name)}</text>')
    return parts


def _lines(
    properties: dict[str, Any], shown: list[dict[str, Any]], area: tuple[float, float, float, float]
) -> list[str]:
    left, top, width, height = area
    series = [_values(properties["title"], row["label"]) for row in shown]
    limits = [line["value"] for line in properties.get("annotations", {}).get("horizontal", [])]
    # A threshold that is far away would make a line of what is looked at.
    highest = max(max(values) for values in series)
    near = [limit for limit in limits if limit <= 4 * highest]
    most = 1.1 * max([highest, *near])
    parts = [f'  <path class="grid" d="M{left} {top + height * part / 3:.1f} h{width}"/>' for part in range(4)]
    for limit in near:
        y = top + height * (1 - limit / most)
        parts.append(f'  <path class="limit" d="M{left} {y:.1f} h{width}"/>')
    for number, (row, values) in enumerate(zip(shown, series, strict=True)):
        points = [
            f"{left + width * place / (_POINTS - 1):.1f},{top + height * (1 - value / most):.1f}"
            for place, value in enumerate(values)
        ]
        parts.append(
            f'  <polyline points="{" ".join(points)}" fill="none" stroke="{row["color"]}" stroke-width="1.6"/>'
        )
        x = left + number * 110
        parts.append(f'  <rect x="{x}" y="{top + height + 10}" width="10" height="10" fill="{row["color"]}"/>')
        parts.append(f'  <text class="small" x="{x + 15}" y="{top + height + 19}">{escape(row["label"])}</text>')
    return parts


def _values(title: str, label: str) -> list[float]:
    """Return a day of made-up values, the same ones each time."""
    level, rise = _FREE[title] if label == "free" else _LEVELS[label]
    chance = random.Random(f"{title} {label}")
    noon = (math.exp(-(((place / _POINTS) - 0.55) ** 2) / 0.03) for place in range(_POINTS))
    return [max(0.0, level + rise * part + 0.04 * level * chance.uniform(-1, 1)) for part in noon]


def main(arguments: list[str]) -> int:
    """Write the picture, or say that it is out of date."""
    wanted = picture()
    if arguments == ["--check"]:
        if not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != wanted:
            print(f"{PICTURE.relative_to(ROOT)} is not the dashboard. Run: make generate", file=sys.stderr)
            return 1
        return 0
    PICTURE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
