# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of EventBridge Scheduler: all of its twelve operations."""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
from typing import Any

from ...context import Context
from ...protocol import constraints
from ...protocol import models as protocol_models
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import TrustError
from ...service import aws_response
from . import expressions
from . import responses
from . import targets
from .controller import PRINCIPAL
from .controller import ScheduleController
from .models import DEFAULT_GROUP
from .models import Group
from .models import Schedule
from .models import Schedules

SERVICE = "scheduler"
_PAGE = 100
_SETTINGS = (
    *("ActionAfterCompletion", "Description", "EndDate", "FlexibleTimeWindow", "KmsKeyArn", "ScheduleExpression"),
    *("ScheduleExpressionTimezone", "StartDate", "State", "Target"),
)
# Scheduler API Reference, CreateSchedule and RetryPolicy.
_RETRY = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


class Scheduler:
    """Schedules and their groups."""

    name = SERVICE

    def __init__(self, ctx: Context, store: Schedules, controller: ScheduleController) -> None:
        self._ctx = ctx
        self._store = store
        self._controller = controller
        self._operations = {
            "CreateSchedule": self._create,
            "UpdateSchedule": self._update,
            "GetSchedule": self._get,
            "DeleteSchedule": self._delete,
            "ListSchedules": self._list,
            "CreateScheduleGroup": self._create_group,
            "GetScheduleGroup": self._get_group,
            "DeleteScheduleGroup": self._delete_group,
            "ListScheduleGroups": self._list_groups,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    def owns(self, call: Call) -> bool:
        """All operations of Scheduler."""
        return call.service == SERVICE and call.operation in self._operations

    async def handle(self, call: Call) -> Response:
        """The answer to one of them."""
        model = protocol_models.operation_model(SERVICE, call.operation)
        if model is not None and (found := constraints.violations(model.input_shape, call.params)):
            raise _invalid(found)
        return aws_response(await self._operations[call.operation](call), SERVICE, call.operation)

    async def start(self) -> None:
        """Begins to invoke targets."""
        self._controller.start()

    async def stop(self) -> None:
        """Ends it."""
        await self._controller.stop()

    def state(self) -> dict[str, Any]:
        """All groups and schedules."""
        return self._store.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self._store.restore(state)

    # ---- schedules

    async def _create(self, call: Call) -> dict[str, Any]:
        arn = self._allow(call)
        self._require_group(call)
        if self._store.schedule(arn) is not None:
            raise ApiError("ConflictException", f"Schedule {call.params['Name']} already exists.")
        settings = await self._settings(call)
        now = self._ctx.clock.now()
        self._put(Schedule(arn, call.params["Name"], _group_name(call), settings, now, now, now))
        return {"ScheduleArn": arn}

    async def _update(self, call: Call) -> dict[str, Any]:
        arn = self._allow(call)
        found = self._require(call, arn)
        settings = await self._settings(call)
        now = self._ctx.clock.now()
        self._put(Schedule(arn, found.name, found.group, settings, found.created, now, now))
        return {"ScheduleArn": arn}

    def _put(self, schedule: Schedule) -> None:
        self._store.put(schedule)
        self._controller.wake()

    async def _get(self, call: Call) -> dict[str, Any]:
        return responses.schedule(self._require(call, self._allow(call)))

    async def _delete(self, call: Call) -> dict[str, Any]:
        arn = self._allow(call)
        self._require(call, arn)
        self._store.remove(arn)
        self._controller.wake()
        return {}

    async def _list(self, call: Call) -> dict[str, Any]:
        self._ctx.allow(call, "scheduler:ListSchedules", _arn(call, "schedule", f"{_group_name(call, '*')}/*"))
        params = call.params
        if params.get("GroupName"):
            self._require_group(call)
        found = [
            responses.summary(one)
            for one in self._store.schedules()
            if one.region == call.region
            and params.get("GroupName") in (None, one.group)
            and params.get("State") in (None, one.settings["State"])
            and one.name.startswith(params.get("NamePrefix", ""))
        ]
        return _page(call, "Schedules", found)

    def _allow(self, call: Call) -> str:
        """Asks IAM; returns the schedule's ARN."""
        arn = _arn(call, "schedule", f"{_group_name(call)}/{call.params['Name']}")
        self._ctx.allow(call, f"scheduler:{call.operation}", arn)
        return arn

    def _require(self, call: Call, arn: str) -> Schedule:
        found = self._store.schedule(arn)
        if found is None:
            raise ApiError("ResourceNotFoundException", f"Schedule {call.params['Name']} does not exist.")
        return found

    async def _settings(self, call: Call) -> dict[str, Any]:
        """What the caller asks for, with Scheduler's defaults, if it can be done."""
        given = {name: call.params[name] for name in _SETTINGS if call.params.get(name) is not None}
        settings = {
            "ActionAfterCompletion": "NONE",
            "ScheduleExpressionTimezone": "UTC",
            "State": "ENABLED",
            **given,
            "Target": {**given["Target"], "RetryPolicy": {**_RETRY, **given["Target"].get("RetryPolicy", {})}},
        }
        for name in ("StartDate", "EndDate"):
            if name in settings:
                settings[name] = settings[name].timestamp()
        _check(settings)
        role = settings["Target"]["RoleArn"]
        self._ctx.allow(call, "iam:PassRole", role, {"iam:PassedToService": PRINCIPAL})
        group = _arn(call, "schedule-group", _group_name(call))
        try:
            await asyncio.to_thread(self._ctx.check_trust, role, PRINCIPAL, group)
        except TrustError as e:
            raise _invalid(
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
            ) from e
        return settings

    # ---- groups

    async def _create_group(self, call: Call) -> dict[str, Any]:
        arn = self._allow_group(call)
        if self._group(arn) is not None:
            raise ApiError("ConflictException", f"Schedule group {call.params['Name']} already exists.")
        now = self._ctx.clock.now()
        tags = {one["Key"]: one["Value"] for one in call.params.get("Tags", [])}
        self._store.put_group(Group(arn, call.params["Name"], now, now, tags=tags))
        return {"ScheduleGroupArn": arn}

    async def _get_group(self, call: Call) -> dict[str, Any]:
        return responses.group(self._required_group(self._allow_group(call)))

    async def _delete_group(self, call: Call) -> dict[str, Any]:
        arn = self._allow_group(call)
        found = self._required_group(arn)
        if found.name == DEFAULT_GROUP:
            raise _invalid("The default schedule group cannot be deleted.")
        found.state = "DELETING"
        found.modified = self._ctx.clock.now()
        self._controller.delete_group(arn)
        return {}

    async def _list_groups(self, call: Call) -> dict[str, Any]:
        self._ctx.allow(call, "scheduler:ListScheduleGroups", _arn(call, "schedule-group", "*"))
        self._group(_arn(call, "schedule-group", DEFAULT_GROUP))
        prefix = call.params.get("NamePrefix", "")
        found = [responses.group(one) for one in self._store.groups(call.region) if one.name.startswith(prefix)]
        return _page(call, "ScheduleGroups", found)

    def _allow_group(self, call: Call) -> str:
        arn = _arn(call, "schedule-group", call.params["Name"])
        self._ctx.allow(call, f"scheduler:{call.operation}", arn)
        return arn

    def _require_group(self, call: Call) -> None:
        found = self._required_group(_arn(call, "schedule-group", _group_name(call)))
        if found.state == "DELETING":
            raise ApiError("ConflictException", f"Schedule group {found.name} is being deleted.")

    def _required_group(self, arn: str) -> Group:
        found = self._group(arn)
        if found is None:
            raise ApiError("ResourceNotFoundException", f"Schedule group {arn.rpartition('/')[2]} does not exist.")
        return found

    def _group(self, arn: str) -> Group | None:
        """A group; that of all who name none is there from the beginning."""
        if arn.endswith(f":schedule-group/{DEFAULT_GROUP}") and self._store.group(arn) is None:
            now = self._ctx.clock.now()
            self._store.put_group(Group(arn, DEFAULT_GROUP, now, now))
        return self._store.group(arn)

    # ---- tags

    async def _tag(self, call: Call) -> dict[str, Any]:
        found = self._tagged(call)
        found.tags |= {one["Key"]: one["Value"] for one in call.params["Tags"]}
        return {}

    async def _untag(self, call: Call) -> dict[str, Any]:
        found = self._tagged(call)
        for key in call.params["TagKeys"]:
            found.tags.pop(key, None)
        return {}

    async def _list_tags(self, call: Call) -> dict[str, Any]:
        found = self._tagged(call)
        return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(found.tags.items())]}

    def _tagged(self, call: Call) -> Group:
        arn = call.params["ResourceArn"]
        self._ctx.allow(call, f"scheduler:{call.operation}", arn)
        return self._required_group(arn)


def _check(settings: dict[str, Any]) -> None:
    """Refuses what cannot be meant, and what cannot be done here."""
    text, zone = settings["ScheduleExpression"], settings["ScheduleExpressionTimezone"]
    try:
        expressions.read(text, zone)
    except ValueError:
        raise _invalid(f"Invalid Schedule Expression {text}.") from None
    except LookupError:
        raise _invalid(f"Invalid Schedule Expression Timezone {zone}.") from None
    window = settings["FlexibleTimeWindow"]
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        raise _invalid("MaximumWindowInMinutes must be provided if, and only if, the mode of the window is FLEXIBLE.")
    begin, end = settings.get("StartDate"), settings.get("EndDate")
    now = dt.datetime.now(dt.UTC).timestamp()
    if end is not None and end <= max(now, begin or now):
        raise _invalid("The EndDate you specify must be in the future and after the StartDate.")
    if "KmsKeyArn" in settings:
        raise _invalid("The local AWS keeps schedules without a key of yours: leave KmsKeyArn out.")
    if found := targets.problem(settings["Target"]):
        raise _invalid(found)


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def _group_name(call: Call, otherwise: str = DEFAULT_GROUP) -> str:
    return str(call.params.get("GroupName") or otherwise)


def _arn(call: Call, kind: str, name: str) -> str:
    return f"arn:aws:scheduler:{call.region}:{call.account_id}:{kind}/{name}"


def _page(call: Call, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    token = call.params.get("NextToken")
    try:
        begin = int(base64.b64decode(token, validate=True)) if token else 0
    except (binascii.Error, ValueError):
        raise _invalid("Invalid NextToken.") from None
    end = begin + int(call.params.get("MaxResults") or _PAGE)
    following = base64.b64encode(str(end).encode()).decode() if end < len(items) else None
    return {name: items[begin:end], "NextToken": following}
