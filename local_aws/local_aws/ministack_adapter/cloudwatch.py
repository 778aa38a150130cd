# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudWatch: dashboards are checked, and alarms on metric queries are kept and evaluated."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import cloudwatch

from .hooks import Hooks
from .patch import Patch
from .patch import Target

_OPERATION = "params cbor_data is_cbor is_json"
# What an alarm on metric queries has no value for.
_REPLACED_BY_QUERIES = (
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Period",
    "Dimensions",
    "Unit",
)


def _check_dashboards(hooks: Hooks) -> None:
    put = cloudwatch._put_dashboard

    def put_dashboard(params: Any, data: Any, is_cbor: Any, is_json: Any = False) -> Any:
        body = data.get("DashboardBody", "") if is_cbor or is_json else cloudwatch._p(params, "DashboardBody")
        found = hooks.dashboard_problems(body)
        if not found:
            return put(params, data, is_cbor, is_json)
        message = f"The dashboard body is invalid, there are {len(found)} validation errors: {json.dumps(found)}"
        # DashboardInvalidInputError in botocore's model has this code.
        return cloudwatch._error("InvalidParameterInput", message, 400, use_json=is_json, use_cbor=is_cbor)

    cloudwatch._put_dashboard = put_dashboard


CHECK_DASHBOARDS = Patch(
    name="check_dashboards",
    reason="ministack's PutDashboard keeps a body that is no dashboard.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html",
    targets=(
        # All three protocols end in it.
        Target("services.cloudwatch", "_put_dashboard", _OPERATION),
        Target("services.cloudwatch", "_p", "params key default"),
        Target("services.cloudwatch", "_error", "code message status use_json use_cbor"),
    ),
    apply=_check_dashboards,
)


def _evaluate_alarms(hooks: Hooks) -> None:
    put, describe = cloudwatch._put_metric_alarm, cloudwatch._describe_alarms

    def put_metric_alarm(params: Any, data: Any, is_cbor: Any, is_json: Any = False) -> Any:
        answer = put(params, data, is_cbor, is_json)
        alarm = cloudwatch._alarms.get((data or {}).get("AlarmName", ""))
        if answer[0] == 200 and alarm is not None and data.get("Metrics"):
            alarm["Metrics"] = data["Metrics"]
            for name in _REPLACED_BY_QUERIES:
                alarm.pop(name, None)
        return answer

    def describe_alarms(params: Any, data: Any, is_cbor: Any, is_json: Any = False) -> Any:
        for alarm in list(cloudwatch._alarms.values()):
            found = hooks.alarm_state(alarm)
            if found != alarm["StateValue"]:
                reason = "Threshold Crossed" if found == "ALARM" else "Threshold not crossed"
                change = {"AlarmName": alarm["AlarmName"], "StateValue": found, "StateReason": reason}
                cloudwatch._set_alarm_state({}, change, True)
        return describe(params, data, is_cbor, is_json)

    cloudwatch._put_metric_alarm = put_metric_alarm
    cloudwatch._describe_alarms = describe_alarms


EVALUATE_ALARMS = Patch(
    name="evaluate_alarms",
    reason="ministack neither keeps the metric queries of an alarm nor changes its state by itself.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html",
    targets=(
        Target("services.cloudwatch", "_put_metric_alarm", _OPERATION),
        Target("services.cloudwatch", "_describe_alarms", _OPERATION),
        Target("services.cloudwatch", "_set_alarm_state", _OPERATION),
        Target("services.cloudwatch", "_alarms"),
    ),
    apply=_evaluate_alarms,
)
