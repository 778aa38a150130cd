# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what was deployed last and the lock of a verb are tags of one service, and leave each other alone."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import record
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._verbs import markers

LOCK = {f"{markers.LOCK_PREFIX}20261130T110000Z-00000000": "verb=backup state=held"}
STOPPED = {markers.STOPPED_KEY: "since=2026-11-30T11:00:00Z min=1 max=1"}


def test_a_new_record_removes_the_old_one_and_no_lock() -> None:
    old = record.Record(time="2026-11-29T11:00:00Z", resources={f"r{number}": "0" * 32 for number in range(20)})
    new = record.Record(time="2026-11-30T11:00:00Z", resources={"service": "0123"})
    tags = {"team": "vision", **old.tags(), **LOCK, **STOPPED}
    to_set, to_remove = record.tag_changes(tags, new)
    assert to_remove and not set(to_remove) & {"team", *LOCK, *STOPPED}
    after = {key: value for key, value in {**tags, **to_set}.items() if key not in to_remove}
    assert record.from_tags(after).same_as(new)
    assert [one.verb for one in markers.locks(after)] == ["backup"] and markers.stopped(after)


def test_neither_of_them_is_one_of_the_users_tags() -> None:
    new = record.Record(time="2026-11-30T11:00:00Z", resources={"service": "0123"})
    tags = {"team": "vision", **new.tags(), **LOCK, **STOPPED}
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    assert transformations.tags({"tags": listed}) == {"team": "vision"}
