# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of schedules. Private to the collection.

Facts: Scheduler API Reference, DeleteScheduleGroup: it deletes the group's schedules too, and takes a while, in which
the group is DELETING and cannot be made again.
"""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_missing
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import Tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions

Group = dict[str, typing.Any]


def find(scheduler: Client, name: str) -> Group | None:
    """Return a group with its ARN, its state and its tags, None if there is none."""
    try:
        found = scheduler.get_schedule_group(Name=name)
        tags = scheduler.list_tags_for_resource(ResourceArn=found["Arn"]).get("Tags")
    except ClientError as e:
        if is_missing(e):
            return None
        raise
    return {"arn": str(found["Arn"]), "state": str(found["State"]), "tags": tags_from_aws(tags)}


def ensure_present(
    scheduler: Client, name: str, tags: tuple[Tags | None, bool], wait: WaitOptions, check_mode: bool
) -> ModuleResult:
    """Create the group, or change its tags.

    Args:
        scheduler: client of Scheduler.
        name: of the group.
        tags: those that are asked for, and whether others are removed.
        wait: how to wait for the end of one that is being deleted.
        check_mode: whether nothing is changed.
    """
    found = find(scheduler, name)
    if found is not None and found["state"] == "DELETING" and not check_mode:
        _wait(scheduler, name, wait)
        found = None
    before = {"tags": found["tags"]} if found else {}
    after = {"tags": predict_tags(before.get("tags", {}), *tags)}
    values = {"schedule_group_arn": found["arn"] if found else ""}
    outcome = ModuleResult(before != after, before, after, values, [])
    if check_mode or not outcome.changed:
        return outcome
    if found is None:
        made = scheduler.create_schedule_group(Name=name, Tags=tags_to_aws(after["tags"]))
        outcome.values["schedule_group_arn"] = str(made["ScheduleGroupArn"])
        return outcome
    to_set, to_remove = compare_tags(found["tags"], after["tags"])
    if to_remove:
        scheduler.untag_resource(ResourceArn=found["arn"], TagKeys=to_remove)
    if to_set:
        scheduler.tag_resource(ResourceArn=found["arn"], Tags=tags_to_aws(to_set))
    return outcome


def ensure_absent(scheduler: Client, name: str, wait: WaitOptions, check_mode: bool) -> ModuleResult:
    """Delete the group with its schedules, and wait until it is gone."""
    found = find(scheduler, name)
    if found is not None and not check_mode:
        if found["state"] != "DELETING":
            scheduler.delete_schedule_group(Name=name)
        _wait(scheduler, name, wait)
    before = {"tags": found["tags"]} if found else {}
    return ModuleResult(found is not None, before, {}, {"schedule_group_arn": found["arn"] if found else ""}, [])


def _wait(scheduler: Client, name: str, options: WaitOptions) -> None:
    waiter = options.waiter()
    unknown: Group | None = {"state": "unknown"}
    for _poll in waiter.polls():
        if waiter.tolerate_outage(lambda: find(scheduler, name), unknown) is None:
            return
        waiter.report(f"schedule group {name}: DELETING")
    waiter.raise_outage()
    raise UserError(f"The schedule group {name} is not deleted after {options.timeout:g} seconds (wait_timeout).")
