# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ministack's records of EC2, and the operations on security groups that are answered in its place."""

from __future__ import annotations

from typing import Any

from ministack.services import ec2

from .hooks import Answer
from .hooks import Hooks
from .patch import Patch
from .patch import Target

# The stores of the caller's account and region (see scope.py), which ministack never replaces.
instances = ec2._instances
nat_gateways = ec2._nat_gateways
network_interfaces = ec2._network_interfaces
prefix_lists = ec2._prefix_lists
security_groups = ec2._security_groups
subnets = ec2._subnets
tags = ec2._tags
vpc_endpoints = ec2._vpc_endpoints
vpcs = ec2._vpcs


def is_security_group_id(text: str) -> bool:
    """Whether it looks like the id of a security group."""
    return ec2._SECURITY_GROUP_ID_RE.fullmatch(text) is not None


def rule_id(group_id: str, is_egress: bool, permission: dict[str, Any]) -> str:
    """The id that ministack gives a rule which has none of its own."""
    return str(ec2._sg_rule_id(group_id, is_egress, permission))


def describe_prefix_lists() -> Answer:
    """What ministack answers to DescribePrefixLists."""
    answer: Answer = ec2._describe_prefix_lists({})
    return answer


def _replace_operations(hooks: Hooks) -> None:
    ec2._ACTION_MAP.update(hooks.ec2_operations)
    render = ec2._sg_xml

    def render_merged(group: dict[str, Any]) -> str:
        return str(render({**group, **hooks.merged_permissions(group)}))

    ec2._sg_xml = render_merged


SPLIT_SECURITY_GROUP_RULES = Patch(
    name="split_security_group_rules",
    reason="ministack keeps the rules of a request together, so that they can be neither revoked nor changed singly.",
    source="https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html",
    targets=(
        Target(
            "services.ec2",
            "_ACTION_MAP",
            keys=(
                "AuthorizeSecurityGroupEgress",
                "AuthorizeSecurityGroupIngress",
                "DeleteSecurityGroup",
                "DescribeSecurityGroupRules",
                "ModifySecurityGroupRules",
                "RevokeSecurityGroupEgress",
                "RevokeSecurityGroupIngress",
            ),
        ),
        Target("services.ec2", "_sg_xml", "sg"),
        Target("services.ec2", "_sg_rule_id", "sg_id is_egress rule"),
        Target("services.ec2", "_describe_prefix_lists", "p"),
    ),
    apply=_replace_operations,
)
