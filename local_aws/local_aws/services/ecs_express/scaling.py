# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Application Auto Scaling, as far as Express services use it.

ministack 1.5.33 does not have this service. The bounds of a scalable target apply to the desired count of an Express
service; each change they cause is a scaling activity. Policies are records: no metric scales anything here.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from ...service import ApiError
from ...service import Call
from .controller import Controller
from .models import Service
from .models import stamp
from .store import ServiceStore
from .transformations import within

KEEP_ACTIVITIES_SECONDS = 42 * 24 * 3600
"""AWS seconds that scaling activities are kept: six weeks (botocore's text on DescribeScalingActivities)."""
MOST_LISTED = 50
_SERVICE_PARTS = 3
_DIMENSION = "ecs:service:DesiredCount"
_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_CHANGEABLE = ("MinCapacity", "MaxCapacity", "SuspendedState")


def _key(params: dict[str, Any]) -> str:
    return "|".join(params[name] for name in _IDENTITY)


def _page(name: str, items: list[Any], params: dict[str, Any]) -> dict[str, Any]:
    """One page of a list under its name; the token of the next one is an offset."""
    token = str(params.get("NextToken") or "0")
    if not token.isdigit():
        raise ApiError("InvalidNextTokenException", "The next token supplied was invalid.")
    begin, following = int(token), int(token) + int(params.get("MaxResults") or MOST_LISTED)
    return {name: items[begin:following]} | ({"NextToken": str(following)} if following < len(items) else {})


def _check_bounds(target: dict[str, Any]) -> None:
    """Refuses bounds that no target can have: both are required, and 0 is the minimum for ECS (botocore's model)."""
    for name in ("MinCapacity", "MaxCapacity"):
        if target.get(name) is None:
            raise ApiError("ValidationException", f"{name} is required when registering a new scalable target.")
        if target[name] < 0:
            raise ApiError("ValidationException", f"{name} ({target[name]}) must be 0 or more.")
    if target["MinCapacity"] > target["MaxCapacity"]:
        raise ApiError("ValidationException", "Maximum capacity cannot be less than minimum capacity")


class Scaling:
    """Scalable targets and their policies."""

    def __init__(self, ctx: Context, store: ServiceStore, controller: Controller) -> None:
        self.ctx = ctx
        self._store = store
        self._controller = controller
        self.targets: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.activities: list[dict[str, Any]] = []

    async def handle(self, call: Call) -> dict[str, Any]:
        """One operation's output; raises ApiError."""
        operations = {
            "RegisterScalableTarget": self._register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": self._describe_targets,
            "PutScalingPolicy": self._put_policy,
            "DeleteScalingPolicy": self._delete_policy,
            "DescribeScalingPolicies": self._describe_policies,
            "DescribeScalingActivities": self._describe_activities,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }
        operation = operations.get(call.operation)
        if operation is None:
            raise ApiError("ValidationException", f"{call.operation} is not available in the local AWS.")
        if call.operation == "RegisterScalableTarget":
            await self._check_resource(call.params)
        output: dict[str, Any] = operation(call)
        return output

    def _allow(self, call: Call, arn: str, tags: dict[str, str] | None = None) -> None:
        context: dict[str, Any] = {f"aws:ResourceTag/{key}": value for key, value in (tags or {}).items()}
        for key, value in (call.params.get("Tags") or {}).items():
            # The tags of a request that creates count as the resource's own (see iam/request_context.py).
            context[f"aws:RequestTag/{key}"] = value
            context.setdefault(f"aws:ResourceTag/{key}", value)
        if call.params.get("ServiceNamespace"):
            context["application-autoscaling:service-namespace"] = call.params["ServiceNamespace"]
        self.ctx.allow(call, f"application-autoscaling:{call.operation}", arn, context)

    def _new_arn(self, call: Call) -> str:
        number = secrets.token_hex(18)
        return f"arn:aws:application-autoscaling:{call.region}:{call.account_id}:scalable-target/{number}"

    def _target(self, call: Call) -> dict[str, Any]:
        target = self.targets.get(_key(call.params))
        self._allow(call, target["arn"] if target else self._new_arn(call), target["tags"] if target else None)
        if target is None:
            identity = ", ".join(str(call.params[name]) for name in _IDENTITY)
            raise ApiError("ObjectNotFoundException", f"No scalable target found for {identity}.")
        return target

    def _register(self, call: Call) -> dict[str, Any]:
        params = call.params
        target = self.targets.get(_key(params))
        arn = target["arn"] if target else self._new_arn(call)
        self._allow(call, arn, target["tags"] if target else None)
        given = {name: params[name] for name in _CHANGEABLE if params.get(name) is not None}
        _check_bounds({**(target or {}), **given})
        if target is None:
            target = {name: params[name] for name in _IDENTITY} | {"arn": arn, "tags": {}, "created": time.time()}
            self.targets[_key(params)] = target
        target |= given
        target["tags"] |= params.get("Tags") or {}
        service = self._express_service(params)
        if service is not None:
            self._keep_within(service, target)
        self.ctx.changed()
        return {"ScalableTargetARN": arn}

    def _express_service(self, params: dict[str, Any]) -> Service | None:
        """The Express service whose desired count a scalable target is."""
        if params["ScalableDimension"] != _DIMENSION:
            return None
        _kind, cluster, name = params["ResourceId"].split("/")
        return self._store.find(name, cluster)

    async def _check_resource(self, params: dict[str, Any]) -> None:
        """Refuses a service that ECS does not have, in AWS's words (spinnaker/spinnaker#4371)."""
        if params["ServiceNamespace"] != "ecs":
            return
        parts = params["ResourceId"].split("/")
        if params["ScalableDimension"] != _DIMENSION or parts[0] != "service" or len(parts) != _SERVICE_PARTS:
            text = "Unsupported service namespace, resource type or scalable dimension"
            raise ApiError("ValidationException", text)
        service = self._express_service(params)
        states = [service.status] if service is not None else await self._classic_states(parts[1], parts[2])
        if not states or states == ["INACTIVE"]:
            raise ApiError("ValidationException", f"ECS service doesn't exist: {params['ResourceId']}")

    async def _classic_states(self, cluster: str, name: str) -> list[str]:
        try:
            found = await self.ctx.aws("ecs", "describe_services", cluster=cluster, services=[name])
        except ClientError:  # no such cluster
            return []
        return [item["status"] for item in found["services"]]

    def _keep_within(self, service: Service, target: dict[str, Any]) -> None:
        """Moves the desired count between the bounds, even if the request gives none (botocore's text).

        A service that is not ACTIVE keeps its count. The activity's texts: Application Auto Scaling User Guide,
        "Scaling activities", and the example with "maximum capacity was set to" in its section on scheduled scaling.
        """
        bounds = {"minTaskCount": target["MinCapacity"], "maxTaskCount": target["MaxCapacity"]}
        count = within(service.desired, bounds)
        if count == service.desired or service.status != "ACTIVE":
            return
        bound = "minimum" if count > service.desired else "maximum"
        self._controller.scale(service, count)
        now = time.time()
        activity = {
            "ActivityId": str(uuid.uuid4()),
            **{name: target[name] for name in _IDENTITY},
            "Description": f"Setting desired count to {count}.",
            "Cause": f"{bound} capacity was set to {count}",
            "StartTime": now,
            "EndTime": now,
            "StatusCode": "Successful",
            "StatusMessage": f"Successfully set desired count to {count}. Change successfully fulfilled by ecs.",
        }
        self.activities.insert(0, activity)

    def _deregister(self, call: Call) -> dict[str, Any]:
        self._target(call)
        key = _key(call.params)
        del self.targets[key]
        self.policies = {arn: policy for arn, policy in self.policies.items() if _key(policy) != key}
        self.ctx.changed()
        return {}

    def _describe_targets(self, call: Call) -> dict[str, Any]:
        self._allow(call, self._new_arn(call).rsplit("/", 1)[0] + "/*")
        found = [self._shown(target) for target in self._chosen(call, self.targets.values())]
        return _page("ScalableTargets", found, call.params)

    def _shown(self, target: dict[str, Any]) -> dict[str, Any]:
        role = "aws-service-role/ecs.application-autoscaling.amazonaws.com"
        account = self.ctx.settings.account_id
        shown = {name: target[name] for name in (*_IDENTITY, *_CHANGEABLE) if name in target}
        return shown | {
            "RoleARN": f"arn:aws:iam::{account}:role/{role}/AWSServiceRoleForApplicationAutoScaling_ECSService",
            "CreationTime": stamp(target["created"]),
            "ScalableTargetARN": target["arn"],
        }

    @staticmethod
    def _chosen(call: Call, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        params = call.params
        dimension = params.get("ScalableDimension")
        ids = params.get("ResourceIds") or ([params["ResourceId"]] if params.get("ResourceId") else [])
        return [
            record
            for record in records
            if record["ServiceNamespace"] == params["ServiceNamespace"]
            and (not ids or record["ResourceId"] in ids)
            and dimension in (None, record["ScalableDimension"])
        ]

    def _put_policy(self, call: Call) -> dict[str, Any]:
        params = call.params
        self._target(call)
        found = [
            policy
            for policy in self.policies.values()
            if _key(policy) == _key(params) and policy["PolicyName"] == params["PolicyName"]
        ]
        resource = f"resource/ecs/{params['ResourceId']}:policyName/{params['PolicyName']}"
        arn = (
            found[0]["PolicyARN"]
            if found
            else f"arn:aws:autoscaling:{call.region}:{call.account_id}:scalingPolicy:{uuid.uuid4()}:{resource}"
        )
        self.policies[arn] = {**params, "PolicyARN": arn, "created": found[0]["created"] if found else time.time()}
        self.ctx.changed()
        return {"PolicyARN": arn, "Alarms": []}

    def _delete_policy(self, call: Call) -> dict[str, Any]:
        params = call.params
        self._target(call)
        for arn, policy in list(self.policies.items()):
            if _key(policy) == _key(params) and policy["PolicyName"] == params["PolicyName"]:
                del self.policies[arn]
                self.ctx.changed()
                return {}
        raise ApiError("ObjectNotFoundException", f"No scaling policy found for policy name {params['PolicyName']}.")

    def _describe_policies(self, call: Call) -> dict[str, Any]:
        self._allow(call, self._new_arn(call).rsplit("/", 1)[0] + "/*")
        names = call.params.get("PolicyNames")
        shown = []
        for policy in self._chosen(call, self.policies.values()):
            if not names or policy["PolicyName"] in names:
                item = {key: value for key, value in policy.items() if key != "created"}
                shown.append({**item, "Alarms": [], "CreationTime": stamp(policy["created"])})
        return _page("ScalingPolicies", shown, call.params)

    def _describe_activities(self, call: Call) -> dict[str, Any]:
        self._allow(call, self._new_arn(call).rsplit("/", 1)[0] + "/*")
        since = time.time() - self.ctx.clock.real(KEEP_ACTIVITIES_SECONDS)
        self.activities = [item for item in self.activities if item["StartTime"] >= since]
        found = [
            {**item, "StartTime": stamp(item["StartTime"]), "EndTime": stamp(item["EndTime"])}
            for item in self._chosen(call, self.activities)
        ]
        return _page("ScalingActivities", found, call.params)

    def _tagged(self, call: Call) -> dict[str, Any]:
        arn = call.params["ResourceARN"]
        target = next((item for item in self.targets.values() if item["arn"] == arn), None)
        self._allow(call, arn, target["tags"] if target else None)
        if target is None:
            raise ApiError("ResourceNotFoundException", f"The specified resource doesn't exist: {arn}")
        return target

    def _tag(self, call: Call) -> dict[str, Any]:
        self._tagged(call)["tags"].update(call.params["Tags"])
        self.ctx.changed()
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        tags = self._tagged(call)["tags"]
        for key in call.params["TagKeys"]:
            tags.pop(key, None)
        self.ctx.changed()
        return {}

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return {"Tags": dict(self._tagged(call)["tags"])}

    def state(self) -> dict[str, Any]:
        """For the state file."""
        return {"targets": self.targets, "policies": self.policies, "activities": self.activities}

    def restore(self, state: dict[str, Any]) -> None:
        """From the state file."""
        self.targets = state.get("targets", {})
        self.policies = state.get("policies", {})
        self.activities = state.get("activities", [])
