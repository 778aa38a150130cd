# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Application Auto Scaling, as far as Express services use it: records of scalable targets and policies.

ministack 1.5.33 does not have this service. Nothing is scaled by it here.
"""

from __future__ import annotations

import secrets
import time
import uuid
from typing import TYPE_CHECKING
from typing import Any

from ..room import ApiError
from ..room import Call
from .model import stamp

if TYPE_CHECKING:
    from ..cloud import Cloud

_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def _key(params: dict[str, Any]) -> str:
    return "|".join(params[name] for name in _IDENTITY)


class Scaling:
    """Scalable targets and their policies."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.targets: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, Any]] = {}

    def handle(self, call: Call) -> dict[str, Any]:
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
        output: dict[str, Any] = operation(call)
        return output

    def _allow(self, call: Call, arn: str, tags: dict[str, str] | None = None) -> None:
        context: dict[str, Any] = {f"aws:ResourceTag/{key}": value for key, value in (tags or {}).items()}
        for key, value in (call.params.get("Tags") or {}).items():
            # The tags of a request that creates count as the resource's own (see conditions.py).
            context[f"aws:RequestTag/{key}"] = value
            context.setdefault(f"aws:ResourceTag/{key}", value)
        if call.params.get("ServiceNamespace"):
            context["application-autoscaling:service-namespace"] = call.params["ServiceNamespace"]
        self.cloud.allow(call, f"application-autoscaling:{call.operation}", arn, context)

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
        if target is None:
            target = {name: params[name] for name in _IDENTITY}
            target |= {"arn": arn, "tags": {}, "created": time.time(), "MinCapacity": 0, "MaxCapacity": 0}
            self.targets[_key(params)] = target
        target["tags"] |= params.get("Tags") or {}
        for name in ("MinCapacity", "MaxCapacity"):
            if params.get(name) is not None:
                target[name] = params[name]
        self.cloud.changed()
        return {"ScalableTargetARN": arn}

    def _deregister(self, call: Call) -> dict[str, Any]:
        self._target(call)
        key = _key(call.params)
        del self.targets[key]
        self.policies = {arn: policy for arn, policy in self.policies.items() if _key(policy) != key}
        self.cloud.changed()
        return {}

    def _describe_targets(self, call: Call) -> dict[str, Any]:
        self._allow(call, self._new_arn(call).rsplit("/", 1)[0] + "/*")
        return {"ScalableTargets": [self._shown(target) for target in self._chosen(call, self.targets)]}

    def _shown(self, target: dict[str, Any]) -> dict[str, Any]:
        role = "aws-service-role/ecs.application-autoscaling.amazonaws.com"
        account = self.cloud.settings.account_id
        shown = {name: target[name] for name in (*_IDENTITY, "MinCapacity", "MaxCapacity")}
        return shown | {
            "RoleARN": f"arn:aws:iam::{account}:role/{role}/AWSServiceRoleForApplicationAutoScaling_ECSService",
            "CreationTime": stamp(target["created"]),
            "ScalableTargetARN": target["arn"],
        }

    def _chosen(self, call: Call, records: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        params = call.params
        ids = params.get("ResourceIds") or ([params["ResourceId"]] if params.get("ResourceId") else [])
        return [
            record
            for record in records.values()
            if record["ServiceNamespace"] == params["ServiceNamespace"] and (not ids or record["ResourceId"] in ids)
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
        self.cloud.changed()
        return {"PolicyARN": arn, "Alarms": []}

    def _delete_policy(self, call: Call) -> dict[str, Any]:
        params = call.params
        self._target(call)
        for arn, policy in list(self.policies.items()):
            if _key(policy) == _key(params) and policy["PolicyName"] == params["PolicyName"]:
                del self.policies[arn]
                self.cloud.changed()
                return {}
        raise ApiError("ObjectNotFoundException", f"No scaling policy found for policy name {params['PolicyName']}.")

    def _describe_policies(self, call: Call) -> dict[str, Any]:
        self._allow(call, self._new_arn(call).rsplit("/", 1)[0] + "/*")
        names = call.params.get("PolicyNames")
        shown = []
        for policy in self._chosen(call, self.policies):
            if not names or policy["PolicyName"] in names:
                item = {key: value for key, value in policy.items() if key != "created"}
                shown.append({**item, "Alarms": [], "CreationTime": stamp(policy["created"])})
        return {"ScalingPolicies": shown}

    def _describe_activities(self, call: Call) -> dict[str, Any]:
        self._allow(call, self._new_arn(call).rsplit("/", 1)[0] + "/*")
        return {"ScalingActivities": []}

    def _tagged(self, call: Call) -> dict[str, Any]:
        arn = call.params["ResourceARN"]
        target = next((item for item in self.targets.values() if item["arn"] == arn), None)
        self._allow(call, arn, target["tags"] if target else None)
        if target is None:
            raise ApiError("ResourceNotFoundException", f"The specified resource doesn't exist: {arn}")
        return target

    def _tag(self, call: Call) -> dict[str, Any]:
        self._tagged(call)["tags"].update(call.params["Tags"])
        self.cloud.changed()
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        tags = self._tagged(call)["tags"]
        for key in call.params["TagKeys"]:
            tags.pop(key, None)
        self.cloud.changed()
        return {}

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return {"Tags": dict(self._tagged(call)["tags"])}

    def state(self) -> dict[str, Any]:
        """For the state file."""
        return {"targets": self.targets, "policies": self.policies}

    def restore(self, state: dict[str, Any]) -> None:
        """From the state file."""
        self.targets = state.get("targets", {})
        self.policies = state.get("policies", {})
