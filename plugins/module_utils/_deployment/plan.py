# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The plan as data and as lines for people. Pure Python."""

from __future__ import annotations

import json
import textwrap
import typing
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan_causes
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan_changes
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan_effects
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import Cost
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import Sizes
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import alarm_metrics
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import cost
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import instance_sizes
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import show_amount
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import show_change
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.cost import sizes_of
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import CHANGE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import CREATE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import DELETE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import REPLACE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import Attribute
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import Resource
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.plan_changes import Result

Data = dict[str, typing.Any]

_SIGNS = {CREATE: "+", CHANGE: "~", REPLACE: "-/+", DELETE: "-"}
_LONGEST = 72
_WIDTH = 120
_INDENT = " " * 12


@dataclass(frozen=True)
class Place:
    """Where the deployment is.

    Attributes:
        name: of the deployment.
        account_id, region: of AWS.
        zones: availability zones of the load balancer.
        public: whether load balancer and tasks have public addresses.
    """

    name: str
    account_id: str = ""
    region: str = ""
    zones: int = 0
    public: bool = True


@dataclass(frozen=True)
class Plan:
    """What deploy would do.

    Attributes:
        place: where.
        resources: what would change.
        causes: why, by what the state calls the resource.
        before, after: what a month costs.
        effects: how long it takes, and what is away.
    """

    place: Place
    resources: Sequence[Resource]
    before: Cost
    after: Cost
    effects: plan_effects.Effects
    causes: Mapping[str, str] = field(default_factory=dict)

    def cause(self, resource: Resource, attribute: Attribute | None = None) -> str:
        """Return why a resource or an attribute would change."""
        return self.causes.get(plan_causes.part(resource, attribute), plan_causes.UNKNOWN)

    def count(self, action: str) -> int:
        """Return how many resources would be created, changed, replaced or deleted."""
        return sum(resource.action == action for resource in self.resources)


def make(results: Sequence[Result], place: Place, state: Mapping[str, typing.Any]) -> Plan:
    """Return the plan.

    Args:
        results: of the modules, in check mode.
        place: where the deployment is.
        state: as mlflow_deployment_state returns it, with what this collection is; empty if it could not be read.
    """
    found = plan_changes.resources(results)
    parts = {plan_causes.part(one, attribute) for one in found for attribute in (None, *one.attributes)}
    service = _arguments(results, "ecs_express_service")
    # Without results the deployment is as it was left, and as the variables ask for.
    left = sizes_of(state.get("resources") or {}) if not results and state.get("unchanged") else None
    return Plan(
        place,
        found,
        cost(left or _sizes(results, place, before=True), place.region),
        cost(left or _sizes(results, place, before=False), place.region),
        plan_effects.effects(found, service.get("deployment_configuration") or {}),
        {part: plan_causes.cause(part, state) for part in parts},
    )


# ---- what is charged


def _arguments(results: Iterable[Result], module: str) -> Data:
    found = [result["arguments"] for result in results if result["module"] == module]
    return found[-1] if found else {}


def _sizes(results: Sequence[Result], place: Place, *, before: bool) -> Sizes:
    """Return what is charged, as it is or as it would be."""
    side = "before" if before else "after"
    members: Data = {"public": place.public, "secrets": _secrets(results, side)}
    for result in results:
        diff = result["diff"] if isinstance(result["diff"], dict) else {}
        if result["module"] == "ecs_express_service":
            members |= _service_sizes(result, diff, place, before)
        elif result["module"] == "cloudwatch_alarms":
            members["alarm_metrics"] = _alarm_metrics(diff.get(side) or {})
        elif result["module"] == "cloudwatch_dashboard":
            members["dashboards"] = int(bool(diff.get(side)))
        elif result["module"] == "rds_postgresql_instance" and _shows_settings(diff):
            members |= instance_sizes(diff.get(side) or {})
    return Sizes(**members)


def _service_sizes(result: Result, diff: Data, place: Place, before: bool) -> Data:
    """A change shows what differs alone; the rest is what was asked for."""
    old = diff.get("before") or {}
    created = result["changed"] and not old and "service_name" in (diff.get("after") or {})
    if before and created:
        return {}
    asked = result["arguments"]
    differs = old if before else {}
    tasks = {**(asked.get("scaling_target") or {}), **(differs.get("scaling_target") or {})}
    return {
        "tasks": int(tasks.get("min_task_count") or 0),
        "cpu": int(differs.get("cpu") or asked.get("cpu") or 0),
        "memory": int(differs.get("memory") or asked.get("memory") or 0),
        "zones": place.zones,
    }


def _alarm_metrics(shown: Data) -> int:
    """Return how many metrics alarms are on, by their module's diff, which has the queries as text."""
    return alarm_metrics({**one, "metrics": json.loads(one["metrics"] or "[]")} for one in shown.values())


def _shows_settings(diff: Data) -> bool:
    """Whether a diff is that of an instance's settings, and not of the status that is waited for."""
    return any("db_instance_class" in (diff.get(side) or {}) for side in ("before", "after"))


def _secrets(results: Iterable[Result], side: str) -> int:
    sides = [result["diff"].get(side) for result in results if result["module"] == "secretsmanager_secret"]
    return sum(bool(one) and not one.get("scheduled_for_deletion") for one in sides)


# ---- as data


def as_data(plan: Plan) -> Data:
    """Return the plan as mlflow_deployment_plan returns it."""
    return {
        "name": plan.place.name,
        "account_id": plan.place.account_id,
        "region": plan.place.region,
        "changes": bool(plan.resources),
        "create": plan.count(CREATE),
        "change": plan.count(CHANGE),
        "replace": plan.count(REPLACE),
        "delete": plan.count(DELETE),
        "resources": [_resource_data(plan, resource) for resource in plan.resources],
        "cost": {"before": plan.before.as_data(), "after": plan.after.as_data()},
        "duration": {"least_minutes": plan.effects.least, "most_minutes": plan.effects.most},
        "downtime": list(plan.effects.downtime),
        "summary": summary(plan),
        "lines": lines(plan),
    }


def _resource_data(plan: Plan, resource: Resource) -> Data:
    return {
        "action": resource.action,
        "module": resource.module,
        "kind": resource.title,
        "name": resource.name,
        "cause": plan.cause(resource),
        "attributes": [
            {
                "attribute": attribute.path,
                "before": attribute.before,
                "after": attribute.after,
                "cause": plan.cause(resource, attribute),
                "note": plan_effects.note(resource, attribute, plan_effects.is_upgraded(plan.resources)),
            }
            for attribute in resource.attributes
        ],
    }


# ---- for people


def summary(plan: Plan) -> str:
    """Return the plan in a line."""
    if not plan.resources:
        return "Plan: nothing to change."
    deleted = plan.count(DELETE)
    counts = [f"{plan.count(CREATE)} to create", f"{plan.count(CHANGE)} to change", f"{plan.count(REPLACE)} to replace"]
    counts += [f"{deleted} to delete"] if deleted else []
    downtime = "downtime" if plan.effects.downtime else "no downtime"
    return f"Plan: {', '.join(counts)}; {show_change(plan.before, plan.after)}; {plan.effects.duration}, {downtime}"


def lines(plan: Plan) -> list[str]:
    """Return the plan as a table, with the summary last."""
    place = plan.place
    groups = _alike(plan)
    heads = [f"{_SIGNS[group[0].action]:>3} {group[0].action:<7}  {_head(group)}" for group in groups]
    width = max(map(len, heads), default=0)
    shown = [f"MLflow '{place.name}' in {place.region}, account {place.account_id}"]
    for head, group in zip(heads, groups, strict=True):
        shown.append(f"{head.ljust(width)}  {_words(plan, group[0])}".rstrip())
        shown += _attribute_lines(plan, group[0])
        shown += _member_lines(group)
    if plan.count(CHANGE) and set(plan.causes.values()) == {plan_causes.UNKNOWN}:
        shown.append("Cause: what was changed by hand is not known, as no deployment has left its fingerprint")
    shown += [f"Cost: {_cost_line(plan)}"]
    shown += [f"Downtime: {sentence}" for sentence in plan.effects.downtime]
    return [*shown, summary(plan)]


def _alike(plan: Plan) -> list[list[Resource]]:
    """Return the resources, those together that change alike, such as by a tag that all of them get."""
    groups: dict[typing.Any, list[Resource]] = {}
    for index, resource in enumerate(plan.resources):
        causes = tuple(plan.cause(resource, attribute) for attribute in resource.attributes)
        alike = (json.dumps([vars(one) for one in resource.attributes], default=str), causes)
        groups.setdefault(alike if resource.action == CHANGE and resource.attributes else index, []).append(resource)
    return list(groups.values())


def _head(group: Sequence[Resource]) -> str:
    return f"{group[0].title} {group[0].name}" if len(group) == 1 else f"{len(group)} resources alike"


def _member_lines(group: Sequence[Resource]) -> list[str]:
    """Return which resources change alike."""
    if len(group) == 1:
        return []
    names = ", ".join(f"{one.title} {one.name}" for one in group)
    return textwrap.wrap(names, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)


def _words(plan: Plan, resource: Resource) -> str:
    """Return what is said of a resource beside its name."""
    if resource.action in (CREATE, REPLACE):
        kind = plan_changes.KINDS.get(resource.module)
        after = {attribute.path: attribute.after for attribute in resource.attributes}
        values = [
            f"{path.rpartition('.')[2]} {show_value(after[path])}"
            for path in (kind.shown if kind else ())
            if path in after
        ]
        if resource.module == "secretsmanager_secret":
            values.append("its value is generated, and not shown")
        return ", ".join(values)
    causes = {plan.cause(resource, attribute) for attribute in resource.attributes} or {plan.cause(resource)}
    return plan_causes.SAID[causes.pop()] if len(causes) == 1 else ""


def _attribute_lines(plan: Plan, resource: Resource) -> Iterator[str]:
    if resource.action != CHANGE:
        return
    causes = {plan.cause(resource, attribute) for attribute in resource.attributes}
    width = max(len(attribute.path) for attribute in resource.attributes) if resource.attributes else 0
    for attribute in resource.attributes:
        said = [plan_effects.note(resource, attribute, plan_effects.is_upgraded(plan.resources))]
        if len(causes) > 1:
            said.insert(0, plan_causes.SAID[plan.cause(resource, attribute)])
        words = "; ".join(word for word in said if word)
        yield f"{_INDENT}{attribute.path.ljust(width)}  {show_change_of(attribute)}{f'  ({words})' if words else ''}"


def show_change_of(attribute: Attribute) -> str:
    """Return an attribute's change: of lists what is added and removed, otherwise the old and the new value."""
    before, after = attribute.before, attribute.after
    if isinstance(before, list) and isinstance(after, list):
        removed = [one for one in before if one not in after]
        added = [one for one in after if one not in before]
        if removed or added:
            parts = [f"- {show_value(one)}" for one in removed] + [f"+ {show_value(one)}" for one in added]
            return ", ".join(parts)
    return f"{show_value(before)} → {show_value(after)}"


def show_value(value: typing.Any) -> str:
    """Return a value in a few characters; the whole of it is in the plan's data."""
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split()) if text else '""'
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _cost_line(plan: Plan) -> str:
    before, after = plan.before, plan.after
    if before.total is None or after.total is None:
        return f"unknown, as {after.unknown or before.unknown}"
    dated = f"plus usage (list prices of {after.region}, {after.as_of})"
    if before.total == after.total:
        return f"{show_amount(after.total)} a month, as before, {dated}"
    return f"{show_amount(before.total)} → {show_amount(after.total)} a month, {dated}"


# ---- of many deployments

_HEADINGS = ("NAME", "CREATE", "CHANGE", "REPLACE", "DELETE", "COST A MONTH", "DURATION", "DOWNTIME")


def table(plans: Iterable[Mapping[str, typing.Any]]) -> list[str]:
    """Return a line for each plan, given as data, below the headings."""
    rows = [_HEADINGS, *map(_row, plans)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(plan: Mapping[str, typing.Any]) -> tuple[str, ...]:
    before, after = (plan["cost"][side]["monthly_usd"] for side in ("before", "after"))
    amount = "unknown" if before is None or after is None else f"{show_amount(before)} → {show_amount(after)}"
    amount = show_amount(after) if before == after and after is not None else amount
    effects = plan_effects.Effects(plan["duration"]["least_minutes"], plan["duration"]["most_minutes"])
    counts = [str(plan[action]) for action in (CREATE, CHANGE, REPLACE, DELETE)]
    duration = effects.duration if plan["changes"] else "-"
    return (plan["name"], *counts, amount, duration, "yes" if plan["downtime"] else "no")
