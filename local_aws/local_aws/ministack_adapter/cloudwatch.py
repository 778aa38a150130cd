# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudWatch: dashboards are checked, and alarms on metric queries are kept and evaluated."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudwatch
from ministack.services import sns

from .hooks import Hooks
from .patch import Patch
from .patch import Target
from .scope import everywhere
from .scope import get_account_id
from .scope import request_scope

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
_REASONS = {
    "ALARM": "Threshold Crossed",
    "OK": "Threshold not crossed",
    "INSUFFICIENT_DATA": "Insufficient Data: no datapoints were received",
}


@dataclass(frozen=True)
class Alarm:
    """The record of an alarm on metrics, and where it is."""

    account_id: str
    region: str
    record: dict[str, Any]


def alarms() -> Iterator[Alarm]:
    """All alarms on metrics, of all accounts and regions."""
    for (account_id, region, _name), record in everywhere(cloudwatch._alarms):
        yield Alarm(account_id, region, record)


def set_state(alarm: Alarm, state: str) -> None:
    """Moves an alarm to another state, with what that leads to: its history, its actions, alarms made of it."""
    with request_scope(alarm.account_id, alarm.region):
        _set_state(alarm.record, state)


def datapoints(
    region: str, namespace: str, name: str, dimensions: Iterable[tuple[str, str]]
) -> Iterator[tuple[float, float]]:
    """Time, seconds since the epoch, and value of all that PutMetricData brought in."""
    key: Any = (namespace, name, cloudwatch._dims_key(dict(dimensions)))
    for (_account, where, found), points in everywhere(cloudwatch._metrics):
        if where == region and found == key:
            yield from ((float(point["Timestamp"]), float(point["Value"])) for point in list(points))


def _set_state(alarm: dict[str, Any], state: str) -> None:
    reason = _REASONS[state]
    change = {"AlarmName": alarm["AlarmName"], "StateValue": state, "StateReason": reason}
    cloudwatch._set_alarm_state({}, change, True)


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
                _set_state(alarm, found)
        return describe(params, data, is_cbor, is_json)

    cloudwatch._put_metric_alarm = put_metric_alarm
    cloudwatch._describe_alarms = describe_alarms
    # By all metrics of a name, whatever their dimensions, and by the last period alone.
    cloudwatch._evaluate_alarm = lambda alarm: None


EVALUATE_ALARMS = Patch(
    name="evaluate_alarms",
    reason="ministack neither keeps the metric queries of an alarm nor changes its state by itself.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html",
    targets=(
        Target("services.cloudwatch", "_put_metric_alarm", _OPERATION),
        Target("services.cloudwatch", "_describe_alarms", _OPERATION),
        Target("services.cloudwatch", "_set_alarm_state", _OPERATION),
        Target("services.cloudwatch", "_evaluate_alarm", "alarm"),
        Target("services.cloudwatch", "_dims_key", "dims"),
        Target("services.cloudwatch", "_alarms"),
        Target("services.cloudwatch", "_metrics"),
    ),
    apply=_evaluate_alarms,
)


def _ask_topics(_hooks: Hooks) -> None:
    dispatch = cloudwatch._dispatch_alarm_actions
    fields = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}

    def dispatch_alarm_actions(alarm: Any, old_state: Any, new_state: Any, reason: Any) -> None:
        name = fields.get(new_state, "")
        actions = list(alarm.get(name) or []) if alarm.get("ActionsEnabled", True) else []
        admitted = []
        for action in actions:
            done = not cloudwatch._is_sns_action_arn(action) or sns.topic_policy_allows(
                action, "cloudwatch.amazonaws.com", alarm["AlarmArn"], get_account_id()
            )
            admitted += [action] if done else []
            _record_action(alarm, action, done)
        dispatch({**alarm, name: admitted}, old_state, new_state, reason)

    cloudwatch._dispatch_alarm_actions = dispatch_alarm_actions


def _record_action(alarm: dict[str, Any], action: str, done: bool) -> None:
    """Adds an action to the alarm's history, in the words of CloudWatch's examples of DescribeAlarmHistory."""
    summary = f"Successfully executed action {action}" if done else f"Failed to execute action {action}"
    cloudwatch._history_entries().append(
        {
            "AlarmName": alarm["AlarmName"],
            "AlarmType": "MetricAlarm",
            "Timestamp": cloudwatch._ts_iso(time.time()),
            "HistoryItemType": "Action",
            "HistorySummary": summary,
            "HistoryData": json.dumps(
                {"actionState": "Succeeded" if done else "Failed", "notificationResource": action}
            ),
        }
    )


ASK_TOPICS = Patch(
    name="ask_topics",
    reason="ministack's alarms publish to topics whose policies do not admit CloudWatch, and keep no record of it.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html",
    targets=(
        Target("services.cloudwatch", "_dispatch_alarm_actions", "alarm old_state new_state reason"),
        Target("services.cloudwatch", "_is_sns_action_arn", "action"),
        Target("services.cloudwatch", "_history_entries", ""),
        Target("services.cloudwatch", "_ts_iso", "epoch"),
        Target("services.sns", "topic_policy_allows", "topic_arn service source_arn source_account"),
    ),
    apply=_ask_topics,
)
