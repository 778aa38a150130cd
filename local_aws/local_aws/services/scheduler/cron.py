# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS's dialect of cron: six fields, with L, W and #.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html, "Cron-based schedules".
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
# AWS counts from Sunday.
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_STEP = re.compile(r"(\*|[0-9A-Z]+(?:-[0-9A-Z]+)?)/([1-9][0-9]*)")


@dataclass(frozen=True)
class _Field:
    """What stands in a field of numbers, lists, ranges and steps."""

    least: int
    most: int
    names: dict[str, int]

    def read(self, text: str) -> frozenset[int]:
        """The numbers that a text stands for.

        :raises ValueError: it stands for none.
        """
        return frozenset(number for part in text.split(",") for number in self._part(part))

    def _part(self, part: str) -> Iterator[int]:
        step = _STEP.fullmatch(part)
        if step is None:
            first, last = self._range(part)
            return iter(range(first, last + 1))
        first, last = self._range(step[1])
        if "-" not in step[1]:
            last = self.most
        return iter(range(first, last + 1, int(step[2])))

    def _range(self, text: str) -> tuple[int, int]:
        if text == "*":
            return self.least, self.most
        first, hyphen, last = text.partition("-")
        found = self._number(first), self._number(last if hyphen else first)
        if found[0] > found[1]:
            raise ValueError(text)
        return found

    def _number(self, text: str) -> int:
        number = self.names[text] if text in self.names else int(text) if text.isascii() and text.isdecimal() else -1
        if not self.least <= number <= self.most:
            raise ValueError(text)
        return number


_MINUTE, _HOUR = _Field(0, 59, {}), _Field(0, 23, {})
_DAY_OF_MONTH, _DAY_OF_WEEK = _Field(1, 31, {}), _Field(1, 7, _DAYS)
_MONTH, _YEAR = _Field(1, 12, _MONTHS), _Field(_FIRST_YEAR, _LAST_YEAR, {})


@dataclass(frozen=True)
class Cron:
    """A cron expression.

    :arg days: the field of days of the month; ``?``: those of the week count.
    :arg weekdays: the field of days of the week; ``?``: those of the month count.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]

    @classmethod
    def read(cls, fields: str) -> Cron:
        """What stands between the parentheses of a cron expression.

        :raises ValueError: it is none of AWS's.
        """
        parts = fields.upper().split()
        if len(parts) != 6:
            raise ValueError(fields)
        minutes, hours, days, months, weekdays, years = parts
        if (days == "?") == (weekdays == "?"):
            # "You can't use * in both the day-of-month and day-of-week fields. If you use it in one, you must use ? in
            # the other."
            raise ValueError(fields)
        found = cls(_MINUTE.read(minutes), _HOUR.read(hours), days, _MONTH.read(months), weekdays, _YEAR.read(years))
        # Any month shows whether its days can be read.
        found._dates(2024, 1)
        return found

    def local_times(self, begin: dt.datetime) -> Iterator[dt.datetime]:
        """All times from that one on, without a time zone, in their order."""
        for year in sorted(year for year in self.years if year >= begin.year):
            for month in sorted(self.months):
                if (year, month) < (begin.year, begin.month):
                    continue
                for day in sorted(self._dates(year, month)):
                    yield from self._times(dt.date(year, month, day), begin)

    def _times(self, date: dt.date, begin: dt.datetime) -> Iterator[dt.datetime]:
        if date < begin.date():
            return
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                found = dt.datetime.combine(date, dt.time(hour, minute))
                if found >= begin:
                    yield found

    def _dates(self, year: int, month: int) -> set[int]:
        last = calendar.monthrange(year, month)[1]
        if self.weekdays == "?":
            return _days_of_month(self.days, year, month, last)
        return _days_of_week(self.weekdays, year, month, last)


def _days_of_month(text: str, year: int, month: int, last: int) -> set[int]:
    if text == "L":
        return {last}
    if text == "LW":
        return {_nearest_weekday(year, month, last, last)}
    if text.endswith("W"):
        [day] = _DAY_OF_MONTH.read(text[:-1])
        return {_nearest_weekday(year, month, day, last)} if day <= last else set()
    return {day for day in _DAY_OF_MONTH.read(text) if day <= last}


def _nearest_weekday(year: int, month: int, day: int, last: int) -> int:
    """The nearest day from Monday to Friday within the month."""
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < last else day - 2
    return day


def _days_of_week(text: str, year: int, month: int, last: int) -> set[int]:
    if text == "L":
        text = "7"
    if "#" in text:
        name, _sign, number = text.partition("#")
        if number not in ("1", "2", "3", "4", "5"):
            raise ValueError(text)
        days = _on_weekdays(_one_day(name), year, month, last)
        return set(days[int(number) - 1 : int(number)])
    if text.endswith("L"):
        return set(_on_weekdays(_one_day(text[:-1]), year, month, last)[-1:])
    return set(_on_weekdays(_DAY_OF_WEEK.read(text), year, month, last))


def _one_day(name: str) -> frozenset[int]:
    found = _DAY_OF_WEEK.read(name)
    if len(found) != 1:
        raise ValueError(name)
    return found


def _on_weekdays(weekdays: frozenset[int], year: int, month: int, last: int) -> list[int]:
    """The days of a month on these days of the week, by AWS's numbers."""
    return [day for day in range(1, last + 1) if (calendar.weekday(year, month, day) + 1) % 7 + 1 in weekdays]
