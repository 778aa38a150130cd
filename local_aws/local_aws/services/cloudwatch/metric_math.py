# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudWatch's metric math, one datapoint at a time, and how datapoints make the state of an alarm.

CloudWatch user guide, "Using math expressions with CloudWatch metrics" and "Alarm evaluation".
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

Value = float | None
"""A datapoint; None: missing."""


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


def datapoint(queries: list[dict[str, Any]], read: Callable[[dict[str, Any]], Value]) -> Value:
    """The value of an alarm's metric queries for one period.

    :arg read: gives the value of a MetricStat.
    """
    values: dict[str, Value] = {}
    for query in queries:
        if "MetricStat" in query:
            values[query["Id"]] = read(query["MetricStat"])
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


def state(alarm: dict[str, Any], points: Sequence[Value], unseen: int = 0) -> str:
    """OK, ALARM or INSUFFICIENT_DATA: "M out of N" datapoints, and what TreatMissingData makes of missing ones.

    :arg points: the last datapoints, EvaluationPeriods less those that were not seen.
    :arg unseen: of so many periods it is not known whether there was a datapoint; they decide nothing.
    """
    breaches = _COMPARISONS[alarm["ComparisonOperator"]]
    needed = alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"]
    treatment = alarm.get("TreatMissingData") or "missing"
    present = [value for value in points if value is not None]
    found = sum(1 for value in present if breaches(value, alarm["Threshold"]))
    missing = len(points) - len(present)
    if treatment == "breaching":
        found += missing
    if found >= needed:
        return ALARM
    if present or treatment == "notBreaching" or (treatment == "breaching" and missing):
        return OK
    if treatment == "ignore" or (unseen and not missing):
        return str(alarm.get("StateValue", INSUFFICIENT_DATA))
    return INSUFFICIENT_DATA


def queries_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """An alarm's metric queries; those of an alarm on one metric are made up."""
    queries: list[dict[str, Any]] = alarm.get("Metrics") or []
    if queries or not alarm.get("MetricName"):
        return queries
    described = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions") if alarm.get(key)}
    stat = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    measured = {"Metric": described, "Period": int(alarm.get("Period") or 60), "Stat": stat}
    return [{"Id": "m", "MetricStat": measured, "ReturnData": True}]
