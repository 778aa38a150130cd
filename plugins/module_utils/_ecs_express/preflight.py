# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: check the IAM roles before a service is created.

A service that is created before its infrastructure role is effective gets stuck: ECS's call to create the load
balancer is denied once and not repeated. So IAM is asked whether it knows the roles and what they may, until it does.
IAM's answers come from its control plane; they can be ahead of what other services see by some seconds. Therefore a
role made moments ago must be confirmed several times, and a stuck service is recognised and re-created besides.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from datetime import timedelta
from typing import Any

with contextlib.suppress(ImportError):  # Handled by AnsibleAWSModule
    import botocore.exceptions

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_denied
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter

Client = Any

# Without this one, ECS's CreateLoadBalancer asks for permissions that the managed policy does not hold, and stalls.
SERVICE_LINKED_ROLES = {
    "AWSServiceRoleForECS": "ecs.amazonaws.com",
    "AWSServiceRoleForElasticLoadBalancing": "elasticloadbalancing.amazonaws.com",
}
# Allowed without condition by AmazonECSInfrastructureRoleforExpressGatewayServices, and needed whatever the policy is.
PROBED_ACTIONS = ["elasticloadbalancing:DescribeLoadBalancers", "ec2:DescribeSubnets"]
PROBE_SECONDS = 60.0
_PROBE_DELAY = 2.0
# As long as iam_service_role waits by default after it has made a role.
_YOUNG = timedelta(seconds=10)
_CONFIRMATIONS = 3


class _NotAllowed(Exception):
    """The caller lacks a permission for the check."""


def probe(iam: Client, role_arn: str, waiter: Waiter) -> list[str]:
    """Ask IAM for the service-linked roles and the infrastructure role, and wait for the latter to be effective.

    Waits for PROBE_SECONDS at most, and not longer than ``waiter``. Returns sentences of warning. A missing
    permission is a line of progress; it never fails, because ECS itself has the last word.
    """
    warnings: list[str] = []
    try:
        warnings += _service_linked_roles(iam)
        warnings += _infrastructure_role(iam, role_arn, waiter)
    except _NotAllowed as e:
        waiter.report(
            f"these credentials may not {e}, so whether IAM has made the roles known is not checked before the creation"
        )
    except botocore.exceptions.BotoCoreError as e:
        waiter.report(f"IAM could not be asked whether it has made the roles known ({e})")
    return warnings


def role_problems(iam: Client, role_arn: str, waiter: Waiter) -> list[str]:
    """Like ``probe``, of the infrastructure role alone; [] if it can't be found out."""
    try:
        return _infrastructure_role(iam, role_arn, waiter)
    except (_NotAllowed, botocore.exceptions.BotoCoreError):
        return []


def _role(iam: Client, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = iam.get_role(RoleName=name)["Role"]
    except botocore.exceptions.ClientError as e:
        if error_code(e) == "NoSuchEntity":
            return None
        raise _NotAllowed("call iam:GetRole") from e
    return found


def _service_linked_roles(iam: Client) -> list[str]:
    return [
        f"The service-linked role {name} does not exist, which can leave a new Express service stuck. Create it "
        "before, with mlops.mlflow_aws.iam_service_linked_role or "
        f"aws iam create-service-linked-role --aws-service-name {service}"
        for name, service in SERVICE_LINKED_ROLES.items()
        if _role(iam, name) is None
    ]


def _infrastructure_role(iam: Client, arn: str, waiter: Waiter) -> list[str]:
    name = arn.rsplit("/", 1)[-1]
    probing = waiter.within(PROBE_SECONDS, _PROBE_DELAY)
    confirmed = 0
    problem = ""
    for _poll in probing.polls():
        role = _role(iam, name)
        problem = "does not know it" if role is None else _denied(iam, arn)
        if role is not None and not problem:
            confirmed += 1
            if confirmed >= _CONFIRMATIONS or not _is_young(role, waiter.wall()):
                return _trust(role, arn)
        else:
            confirmed = 0
            waiter.report(f"waiting for IAM to make the infrastructure role known: it {problem}")
    return [
        f"After {probing.timeout:g} s, IAM still {problem}: infrastructure_role_arn {arn}. Without it ECS leaves the "
        "service stuck; attach the policy AmazonECSInfrastructureRoleforExpressGatewayServices to it"
    ]


def _denied(iam: Client, arn: str) -> str:
    try:
        answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=PROBED_ACTIONS)
    except botocore.exceptions.ClientError as e:
        if error_code(e) == "NoSuchEntity":
            return "does not know it"
        if is_denied(e):
            raise _NotAllowed("call iam:SimulatePrincipalPolicy") from e
        raise _NotAllowed(f"use IAM's policy simulator ({error_code(e)})") from e
    denied = [item["EvalActionName"] for item in answer["EvaluationResults"] if item["EvalDecision"] != "allowed"]
    return f"does not allow it {', '.join(denied)}" if denied else ""


def _is_young(role: dict[str, Any], now: datetime) -> bool:
    created = role.get("CreateDate")
    return isinstance(created, datetime) and now - created < _YOUNG


def _trust(role: dict[str, Any], arn: str) -> list[str]:
    """Return a warning if the trust policy does not name ECS; IAM itself evaluates conditions."""
    document = str(role.get("AssumeRolePolicyDocument") or "")
    if not document or "ecs.amazonaws.com" in document.replace("'*'", "ecs.amazonaws.com"):
        return []
    return [
        f"infrastructure_role_arn {arn} does not trust ecs.amazonaws.com, so ECS cannot make the service's resources"
    ]
