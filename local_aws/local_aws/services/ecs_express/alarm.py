# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollback alarm: its definition in CloudWatch, and CloudWatch's arithmetic on what the balancer really answered.

"Alarm Based Rollbacks will trigger if sum of 4xx and 5xx errors percentage is > 1 for 2 datapoints within 3 minutes"
(Amazon ECS developer guide, express-service-update-full). The metrics behind that sentence are as users who imported
the alarm from their accounts have them, two of them to the letter: per target group, up to four 4xx in a minute are
overlooked, and the worse of the two groups counts, the old revision's as well as the new one's.
"""

from __future__ import annotations

import ast
import operator
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from ...context import Context
from ..elbv2 import Balancer
from .models import Service

DESCRIPTION = "Rate of 4XX and 5XX errors"
NAMESPACE = "AWS/ApplicationELB"
PERIOD = 60
OK, ALARM = "OK", "ALARM"

_TARGET_CODES = {f"HTTPCode_Target_{hundreds}XX_Count": hundreds for hundreds in (2, 3, 4, 5)}

Value = float | None
"""A datapoint; None: missing."""


def name_of(service: Service) -> str:
    """The name of a service's rollback alarm."""
    return f"{service.cluster}/{service.name}/RollbackAlarm"


def metrics(load_balancer: str, groups: list[str]) -> list[dict[str, Any]]:
    """The metric queries of the alarm that ECS makes.

    :arg load_balancer: its ARN.
    :arg groups: the ARNs of the two target groups.
    """
    queries: list[dict[str, Any]] = []
    for number, group in enumerate(groups):
        dimensions = [
            {"Name": "TargetGroup", "Value": suffix(group)},
            {"Name": "LoadBalancer", "Value": suffix(load_balancer)},
        ]
        for name, metric in (
            ("4xx", "HTTPCode_Target_4XX_Count"),
            ("5xx", "HTTPCode_Target_5XX_Count"),
            ("total", "RequestCountPerTarget"),
        ):
            described = {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions}
            stat = {"Metric": described, "Period": PERIOD, "Stat": "Sum"}
            queries.append({"Id": f"m{number}_{name}", "MetricStat": stat, "ReturnData": False})
        own = f"m{number}"
        queries.append(
            {
                "Id": f"e{own}",
                "Expression": f"100 * (IF({own}_4xx < 5, 0, {own}_4xx) + {own}_5xx) / FILL({own}_total, 1)",
                "Label": f"Sum of 4XX and 5XX errors percentage for target group {number}",
                "ReturnData": False,
            }
        )
    worst = ", ".join(f"em{number}" for number in range(len(groups)))
    label = "Sum of 4XX and 5XX errors percentage"
    return [*queries, {"Id": "e", "Expression": f"MAX([{worst}])", "Label": label, "ReturnData": True}]


def suffix(arn: str) -> str:
    """What CloudWatch's dimensions have of an ARN: ``app/name/id``, ``targetgroup/name/id``."""
    last = arn.rsplit(":", 1)[-1]
    return last.removeprefix("loadbalancer/")


# Arithmetic ---------------------------------------------------------------------------------------------------------


def _if(condition: Value, yes: Value, no: Value) -> Value:
    if condition is None:
        return None
    return yes if condition else no


def _over(function: Callable[[list[float]], float]) -> Callable[[list[Value]], Value]:
    """A function over several metrics: missing datapoints are left out."""

    def call(values: list[Value]) -> Value:
        present = [value for value in values if value is not None]
        return function(present) if present else None

    return call


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "IF": _if,
    "FILL": lambda value, other: other if value is None else value,
    "MAX": _over(max),
    "MIN": _over(min),
    "SUM": _over(sum),
}
_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right if right else None,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def calculate(expression: str, values: Mapping[str, Value]) -> Value:
    """One datapoint of a metric math expression.

    Arithmetic, comparisons, IF, FILL with a number, MAX, MIN and SUM; a missing datapoint makes the result missing
    (CloudWatch user guide, using-metric-math).

    :raises ValueError: something else.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        raise ValueError(f"Metric math that is not imitated here: {expression}") from None
    result: float | None = _calculate(tree, values)
    assert not isinstance(result, list)
    return result


def _calculate(node: ast.expr, values: Mapping[str, Value]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.Name) and node.id in values:
        return values[node.id]
    if isinstance(node, ast.List):
        return [_calculate(item, values) for item in node.elts]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        return _FUNCTIONS[node.func.id](*(_calculate(item, values) for item in node.args))
    pair: tuple[ast.expr, ast.AST, ast.expr] | None = None
    if isinstance(node, ast.BinOp):
        pair = (node.left, node.op, node.right)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        pair = (node.left, node.ops[0], node.comparators[0])
    if pair is None or type(pair[1]) not in _OPERATORS:
        raise ValueError(f"Metric math that is not imitated here: {ast.unparse(node)}")
    left, right = _calculate(pair[0], values), _calculate(pair[2], values)
    return None if left is None or right is None else _OPERATORS[type(pair[1])](left, right)


def measure(metric: str, counts: Counter[int] | None, targets: int) -> Value:
    """Return a metric of a target group for one minute; None where nothing was reported.

    :arg counts: answers by the hundreds of their status, 0 for those of the balancer itself.
    :arg targets: how many targets there are to share the requests.
    :raises ValueError: another metric than those of requests and of targets' answers.
    """
    if metric in _TARGET_CODES:
        return None if counts is None else float(counts[_TARGET_CODES[metric]])
    if metric in ("RequestCount", "RequestCountPerTarget"):
        if counts is None:
            return None
        return sum(counts.values()) / (max(1, targets) if metric == "RequestCountPerTarget" else 1)
    raise ValueError(f"A metric that is not imitated here: {metric}")


def datapoint(queries: list[dict[str, Any]], read: Callable[[str, dict[str, str]], Value]) -> Value:
    """The value of an alarm's metric queries for one minute.

    :arg read: gives a metric by name and dimensions.
    """
    values: dict[str, Value] = {}
    for query in queries:
        if "MetricStat" in query:
            described = query["MetricStat"]["Metric"]
            dimensions = {item["Name"]: item["Value"] for item in described.get("Dimensions", [])}
            values[query["Id"]] = read(described["MetricName"], dimensions)
    expressions = {query["Id"]: query["Expression"] for query in queries if "Expression" in query}

    def resolve(name: str) -> Value:
        """The value of a query; what its expression names comes first, in whatever order they stand."""
        if name not in values:
            tree = ast.parse(expressions[name].strip(), mode="eval")
            for node in ast.walk(tree):
                if isinstance(node, ast.Name) and node.id in expressions and node.id != name:
                    resolve(node.id)
            values[name] = calculate(expressions[name], values)
        return values[name]

    return resolve(next(query["Id"] for query in queries if query.get("ReturnData", True)))


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def state(alarm: dict[str, Any], points: list[Value]) -> str:
    """OK or ALARM: "M out of N" datapoints (CloudWatch user guide, alarm-evaluation); missing ones do not breach.

    :arg points: the last EvaluationPeriods datapoints.
    """
    breaches = _COMPARISONS[alarm["ComparisonOperator"]]
    needed = alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"]
    found = sum(1 for value in points if value is not None and breaches(value, alarm["Threshold"]))
    return ALARM if found >= needed else OK


# CloudWatch ---------------------------------------------------------------------------------------------------------


class Alarms:
    """CloudWatch alarms on the requests to target groups. Their state is evaluated when it is read."""

    def __init__(self, ctx: Context, balancer: Balancer) -> None:
        self.ctx = ctx
        self._balancer = balancer

    async def in_alarm(self, names: list[str]) -> list[str]:
        """Which of these alarms are in the state ALARM now; asked by DescribeAlarms, as ECS asks."""
        if not names:
            return []
        answer = await self.ctx.aws("cloudwatch", "describe_alarms", AlarmNames=names)
        return [item["AlarmName"] for item in answer["MetricAlarms"] if item["StateValue"] == ALARM]

    def state(self, alarm: dict[str, Any]) -> str:
        """Evaluate an alarm. One that is not on load balancers keeps its state."""
        queries = queries_of(alarm)
        if not queries:
            return str(alarm["StateValue"])
        try:
            return state(alarm, self._points(queries, int(alarm["EvaluationPeriods"])))
        except ValueError:
            # Made by a user, of metrics that there are none of here.
            return str(alarm["StateValue"])

    def _points(self, queries: list[dict[str, Any]], periods: int) -> list[Value]:
        balancer, now = self._balancer, time.monotonic()
        groups = {suffix(arn): group for arn, group in balancer.groups.items()}
        points = []
        for index in range(periods):

            def read(metric: str, dimensions: dict[str, str], index: int = index) -> Value:
                group = groups.get(dimensions.get("TargetGroup", ""))
                counts = balancer.answers.last(group.arn, now, periods)[index] if group is not None else None
                return measure(metric, counts, len(group.targets) if group is not None else 0)

            points.append(datapoint(queries, read))
        return points


def queries_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """An alarm's metric queries, if all its metrics are those of load balancers; else none."""
    queries: list[dict[str, Any]] = alarm.get("Metrics") or []
    if not queries and alarm.get("MetricName"):
        described = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions") if key in alarm}
        queries = [{"Id": "m", "MetricStat": {"Metric": described}, "ReturnData": True}]
    stats = [query["MetricStat"]["Metric"] for query in queries if "MetricStat" in query]
    return queries if stats and all(item.get("Namespace") == NAMESPACE for item in stats) else []
