# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""When schedules are due: at, rate and AWS's dialect of cron, in time zones."""

from __future__ import annotations

import datetime as dt

import pytest

from local_aws.services.scheduler import expressions


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def times(text: str, begin: str, count: int, zone: str = "UTC") -> list[str]:
    """The next times of an expression, in UTC."""
    expression = expressions.read(text, zone)
    found: list[dt.datetime] = []
    for _number in range(count):
        following = expression.next(moment(begin), found[-1] if found else None)
        if following is None:
            break
        found.append(following)
    return [f"{one:%Y-%m-%dT%H:%M}" for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The examples of the user guide, "Cron-based schedules", and what its table of wildcards says.
        ("cron(15 10 ? * 6L 2026-2027)", ["2026-01-30T10:15", "2026-02-27T10:15"]),
        ("cron(0 10 * * ? *)", ["2026-01-16T10:00", "2026-01-17T10:00"]),
        ("cron(0 18 ? * MON-FRI *)", ["2026-01-15T18:00", "2026-01-16T18:00"]),
        ("cron(0 8 1 * ? *)", ["2026-02-01T08:00", "2026-03-01T08:00"]),
        ("cron(0/15 12 * * ? *)", ["2026-01-15T12:30", "2026-01-15T12:45"]),
        ("cron(0 0 3W * ? *)", ["2026-02-03T00:00", "2026-03-03T00:00"]),
        ("cron(0 0 1W 2,8 ? *)", ["2026-02-02T00:00", "2026-08-03T00:00"]),
        ("cron(0 0 31W * ? *)", ["2026-01-30T00:00", "2026-03-31T00:00"]),
        ("cron(0 0 ? * 3#2 *)", ["2026-02-10T00:00", "2026-03-10T00:00"]),
        ("cron(0 0 L * ? *)", ["2026-01-31T00:00", "2026-02-28T00:00"]),
        ("cron(0 0 29 FEB ? *)", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("cron(5 0 ? JAN L *)", ["2026-01-17T00:05", "2026-01-24T00:05"]),
        ("cron(0 0 1 1 ? 2026)", []),
        ("cron(0 0 31 2 ? *)", []),
        ("rate(5 minutes)", ["2026-01-15T12:16", "2026-01-15T12:21"]),
        ("rate(1 day)", ["2026-01-15T12:16", "2026-01-16T12:16"]),
        ("at(2026-02-01T00:00:00)", ["2026-02-01T00:00"]),
        ("at(2025-02-01T00:00:00)", []),
    ],
)
def test_when_a_schedule_is_due(text: str, expected: list[str]) -> None:
    assert times(text, "2026-01-15T12:16", 2) == expected


def test_times_are_those_of_the_time_zone() -> None:
    assert times("cron(0 9 * * ? *)", "2026-03-28T00:00", 2, "Europe/Berlin") == [
        "2026-03-28T08:00",
        "2026-03-29T07:00",
    ]
    assert times("at(2026-07-01T00:00:00)", "2026-01-01T00:00", 1, "Asia/Tokyo") == ["2026-06-30T15:00"]


def test_an_hour_that_does_not_exist_has_no_time_and_one_that_comes_twice_has_one() -> None:
    spring = times("cron(30 2 * * ? *)", "2026-03-28T12:00", 2, "Europe/Berlin")
    assert spring == ["2026-03-30T00:30", "2026-03-31T00:30"]
    autumn = times("cron(30 2 * * ? *)", "2026-10-24T12:00", 2, "Europe/Berlin")
    assert autumn == ["2026-10-25T00:30", "2026-10-26T01:30"]


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "rate(five minutes)",
        "rate(5minutes)",
        "at(2026-02-30T00:00:00)",
        "at(2026-02-01)",
        "cron(* * * * *)",
        "cron(0 0 * * * *)",
        "cron(0 0 ? * ? *)",
        "cron(60 0 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 32 * ? *)",
        "cron(0 0 1 13 ? *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 ? * MON#6 *)",
        "cron(0 0 ? * MON-FRI#1 *)",
        "cron(0 0 1 FOO ? *)",
        "cron(30-10 0 1 * ? *)",
        "cron(*/0 0 1 * ? *)",
        "cron(0 0 1 * ? 1969)",
        "cron(0 0 L-3 * ? *)",
        "cron(² 0 1 * ? *)",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        expressions.read(text, "UTC")


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../etc/passwd", ""])
def test_a_time_zone_must_exist(zone: str) -> None:
    with pytest.raises(LookupError):
        expressions.read("rate(1 day)", zone)
