# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security group rules: one source each, read from requests and shown in answers. Pure.

Facts: botocore's texts on AuthorizeSecurityGroupIngress, RevokeSecurityGroupIngress, IpRange and Ipv6Range, and the EC2
user guide, "Security group rules". A rule is identified by direction, protocol, ports and source; its description is
not part of that.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...service import ApiError

ALL = "-1"
PORTED = ("tcp", "udp")
_ICMP = ("icmp", "icmpv6")
_NAMED = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": ALL, "any": ALL}
_HIGHEST_PORT = 65535
_HIGHEST_PROTOCOL = 255
_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")

# Where a permission names its sources: member, the member of an entry that identifies it, member of SecurityGroupRule.
SOURCES = (
    ("IpRanges", "CidrIp", "CidrIpv4"),
    ("Ipv6Ranges", "CidrIpv6", "CidrIpv6"),
    ("PrefixListIds", "PrefixListId", "PrefixListId"),
    ("UserIdGroupPairs", "GroupId", "ReferencedGroupInfo"),
)
_MEMBER = {name: member for name, _key, member in SOURCES}
_KEY = {name: key for name, key, _member in SOURCES}


@dataclass(frozen=True)
class Rule:
    """One rule without its description.

    :arg first: the first port or the ICMP type; None where the protocol has none.
    :arg last: the last port or the ICMP code.
    :arg kind: the member of a permission that names the source, such as ``IpRanges``.
    :arg source: CIDR block, prefix list or security group.
    """

    protocol: str
    first: int | None
    last: int | None
    kind: str
    source: str

    @property
    def peer(self) -> str:
        """How EC2's messages show a rule."""
        ports = f", from port: {self.first}, to port: {self.last}" if self.first is not None else ""
        protocol = "ALL" if self.protocol == ALL else self.protocol.upper()
        return f"peer: {self.source}, {protocol}{ports}, ALLOW"


def read(permissions: Iterable[dict[str, Any]]) -> list[tuple[Rule, str]]:
    """The rules of a request's IpPermissions with their descriptions; raises ApiError for what no rule can be."""
    found: list[tuple[Rule, str]] = []
    for permission in permissions:
        protocol, first, last = _traffic(permission)
        entries = [(name, entry) for name in _KEY for entry in permission.get(name) or []]
        if not entries:
            raise ApiError("MissingParameter", "The request must contain a source or destination for each permission.")
        for name, entry in entries:
            source = str(entry.get(_KEY[name]) or "")
            rule = Rule(protocol, first, last, name, canonical(name, source))
            found.append((rule, description(entry.get("Description"))))
    if not found:
        raise ApiError("MissingParameter", "The request must contain the parameter ipPermissions.")
    rules = [rule for rule, _unused in found]
    if len(set(rules)) != len(rules):
        raise ApiError("InvalidParameterValue", "The same permission must not appear multiple times")
    return found


def read_one(request: dict[str, Any]) -> tuple[Rule, str]:
    """The rule of a SecurityGroupRuleRequest, which names exactly one source (botocore's text on the operation)."""
    protocol, first, last = _traffic(request)
    given = [
        (name, str(request[member]))
        for name, member in (*_MEMBER.items(), ("UserIdGroupPairs", "ReferencedGroupId"))
        if request.get(member)
    ]
    if len(given) != 1:
        raise ApiError("InvalidParameterCombination", "Exactly one source or destination must be specified for a rule.")
    name, source = given[0]
    return Rule(protocol, first, last, name, canonical(name, source)), description(request.get("Description"))


def stored(permission: dict[str, Any]) -> list[tuple[Rule, str]]:
    """The rules of a permission that is already in a group."""
    protocol = protocol_name(str(permission.get("IpProtocol", ALL)))
    first, last = (None, None) if protocol == ALL else (permission.get("FromPort"), permission.get("ToPort"))
    return [
        (Rule(protocol, first, last, name, str(entry.get(key, ""))), str(entry.get("Description") or ""))
        for name, key, _member in SOURCES
        for entry in permission.get(name) or []
    ]


def canonical(kind: str, source: str) -> str:
    """A source as EC2 keeps it: CIDR blocks without host bits (botocore's text on IpRange)."""
    if kind not in ("IpRanges", "Ipv6Ranges"):
        return source
    version = 4 if kind == "IpRanges" else 6
    try:
        network = ipaddress.ip_network(source, strict=False)
    except ValueError:
        network = None
    if network is None or network.version != version or "/" not in source:
        raise ApiError("InvalidParameterValue", f"CIDR block {source} is malformed")
    return str(network)


def description(text: str | None) -> str:
    """A description within EC2's limits."""
    if text and not _DESCRIPTION.fullmatch(text):
        raise ApiError(
            "InvalidParameterValue",
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following "
            "set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        )
    return text or ""


def protocol_name(given: str) -> str:
    """A protocol as EC2 shows it."""
    text = given.lower()
    return _NAMED.get(text, text)


def _traffic(permission: dict[str, Any]) -> tuple[str, int | None, int | None]:
    """Protocol and ports."""
    given = str(permission.get("IpProtocol") or "")
    if not given:
        raise ApiError("MissingParameter", "The request must contain the parameter ipProtocol.")
    protocol = protocol_name(given)
    first, last = permission.get("FromPort"), permission.get("ToPort")
    if protocol in PORTED:
        if first is None or last is None:
            raise ApiError(
                "InvalidParameterValue",
                "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
            )
        if not 0 <= first <= last <= _HIGHEST_PORT:
            raise ApiError("InvalidParameterValue", f"Invalid value '{first}-{last}' for portRange.")
        return protocol, first, last
    if protocol in _ICMP:
        return protocol, -1 if first is None else first, -1 if last is None else last
    if protocol != ALL and not (protocol.isdigit() and int(protocol) <= _HIGHEST_PROTOCOL):
        raise ApiError(
            "InvalidPermission.Malformed", f'Unsupported IP protocol "{given}"  - supported: [tcp, udp, icmp]'
        )
    # All ports: whatever is given, EC2 keeps none for these (the text on IpPermission.IpProtocol).
    return protocol, None, None


def permission(rule: Rule, text: str, rule_id: str, owner: str) -> dict[str, Any]:
    """The permission with this one rule, as the store of groups keeps it."""
    entry = {_KEY[rule.kind]: rule.source}
    if rule.kind == "UserIdGroupPairs":
        entry["UserId"] = owner
    if text:
        entry["Description"] = text
    kept: dict[str, Any] = {"IpProtocol": rule.protocol, **{name: [] for name in _KEY}, "SecurityGroupRuleId": rule_id}
    if rule.first is not None:
        kept |= {"FromPort": rule.first, "ToPort": rule.last}
    kept[rule.kind] = [entry]
    return kept


def merged(permissions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Permissions as DescribeSecurityGroups shows them: the sources of one protocol and one port range together."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in permissions:
        protocol = protocol_name(str(item.get("IpProtocol", ALL)))
        ports: dict[str, Any] = (
            {} if protocol == ALL else {name: item[name] for name in ("FromPort", "ToPort") if name in item}
        )
        key = (protocol, *ports.values())
        shown = found.setdefault(key, {"IpProtocol": protocol, **ports, **{name: [] for name in _KEY}})
        for name in _KEY:
            shown[name] += [dict(entry) for entry in item.get(name) or []]
    return list(found.values())


def shown(rule: Rule, text: str, rule_id: str, *, group: str, owner: str, is_egress: bool) -> dict[str, Any]:
    """A SecurityGroupRule without its tags."""
    source: Any = {"GroupId": rule.source, "UserId": owner} if rule.kind == "UserIdGroupPairs" else rule.source
    return {
        "SecurityGroupRuleId": rule_id,
        "GroupId": group,
        "GroupOwnerId": owner,
        "IsEgress": is_egress,
        "IpProtocol": rule.protocol,
        "FromPort": -1 if rule.first is None else rule.first,
        "ToPort": -1 if rule.last is None else rule.last,
        _MEMBER[rule.kind]: source,
        **({"Description": text} if text else {}),
    }


def revoked(rule: Rule, text: str, rule_id: str, *, group: str, is_egress: bool) -> dict[str, Any]:
    """A RevokedSecurityGroupRule."""
    result = shown(rule, text, rule_id, group=group, owner="", is_egress=is_egress)
    del result["GroupOwnerId"]
    if result.pop("ReferencedGroupInfo", None):
        result["ReferencedGroupId"] = rule.source
    return result
