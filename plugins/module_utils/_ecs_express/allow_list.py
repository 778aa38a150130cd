# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: the source addresses that a service's listener rule admits.

Express Mode has no parameter for it, and the load balancer with its security group is shared by all Express services of
the VPC. The listener rule is the service's own. AWS lets it be changed ("Express Mode will not overwrite changes unless
requested as part of an Express Mode update", and a host name of one's own is added to this very rule):
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/express-service-advanced-customization.html
ECS shifts traffic by the rule's actions, and ModifyRule leaves unchanged what it is not given (botocore model).
"""

from __future__ import annotations

import ipaddress
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import api
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressErrorHandler

Resource = dict[str, Any]

# Values of all conditions of a rule together; not adjustable.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
MOST_VALUES = 5
_FIELD = "source-ip"
# The configuration of each kind of condition (elbv2, RuleCondition).
_CONFIGURATIONS = (
    "HostHeaderConfig",
    "PathPatternConfig",
    "HttpHeaderConfig",
    "QueryStringConfig",
    "HttpRequestMethodConfig",
    "SourceIpConfig",
)


@EcsExpressErrorHandler.common_error_handler("read the service's listener rule")
def _describe_rule(elbv2: Any, arn: str) -> Resource:
    rule: Resource = elbv2.describe_rules(RuleArns=[arn])["Rules"][0]
    return rule


@EcsExpressErrorHandler.common_error_handler("change the service's listener rule")
def _modify_rule(elbv2: Any, arn: str, conditions: list[Resource]) -> None:
    elbv2.modify_rule(RuleArn=arn, Conditions=conditions)


def networks(cidrs: list[str]) -> list[str]:
    """Return the networks in ELB's notation, without duplicates, in order.

    Raises:
        EcsExpressError: one is not a network in CIDR notation, or there are more than any rule can have.
    """
    found = []
    for cidr in cidrs:
        try:
            found.append(str(ipaddress.ip_network(cidr)))
        except ValueError as e:
            raise EcsExpressError(f"{cidr!r} in cidrs is not a network in CIDR notation: {e}.") from e
    return sorted(set(found))


def rule_arn(ecs: Any, *, cluster: str, name: str) -> str | None:
    """Return the ARN of a service's listener rule; None if there is no such service.

    Raises:
        EcsExpressError: ECS has not created the rule (yet), or the service is not an Express service.
    """
    service = api.find_service(ecs, cluster=cluster, name=name)
    if service is None or service.get("status") != "ACTIVE":
        return None
    described = api.describe_express(ecs, service["serviceArn"])
    if described is None:
        return None
    arn = find_rule(ecs, described)
    if not arn:
        raise EcsExpressError(
            f"ECS has not made a listener rule for the service {name!r} yet: wait until its first deployment is over."
        )
    return arn


def find_rule(ecs: Any, service: Resource) -> str:
    """Return the ARN of the listener rule of a service as it was described, "" if ECS has not made it (yet)."""
    configurations = service.get("activeConfigurations") or []
    revisions = api.describe_revisions(ecs, [item["serviceRevisionArn"] for item in configurations])
    for revision in revisions:
        for path in (revision.get("ecsManagedResources") or {}).get("ingressPaths") or []:
            arn = (path.get("rule") or {}).get("arn")
            if arn:
                return str(arn)
    return ""


def allowed(rule: Resource) -> list[str]:
    """Return the networks that a rule names, [] if it admits all."""
    return sorted(value for item in rule.get("Conditions") or [] if _is_ours(item) for value in _values(item))


def ensure(elbv2: Any, arn: str, cidrs: list[str], *, check_mode: bool) -> tuple[list[str], bool]:
    """Admit these networks and no others; [] admits all.

    The rule's other conditions, the host names, stay as they are.

    Returns:
        the networks before, and whether something was, or in check mode would be, changed.

    Raises:
        EcsExpressError: there are too many for the rule.
    """
    rule = _describe_rule(elbv2, arn)
    before = allowed(rule)
    if before == cidrs:
        return before, False
    others = [_given(item) for item in rule.get("Conditions") or [] if not _is_ours(item)]
    taken = sum(len(_values(item)) for item in others)
    if taken + len(cidrs) > MOST_VALUES:
        raise EcsExpressError(
            f"cidrs has {len(cidrs)} networks, but the service's listener rule takes {MOST_VALUES - taken}: Elastic "
            f"Load Balancing allows {MOST_VALUES} values in a rule, of which its host names take {taken}. Name fewer, "
            "larger networks."
        )
    if not check_mode:
        ours = [{"Field": _FIELD, "SourceIpConfig": {"Values": cidrs}}] if cidrs else []
        _modify_rule(elbv2, arn, others + ours)
    return before, True


def _is_ours(condition: Resource) -> bool:
    return condition.get("Field") == _FIELD


def _given(condition: Resource) -> Resource:
    """Return a condition as ModifyRule takes it.

    DescribeRules returns some values twice, in an older and a newer form.
    """
    for name in _CONFIGURATIONS:
        if condition.get(name):
            return {"Field": condition["Field"], name: condition[name]}
    return {"Field": condition["Field"], "Values": condition.get("Values") or []}


def _values(condition: Resource) -> list[Any]:
    for name in _CONFIGURATIONS:
        if condition.get(name):
            return list(condition[name].get("Values") or [])
    return list(condition.get("Values") or [])
