# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups of Amazon VPC. Private to the collection.

Facts: botocore's model of EC2; EC2 API Reference, IpPermission; VPC User Guide, "Security group rules": AWS shows the
rules of one protocol and port range together, and a new group allows all egress.
"""

from __future__ import annotations

import ipaddress
import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter

# How IpPermission names a rule's peer: its list, and the member of the list's elements.
PEERS = {
    "cidr_ip": ("IpRanges", "CidrIp"),
    "cidr_ipv6": ("Ipv6Ranges", "CidrIpv6"),
    "prefix_list_id": ("PrefixListIds", "PrefixListId"),
    "group_id": ("UserIdGroupPairs", "GroupId"),
}
_EVERYTHING = "-1"
_INGRESS, _EGRESS = "ip_permissions", "ip_permissions_egress"
_COMPARED = ("description", _INGRESS, _EGRESS, "tags")

Rule = dict[str, typing.Any]


@dataclass(frozen=True)
class DesiredState:
    """The user's request; None leaves a setting alone. Rules are flat: one for each peer."""

    name: str
    vpc_id: str
    description: str
    ingress: list[Rule] | None = None
    egress: list[Rule] | None = None
    purge_ingress: bool = True
    purge_egress: bool = True
    tags: dict[str, typing.Any] | None = None
    purge_tags: bool = True


def flat_rules(rules: list[Rule] | None, where: str) -> list[Rule] | None:
    """Return the rules of the module's options as it compares them.

    Raises:
        UserError: a rule names no peer or more than one, or lacks ports that it needs.
    """
    return None if rules is None else sorted((_flat(rule, where) for rule in rules), key=_key)


def _flat(rule: Rule, where: str) -> Rule:
    given = [peer for peer in PEERS if rule.get(peer)]
    if len(given) != 1:
        raise UserError(
            f"Each rule in {where} needs one of {', '.join(PEERS)}; one has {' and '.join(given) or 'none'}."
        )
    protocol = str(rule.get("ip_protocol") or "tcp").lower()
    protocol = _EVERYTHING if protocol == "all" else protocol
    flat: Rule = {"ip_protocol": protocol}
    if protocol != _EVERYTHING:
        if rule.get("from_port") is None:
            raise UserError(f"A rule in {where} with ip_protocol {protocol} needs from_port.")
        to_port = rule.get("to_port")
        flat.update(from_port=rule["from_port"], to_port=rule["from_port"] if to_port is None else to_port)
    flat[given[0]] = _canonical(rule[given[0]], where) if given[0].startswith("cidr_") else rule[given[0]]
    if rule.get("description") is not None:
        flat["description"] = rule["description"]
    return flat


def _canonical(cidr: str, where: str) -> str:
    """Return a network as AWS stores it: without host bits, and IPv6 in its short form."""
    try:
        return str(ipaddress.ip_network(cidr, strict=False))
    except ValueError as e:
        raise UserError(f"{cidr!r} in {where} is not a network in CIDR notation: {e}.") from e


def _key(rule: Rule) -> tuple[str, ...]:
    """Return the identity of a rule: everything except the description."""
    members = ("ip_protocol", "from_port", "to_port", *PEERS)
    return tuple(str(rule.get(member, "")) for member in members)


def rules_from_aws(permissions: list[dict[str, typing.Any]]) -> list[Rule]:
    """Return IpPermissions as flat rules, sorted."""
    found = []
    for permission in permissions:
        ports = {
            name: permission[member]
            for name, member in (("from_port", "FromPort"), ("to_port", "ToPort"))
            if permission.get(member) is not None and permission["IpProtocol"] != _EVERYTHING
        }
        for peer, (members, member) in PEERS.items():
            for item in permission.get(members) or []:
                description = {"description": item["Description"]} if item.get("Description") else {}
                found.append({"ip_protocol": permission["IpProtocol"], **ports, peer: item[member], **description})
    return sorted(found, key=_key)


def rule_to_aws(rule: Rule) -> dict[str, typing.Any]:
    """Return a flat rule as IpPermission."""
    permission: dict[str, typing.Any] = {"IpProtocol": rule["ip_protocol"]}
    if "from_port" in rule:
        permission.update(FromPort=rule["from_port"], ToPort=rule["to_port"])
    for peer, (members, member) in PEERS.items():
        if peer in rule:
            description = {"Description": rule["description"]} if rule.get("description") else {}
            permission[members] = [{member: rule[peer], **description}]
    return permission


def find(ec2: Client, **filters: str) -> dict[str, typing.Any] | None:
    """Return the group with these values in the module's format, or None."""
    given = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    groups = ec2.pages("describe_security_groups", "SecurityGroups", Filters=given)
    if not groups:
        return None
    group = groups[0]
    return {
        "group_id": group["GroupId"],
        "group_name": group["GroupName"],
        "description": group["Description"],
        "vpc_id": group["VpcId"],
        _INGRESS: rules_from_aws(group.get("IpPermissions") or []),
        _EGRESS: rules_from_aws(group.get("IpPermissionsEgress") or []),
        "tags": tags_from_aws(group.get("Tags")),
    }


def _compared(group: dict[str, typing.Any] | None) -> dict[str, typing.Any]:
    return {key: group[key] for key in _COMPARED} if group else {}


def _new(desired: DesiredState) -> dict[str, typing.Any]:
    """Return a predicted new group, as AWS creates it."""
    return {
        "group_name": desired.name,
        "description": desired.description,
        "vpc_id": desired.vpc_id,
        _INGRESS: [],
        _EGRESS: [{"ip_protocol": _EVERYTHING, "cidr_ip": "0.0.0.0/0"}],
        "tags": {},
    }


def _predict(current: dict[str, typing.Any], desired: DesiredState) -> dict[str, typing.Any]:
    after = dict(current)
    after[_INGRESS] = _merged(current[_INGRESS], desired.ingress, desired.purge_ingress)
    after[_EGRESS] = _merged(current[_EGRESS], desired.egress, desired.purge_egress)
    after["tags"] = predict_tags(current["tags"], desired.tags, desired.purge_tags)
    return after


def _merged(current: list[Rule], desired: list[Rule] | None, purge: bool) -> list[Rule]:
    if desired is None:
        return current
    known = {_key(rule): rule for rule in current}
    # A rule without a description keeps its present one.
    asked = {_key(rule): {**known.get(_key(rule), {}), **rule} for rule in desired}
    kept = {} if purge else known
    return sorted({**kept, **asked}.values(), key=_key)


def ensure_present(ec2: Client, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Create the group, or change what differs.

    Raises:
        UserError: the description differs, which AWS cannot change.
    """
    current = find(ec2, group_name=desired.name, vpc_id=desired.vpc_id)
    if current and current["description"] != desired.description:
        raise UserError(
            f"The security group {desired.name} has the description {current['description']!r}, and"
            f" {desired.description!r} is asked for: AWS cannot change it. Ask for the present one, or choose another"
            " group_name."
        )
    base = current or _new(desired)
    after = _predict(base, desired)
    changed = current is None or _compared(current) != _compared(after)
    outcome = ModuleResult(changed, _compared(current), _compared(after), {"security_group": after}, [])
    if check_mode or not changed:
        return outcome
    if current is None:
        base = _create(ec2, desired, after)
        after["group_id"] = base["group_id"]
    # A new group may not be visible everywhere yet.
    retrying = ec2.retrying("InvalidGroup.NotFound") if current is None else ec2
    _update_rules(retrying, "ingress", after["group_id"], base[_INGRESS], after[_INGRESS])
    _update_rules(retrying, "egress", after["group_id"], base[_EGRESS], after[_EGRESS])
    _update_tags(ec2, base, after)
    return outcome


def _create(ec2: Client, desired: DesiredState, after: dict[str, typing.Any]) -> dict[str, typing.Any]:
    params: dict[str, typing.Any] = {
        "GroupName": desired.name,
        "Description": desired.description,
        "VpcId": desired.vpc_id,
    }
    if after["tags"]:
        params["TagSpecifications"] = [{"ResourceType": "security-group", "Tags": tags_to_aws(after["tags"])}]
    try:
        made = ec2.create_security_group(**params)
    except ClientError as e:
        # Created meanwhile by another caller, or by an attempt whose answer was lost: go on from what is there.
        found = None
        if error_code(e) == "InvalidGroup.Duplicate":
            found = find(ec2, group_name=desired.name, vpc_id=desired.vpc_id)
        if found is None:
            raise
        return found
    return {**_new(desired), "group_id": made["GroupId"], "tags": after["tags"]}


def _update_rules(ec2: Client, direction: str, group_id: str, before: list[Rule], after: list[Rule]) -> None:
    """Add rules before removing others, so that wanted traffic is never interrupted."""
    known, asked = {_key(rule): rule for rule in before}, {_key(rule): rule for rule in after}
    fresh = [rule for key, rule in asked.items() if key not in known]
    gone = [rule for key, rule in known.items() if key not in asked]
    redescribed = [rule for key, rule in asked.items() if key in known and rule != known[key]]
    if fresh:
        try:
            getattr(ec2, f"authorize_security_group_{direction}")(
                GroupId=group_id, IpPermissions=[rule_to_aws(rule) for rule in fresh]
            )
        except ClientError as e:
            # An attempt whose answer was lost.
            if error_code(e) != "InvalidPermission.Duplicate":
                raise
    if redescribed:
        getattr(ec2, f"update_security_group_rule_descriptions_{direction}")(
            GroupId=group_id, IpPermissions=[rule_to_aws(rule) for rule in redescribed]
        )
    if gone:
        getattr(ec2, f"revoke_security_group_{direction}")(
            GroupId=group_id, IpPermissions=[rule_to_aws(rule) for rule in gone]
        )


def _update_tags(ec2: Client, before: dict[str, typing.Any], after: dict[str, typing.Any]) -> None:
    to_set, to_remove = compare_tags(before["tags"], after["tags"])
    if to_remove:
        ec2.delete_tags(Resources=[after["group_id"]], Tags=[{"Key": key} for key in to_remove])
    if to_set:
        ec2.create_tags(Resources=[after["group_id"]], Tags=tags_to_aws(to_set))


def ensure_absent(
    ec2: Client, filters: dict[str, str], *, timeout: float, delay: float, check_mode: bool
) -> ModuleResult:
    """Delete the group, and retry while a network interface or another group's rule still uses it.

    Raises:
        ClientError: it is still in use at the end.
    """
    current = find(ec2, **filters)
    outcome = ModuleResult(current is not None, _compared(current), {}, {}, [])
    if current is None or check_mode:
        return outcome
    violation: ClientError | None = None
    for _poll in Waiter(timeout, delay).polls():
        try:
            ec2.delete_security_group(GroupId=current["group_id"])
            return outcome
        except ClientError as e:
            if error_code(e) == "InvalidGroup.NotFound":
                return outcome
            if error_code(e) != "DependencyViolation":
                raise
            violation = e
    raise violation or AssertionError("there is at least one poll")
