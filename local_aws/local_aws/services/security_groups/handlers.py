# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations, which come to stand in ministack's table of EC2 actions, so that IAM stays ministack's.

Messages are EC2's, where clients' sources and bug reports show them; the behaviour is that of botocore's texts.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from ...ministack_adapter import ec2
from ...ministack_adapter.hooks import Answer
from ...ministack_adapter.hooks import Form
from ...ministack_adapter.scope import get_account_id
from ...ministack_adapter.scope import get_region
from ...protocol import requests
from ...protocol import responses
from ...service import ApiError
from . import dependents
from . import rules
from .dependents import TaskInterfaces
from .rules import Rule

_log = logging.getLogger("local_aws.security_groups")

Group = dict[str, Any]
Params = dict[str, Any]

MOST_RULES = 60
"""Rules for each direction of a group (Amazon VPC user guide, "Amazon VPC quotas")."""
_MEMBERS = {False: "IpPermissions", True: "IpPermissionsEgress"}


def handlers(tasks: TaskInterfaces) -> dict[str, Callable[[Form], Answer]]:
    """The operations as ministack calls them: with the form's fields, for status, headers and body.

    :arg tasks: the network interfaces of tasks.
    """
    operations: dict[str, Callable[[Params], dict[str, Any]]] = {
        "AuthorizeSecurityGroupIngress": lambda params: _authorize(params, is_egress=False),
        "AuthorizeSecurityGroupEgress": lambda params: _authorize(params, is_egress=True),
        "RevokeSecurityGroupIngress": lambda params: _revoke(params, is_egress=False),
        "RevokeSecurityGroupEgress": lambda params: _revoke(params, is_egress=True),
        "UpdateSecurityGroupRuleDescriptionsIngress": lambda params: _describe_anew(params, is_egress=False),
        "UpdateSecurityGroupRuleDescriptionsEgress": lambda params: _describe_anew(params, is_egress=True),
        "ModifySecurityGroupRules": _modify,
        "DescribeSecurityGroupRules": _describe_rules,
        "DeleteSecurityGroup": lambda params: _delete(tasks, params),
    }
    return {name: _handler(name, operation) for name, operation in operations.items()}


def merged_permissions(group: Group) -> dict[str, Any]:
    """A group's permissions as DescribeSecurityGroups shows them."""
    return {name: rules.merged(group.get(name, [])) for name in _MEMBERS.values()}


def _handler(name: str, operation: Callable[[Params], dict[str, Any]]) -> Callable[[Form], Answer]:
    def answer(form: Form) -> Answer:
        flat = {key: value[0] if isinstance(value, list) else value for key, value in form.items()}
        request = requests.identify({}, {**flat, "Action": name, "Version": "2016-11-15"}, b"")
        try:
            if request.problems:
                first = request.problems[0]
                code = "MissingParameter" if first.kind == "missing" else "InvalidParameterValue"
                raise ApiError(code, first.message)
            if request.params.get("DryRun"):
                raise ApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
            headers, body = responses.serialize(operation(request.params), "ec2", name)
        except ApiError as error:
            return responses.serialize_error(error.code, error.message, error.status, "ec2")
        return 200, headers, body

    return answer


# What is stored ------------------------------------------------------------------------------------------------------


def _group(params: Params) -> Group:
    """The group that a request names: by id, or by its name in the default VPC."""
    identifier = str(params.get("GroupId") or "")
    found: Group | None
    if identifier:
        found = ec2.security_groups.get(identifier)
        if found is None:
            if not ec2.is_security_group_id(identifier):
                raise ApiError("InvalidGroupId.Malformed", f'Invalid id: "{identifier}"')
            raise ApiError("InvalidGroup.NotFound", f"The security group '{identifier}' does not exist")
        return found
    name = params.get("GroupName")
    if not name:
        raise ApiError("MissingParameter", "The request must contain the parameter groupName or groupId")
    found = _named(str(name))
    if found is None:
        raise ApiError("InvalidGroup.NotFound", f"The security group '{name}' does not exist in default VPC")
    return found


def _named(name: str) -> Group | None:
    groups = ec2.security_groups.values()
    return next((item for item in groups if item["GroupName"] == name and _is_in_default_vpc(item)), None)


def _is_in_default_vpc(group: Group) -> bool:
    return bool((ec2.vpcs.get(group["VpcId"]) or {}).get("IsDefault"))


def _stored(group: Group, *, is_egress: bool) -> dict[Rule, dict[str, Any]]:
    """The rules of one direction, each with its own permission in the group, which is changed in place."""
    member = _MEMBERS[is_egress]
    permissions = group.setdefault(member, [])
    split = []
    for permission in permissions:
        own = rules.stored(permission)
        if len(own) == 1 and permission.get("SecurityGroupRuleId"):
            split.append(permission)
            continue
        for rule, text in own:
            kept = rules.permission(rule, text, "", group["OwnerId"])
            kept["SecurityGroupRuleId"] = ""
            kept["SecurityGroupRuleId"] = ec2.rule_id(group["GroupId"], is_egress, kept)
            split.append(kept)
    if split != permissions:
        permissions[:] = split
    return {rules.stored(permission)[0][0]: permission for permission in permissions}


def _all_rules(group: Group) -> Iterator[tuple[bool, Rule, str, str]]:
    """Direction, rule, description and id of all rules of a group."""
    for is_egress in (False, True):
        for rule, permission in _stored(group, is_egress=is_egress).items():
            yield is_egress, rule, _text(permission), permission["SecurityGroupRuleId"]


def _text(permission: dict[str, Any]) -> str:
    return rules.stored(permission)[0][1]


def _requested(params: Params) -> list[tuple[Rule, str]]:
    """The rules that a request names: by IpPermissions, or one by the older members."""
    permissions = params.get("IpPermissions")
    if permissions:
        for permission in permissions:
            for pair in permission.get("UserIdGroupPairs") or []:
                _resolve(pair)
        return rules.read(permissions)
    one: dict[str, Any] = {name: params.get(name) for name in ("IpProtocol", "FromPort", "ToPort")}
    if params.get("CidrIp"):
        one["IpRanges"] = [{"CidrIp": params["CidrIp"]}]
    if params.get("SourceSecurityGroupName"):
        pair = {"GroupName": params["SourceSecurityGroupName"]}
        _resolve(pair)
        one["UserIdGroupPairs"] = [pair]
    return rules.read([one] if len(one) > len(("protocol", "first", "last")) or one["IpProtocol"] else [])


def _resolve(pair: dict[str, Any]) -> None:
    """The id of a group that is referenced by its name."""
    if not pair.get("GroupId") and pair.get("GroupName"):
        found = _named(str(pair["GroupName"]))
        if found is None:
            raise ApiError("InvalidGroup.NotFound", f"The security group '{pair['GroupName']}' does not exist")
        pair["GroupId"] = found["GroupId"]


def _check_source(rule: Rule, group: Group) -> None:
    """Refuses a source that is not there, or a group of another network."""
    if rule.kind == "UserIdGroupPairs":
        other = ec2.security_groups.get(rule.source)
        if other is None:
            raise ApiError("InvalidGroup.NotFound", f"The security group '{rule.source}' does not exist")
        if other["VpcId"] != group["VpcId"]:
            raise ApiError(
                "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
            )
    if rule.kind == "PrefixListIds" and rule.source not in _prefix_lists():
        raise ApiError("InvalidPrefixListId.NotFound", f"The prefix list ID '{rule.source}' does not exist")


def _prefix_lists() -> set[str]:
    """Managed prefix lists, also those of AWS that ministack shows."""
    status, headers, body = ec2.describe_prefix_lists()
    listed = responses.parse(status, headers, body, "ec2", "DescribePrefixLists")
    return {*ec2.prefix_lists, *(item["PrefixListId"] for item in listed.get("PrefixLists", []))}


def _duplicate(rule: Rule) -> ApiError:
    return ApiError("InvalidPermission.Duplicate", f'the specified rule "{rule.peer}" already exists')


# Operations ----------------------------------------------------------------------------------------------------------


def _authorize(params: Params, *, is_egress: bool) -> dict[str, Any]:
    """Adds all rules or none. The same rule with another description is a duplicate, too."""
    group = _group(params)
    wanted = _requested(params)
    present = _stored(group, is_egress=is_egress)
    for rule, _unused in wanted:
        _check_source(rule, group)
        if rule in present:
            raise _duplicate(rule)
    if len(present) + len(wanted) > MOST_RULES:
        raise ApiError(
            "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."
        )
    tags = [
        {"Key": tag["Key"], "Value": tag.get("Value", "")}
        for specification in params.get("TagSpecifications") or []
        if specification.get("ResourceType") == "security-group-rule"
        for tag in specification.get("Tags") or []
    ]
    made = []
    for rule, text in wanted:
        rule_id = f"sgr-0{secrets.token_hex(8)}"
        group[_MEMBERS[is_egress]].append(rules.permission(rule, text, rule_id, group["OwnerId"]))
        if tags:
            ec2.tags[rule_id] = list(tags)
        made.append(_shown(group, rule, text, rule_id, is_egress=is_egress))
    return {"Return": True, "SecurityGroupRules": made}


def _shown(group: Group, rule: Rule, text: str, rule_id: str, *, is_egress: bool) -> dict[str, Any]:
    result = rules.shown(rule, text, rule_id, group=group["GroupId"], owner=group["OwnerId"], is_egress=is_egress)
    result["SecurityGroupRuleArn"] = f"arn:aws:ec2:{get_region()}:{get_account_id()}:security-group-rule/{rule_id}"
    tags = ec2.tags.get(rule_id)
    return {**result, "Tags": [dict(tag) for tag in tags]} if tags else result


def _revoke(params: Params, *, is_egress: bool) -> dict[str, Any]:
    """Takes rules away; the description need not be given.

    A rule that is not there is an error, but for the rules of a group in a default VPC that are named by their
    properties: the answer says which were not found.
    """
    group = _group(params)
    present = _stored(group, is_egress=is_egress)
    unknown: list[tuple[Rule, str]] = []
    if params.get("SecurityGroupRuleIds"):
        chosen = [_by_id(present, rule_id) for rule_id in params["SecurityGroupRuleIds"]]
    else:
        wanted = _requested(params)
        chosen = [rule for rule, _unused in wanted if rule in present]
        unknown = [item for item in wanted if item[0] not in present]
        if unknown and not _is_in_default_vpc(group):
            raise ApiError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
    gone = []
    for rule in chosen:
        permission = present[rule]
        rule_id = permission["SecurityGroupRuleId"]
        gone.append(rules.revoked(rule, _text(permission), rule_id, group=group["GroupId"], is_egress=is_egress))
        group[_MEMBERS[is_egress]].remove(permission)
        ec2.tags.pop(rule_id, None)
    answer: dict[str, Any] = {"Return": True, "RevokedSecurityGroupRules": gone}
    if unknown:
        permissions = [rules.permission(rule, text, "", group["OwnerId"]) for rule, text in unknown]
        answer["UnknownIpPermissions"] = rules.merged(permissions)
    return answer


def _by_id(present: dict[Rule, dict[str, Any]], rule_id: str) -> Rule:
    for rule, permission in present.items():
        if permission["SecurityGroupRuleId"] == rule_id:
            return rule
    raise ApiError("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{rule_id}' does not exist")


def _describe_anew(params: Params, *, is_egress: bool) -> dict[str, Any]:
    """Replaces descriptions; one that is left out is removed."""
    group = _group(params)
    present = _stored(group, is_egress=is_egress)
    if params.get("SecurityGroupRuleDescriptions"):
        changes = [
            (_by_id(present, str(item.get("SecurityGroupRuleId"))), rules.description(item.get("Description")))
            for item in params["SecurityGroupRuleDescriptions"]
        ]
    else:
        changes = _requested(params)
    for rule, _unused in changes:
        if rule not in present:
            raise ApiError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
    for rule, text in changes:
        _replace(group, present[rule], rule, text)
    return {"Return": True}


def _replace(group: Group, permission: dict[str, Any], rule: Rule, text: str) -> None:
    changed = rules.permission(rule, text, permission["SecurityGroupRuleId"], group["OwnerId"])
    permission.clear()
    permission.update(changed)


def _modify(params: Params) -> dict[str, Any]:
    """Gives rules other contents, all of them or none; ids and tags stay."""
    group = _group(params)
    directions = {is_egress: _stored(group, is_egress=is_egress) for is_egress in (False, True)}
    changes: list[tuple[bool, Rule, Rule, str]] = []
    for item in params["SecurityGroupRules"]:
        rule_id = str(item.get("SecurityGroupRuleId") or "")
        known = {permission["SecurityGroupRuleId"] for permission in directions[True].values()}
        is_egress = rule_id in known
        before = _by_id(directions[is_egress], rule_id)
        after, text = rules.read_one(item.get("SecurityGroupRule") or {})
        _check_source(after, group)
        changes.append((is_egress, before, after, text))
    for is_egress, present in directions.items():
        mine = [(before, after) for egress, before, after, _unused in changes if egress == is_egress]
        kept = [rule for rule in present if rule not in [before for before, _after in mine]]
        for _before, after in mine:
            if after in kept:
                raise _duplicate(after)
            kept.append(after)
    for is_egress, before, after, text in changes:
        _replace(group, directions[is_egress][before], after, text)
    return {"Return": True}


def _describe_rules(params: Params) -> dict[str, Any]:
    """Rules by id, group or tag."""
    filters = {item["Name"]: set(item.get("Values") or []) for item in params.get("Filters") or []}
    unknown = [name for name in filters if name not in _RULE_FILTERS and not name.startswith("tag:")]
    if unknown:
        raise ApiError("InvalidParameterValue", f"The filter '{unknown[0]}' is invalid")
    wanted = params.get("SecurityGroupRuleIds") or []
    found = [
        _shown(group, rule, text, rule_id, is_egress=is_egress)
        for group in list(ec2.security_groups.values())
        for is_egress, rule, text, rule_id in _all_rules(group)
    ]
    known = {item["SecurityGroupRuleId"] for item in found}
    for rule_id in wanted:
        if rule_id not in known:
            raise ApiError(
                "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{rule_id}' does not exist"
            )
    chosen = [
        item
        for item in found
        if (not wanted or item["SecurityGroupRuleId"] in wanted)
        and all(_matches(item, name, values) for name, values in filters.items())
    ]
    return _page(chosen, params)


_RULE_FILTERS = {"group-id": "GroupId", "security-group-rule-id": "SecurityGroupRuleId", "tag-key": ""}


def _matches(item: dict[str, Any], name: str, values: set[str]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}
    if name == "tag-key":
        return bool(values & set(tags))
    if name.startswith("tag:"):
        return tags.get(name.removeprefix("tag:")) in values
    return item[_RULE_FILTERS[name]] in values


def _page(items: list[dict[str, Any]], params: Params) -> dict[str, Any]:
    token, size = str(params.get("NextToken") or "0"), params.get("MaxResults")
    if not token.isdigit():
        raise ApiError("InvalidNextToken", "The token 'nextToken' is invalid.")
    if size is None:
        return {"SecurityGroupRules": items[int(token) :]}
    following = int(token) + int(size)
    page: dict[str, Any] = {"SecurityGroupRules": items[int(token) : following]}
    return page | ({"NextToken": str(following)} if following < len(items) else {})


def _delete(tasks: TaskInterfaces, params: Params) -> dict[str, Any]:
    """Refused for default groups, and while something uses the group or another group's rule names it."""
    group = _group(params)
    identifier = group["GroupId"]
    if group["GroupName"] == "default":
        raise ApiError(
            "CannotDelete", f'the specified group: "{identifier}" name: "default" cannot be deleted by a user'
        )
    users = dependents.of_group(tasks, group)
    if users:
        # EC2 does not say what the dependent object is; the log does.
        _log.info("security group %s is used by %s", identifier, ", ".join(users))
        raise ApiError("DependencyViolation", f"resource {identifier} has a dependent object")
    for _egress, _rule, _description, rule_id in _all_rules(group):
        ec2.tags.pop(rule_id, None)
    del ec2.security_groups[identifier]
    ec2.tags.pop(identifier, None)
    return {"Return": True, "GroupId": identifier}
