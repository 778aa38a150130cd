# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms on metrics, as a set whose names begin alike. Private to the collection.

Facts: botocore's model of CloudWatch; CloudWatch API Reference, PutMetricAlarm (tags reach a new alarm only; what is
left out of a change is reset), DeleteAlarms (100 names at once) and DisableAlarmActions.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from ansible.module_utils.common.dict_transformations import snake_dict_to_camel_dict

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws

Alarm = dict[str, typing.Any]

_AT_ONCE = 100
# Where AWS leaves out a setting, or says it in another way than it was given.
_DEFAULTS: Alarm = {
    "alarm_description": "",
    "treat_missing_data": "missing",
    "metrics": [],
    "dimensions": {},
    "alarm_actions": [],
    "ok_actions": [],
}
_ONE_METRIC = ("namespace", "metric_name", "statistic", "period")


@dataclass(frozen=True)
class DesiredState:
    """The user's request.

    Attributes:
        prefix: with which the names of all alarms of the set begin.
        alarms: as the module's option has them.
        actions: ARNs that are told when an alarm fires and when it recovers.
        tags: of the alarms; None leaves them alone.
    """

    prefix: str
    alarms: Sequence[Alarm] = ()
    actions: Sequence[str] = ()
    tags: Tags | None = None
    purge_tags: bool = True


@dataclass
class _Found:
    """The alarms that there are, in the module's format, and their tags, both by the name after the prefix."""

    alarms: dict[str, Alarm] = field(default_factory=dict)
    tags: dict[str, Tags] = field(default_factory=dict)
    arns: dict[str, str] = field(default_factory=dict)


def ensure_present(cloudwatch: Client, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Create and change alarms, and delete those of the prefix that are not asked for."""
    found = _find(cloudwatch, desired.prefix, with_tags=desired.tags is not None)
    wanted = {one["name"]: _wanted(one, desired.actions) for one in desired.alarms}
    tags = {
        name: predict_tags(found.tags.get(name, {}), desired.tags, desired.purge_tags)
        for name in wanted
        if desired.tags is not None
    }
    before, after = _shown(found.alarms, found.tags), _shown(wanted, tags)
    names = sorted(f"{desired.prefix}{name}" for name in wanted)
    outcome = ModuleResult(before != after, before, after, {"alarm_names": names}, [])
    if check_mode or not outcome.changed:
        return outcome
    for name, alarm in wanted.items():
        new = name not in found.alarms
        if new or found.alarms[name] != alarm:
            given = {"Tags": tags_to_aws(tags[name])} if new and tags.get(name) else {}
            cloudwatch.put_metric_alarm(**_request(desired.prefix, name, alarm), **given)
        if not new and name in tags:
            _change_tags(cloudwatch, found.arns[name], found.tags.get(name, {}), tags[name])
    _delete(cloudwatch, desired.prefix, sorted(found.alarms.keys() - wanted.keys()))
    return outcome


def ensure_absent(cloudwatch: Client, prefix: str, check_mode: bool) -> ModuleResult:
    """Delete all alarms of the prefix."""
    found = _find(cloudwatch, prefix, with_tags=False)
    if not check_mode:
        _delete(cloudwatch, prefix, sorted(found.alarms))
    return ModuleResult(bool(found.alarms), _shown(found.alarms, {}), {}, {"alarm_names": []}, [])


def describe(cloudwatch: Client, prefix: str) -> list[typing.Any]:
    """Return the alarms of a prefix as AWS describes them, by name."""
    found = cloudwatch.pages("describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix)
    return sorted(found, key=lambda one: str(one["AlarmName"]))


def switch_actions(cloudwatch: Client, prefix: str, *, on: bool) -> int:
    """Switch the actions of all alarms of a prefix on or off; return how many alarms that changed."""
    names = [str(one["AlarmName"]) for one in describe(cloudwatch, prefix) if bool(one.get("ActionsEnabled")) is not on]
    switch = cloudwatch.enable_alarm_actions if on else cloudwatch.disable_alarm_actions
    for begin in range(0, len(names), _AT_ONCE):
        switch(AlarmNames=names[begin : begin + _AT_ONCE])
    return len(names)


def _find(cloudwatch: Client, prefix: str, *, with_tags: bool) -> _Found:
    found = _Found()
    for one in describe(cloudwatch, prefix):
        name = str(one["AlarmName"]).removeprefix(prefix)
        found.alarms[name] = _from_aws(one)
        found.arns[name] = str(one["AlarmArn"])
        if with_tags:
            found.tags[name] = tags_from_aws(cloudwatch.list_tags_for_resource(ResourceARN=one["AlarmArn"])["Tags"])
    return found


def _from_aws(one: typing.Mapping[str, typing.Any]) -> Alarm:
    alarm: Alarm = {
        "alarm_description": one.get("AlarmDescription") or "",
        "comparison_operator": one["ComparisonOperator"],
        "threshold": float(one["Threshold"]),
        "evaluation_periods": int(one["EvaluationPeriods"]),
        "datapoints_to_alarm": int(one.get("DatapointsToAlarm") or one["EvaluationPeriods"]),
        "treat_missing_data": one.get("TreatMissingData") or _DEFAULTS["treat_missing_data"],
        "actions_enabled": bool(one.get("ActionsEnabled", True)),
        "alarm_actions": sorted(one.get("AlarmActions") or []),
        "ok_actions": sorted(one.get("OKActions") or []),
        "metrics": _by_id(_query_from_aws(query) for query in one.get("Metrics") or []),
    }
    if not alarm["metrics"]:
        alarm |= {
            "namespace": one.get("Namespace"),
            "metric_name": one.get("MetricName"),
            "statistic": one.get("Statistic"),
            "period": int(one.get("Period") or 0),
            "dimensions": {item["Name"]: item["Value"] for item in one.get("Dimensions") or []},
        }
    return alarm


def _query_from_aws(query: typing.Mapping[str, typing.Any]) -> Alarm:
    found: Alarm = {"id": query["Id"], "return_data": bool(query.get("ReturnData", True))}
    if query.get("Expression"):
        return {**found, "expression": query["Expression"], "label": query.get("Label") or ""}
    stat = query["MetricStat"]
    metric = stat["Metric"]
    return {
        **found,
        "namespace": metric["Namespace"],
        "metric_name": metric["MetricName"],
        "dimensions": {item["Name"]: item["Value"] for item in metric.get("Dimensions") or []},
        "statistic": stat["Stat"],
        "period": int(stat["Period"]),
    }


def _wanted(alarm: Alarm, actions: Iterable[str]) -> Alarm:
    given = {key: value for key, value in alarm.items() if value is not None and key != "name"}
    listed = sorted(actions)
    wanted = {
        **{key: _DEFAULTS[key] for key in ("alarm_description", "treat_missing_data", "metrics")},
        **given,
        "actions_enabled": True,
        "alarm_actions": listed,
        "ok_actions": listed,
    }
    wanted["datapoints_to_alarm"] = wanted.get("datapoints_to_alarm") or wanted["evaluation_periods"]
    if wanted["metrics"]:
        wanted["metrics"] = _by_id(_wanted_query(query) for query in wanted["metrics"])
        return {key: value for key, value in wanted.items() if key not in (*_ONE_METRIC, "dimensions")}
    return {**wanted, "dimensions": wanted.get("dimensions") or {}}


def _by_id(queries: Iterable[Alarm]) -> list[Alarm]:
    """Return queries in an order that means nothing, as theirs does: expressions name the others."""
    return sorted(queries, key=lambda one: str(one["id"]))


def _wanted_query(query: Alarm) -> Alarm:
    given = {key: value for key, value in query.items() if value is not None}
    given["return_data"] = bool(given.get("return_data"))
    return {**given, "label": given.get("label", "")} if given.get("expression") else {"dimensions": {}, **given}


def _request(prefix: str, name: str, alarm: Alarm) -> Alarm:
    plain = {key: value for key, value in alarm.items() if key not in ("metrics", "dimensions", "ok_actions")}
    request: Alarm = snake_dict_to_camel_dict(plain, capitalize_first=True)
    request |= {"AlarmName": f"{prefix}{name}", "OKActions": alarm["ok_actions"]}
    if alarm["metrics"]:
        request["Metrics"] = [_query_to_aws(query) for query in alarm["metrics"]]
    else:
        request["Dimensions"] = _dimensions(alarm["dimensions"])
    return request


def _query_to_aws(query: Alarm) -> Alarm:
    request: Alarm = {"Id": query["id"], "ReturnData": query["return_data"]}
    if query.get("expression"):
        return {**request, "Expression": query["expression"], **({"Label": query["label"]} if query["label"] else {})}
    metric = {
        "Namespace": query["namespace"],
        "MetricName": query["metric_name"],
        "Dimensions": _dimensions(query["dimensions"]),
    }
    return {**request, "MetricStat": {"Metric": metric, "Period": query["period"], "Stat": query["statistic"]}}


def _dimensions(dimensions: typing.Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in sorted(dimensions.items())]


def _shown(alarms: typing.Mapping[str, Alarm], tags: typing.Mapping[str, Tags]) -> Alarm:
    """Return alarms and tags for a comparison and a diff: queries as text, as one says little without the others."""
    shown = {}
    for name, alarm in sorted(alarms.items()):
        queries = json.dumps(alarm["metrics"], sort_keys=True) if alarm["metrics"] else ""
        shown[name] = {**alarm, "metrics": queries, **({"tags": tags[name]} if name in tags else {})}
    return shown


def _change_tags(cloudwatch: Client, arn: str, before: Tags, after: Tags) -> None:
    to_set, to_remove = compare_tags(before, after)
    if to_remove:
        cloudwatch.untag_resource(ResourceARN=arn, TagKeys=to_remove)
    if to_set:
        cloudwatch.tag_resource(ResourceARN=arn, Tags=tags_to_aws(to_set))


def _delete(cloudwatch: Client, prefix: str, names: Sequence[str]) -> None:
    for begin in range(0, len(names), _AT_ONCE):
        cloudwatch.delete_alarms(AlarmNames=[f"{prefix}{name}" for name in names[begin : begin + _AT_ONCE]])
