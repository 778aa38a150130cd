# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollback alarm: its definition in CloudWatch, and CloudWatch's arithmetic on what the balancer really answered.

"Alarm Based Rollbacks will trigger if sum of 4xx and 5xx errors percentage is > 1 for 2 datapoints within 3 minutes"
(Amazon ECS developer guide, express-service-update-full). The metrics behind that sentence are as users who imported
the alarm from their accounts have them, two of them to the letter: per target group, up to four 4xx in a minute are
overlooked, and the worse of the two groups counts, the old revision's as well as the new one's.
"""

from __future__ import annotations

import time
from typing import Any

from ...context import Context
from ..cloudwatch import metric_math
from ..cloudwatch.metric_math import ALARM
from ..cloudwatch.metric_math import Value
from ..elbv2 import Balancer
from ..elbv2.metrics import NAMESPACE
from ..elbv2.metrics import measure
from ..elbv2.metrics import suffix
from .models import Service

DESCRIPTION = "Rate of 4XX and 5XX errors"
PERIOD = 60
_NAME = "RollbackAlarm"


def name_of(service: Service) -> str:
    """The name of a service's rollback alarm."""
    return f"{service.cluster}/{service.name}/{_NAME}"


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
        """The state of an alarm now: those of Express Mode are evaluated here, all others where metrics are sampled."""
        if not is_own(alarm):
            return str(alarm["StateValue"])
        queries = metric_math.queries_of(alarm)
        return metric_math.state(alarm, self._points(queries, int(alarm["EvaluationPeriods"])))

    def _points(self, queries: list[dict[str, Any]], periods: int) -> list[Value]:
        balancer, now = self._balancer, time.monotonic()
        groups = {suffix(arn): group for arn, group in balancer.groups.items()}
        points = []
        for index in range(periods):

            def read(stat: dict[str, Any], index: int = index) -> Value:
                dimensions = {item["Name"]: item["Value"] for item in stat["Metric"].get("Dimensions", [])}
                group = groups.get(dimensions.get("TargetGroup", ""))
                counts = balancer.answers.last(group.arn, now, periods)[index] if group is not None else None
                return measure(stat["Metric"]["MetricName"], counts, len(group.targets) if group is not None else 0)

            points.append(metric_math.datapoint(queries, read))
        return points


def is_own(alarm: dict[str, Any]) -> bool:
    """Whether it is the rollback alarm of a service."""
    return str(alarm["AlarmName"]).endswith(f"/{_NAME}") and bool(alarm.get("Metrics"))
