# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a backup, which one is completed, which ones go, and what their names may be."""

from __future__ import annotations

import re
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import manifest
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup import report
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Backup
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._backup.manifest import Names

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
AVAILABLE = {"Status": "available"}


def at(day: int) -> str:
    return (NOW - timedelta(days=day)).isoformat(timespec="seconds")


def complete(name: str, day: int, **more: Any) -> Backup:
    document = {"started": at(day), "database": {"snapshot": f"tracking-backup-{name}"}}
    return Backup(name, document, **{"snapshot": AVAILABLE, **more})


@pytest.mark.parametrize(
    ("backup", "state"),
    [
        (complete("a", 1), "complete"),
        # A database of the user's own has a dump and no snapshot.
        (Backup("a", {"started": at(1), "database": {"snapshot": ""}}), "complete"),
        (complete("a", 1, snapshot={}), "damaged"),
        (complete("a", 1, snapshot={"Status": "creating"}), "damaged"),
        (Backup("a", {}, {"started": at(1)}), "incomplete"),
        (Backup("a", {}, {}, AVAILABLE), "incomplete"),
        (complete("a", 1, progress={"deleting": True}), "deleting"),
        (Backup("a", {}, {"deleting": True}, AVAILABLE), "deleting"),
    ],
)
def test_a_backup_is_complete_if_its_manifest_and_all_it_names_are_there(backup: Backup, state: str) -> None:
    assert backup.state == state
    assert backup.is_complete == (state == "complete")


def test_the_newest_backup_is_completed_if_it_was_cut_off() -> None:
    cut_off = Backup("cut-off", {}, {"started": at(2)})
    assert manifest.cut_off([complete("old", 3), cut_off]) == cut_off
    assert manifest.cut_off([complete("old", 3), cut_off, complete("new", 1)]) is None
    assert manifest.cut_off([complete("old", 3), Backup("going", {}, {"started": at(1), "deleting": True})]) is None
    assert manifest.cut_off([]) is None


@pytest.mark.parametrize(("hours", "expected"), [(23, False), (25, True), (None, True)])
def test_a_backup_that_was_cut_off_long_ago_is_not_taken_for_todays(hours: int | None, expected: bool) -> None:
    started = (NOW - timedelta(hours=hours)).isoformat(timespec="seconds") if hours else ""
    assert manifest.is_outdated(Backup("cut-off", {}, {"started": started}), NOW) is expected


def test_only_complete_backups_count_and_only_they_go() -> None:
    backups = [complete(f"day-{day}", day) for day in range(1, 5)]
    others = [Backup("cut-off", {}, {"started": at(9)}), complete("damaged", 10, snapshot={})]
    going = Backup("going", {}, {"started": at(0), "deleting": True})
    assert manifest.surplus([*backups, *others], 0) == []
    assert [one.name for one in manifest.surplus([*backups, *others], 2)] == ["day-3", "day-4"]
    assert [one.name for one in manifest.surplus([*backups, *others, going], 4)] == ["going"]


@given(st.text("ab1-_A.", min_size=1, max_size=70))
def test_a_name_that_is_taken_makes_a_name_that_rds_takes(name: str) -> None:
    """RDS API Reference, CreateDBSnapshot."""
    snapshot = Names("tracking", name).snapshot
    taken = re.fullmatch(r"[a-z][a-z0-9-]{0,254}", snapshot) and "--" not in snapshot and not snapshot.endswith("-")
    assert (manifest.name_problem(name, "tracking") == "") == (bool(taken) and len(name) <= 60)


def test_the_default_name_is_one_and_sorts_by_time() -> None:
    first, second = manifest.default_name(NOW), manifest.default_name(NOW + timedelta(seconds=1))
    assert manifest.name_problem(first, "tracking") == "" and first < second


def test_a_name_too_long_for_the_deployment_is_refused() -> None:
    assert "longer than" in manifest.name_problem("b" * 60, "d" * 190)


def test_the_table_names_what_is_no_backup() -> None:
    found = report.facts([complete("good", 2), Backup("bad", {}, {"started": at(1)})], NOW)
    rows = [re.split(r"  +", line) for line in report.table(found, "tracking")]
    assert [row[:3] for row in rows] == [
        ["BACKUP", "STATE", "AGE"],
        ["bad", "incomplete", "1 d"],
        ["good", "complete", "2 d"],
    ]
    assert report.table([], "tracking") == ["There is no backup of 'tracking'."]


def test_a_snapshot_costs_its_storage_at_most_where_the_price_is_known() -> None:
    backups = [complete("good", 2, snapshot={**AVAILABLE, "AllocatedStorage": 20}), Backup("dump", {"started": at(1)})]
    assert report.costs(backups, "us-east-1") == {"good": 1.9}
    assert report.costs(backups, "eu-south-2") == {}
    found = report.facts(backups, NOW)
    rows = [re.split(r"  +", line) for line in report.table(found, "tracking", report.costs(backups, "us-east-1"))]
    assert [row[7] for row in rows] == ["COST A MONTH", "-", "up to $1.90"]
