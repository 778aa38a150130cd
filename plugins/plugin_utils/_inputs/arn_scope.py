# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Whether ARNs are of the deployment's partition, region and account, where they must be."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation


@dataclass(frozen=True)
class Scope:
    """Partition, region and account of a deployment; an empty one is not known, and not compared."""

    partition: str = ""
    region: str = ""
    account_id: str = ""


def scope_problem(value: typing.Any, scope: Scope, *, region: bool = False, account: bool = False) -> str:
    """Return the rest of a sentence about an ARN out of scope, or nothing.

    Args:
        value: an ARN; other values are ignored.
        scope: of the deployment. The partition must always match, as no service crosses partitions.
        region: whether the region must match.
        account: whether the account must match.
    """
    parts = str(value).split(":", 5) if isinstance(value, str) else []
    if len(parts) < 6 or parts[0] != "arn":
        return ""
    if scope.partition and parts[1] != scope.partition:
        return f"is of the partition {parts[1]} ({value}), but the deployment is in {scope.partition}"
    if region and scope.region and parts[3] and parts[3] != scope.region:
        return f"is of the region {parts[3]} ({value}), but must be of {scope.region}, where the deployment is"
    if account and scope.account_id and re.fullmatch("[0-9]{12}", parts[4]) and parts[4] != scope.account_id:
        return f"is of the account {parts[4]} ({value}), but must be of {scope.account_id}, where the deployment is"
    return ""


@dataclass(frozen=True)
class _Bound:
    region: bool = False
    account: bool = False


# Which parts of an ARN must match the deployment's.
# - Secrets that ECS reads may be of another account or region, where a resource policy admits the execution role
#   ("the full ARN must be specified": botocore's model of ecs, Secret). KMS keys may be of another account.
# - Buckets and RDS instances take keys of their own region alone (botocore's models: s3 KMSMasterKeyID, rds KmsKeyId);
#   so do log groups (CloudWatch Logs User Guide, "Encrypt log data") and secrets (Secrets Manager User Guide,
#   "Secret encryption and decryption").
# - A permissions boundary is a policy of the same account (IAM User Guide, access_policies_boundaries).
# - The token is read by the module that validates, from the deployment's region.
_BOUND: dict[str, _Bound] = {
    "mlflow_bucket_kms_key_arn": _Bound(region=True),
    "mlflow_db_kms_key_arn": _Bound(region=True),
    "mlflow_db_secret_arn": _Bound(),
    "mlflow_log_kms_key_arn": _Bound(region=True),
    "mlflow_oidc_client_secret_arn": _Bound(),
    "mlflow_permissions_boundary_arn": _Bound(account=True),
    "mlflow_secrets_kms_key_arn": _Bound(region=True),
    "mlflow_validation_token_secret_arn": _Bound(region=True),
}


# Of roles that are used alone. A service can only use IAM roles of its own account.
_BOUND_OF_ROLES: dict[str, _Bound] = {
    "ecs_express_execution_role_arn": _Bound(account=True),
    "ecs_express_infrastructure_role_arn": _Bound(account=True),
    "ecs_express_task_role_arn": _Bound(account=True),
}


def scope_violations(inputs: Mapping[str, typing.Any], scope: Scope) -> list[Violation]:
    """Check that the ARNs in a user's variables are in the deployment's scope."""
    found = []
    for name, bound in (_BOUND | _BOUND_OF_ROLES).items():
        if problem := scope_problem(inputs.get(name), scope, region=bound.region, account=bound.account):
            found.append(Violation(name, problem))
    return found + [
        Violation(name, problem, subject=f"{name}[{key!r}]")
        for name in ("mlflow_extra_secrets", "mlflow_extra_secrets_kms_key_arns")
        for key, one in _members(inputs.get(name))
        if (problem := scope_problem(one, scope))
    ]


def _members(value: typing.Any) -> list[tuple[typing.Any, typing.Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, (list, tuple)) else []
