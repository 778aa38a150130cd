# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service-linked roles. Private to the collection.

Facts: IAM API Reference, CreateServiceLinkedRole and ListRoles; the path /aws-service-role/<service>/ is in each
service's documentation of its role.
"""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import WaitTimeoutError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter

# Names do not follow from the service's name. For others the existing role is found by its path, and only the name
# that check mode predicts is unknown.
KNOWN_NAMES = {
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
}


def _shape(role: dict[str, typing.Any], service: str) -> dict[str, typing.Any]:
    return {
        "arn": role["Arn"],
        "name": role["RoleName"],
        "path": role["Path"],
        "role_id": role["RoleId"],
        "create_date": role["CreateDate"],
        "aws_service_name": service,
    }


def find(iam: Client, service: str) -> dict[str, typing.Any] | None:
    """Return the role of a service, or None.

    A role whose name is known is looked at by name: C(iam:ListRoles) cannot be limited to a path, and shows all roles
    of the account.
    """
    path = f"/aws-service-role/{service}/"
    found = _get(iam, KNOWN_NAMES[service]) if service in KNOWN_NAMES else None
    if found is None:
        found = iam.pages("list_roles", "Roles", PathPrefix=path)
    of_service = [role for role in found if role["Path"] == path]
    return _shape(of_service[0], service) if of_service else None


def _get(iam: Client, name: str) -> list[dict[str, typing.Any]] | None:
    """Return a list of one role or none, or None where the caller may not look at it."""
    try:
        return [iam.get_role(RoleName=name)["Role"]]
    except ClientError as e:
        if error_code(e) == "NoSuchEntity":
            return []
        if error_code(e) == "AccessDenied":
            return None
        raise


def ensure_present(iam: Client, sts: Client, service: str, *, timeout: float, check_mode: bool) -> ModuleResult:
    """Make the role of a service unless it exists, and wait until IAM shows it.

    Raises:
        UserError: the role is not visible in time.
    """
    current = find(iam, service)
    if current:
        return ModuleResult(False, _brief(current), _brief(current), {"iam_role": current}, [])
    if check_mode:
        predicted = _predict(sts, service)
        return ModuleResult(True, {}, _brief(predicted), {"iam_role": predicted}, [])
    changed = True
    try:
        iam.create_service_linked_role(AWSServiceName=service)
    except ClientError as e:
        # "Service role name … has been taken in this account": made meanwhile, often by the service itself.
        if error_code(e) != "InvalidInput" or "has been taken" not in str(e):
            raise
        changed = False
    role = None
    for _poll in Waiter(timeout, 1).polls():
        role = find(iam, service)
        if role:
            break
    if role is None:
        raise WaitTimeoutError(
            f"The service-linked role of {service} was asked for, but IAM does not list it after {timeout:g} seconds"
            " (wait_timeout). Run this again."
        )
    return ModuleResult(changed, {}, _brief(role), {"iam_role": role}, [])


def _brief(role: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return {key: role[key] for key in ("arn", "aws_service_name") if key in role}


def _predict(sts: Client, service: str) -> dict[str, typing.Any]:
    predicted = {"path": f"/aws-service-role/{service}/", "aws_service_name": service}
    if service in KNOWN_NAMES:
        caller = caller_identity(sts)
        name = KNOWN_NAMES[service]
        predicted["name"] = name
        predicted["arn"] = f"arn:{caller.partition}:iam::{caller.account_id}:role{predicted['path']}{name}"
    return predicted
