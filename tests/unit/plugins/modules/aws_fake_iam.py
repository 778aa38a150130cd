# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for IAM and STS."""

from __future__ import annotations

import json
import typing
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error


class Sts(Fake):
    def call_get_caller_identity(self) -> dict:
        return {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me"}


class Iam(Fake):
    def __init__(self) -> None:
        super().__init__()
        self.roles: dict[str, dict] = {}
        self.attached: dict[str, list[str]] = {}
        self.inline: dict[str, dict[str, str]] = {}
        self.age = timedelta(0)
        self.denied: list[str] = []

    def _role(self, name: str) -> dict:
        if name not in self.roles:
            raise error("NoSuchEntity")
        return self.roles[name]

    def _add(self, name: str, path: str, **more: typing.Any) -> dict:
        if name in self.roles:
            raise error("EntityAlreadyExists")
        self.roles[name] = {
            "RoleName": name,
            "Path": path,
            "Arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
            "RoleId": "AROAEXAMPLE",
            "CreateDate": datetime.now(UTC) - self.age,
            **more,
        }
        self.attached[name], self.inline[name] = [], {}
        return {"Role": self.roles[name]}

    def call_create_role(self, RoleName: str, Path: str, **more: typing.Any) -> dict:
        if "PermissionsBoundary" in more:
            more["PermissionsBoundary"] = {"PermissionsBoundaryArn": more["PermissionsBoundary"]}
        return self._add(RoleName, Path, **more)

    def call_get_role(self, RoleName: str) -> dict:
        return {"Role": self._role(RoleName)}

    def call_update_role(self, RoleName: str, MaxSessionDuration: int = 3600, **changes: typing.Any) -> dict:
        self._role(RoleName).update(changes, MaxSessionDuration=MaxSessionDuration)
        return {}

    def call_update_assume_role_policy(self, RoleName: str, PolicyDocument: str) -> dict:
        self._role(RoleName)["AssumeRolePolicyDocument"] = PolicyDocument
        return {}

    def call_put_role_permissions_boundary(self, RoleName: str, PermissionsBoundary: str) -> dict:
        self._role(RoleName)["PermissionsBoundary"] = {"PermissionsBoundaryArn": PermissionsBoundary}
        return {}

    def call_delete_role_permissions_boundary(self, RoleName: str) -> dict:
        del self._role(RoleName)["PermissionsBoundary"]
        return {}

    def call_tag_role(self, RoleName: str, Tags: list) -> dict:
        keys = [tag["Key"] for tag in Tags]
        kept = [tag for tag in self._role(RoleName).get("Tags", []) if tag["Key"] not in keys]
        self._role(RoleName)["Tags"] = kept + Tags
        return {}

    def call_untag_role(self, RoleName: str, TagKeys: list) -> dict:
        role = self._role(RoleName)
        role["Tags"] = [tag for tag in role.get("Tags", []) if tag["Key"] not in TagKeys]
        return {}

    def call_list_attached_role_policies(self, RoleName: str) -> dict:
        self._role(RoleName)
        return {"AttachedPolicies": [{"PolicyArn": arn} for arn in self.attached[RoleName]]}

    def call_attach_role_policy(self, RoleName: str, PolicyArn: str) -> dict:
        self._role(RoleName)
        self.attached[RoleName].append(PolicyArn)
        return {}

    def call_detach_role_policy(self, RoleName: str, PolicyArn: str) -> dict:
        if PolicyArn not in self.attached[RoleName]:
            raise error("NoSuchEntity")
        self.attached[RoleName].remove(PolicyArn)
        return {}

    def call_list_role_policies(self, RoleName: str) -> dict:
        self._role(RoleName)
        return {"PolicyNames": list(self.inline[RoleName])}

    def call_get_role_policy(self, RoleName: str, PolicyName: str) -> dict:
        return {"PolicyDocument": json.loads(self.inline[RoleName][PolicyName])}

    def call_put_role_policy(self, RoleName: str, PolicyName: str, PolicyDocument: str) -> dict:
        self._role(RoleName)
        self.inline[RoleName][PolicyName] = PolicyDocument
        return {}

    def call_delete_role_policy(self, RoleName: str, PolicyName: str) -> dict:
        del self.inline[RoleName][PolicyName]
        return {}

    def call_list_instance_profiles_for_role(self, RoleName: str) -> dict:
        return {"InstanceProfiles": []}

    def call_delete_role(self, RoleName: str) -> dict:
        self._role(RoleName)
        if self.attached[RoleName] or self.inline[RoleName]:
            raise error("DeleteConflict")
        del self.roles[RoleName]
        return {}

    def call_simulate_principal_policy(self, ActionNames: list, **_more: typing.Any) -> dict:
        denied = self.denied.pop(0) if self.denied else ""
        decisions = {action: "implicitDeny" if action == denied else "allowed" for action in ActionNames}
        return {"EvaluationResults": [{"EvalActionName": k, "EvalDecision": v} for k, v in decisions.items()]}

    def call_list_roles(self, PathPrefix: str) -> dict:
        return {"Roles": [role for role in self.roles.values() if role["Path"].startswith(PathPrefix)]}

    def call_create_service_linked_role(self, AWSServiceName: str) -> dict:
        names = {"ecs.amazonaws.com": "AWSServiceRoleForECS"}
        name = names.get(AWSServiceName, "AWSServiceRoleForSomething")
        return self._add(name, f"/aws-service-role/{AWSServiceName}/")
