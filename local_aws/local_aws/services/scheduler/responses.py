# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups and schedules as the API shows them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from .models import Group
from .models import Schedule


def group(one: Group) -> dict[str, Any]:
    """As GetScheduleGroup shows it."""
    return {
        "Arn": one.arn,
        "Name": one.name,
        "State": one.state,
        "CreationDate": one.created,
        "LastModificationDate": one.modified,
    }


def schedule(one: Schedule) -> dict[str, Any]:
    """As GetSchedule shows it."""
    shown = {**one.settings}
    for name in ("StartDate", "EndDate"):
        if shown.get(name):
            shown[name] = dt.datetime.fromtimestamp(shown[name], dt.UTC)
    return {
        **shown,
        "Arn": one.arn,
        "Name": one.name,
        "GroupName": one.group,
        "CreationDate": one.created,
        "LastModificationDate": one.modified,
    }


def summary(one: Schedule) -> dict[str, Any]:
    """As ListSchedules shows it."""
    return {
        "Arn": one.arn,
        "Name": one.name,
        "GroupName": one.group,
        "State": one.settings["State"],
        "CreationDate": one.created,
        "LastModificationDate": one.modified,
        "Target": {"Arn": one.target["Arn"]},
    }
