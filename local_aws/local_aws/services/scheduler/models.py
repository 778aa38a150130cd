# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules and their groups."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from . import expressions

DEFAULT_GROUP = "default"
_TIMES = ("created", "modified", "anchor", "last")


@dataclass
class Group:
    """A group of schedules.

    :arg state: ``ACTIVE`` or ``DELETING``.
    """

    arn: str
    name: str
    created: dt.datetime
    modified: dt.datetime
    state: str = "ACTIVE"
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Schedule:
    """A schedule, and how far it is.

    :arg settings: as the caller gave them, with the defaults that GetSchedule shows; times are seconds since the epoch.
    :arg anchor: the real time from which its own time goes on as fast as the scale says: it was made or changed then.
    :arg last: the last time at which it was due, by its own time.
    """

    arn: str
    name: str
    group: str
    settings: dict[str, Any]
    created: dt.datetime
    modified: dt.datetime
    anchor: dt.datetime
    last: dt.datetime | None = None

    @property
    def region(self) -> str:
        """The region in its ARN."""
        return self.arn.split(":")[3]

    @property
    def group_arn(self) -> str:
        """The ARN of its group, which is what a role's trust policy may name as the source."""
        begin = ":".join(self.arn.split(":")[:5])
        return f"{begin}:schedule-group/{self.group}"

    @property
    def target(self) -> dict[str, Any]:
        """What it invokes."""
        found: dict[str, Any] = self.settings["Target"]
        return found

    @property
    def expression(self) -> expressions.Expression:
        """When it does."""
        return expressions.read(self.settings["ScheduleExpression"], self.settings["ScheduleExpressionTimezone"])

    def now(self, real: dt.datetime, scale: float) -> dt.datetime:
        """Its own time."""
        return self.anchor + (real - self.anchor) * scale

    def next(self) -> dt.datetime | None:
        """When it is due next, by its own time; None: never, as it is now."""
        if self.settings["State"] != "ENABLED":
            return None
        begin, end = self.anchor, self.settings.get("EndDate")
        if self.settings.get("StartDate"):
            begin = max(begin, _moment(self.settings["StartDate"]))
        found = self.expression.next(begin, self.last)
        return None if found is None or (end is not None and found > _moment(end)) else found

    def to_json(self) -> dict[str, Any]:
        """All of it, for the state file."""
        return _to_json(self)


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _to_json(record: Group | Schedule) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in asdict(record).items()
    }


def _times(data: dict[str, Any]) -> dict[str, Any]:
    found = {name: dt.datetime.fromisoformat(data[name]) for name in _TIMES if data.get(name)}
    return {**data, **found}


class Schedules:
    """All groups and schedules, by region."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._schedules: dict[str, Schedule] = {}

    def group(self, arn: str) -> Group | None:
        """The group with an ARN."""
        return self._groups.get(arn)

    def groups(self, region: str) -> list[Group]:
        """Those of a region, by name."""
        return sorted((one for one in self._groups.values() if one.arn.split(":")[3] == region), key=lambda g: g.name)

    def all_groups(self) -> list[Group]:
        """Those of all regions."""
        return list(self._groups.values())

    def schedule(self, arn: str) -> Schedule | None:
        """The schedule with an ARN."""
        return self._schedules.get(arn)

    def schedules(self) -> Iterator[Schedule]:
        """All of them, by ARN."""
        yield from (self._schedules[arn] for arn in sorted(self._schedules))

    def of_group(self, group_arn: str) -> list[Schedule]:
        """Those of a group."""
        return [one for one in self.schedules() if one.group_arn == group_arn]

    def put_group(self, group: Group) -> None:
        """Adds a group."""
        self._groups[group.arn] = group

    def put(self, schedule: Schedule) -> None:
        """Adds a schedule, or takes the place of an earlier one."""
        self._schedules[schedule.arn] = schedule

    def remove(self, arn: str) -> None:
        """Removes a schedule."""
        self._schedules.pop(arn, None)

    def remove_group(self, arn: str) -> None:
        """Removes a group with its schedules."""
        for schedule in self.of_group(arn):
            self.remove(schedule.arn)
        self._groups.pop(arn, None)

    def state(self) -> dict[str, Any]:
        """All of it, for the state file."""
        return {
            "groups": [_to_json(one) for one in self._groups.values()],
            "schedules": [one.to_json() for one in self._schedules.values()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what state() gave."""
        for data in state.get("groups", []):
            self.put_group(Group(**_times(data)))
        for data in state.get("schedules", []):
            self.put(Schedule(**_times(data)))
