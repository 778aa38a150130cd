# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of AWS Secrets Manager, whose values never leave the module. Private to the collection.

Facts: botocore's model of Secrets Manager; API Reference, CreateSecret, DeleteSecret, RestoreSecret.
"""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import WaitTimeoutError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.kms import same_kms_key
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.secret_values import read_members
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.secret_values import read_value
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.generate import generate
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.pending import handle_pending
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.read import compared
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.read import describe
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.read import to_result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.state import NEW_VERSION
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.state import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.state import module_result


def _predict(described: dict[str, typing.Any], desired: DesiredState) -> dict[str, typing.Any]:
    after = dict(described)
    if desired.description is not None:
        after["description"] = desired.description
    if desired.kms_key_id is not None and not same_kms_key(desired.kms_key_id, after["kms_key_id"]):
        after["kms_key_id"] = desired.kms_key_id
    after["tags"] = predict_tags(after["tags"], desired.tags, desired.purge_tags)
    return after


# DescribeSecret shows a secret for a while after it was deleted for good.
_GONE_SECONDS = 300.0


def ensure_present(client: Client, sts: Client, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Create the secret, once; restore it if it is scheduled for deletion; change a value only on request.

    Raises:
        UserError: the existing value lacks the requested member, or is not a JSON object.
    """
    secret = describe(client, desired.name)
    if desired.pending:
        return handle_pending(client, desired, secret, check_mode)
    if secret is None:
        made = _create(client, sts, desired, check_mode)
        if made:
            return made
        # Created meanwhile, by another caller or an attempt whose answer was lost; perhaps not visible everywhere yet.
        secret = describe(client.retrying("ResourceNotFoundException"), desired.name)
        if secret is None:
            raise UserError(
                f"Secrets Manager says of the secret {desired.name} that it exists, and that it does not: it is being"
                " made or deleted by another caller; run this again in a minute."
            )
    return _converge(client, desired, secret, check_mode)


def _create(client: Client, sts: Client, desired: DesiredState, check_mode: bool) -> ModuleResult | None:
    value = desired.value if desired.generate_options is None else generate(desired.generate_options)
    if value is None:
        raise UserError(f"The secret {desired.name} does not exist yet and needs a value: set generate or value.")
    described: dict[str, typing.Any] = {
        "name": desired.name,
        "description": desired.description or "",
        "kms_key_id": desired.kms_key_id or "",
        "version_id": NEW_VERSION,
        "tags": dict(desired.tags or {}),
    }
    if check_mode:
        caller = caller_identity(sts)
        region = client.meta.region_name
        # Secrets Manager ends the ARN with six random characters; this is how IAM policies write them.
        described["arn"] = (
            f"arn:{caller.partition}:secretsmanager:{region}:{caller.account_id}:secret:{desired.name}-??????"
        )
        return module_result(True, {}, described, generated=desired.generate_options is not None)
    params: dict[str, typing.Any] = {
        "Name": desired.name,
        "SecretString": value,
        "Tags": tags_to_aws(described["tags"]),
    }
    if described["description"]:
        params["Description"] = described["description"]
    if described["kms_key_id"]:
        params["KmsKeyId"] = described["kms_key_id"]
    try:
        # For a moment after a forced deletion the name is still taken (terraform-provider-aws, secret's creation).
        answer = client.retrying("InvalidRequestException").create_secret(**params)
    except ClientError as e:
        if error_code(e) == "ResourceExistsException":
            return None
        raise
    described["arn"] = answer["ARN"]
    described["version_id"] = answer.get("VersionId", "")
    return module_result(True, {}, described, generated=desired.generate_options is not None)


def _converge(client: Client, desired: DesiredState, secret: dict[str, typing.Any], check_mode: bool) -> ModuleResult:
    before = to_result(secret)
    after = _predict(before, desired)
    restored = "deleted_date" in before
    if restored and not check_mode:
        client.restore_secret(SecretId=desired.name)
    if check_mode:
        value, rotated, warnings = _predict_value(client, desired, before)
    else:
        value, rotated, warnings = _next_value(client, desired, bool(before["version_id"]))
    if value is not None or rotated:
        after["version_id"] = NEW_VERSION
    changed = restored or after != before
    if changed and not check_mode:
        _apply(client, desired, before, after)
        if value is not None:
            after["version_id"] = client.put_secret_value(SecretId=desired.name, SecretString=value).get(
                "VersionId", ""
            )
    generated = value is not None and desired.generate_options is not None
    outcome = module_result(changed, before, after, restored=restored, rotated=rotated, generated=generated)
    outcome.warnings.extend(warnings)
    return outcome


def _predict_value(
    client: Client, desired: DesiredState, before: dict[str, typing.Any]
) -> tuple[str | None, bool, list[str]]:
    """Predict the result of _next_value(), without reading the value of a generated secret.

    A scheduled check run, for one, needs no right to a secret's value then: AWS's ReadOnlyAccess grants
    C(secretsmanager:DescribeSecret) and not C(secretsmanager:GetSecretValue). Only a given value must be compared.
    A secret that is scheduled for deletion cannot be read.
    """
    has_value = bool(before["version_id"])
    if desired.generate_options is None:
        return (None, desired.rotate, []) if "deleted_date" in before else _next_value(client, desired, has_value)
    if has_value and not desired.rotate:
        return None, False, []
    return generate(desired.generate_options), has_value, []


def _next_value(client: Client, desired: DesiredState, has_value: bool) -> tuple[str | None, bool, list[str]]:
    """Return the value to write or None, whether that replaces another one, and warnings."""
    if desired.generate_options is None:
        if desired.value is None:
            return None, False, []
        if not has_value:
            return desired.value, False, []
        # Without rotate the value is not even read, so no permission to read is needed.
        differs = desired.rotate and read_value(client, desired.name) != desired.value
        return (desired.value, True, []) if differs else (None, False, [])
    members = read_members(client, desired.name)
    if members is None:
        return generate(desired.generate_options), False, []
    if desired.rotate:
        return generate(desired.generate_options, members), True, []
    # A member may be empty where the template says so.
    filled = [key for key, item in desired.generate_options.template.items() if item or key not in members]
    missing = [
        key
        for key in (*filled, desired.generate_options.key, *desired.generate_options.keys)
        if key and not members.get(key)
    ]
    if missing:
        raise UserError(
            f"The secret {desired.name} exists, but its JSON lacks {', '.join(missing)}. Its value was left alone, as"
            " what uses the secret would break: add what is missing to the secret, choose another name, or set rotate"
            " to true for a new value."
        )
    other = [key for key, item in desired.generate_options.template.items() if members[key] != item]
    warnings = []
    if other:
        warnings.append(
            f"The secret {desired.name} exists with another {', '.join(other)} than asked for; its value was left"
            " alone."
        )
    return None, False, warnings


def _apply(client: Client, desired: DesiredState, before: dict[str, typing.Any], after: dict[str, typing.Any]) -> None:
    changes: dict[str, str] = {}
    if after["description"] != before["description"]:
        changes["Description"] = after["description"]
    if after["kms_key_id"] != before["kms_key_id"]:
        changes["KmsKeyId"] = after["kms_key_id"]
    if changes:
        client.update_secret(SecretId=desired.name, **changes)
    to_set, to_remove = compare_tags(before["tags"], after["tags"])
    if to_remove:
        client.untag_resource(SecretId=desired.name, TagKeys=to_remove)
    if to_set:
        client.tag_resource(SecretId=desired.name, Tags=tags_to_aws(to_set))


def ensure_absent(client: Client, name: str, *, recovery_days: int, force: bool, check_mode: bool) -> ModuleResult:
    """Schedule the secret for deletion, or delete it at once.

    Raises:
        UserError: a secret that was to be deleted at once still exists minutes later.
    """
    secret = describe(client, name)
    before = to_result(secret)
    scheduled = "deleted_date" in before
    changed = bool(before) and (force or not scheduled)
    outcome = ModuleResult(changed, compared(before, scheduled), {}, {}, [])
    if before and not force:
        outcome.after = compared(before, True)
    if not changed or check_mode:
        return outcome
    how: dict[str, typing.Any] = (
        {"ForceDeleteWithoutRecovery": True} if force else {"RecoveryWindowInDays": recovery_days}
    )
    client.delete_secret(SecretId=name, **how)
    if force:
        # The name is free only when the secret is really gone.
        for _poll in Waiter(_GONE_SECONDS, 1).polls():
            if describe(client, name) is None:
                break
        else:
            raise WaitTimeoutError(
                f"The secret {name} is still there {_GONE_SECONDS:g} s after its deletion: run this again."
            )
    return outcome
