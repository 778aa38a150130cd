# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The dashboard of a deployment, as CloudWatch takes it. Pure Python.

Amazon CloudWatch API Reference, "Dashboard Body Structure and Syntax": 24 columns. The first three dashboards of an
account are free, if each refers to 50 metrics at most (https://aws.amazon.com/cloudwatch/pricing/).
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.monitoring import ECS
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.monitoring import ELB
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.monitoring import RDS
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.monitoring import Alarm
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.monitoring import Subject
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.monitoring import alarm_arns
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._roles.monitoring import alarms

Widget = dict[str, typing.Any]

COLUMNS = 24
_DAY = 86400
# CloudWatch's own palette.
_BLUE, _ORANGE, _GREEN, _RED, _PURPLE = "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"


@dataclass(frozen=True)
class _Line:
    """A line of a graph: a metric of one resource or, with several dimensions, the sum over these."""

    label: str
    namespace: str
    metric: str
    dimensions: Sequence[Mapping[str, str]]
    statistic: str
    color: str
    function: str = "SUM"


def body(watched: Subject) -> dict[str, typing.Any]:
    """Return the dashboard of what is watched, with the states of the alarms on top."""
    limits = {str(one["name"]): one for one in alarms(watched)}
    rows = [
        (2, [_text(f"# MLflow: {watched.service}\nWhat the server and its database do, and which alarms fire.")]),
        (3, [_states(alarm_arns(watched))]),
        (4, _numbers(watched)),
        (6, _service_graphs(watched, limits)),
        *([(6, row) for row in _database_graphs(watched, limits)] if watched.database else []),
    ]
    return {"start": "-PT24H", "periodOverride": "inherit", "widgets": list(_placed(rows))}


def _placed(rows: Iterable[tuple[int, Sequence[Widget]]]) -> Iterable[Widget]:
    """Yield the widgets with their places: each row shares the columns equally."""
    y = 0
    for height, widgets in rows:
        edges = [round(number * COLUMNS / len(widgets)) for number in range(len(widgets) + 1)]
        for widget, left, right in zip(widgets, edges, edges[1:], strict=False):
            yield {**widget, "x": left, "y": y, "width": right - left, "height": height}
        y += height


def _text(markdown: str) -> Widget:
    return {"type": "text", "properties": {"markdown": markdown, "background": "transparent"}}


def _states(arns: Sequence[str]) -> Widget:
    return {"type": "alarm", "properties": {"title": "Alarms", "alarms": list(arns)}}


def _numbers(watched: Subject) -> list[Widget]:
    groups = watched.of_groups
    shown = [
        ("Requests", _Line("requests", ELB, "RequestCount", groups, "Sum", _BLUE)),
        ("Errors (5xx)", _Line("errors", ELB, "HTTPCode_Target_5XX_Count", groups, "Sum", _RED)),
        ("Slowest 5 % (s)", _Line("p95", ELB, "TargetResponseTime", groups, "p95", _ORANGE, "MAX")),
        ("Healthy tasks", _Line("tasks", ELB, "HealthyHostCount", groups, "Minimum", _GREEN)),
    ]
    if watched.bucket:
        bucket = {"BucketName": watched.bucket, "StorageType": "StandardStorage"}
        shown.append(
            ("Artifacts (bytes)", _Line("size", "AWS/S3", "BucketSizeBytes", [bucket], "Average", _PURPLE)),
        )
    return [
        _graph(watched, title, [line], view="singleValue", period=_DAY if line.namespace == "AWS/S3" else 300)
        for title, line in shown
    ]


def _service_graphs(watched: Subject, limits: Mapping[str, Alarm]) -> list[Widget]:
    groups, service = watched.of_groups, [watched.of_service]
    return [
        _graph(
            watched,
            "Answers",
            [
                _Line("2xx", ELB, "HTTPCode_Target_2XX_Count", groups, "Sum", _GREEN),
                _Line("4xx", ELB, "HTTPCode_Target_4XX_Count", groups, "Sum", _ORANGE),
                _Line("5xx", ELB, "HTTPCode_Target_5XX_Count", groups, "Sum", _RED),
            ],
            stacked=True,
        ),
        _graph(
            watched,
            "Response time (s)",
            [
                _Line("half", ELB, "TargetResponseTime", groups, "p50", _BLUE, "MAX"),
                _Line("95 %", ELB, "TargetResponseTime", groups, "p95", _ORANGE, "MAX"),
            ],
        ),
        _graph(
            watched,
            "Tasks: memory and CPU (%)",
            [
                _Line("memory", ECS, "MemoryUtilization", service, "Average", _PURPLE),
                _Line("CPU", ECS, "CPUUtilization", service, "Average", _BLUE),
            ],
            limit=limits.get("service-memory"),
        ),
    ]


def _database_graphs(watched: Subject, limits: Mapping[str, Alarm]) -> list[list[Widget]]:
    where = [watched.of_database]

    def line(label: str, metric: str, statistic: str, color: str) -> _Line:
        return _Line(label, RDS, metric, where, statistic, color)

    credits = [line("CPU credits", "CPUCreditBalance", "Average", _ORANGE)] if watched.is_burstable else []
    return [
        [
            _graph(
                watched,
                "Database: CPU (%)",
                [line("CPU", "CPUUtilization", "Average", _BLUE), *credits],
                limit=limits.get("database-cpu"),
            ),
            _graph(
                watched,
                "Database: connections",
                [line("connections", "DatabaseConnections", "Maximum", _GREEN)],
                limit=limits.get("database-connections"),
            ),
            _graph(
                watched,
                "Database: free storage (bytes)",
                [line("free", "FreeStorageSpace", "Average", _PURPLE)],
                limit=limits.get("database-storage"),
            ),
        ],
        [
            _graph(
                watched,
                "Database: latency (s)",
                [line("read", "ReadLatency", "Average", _BLUE), line("write", "WriteLatency", "Average", _ORANGE)],
            ),
            _graph(
                watched,
                "Database: free memory (bytes)",
                [line("free", "FreeableMemory", "Average", _PURPLE)],
                limit=limits.get("database-memory"),
            ),
            _graph(
                watched,
                "Database: transaction ids in use",
                [line("ids", "MaximumUsedTransactionIDs", "Maximum", _RED)],
                limit=limits.get("database-transaction-ids"),
            ),
        ],
    ]


def _graph(
    watched: Subject,
    title: str,
    lines: Sequence[_Line],
    *,
    view: str = "timeSeries",
    stacked: bool = False,
    period: int = 300,
    limit: Alarm | None = None,
) -> Widget:
    metrics = [row for number, line in enumerate(lines) for row in _rows(line, chr(ord("a") + number), period)]
    properties: dict[str, typing.Any] = {
        "title": title,
        "region": watched.region,
        "view": view,
        "stacked": stacked,
        "period": period,
        "metrics": metrics,
    }
    if limit is not None:
        line = {"label": "alarm", "value": limit["threshold"], "color": _RED}
        properties["annotations"] = {"horizontal": [line]}
    return {"type": "metric", "properties": properties}


def _rows(line: _Line, letter: str, period: int) -> Iterable[list[typing.Any]]:
    shown = {"label": line.label, "color": line.color}
    names = [f"{letter}{number}" for number in range(len(line.dimensions))]
    is_one = len(names) == 1
    if not is_one:
        yield [{"expression": f"{line.function}([{', '.join(names)}])", "id": letter, **shown}]
    for name, dimensions in zip(names, line.dimensions, strict=True):
        flat = [part for pair in sorted(dimensions.items()) for part in pair]
        options = {"id": name, "stat": line.statistic, "period": period}
        yield [line.namespace, line.metric, *flat, {**options, **(shown if is_one else {"visible": False})}]
