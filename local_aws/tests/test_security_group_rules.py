# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of security groups: what EC2 takes, keeps, shows and takes away.

Sources: botocore's texts on Authorize-, Revoke- and DeleteSecurityGroup*, UpdateSecurityGroupRuleDescriptions*,
ModifySecurityGroupRules and IpRange; the messages are those that users report.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from express_support import refused
from running import LocalAws

DIRECTIONS = pytest.mark.parametrize("direction", ["ingress", "egress"])
NOT_FOUND = ("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")


class Groups:
    """Security groups of one VPC, and calls by direction."""

    def __init__(self, aws: LocalAws, vpc: str = "") -> None:
        self.ec2 = aws.client("ec2")
        self.vpc = {"VpcId": vpc} if vpc else {}

    def new(self) -> str:
        """A group without any rules."""
        name = f"rules-{uuid.uuid4().hex[:8]}"
        group = self.ec2.create_security_group(GroupName=name, Description="test", **self.vpc)["GroupId"]
        self.revoke("egress", group, [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        return group

    def authorize(self, direction: str, group: str, permissions: list[dict[str, Any]], **more: Any) -> list[Any]:
        """Adds rules; the new ones."""
        operation = getattr(self.ec2, f"authorize_security_group_{direction}")
        return operation(GroupId=group, IpPermissions=permissions, **more)["SecurityGroupRules"]

    def revoke(self, direction: str, group: str, permissions: list[dict[str, Any]]) -> dict[str, Any]:
        """Takes rules away; the answer."""
        return getattr(self.ec2, f"revoke_security_group_{direction}")(GroupId=group, IpPermissions=permissions)

    def shown(self, direction: str, group: str) -> list[dict[str, Any]]:
        """What DescribeSecurityGroups says."""
        found = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
        return found["IpPermissions" if direction == "ingress" else "IpPermissionsEgress"]

    def rules(self, group: str) -> list[dict[str, Any]]:
        """What DescribeSecurityGroupRules says."""
        named = [{"Name": "group-id", "Values": [group]}]
        return self.ec2.describe_security_group_rules(Filters=named)["SecurityGroupRules"]


@pytest.fixture(scope="module")
def default(local_aws: LocalAws) -> Groups:
    """Groups in the default VPC."""
    return Groups(local_aws)


@pytest.fixture(scope="module")
def other(local_aws: LocalAws) -> Iterator[Groups]:
    """Groups in a VPC that is not the default one."""
    ec2 = local_aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    yield Groups(local_aws, vpc)


def tcp(port: int, **sources: Any) -> list[dict[str, Any]]:
    """One permission."""
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **sources}]


def sources(groups: Groups) -> dict[str, Callable[[], dict[str, Any]]]:
    """A source of each kind with a description."""
    prefix = groups.ec2.describe_prefix_lists()["PrefixLists"][0]["PrefixListId"]
    return {
        "IPv4": lambda: {"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "private"}]},
        "IPv6": lambda: {"Ipv6Ranges": [{"CidrIpv6": "fd00::/8", "Description": "private"}]},
        "prefix list": lambda: {"PrefixListIds": [{"PrefixListId": prefix, "Description": "S3"}]},
        "group": lambda: {"UserIdGroupPairs": [{"GroupId": groups.new(), "Description": "tasks"}]},
    }


def bare(source: dict[str, Any]) -> dict[str, Any]:
    """A source without its descriptions."""
    return {name: [{k: v for k, v in item.items() if k != "Description"} for item in x] for name, x in source.items()}


@DIRECTIONS
@pytest.mark.parametrize("kind", ["IPv4", "IPv6", "prefix list", "group"])
def test_revoking_needs_no_description(default: Groups, direction: str, kind: str) -> None:
    group, source = default.new(), sources(default)[kind]()
    (made,) = default.authorize(direction, group, tcp(5432, **source))
    (name,) = source
    (shown,) = default.shown(direction, group)
    assert shown[name][0].items() >= source[name][0].items()
    answer = default.revoke(direction, group, tcp(5432, **bare(source)))
    assert answer["Return"] is True
    (gone,) = answer["RevokedSecurityGroupRules"]
    assert (gone["SecurityGroupRuleId"], gone["Description"]) == (made["SecurityGroupRuleId"], made["Description"])
    assert default.shown(direction, group) == []
    assert default.rules(group) == []


@DIRECTIONS
def test_revoking_by_rule_id_is_all_or_nothing(default: Groups, direction: str) -> None:
    group = default.new()
    ranges = [{"CidrIp": "10.0.0.0/8", "Description": "a"}, {"CidrIp": "10.1.0.0/16"}]
    first, second = (
        rule["SecurityGroupRuleId"] for rule in default.authorize(direction, group, tcp(1, IpRanges=ranges))
    )
    revoke = getattr(default.ec2, f"revoke_security_group_{direction}")
    missing = "sgr-00000000000000000"
    assert refused(revoke, GroupId=group, SecurityGroupRuleIds=[first, missing]) == (
        "InvalidSecurityGroupRuleId.NotFound",
        f"The security group rule ID '{missing}' does not exist",
    )
    assert len(default.rules(group)) == 2
    revoke(GroupId=group, SecurityGroupRuleIds=[first])
    assert [rule["SecurityGroupRuleId"] for rule in default.rules(group)] == [second]


def test_one_source_of_several_is_revoked_alone(default: Groups) -> None:
    group = default.new()
    ranges = [{"CidrIp": "10.0.0.0/8", "Description": "a"}, {"CidrIp": "192.168.0.0/16", "Description": "b"}]
    default.authorize("ingress", group, tcp(443, IpRanges=ranges))
    default.revoke("ingress", group, tcp(443, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "not that"}]))
    (shown,) = default.shown("ingress", group)
    assert shown["IpRanges"] == ranges[1:]


def test_rule_that_is_not_there(default: Groups, other: Groups) -> None:
    wanted = tcp(22, IpRanges=[{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "10.9.0.0/16"}])
    group = default.new()
    default.authorize("ingress", group, tcp(22, IpRanges=[{"CidrIp": "10.0.0.0/8"}]))
    (unknown,) = default.revoke("ingress", group, wanted)["UnknownIpPermissions"]
    assert unknown["IpRanges"] == [{"CidrIp": "10.9.0.0/16"}]
    assert default.shown("ingress", group) == []

    group = other.new()
    other.authorize("ingress", group, tcp(22, IpRanges=[{"CidrIp": "10.0.0.0/8"}]))
    assert refused(other.ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=wanted) == NOT_FOUND
    assert len(other.rules(group)) == 1


@DIRECTIONS
@pytest.mark.parametrize("kind", ["IPv4", "IPv6", "prefix list", "group"])
def test_the_same_rule_with_another_description_is_a_duplicate(default: Groups, direction: str, kind: str) -> None:
    group, source = default.new(), sources(default)[kind]()
    default.authorize(direction, group, tcp(80, **source))
    (name,) = source
    again = {name: [{**source[name][0], "Description": "another"}], "IpProtocol": "6", "FromPort": 80, "ToPort": 80}
    # The other rule of the request is not added either.
    more = tcp(81, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    operation = getattr(default.ec2, f"authorize_security_group_{direction}")
    code, message = refused(operation, GroupId=group, IpPermissions=[again, *more])
    identity = next(value for key, value in source[name][0].items() if key != "Description")
    assert code == "InvalidPermission.Duplicate"
    assert message == f'the specified rule "peer: {identity}, TCP, from port: 80, to port: 80, ALLOW" already exists'
    assert len(default.rules(group)) == 1


def test_cidr_blocks_are_canonical(default: Groups) -> None:
    group = default.new()
    (rule,) = default.authorize("ingress", group, tcp(80, IpRanges=[{"CidrIp": "100.68.0.18/18"}]))
    assert rule["CidrIpv4"] == "100.68.0.0/18"
    same = tcp(80, IpRanges=[{"CidrIp": "100.68.0.1/18"}])
    code, _message = refused(default.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=same)
    assert code == "InvalidPermission.Duplicate"
    default.revoke("ingress", group, same)
    assert default.rules(group) == []


def test_rules_on_one_port_are_shown_together(default: Groups) -> None:
    group, tasks = default.new(), default.new()
    default.authorize("ingress", group, tcp(5432, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "a"}]))
    default.authorize("ingress", group, tcp(5432, UserIdGroupPairs=[{"GroupId": tasks}]))
    default.authorize("ingress", group, tcp(5433, IpRanges=[{"CidrIp": "10.0.0.0/8"}]))
    by_port = {item["FromPort"]: item for item in default.shown("ingress", group)}
    assert len(default.shown("ingress", group)) == len(by_port) == 2
    assert by_port[5432]["IpRanges"] == [{"CidrIp": "10.0.0.0/8", "Description": "a"}]
    assert [pair["GroupId"] for pair in by_port[5432]["UserIdGroupPairs"]] == [tasks]
    assert len({rule["SecurityGroupRuleId"] for rule in default.rules(group)}) == 3


@DIRECTIONS
def test_descriptions_are_replaced_and_removed(default: Groups, direction: str) -> None:
    group = default.new()
    (rule,) = default.authorize(direction, group, tcp(80, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "a"}]))
    update = getattr(default.ec2, f"update_security_group_rule_descriptions_{direction}")
    update(GroupId=group, IpPermissions=tcp(80, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "b"}]))
    (shown,) = default.rules(group)
    assert (shown["SecurityGroupRuleId"], shown["Description"]) == (rule["SecurityGroupRuleId"], "b")
    by_id = {"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "Description": "c"}
    update(GroupId=group, SecurityGroupRuleDescriptions=[by_id])
    assert default.rules(group)[0]["Description"] == "c"
    update(GroupId=group, IpPermissions=tcp(80, IpRanges=[{"CidrIp": "10.0.0.0/8"}]))
    assert "Description" not in default.rules(group)[0]
    wrong = tcp(81, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    assert refused(update, GroupId=group, IpPermissions=wrong) == NOT_FOUND


def test_a_modified_rule_keeps_its_id_and_becomes_no_duplicate(default: Groups) -> None:
    group = default.new()
    ranges = [{"CidrIp": "10.0.0.0/8", "Description": "a"}, {"CidrIp": "10.1.0.0/16"}]
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "K", "Value": "v"}]}]
    first, second = default.authorize("ingress", group, tcp(1, IpRanges=ranges), TagSpecifications=tags)
    wanted = {"IpProtocol": "tcp", "FromPort": 2, "ToPort": 3, "CidrIpv6": "fd00::/8"}
    change = {"SecurityGroupRuleId": first["SecurityGroupRuleId"], "SecurityGroupRule": wanted}
    default.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[change])
    found = {rule["SecurityGroupRuleId"]: rule for rule in default.rules(group)}
    shown = found[first["SecurityGroupRuleId"]]
    assert {name: shown[name] for name in wanted} == wanted
    assert shown["Tags"] == [{"Key": "K", "Value": "v"}]
    assert "Description" not in shown
    assert "CidrIpv4" not in shown
    same = {"SecurityGroupRuleId": second["SecurityGroupRuleId"], "SecurityGroupRule": wanted}
    code, _message = refused(default.ec2.modify_security_group_rules, GroupId=group, SecurityGroupRules=[same])
    assert code == "InvalidPermission.Duplicate"


@pytest.mark.parametrize(
    ("permission", "code", "message"),
    [
        ({"IpRanges": [{"CidrIp": "nonsense"}]}, "InvalidParameterValue", "CIDR block nonsense is malformed"),
        ({"IpRanges": [{"CidrIp": "10.0.0.1"}]}, "InvalidParameterValue", "CIDR block 10.0.0.1 is malformed"),
        ({"IpRanges": [{"CidrIp": "10.0.0.0/33"}]}, "InvalidParameterValue", "CIDR block 10.0.0.0/33 is malformed"),
        ({"IpRanges": [{"CidrIp": "fd00::/8"}]}, "InvalidParameterValue", "CIDR block fd00::/8 is malformed"),
        ({"Ipv6Ranges": [{"CidrIpv6": "10.0.0.0/8"}]}, "InvalidParameterValue", "CIDR block 10.0.0.0/8 is malformed"),
        (
            {"UserIdGroupPairs": [{"GroupId": "sg-00000000000000000"}]},
            "InvalidGroup.NotFound",
            "The security group 'sg-00000000000000000' does not exist",
        ),
        (
            {"PrefixListIds": [{"PrefixListId": "pl-00000000"}]},
            "InvalidPrefixListId.NotFound",
            "The prefix list ID 'pl-00000000' does not exist",
        ),
        (
            {"IpRanges": [{"CidrIp": "10.0.0.0/8"}], "FromPort": 443, "ToPort": 80},
            "InvalidParameterValue",
            "Invalid value '443-80' for portRange.",
        ),
        (
            {"IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "10.3.0.0/8"}]},
            "InvalidParameterValue",
            "The same permission must not appear multiple times",
        ),
        (
            {"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "naïve"}]},
            "InvalidParameterValue",
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following "
            "set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        ),
        ({}, "MissingParameter", "The request must contain a source or destination for each permission."),
    ],
)
def test_rules_that_ec2_refuses(default: Groups, permission: dict[str, Any], code: str, message: str) -> None:
    group = default.new()
    wanted = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, **permission}
    operation = default.ec2.authorize_security_group_ingress
    assert refused(operation, GroupId=group, IpPermissions=[wanted]) == (code, message)
    assert default.rules(group) == []


def test_sixty_rules_and_no_more(default: Groups) -> None:
    group = default.new()
    default.authorize("ingress", group, tcp(80, IpRanges=[{"CidrIp": f"10.{n}.0.0/16"} for n in range(60)]))
    more = tcp(80, IpRanges=[{"CidrIp": "10.60.0.0/16"}])
    code, _message = refused(default.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=more)
    assert code == "RulesPerSecurityGroupLimitExceeded"


def test_group_of_another_network_is_no_source(default: Groups, other: Groups) -> None:
    wanted = tcp(80, UserIdGroupPairs=[{"GroupId": other.new()}])
    code, _message = refused(default.ec2.authorize_security_group_ingress, GroupId=default.new(), IpPermissions=wanted)
    assert code == "InvalidGroup.NotFound"
