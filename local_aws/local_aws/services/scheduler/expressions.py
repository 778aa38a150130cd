# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedule expressions: at, rate and cron, in a time zone.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from dataclasses import dataclass

from .cron import Cron

_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_RATE = re.compile(r"rate\(([1-9][0-9]*) (minute|hour|day)s?\)")
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_CRON = re.compile(r"cron\(([^()]*)\)")


@dataclass(frozen=True)
class Expression:
    """When a schedule invokes its target: one of the three.

    :arg at: the only time.
    :arg every: the interval of a rate.
    :arg zone: in which the cron expression is meant.
    """

    zone: zoneinfo.ZoneInfo
    at: dt.datetime | None = None
    every: dt.timedelta | None = None
    cron: Cron | None = None

    def next(self, begin: dt.datetime, after: dt.datetime | None) -> dt.datetime | None:
        """The next time.

        :arg begin: when the schedule begins to count: a rate invokes its target then, and in intervals from there.
        :arg after: the last time that was; None: there was none.
        :returns: in UTC; None: there is none any more.
        """
        if self.at is not None:
            return self.at if after is None and self.at >= begin else None
        if self.every is not None:
            if after is None or after < begin:
                return begin
            return begin + ((after - begin) // self.every + 1) * self.every
        return self._next_by_cron(begin, after)

    def _next_by_cron(self, begin: dt.datetime, after: dt.datetime | None) -> dt.datetime | None:
        if self.cron is None:
            return None
        earliest = begin if after is None else max(begin, after + dt.timedelta(minutes=1))
        # Up to a minute is rounded up.
        local = (earliest + dt.timedelta(seconds=59, microseconds=999_999)).astimezone(self.zone)
        for found in self.cron.local_times(local.replace(tzinfo=None, second=0, microsecond=0)):
            moment = found.replace(tzinfo=self.zone).astimezone(dt.UTC)
            # "When the clocks go forward, schedules in the hour that is left out do not run"; and when they go back,
            # the hour that comes twice counts once.
            exists = moment.astimezone(self.zone).replace(tzinfo=None) == found
            if exists and moment >= earliest:
                return moment
        return None


def read(text: str, zone: str) -> Expression:
    """What an expression means.

    :raises ValueError: it is none.
    :raises LookupError: there is no such time zone.
    """
    try:
        where = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as e:
        raise LookupError(zone) from e
    if rate := _RATE.fullmatch(text):
        return Expression(where, every=dt.timedelta(seconds=int(rate[1]) * _UNITS[rate[2]]))
    if at := _AT.fullmatch(text):
        return Expression(where, at=dt.datetime.fromisoformat(at[1]).replace(tzinfo=where).astimezone(dt.UTC))
    if cron := _CRON.fullmatch(text):
        return Expression(where, cron=Cron.read(cron[1]))
    raise ValueError(text)
