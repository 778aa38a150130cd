# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARNs and names among a user's inputs. Pure Python, private to the collection."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.arns import arn_problem
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import Check
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._s3.names import bucket_name_problem


def arn(service: str, resource: str) -> Check:
    """Return the check of an ARN."""

    def check(name: str, value: typing.Any) -> Problems:
        problem = arn_problem(value, service, resource)
        return [f"{name} {problem}."] if problem else []

    return check


def bucket_name(name: str, value: typing.Any) -> Problems:
    """Check the name of a bucket."""
    problem = bucket_name_problem(value) if isinstance(value, str) else "is no text"
    return [f"{name} is {value!r}; the name of a bucket {problem}."] if problem else []


@dataclass(frozen=True)
class Place:
    """Where a deployment is; what is empty is not known, and not compared."""

    partition: str = ""
    region: str = ""
    account_id: str = ""


def place_problem(value: typing.Any, place: Place, *, region: bool = False, account: bool = False) -> str:
    """Return what is wrong with where an ARN's resource is, the rest of a sentence, or nothing.

    Args:
        value: an ARN; what is none is not looked at.
        place: of the deployment. The partition must always be the same: nothing reaches from one into another.
        region: whether it must be of the same region.
        account: whether it must be of the same account.
    """
    parts = str(value).split(":", 5) if isinstance(value, str) else []
    if len(parts) < 6 or parts[0] != "arn":
        return ""
    if place.partition and parts[1] != place.partition:
        return f"is of the partition {parts[1]} ({value}), but the deployment is in {place.partition}"
    if region and place.region and parts[3] and parts[3] != place.region:
        return f"is of the region {parts[3]} ({value}), but must be of {place.region}, where the deployment is"
    if account and place.account_id and re.fullmatch("[0-9]{12}", parts[4]) and parts[4] != place.account_id:
        return f"is of the account {parts[4]} ({value}), but must be of {place.account_id}, where the deployment is"
    return ""


@dataclass(frozen=True)
class _Bound:
    region: bool = False
    account: bool = False


# What must be where the deployment is.
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


def place_problems(inputs: Mapping[str, typing.Any], place: Place) -> Problems:
    """Check that what a user's ARNs name can be reached from where the deployment is."""
    found = [
        (name, place_problem(inputs.get(name), place, region=bound.region, account=bound.account))
        for name, bound in _BOUND.items()
    ]
    secrets = inputs.get("mlflow_extra_secrets")
    if isinstance(secrets, Mapping):
        found += [(f"mlflow_extra_secrets[{key!r}]", place_problem(one, place)) for key, one in secrets.items()]
    keys = inputs.get("mlflow_extra_secrets_kms_key_arns")
    if isinstance(keys, (list, tuple)):
        found += [
            (f"mlflow_extra_secrets_kms_key_arns[{index}]", place_problem(one, place)) for index, one in enumerate(keys)
        ]
    return [f"{name} {problem}." for name, problem in found if problem]
