# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for EC2's security groups and for CloudWatch Logs, beside those of the other services."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

_PEERS = {
    "IpRanges": "CidrIp",
    "Ipv6Ranges": "CidrIpv6",
    "PrefixListIds": "PrefixListId",
    "UserIdGroupPairs": "GroupId",
}
Rule = tuple[str, typing.Any, typing.Any, str, str]


class Ec2(Fake):
    """Security groups. Rules are kept one by one, and shown together by protocol and ports, as AWS shows them."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, dict] = {}
        self.rules: dict[str, dict[str, dict[Rule, str]]] = {}

    def call_create_security_group(
        self, GroupName: str, Description: str, VpcId: str, TagSpecifications: typing.Any = ()
    ) -> dict:
        if any(group["GroupName"] == GroupName and group["VpcId"] == VpcId for group in self.groups.values()):
            raise error("InvalidGroup.Duplicate")
        name = f"sg-{len(self.groups):017x}"
        tags = [tag for specification in TagSpecifications for tag in specification["Tags"]]
        self.groups[name] = {
            "GroupId": name,
            "GroupName": GroupName,
            "Description": Description,
            "VpcId": VpcId,
            "Tags": tags,
        }
        self.rules[name] = {"ingress": {}, "egress": {("-1", None, None, "IpRanges", "0.0.0.0/0"): ""}}
        return {"GroupId": name}

    def _shown(self, group_id: str, direction: str) -> list[dict]:
        found: dict[tuple, dict] = {}
        for (protocol, first, last, members, peer), description in self.rules[group_id][direction].items():
            ports = {} if first is None else {"FromPort": first, "ToPort": last}
            permission = found.setdefault(
                (protocol, first, last), {"IpProtocol": protocol, **ports, **{name: [] for name in _PEERS}}
            )
            told = {"Description": description} if description else {}
            permission[members].append({_PEERS[members]: peer, **told})
        return list(found.values())

    def call_describe_security_groups(self, Filters: list) -> dict:
        names = {"group-name": "GroupName", "vpc-id": "VpcId", "group-id": "GroupId"}
        groups = [
            group
            for group in self.groups.values()
            if all(group[names[item["Name"]]] in item["Values"] for item in Filters)
        ]
        return {
            "SecurityGroups": [
                {
                    **group,
                    "IpPermissions": self._shown(group["GroupId"], "ingress"),
                    "IpPermissionsEgress": self._shown(group["GroupId"], "egress"),
                }
                for group in groups
            ]
        }

    @staticmethod
    def _given(permissions: list) -> dict[Rule, str]:
        return {
            (
                permission["IpProtocol"],
                permission.get("FromPort"),
                permission.get("ToPort"),
                members,
                item[_PEERS[members]],
            ): item.get("Description", "")
            for permission in permissions
            for members in _PEERS
            for item in permission.get(members, [])
        }

    def _add(self, group_id: str, direction: str, permissions: list) -> dict:
        given = self._given(permissions)
        if given.keys() & self.rules[group_id][direction].keys():
            raise error("InvalidPermission.Duplicate")
        self.rules[group_id][direction].update(given)
        return {}

    def call_authorize_security_group_ingress(self, GroupId: str, IpPermissions: list) -> dict:
        return self._add(GroupId, "ingress", IpPermissions)

    def call_authorize_security_group_egress(self, GroupId: str, IpPermissions: list) -> dict:
        return self._add(GroupId, "egress", IpPermissions)

    def _take(self, group_id: str, direction: str, permissions: list) -> dict:
        for rule in self._given(permissions):
            del self.rules[group_id][direction][rule]
        return {}

    def call_revoke_security_group_ingress(self, GroupId: str, IpPermissions: list) -> dict:
        return self._take(GroupId, "ingress", IpPermissions)

    def call_revoke_security_group_egress(self, GroupId: str, IpPermissions: list) -> dict:
        return self._take(GroupId, "egress", IpPermissions)

    def call_update_security_group_rule_descriptions_ingress(self, GroupId: str, IpPermissions: list) -> dict:
        given = self._given(IpPermissions)
        assert given.keys() <= self.rules[GroupId]["ingress"].keys()
        self.rules[GroupId]["ingress"].update(given)
        return {}

    def call_create_tags(self, Resources: list, Tags: list) -> dict:
        group = self.groups[Resources[0]]
        keys = [tag["Key"] for tag in Tags]
        group["Tags"] = [tag for tag in group["Tags"] if tag["Key"] not in keys] + Tags
        return {}

    def call_delete_tags(self, Resources: list, Tags: list) -> dict:
        group, keys = self.groups[Resources[0]], [tag["Key"] for tag in Tags]
        group["Tags"] = [tag for tag in group["Tags"] if tag["Key"] not in keys]
        return {}

    def call_delete_security_group(self, GroupId: str) -> dict:
        if GroupId not in self.groups:
            raise error("InvalidGroup.NotFound")
        del self.groups[GroupId]
        return {}


class Logs(Fake):
    """Log groups."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, dict] = {}
        self.tags: dict[str, dict[str, str]] = {}

    @staticmethod
    def _arn(name: str) -> str:
        return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"

    def call_create_log_group(self, logGroupName: str, tags: dict | None = None, kmsKeyId: str = "") -> dict:
        if logGroupName in self.groups:
            raise error("ResourceAlreadyExistsException")
        key = {"kmsKeyId": kmsKeyId} if kmsKeyId else {}
        self.groups[logGroupName] = {"logGroupName": logGroupName, "arn": f"{self._arn(logGroupName)}:*", **key}
        self.tags[self._arn(logGroupName)] = dict(tags or {})
        return {}

    def call_describe_log_groups(self, logGroupNamePrefix: str) -> dict:
        return {"logGroups": [group for name, group in self.groups.items() if name.startswith(logGroupNamePrefix)]}

    def call_list_tags_for_resource(self, resourceArn: str) -> dict:
        return {"tags": self.tags[resourceArn]}

    def call_put_retention_policy(self, logGroupName: str, retentionInDays: int) -> dict:
        self.groups[logGroupName]["retentionInDays"] = retentionInDays
        return {}

    def call_delete_retention_policy(self, logGroupName: str) -> dict:
        del self.groups[logGroupName]["retentionInDays"]
        return {}

    def call_associate_kms_key(self, logGroupName: str, kmsKeyId: str) -> dict:
        self.groups[logGroupName]["kmsKeyId"] = kmsKeyId
        return {}

    def call_disassociate_kms_key(self, logGroupName: str) -> dict:
        del self.groups[logGroupName]["kmsKeyId"]
        return {}

    def call_tag_resource(self, resourceArn: str, tags: dict) -> dict:
        self.tags[resourceArn].update(tags)
        return {}

    def call_untag_resource(self, resourceArn: str, tagKeys: list) -> dict:
        for key in tagKeys:
            del self.tags[resourceArn][key]
        return {}

    def call_delete_log_group(self, logGroupName: str) -> dict:
        if logGroupName not in self.groups:
            raise error("ResourceNotFoundException")
        del self.groups[logGroupName]
        return {}
