# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of AWS Secrets Manager, of which the value never leaves the module. Private to the collection.

Facts: botocore's model of Secrets Manager; API Reference, CreateSecret, DeleteSecret, RestoreSecret.
"""

from __future__ import annotations

import base64
import json
import secrets
import string
import typing
from dataclasses import dataclass
from dataclasses import field

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import WaitTimeoutError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.kms import same_kms_key
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import compare_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import predict_tags
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter

CLASSES = (string.ascii_uppercase, string.ascii_lowercase, string.digits, string.punctuation)
"""Printable ASCII without the space."""


@dataclass(frozen=True)
class Recipe:
    """How a value is generated: a JSON object with a random password, random keys, or both."""

    template: dict[str, typing.Any]
    key: str
    length: int
    exclude_characters: str
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DesiredState:
    """What the user asked for; None leaves a setting alone."""

    name: str
    description: str | None = None
    kms_key_id: str | None = None
    tags: dict[str, str] | None = None
    purge_tags: bool = True
    recipe: Recipe | None = None
    value: str | None = None
    rotate: bool = False
    pending: str | None = None


def password(length: int, exclude: str) -> str:
    """Return a random password with at least one capital, small letter, digit and sign, as far as these are allowed.

    Raises:
        UserError: what is left of the alphabet is too small to be a secret.
    """
    classes = ["".join(c for c in letters if c not in exclude) for letters in CLASSES]
    classes = [letters for letters in classes if letters]
    alphabet = "".join(classes)
    if len(alphabet) < 16:
        raise UserError(
            f"generate.exclude_characters leaves {len(alphabet)} characters to choose from: leave at least 16."
        )
    if length < 12:
        raise UserError(f"generate.length is {length}: a password needs at least 12 characters.")
    while True:
        candidate = "".join(secrets.choice(alphabet) for _unused in range(length))
        if all(any(c in letters for c in candidate) for letters in classes):
            return candidate


def random_key() -> str:
    """Return 32 random bytes in URL-safe Base64, which is what a Fernet key is.

    https://github.com/fernet/spec/blob/master/Spec.md#key-format
    """
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def generate(recipe: Recipe, base: dict[str, typing.Any] | None = None) -> str:
    """Return the JSON text of a new value; members of *base* are kept.

    Raises:
        UserError: there is nothing random in it.
    """
    fresh = {name: random_key() for name in recipe.keys}
    if recipe.key:
        fresh[recipe.key] = password(recipe.length, recipe.exclude_characters)
    if not fresh:
        raise UserError("generate.key and generate.keys are both empty: name at least one random member.")
    return json.dumps({**recipe.template, **(base or {}), **fresh})


def describe(client: Client, name: str) -> dict[str, typing.Any] | None:
    """Return what Secrets Manager knows about a secret, without its value, or None."""
    try:
        known: dict[str, typing.Any] = client.describe_secret(SecretId=name)
        return known
    except ClientError as e:
        if error_code(e) == "ResourceNotFoundException":
            return None
        raise


def read_value(client: Client, name: str) -> str | None:
    """Return the current value, or None if the secret has none yet.

    Raises:
        UserError: the value is binary.
    """
    try:
        answer = client.get_secret_value(SecretId=name)
    except ClientError as e:
        if error_code(e) == "ResourceNotFoundException":
            return None
        raise
    if "SecretString" not in answer:
        raise UserError(f"The secret {name} holds binary data; a JSON text was expected.")
    return str(answer["SecretString"])


def read_members(client: Client, name: str) -> dict[str, typing.Any] | None:
    """Return the members of a secret that holds a JSON object, or None if it has no value yet.

    Raises:
        UserError: the value is something else. The sentence does not show it.
    """
    text = read_value(client, name)
    if text is None:
        return None
    try:
        members = json.loads(text)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise UserError(f'The secret {name} does not hold a JSON object such as {{"username": …, "password": …}}.')
    return members


def _shape(secret: dict[str, typing.Any] | None) -> dict[str, typing.Any]:
    if not secret:
        return {}
    current = [version for version, stages in secret.get("VersionIdsToStages", {}).items() if "AWSCURRENT" in stages]
    shape = {
        "arn": secret["ARN"],
        "name": secret["Name"],
        "description": secret.get("Description") or "",
        "kms_key_id": secret.get("KmsKeyId") or "",
        "version_id": current[0] if current else "",
        "tags": tags_from_aws(secret.get("Tags")),
        "created_date": secret.get("CreatedDate"),
    }
    if secret.get("DeletedDate"):
        shape["deleted_date"] = secret["DeletedDate"]
    return shape


def _compared(shape: dict[str, typing.Any], scheduled: bool) -> dict[str, typing.Any]:
    if not shape:
        return {}
    kept = {key: shape[key] for key in ("description", "kms_key_id", "tags")}
    # Versions say that the value changes, without showing it.
    return {**kept, "version_id": shape["version_id"], "scheduled_for_deletion": scheduled}


def _predict(shape: dict[str, typing.Any], desired: DesiredState) -> dict[str, typing.Any]:
    after = dict(shape)
    if desired.description is not None:
        after["description"] = desired.description
    if desired.kms_key_id is not None and not same_kms_key(desired.kms_key_id, after["kms_key_id"]):
        after["kms_key_id"] = desired.kms_key_id
    after["tags"] = predict_tags(after["tags"], desired.tags, desired.purge_tags)
    return after


NEW_VERSION = "(a new version)"
# DescribeSecret shows a secret for a while after it was deleted for good.
_GONE_SECONDS = 300.0


def ensure_present(client: Client, sts: Client, desired: DesiredState, check_mode: bool) -> ModuleResult:
    """Make the secret, once; restore it if it is scheduled for deletion; never touch a value without being asked.

    Raises:
        UserError: the existing value lacks the wanted member, or is no JSON object.
    """
    secret = describe(client, desired.name)
    if desired.pending:
        return _handle_pending(client, desired, secret, check_mode)
    if secret is None:
        made = _create(client, sts, desired, check_mode)
        if made:
            return made
        # Made meanwhile, by somebody else or by an attempt whose answer was lost; perhaps not seen everywhere yet.
        secret = describe(client.retrying("ResourceNotFoundException"), desired.name)
        if secret is None:
            raise UserError(
                f"Secrets Manager says of the secret {desired.name} that it exists, and that it does not: it is being"
                " made or deleted by somebody else; run this again in a minute."
            )
    return _converge(client, desired, secret, check_mode)


def _create(client: Client, sts: Client, desired: DesiredState, check_mode: bool) -> ModuleResult | None:
    value = desired.value if desired.recipe is None else generate(desired.recipe)
    if value is None:
        raise UserError(f"The secret {desired.name} does not exist yet and needs a value: set generate or value.")
    shape: dict[str, typing.Any] = {
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
        shape["arn"] = (
            f"arn:{caller.partition}:secretsmanager:{region}:{caller.account_id}:secret:{desired.name}-??????"
        )
        return _module_result(True, {}, shape, generated=desired.recipe is not None)
    params: dict[str, typing.Any] = {"Name": desired.name, "SecretString": value, "Tags": tags_to_aws(shape["tags"])}
    if shape["description"]:
        params["Description"] = shape["description"]
    if shape["kms_key_id"]:
        params["KmsKeyId"] = shape["kms_key_id"]
    try:
        # For a moment after a forced deletion the name is still taken (terraform-provider-aws, secret's creation).
        answer = client.retrying("InvalidRequestException").create_secret(**params)
    except ClientError as e:
        if error_code(e) == "ResourceExistsException":
            return None
        raise
    shape["arn"] = answer["ARN"]
    shape["version_id"] = answer.get("VersionId", "")
    return _module_result(True, {}, shape, generated=desired.recipe is not None)


def _module_result(
    changed: bool, before: dict[str, typing.Any], after: dict[str, typing.Any], **flags: bool
) -> ModuleResult:
    values = {"secret": after, "generated": False, "restored": False, "rotated": False, **flags}
    scheduled = "deleted_date" in before
    shown = {key: value for key, value in after.items() if key != "deleted_date"}
    values["secret"] = shown
    return ModuleResult(changed, _compared(before, scheduled), _compared(shown, False), values, [])


def _converge(client: Client, desired: DesiredState, secret: dict[str, typing.Any], check_mode: bool) -> ModuleResult:
    before = _shape(secret)
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
    generated = value is not None and desired.recipe is not None
    outcome = _module_result(changed, before, after, restored=restored, rotated=rotated, generated=generated)
    outcome.warnings.extend(warnings)
    return outcome


def _predict_value(
    client: Client, desired: DesiredState, before: dict[str, typing.Any]
) -> tuple[str | None, bool, list[str]]:
    """Return what _next_value() would, without reading the value of a secret that is to be generated.

    Who only looks, such as a scheduled check run, needs no right to a secret's value then: AWS's ReadOnlyAccess grants
    C(secretsmanager:DescribeSecret) and not C(secretsmanager:GetSecretValue). Only a given value must be compared.
    While a secret is scheduled for deletion, nobody can read it.
    """
    if desired.recipe is None and "deleted_date" not in before:
        return _next_value(client, desired, bool(before["version_id"]))
    if desired.recipe is None:
        return None, desired.rotate, []
    has_value = bool(before["version_id"])
    return (None, False, []) if has_value and not desired.rotate else (generate(desired.recipe), has_value, [])


def _next_value(client: Client, desired: DesiredState, has_value: bool) -> tuple[str | None, bool, list[str]]:
    """Return the value to write or None, whether that replaces another one, and warnings."""
    if desired.recipe is None:
        if desired.value is None:
            return None, False, []
        if not has_value:
            return desired.value, False, []
        # Without rotate the value is not even read, so no permission to read is needed.
        differs = desired.rotate and read_value(client, desired.name) != desired.value
        return (desired.value, True, []) if differs else (None, False, [])
    members = read_members(client, desired.name)
    if members is None:
        return generate(desired.recipe), False, []
    if desired.rotate:
        return generate(desired.recipe, members), True, []
    # A member may be empty where the template says so.
    filled = [key for key, item in desired.recipe.template.items() if item or key not in members]
    missing = [key for key in (*filled, desired.recipe.key, *desired.recipe.keys) if key and not members.get(key)]
    if missing:
        raise UserError(
            f"The secret {desired.name} exists, but its JSON lacks {', '.join(missing)}. Its value was left alone, as"
            " what uses the secret would break: add what is missing to the secret, choose another name, or set rotate"
            " to true for a new value."
        )
    other = [key for key, item in desired.recipe.template.items() if members[key] != item]
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


CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"


def _handle_pending(
    client: Client, desired: DesiredState, secret: dict[str, typing.Any] | None, check_mode: bool
) -> ModuleResult:
    """Keep a second value beside the current one, make it the current one, or forget it.

    These are the staging labels of AWS's own rotation (AWS Secrets Manager User Guide, "Rotation by Lambda function"):
    a value is AWSPENDING until what it opens has taken it. Each step can be repeated, wherever the one before was cut
    off.

    Raises:
        UserError: there is no secret, or none with a value.
    """
    before = _shape(secret)
    if not before or "deleted_date" in before or not before["version_id"]:
        raise UserError(
            f"The secret {desired.name} does not exist, or has no value yet: make it first, without pending."
        )
    labels = {version: set(stages) for version, stages in (secret or {}).get("VersionIdsToStages", {}).items()}
    current = before["version_id"]
    # The label may still be on the current version, where a run ended between its two steps: then nothing is pending.
    found = [version for version, stages in labels.items() if PENDING in stages and version != current]
    before["pending_version_id"] = found[0] if found else ""
    after = dict(before)
    generated = False
    if desired.pending == "create" and not found:
        if desired.value is None and desired.recipe is None:
            raise UserError(f"The pending value of {desired.name} has to come from somewhere: set generate or value.")
        after["pending_version_id"] = NEW_VERSION
        generated = desired.recipe is not None
        if not check_mode:
            if PENDING in labels.get(current, ()):
                _move(client, desired.name, PENDING, current, None)
            after["pending_version_id"] = _stage(client, desired)
    elif desired.pending == "promote" and found:
        after.update(version_id=found[0], pending_version_id="")
        if not check_mode:
            _move(client, desired.name, CURRENT, current, found[0])
            _move(client, desired.name, PENDING, found[0], None)
    elif desired.pending == "discard" and found:
        after["pending_version_id"] = ""
        if not check_mode:
            _move(client, desired.name, PENDING, found[0], None)
    rotated = after["version_id"] != before["version_id"]
    outcome = _module_result(after != before, before, after, generated=generated, rotated=rotated)
    outcome.before["pending_version_id"] = before["pending_version_id"]
    outcome.after["pending_version_id"] = after["pending_version_id"]
    return outcome


def _stage(client: Client, desired: DesiredState) -> str:
    value = desired.value if desired.recipe is None else generate(desired.recipe, read_members(client, desired.name))
    answer = client.put_secret_value(SecretId=desired.name, SecretString=value, VersionStages=[PENDING])
    return str(answer.get("VersionId", ""))


def _move(client: Client, name: str, label: str, from_version: str, to_version: str | None) -> None:
    """Take a staging label from one version, and give it to another. AWSPREVIOUS follows AWSCURRENT by itself."""
    more = {"MoveToVersionId": to_version} if to_version else {}
    client.update_secret_version_stage(SecretId=name, VersionStage=label, RemoveFromVersionId=from_version, **more)


def look(client: Client, name: str, show_value: bool) -> dict[str, typing.Any]:
    """Return what there is of a secret as C(secrets), a list of one or none.

    Args:
        client: of Secrets Manager.
        name: name or ARN.
        show_value: whether C(value) and C(members) are there too.

    Raises:
        UserError: the value is binary.
    """
    found: dict[str, typing.Any] = _shape(describe(client, name))
    if not found or "deleted_date" in found:
        return {"secrets": []}
    if show_value:
        text = read_value(client, name) or ""
        try:
            members = json.loads(text)
        except ValueError:
            members = None
        found.update(value=text, members=members if isinstance(members, dict) else {})
    return {"secrets": [found]}


def ensure_absent(client: Client, name: str, *, recovery_days: int, force: bool, check_mode: bool) -> ModuleResult:
    """Schedule the secret for deletion, or delete it at once.

    Raises:
        UserError: a secret that was to be gone at once is still there minutes later.
    """
    secret = describe(client, name)
    before = _shape(secret)
    scheduled = "deleted_date" in before
    changed = bool(before) and (force or not scheduled)
    outcome = ModuleResult(changed, _compared(before, scheduled), {}, {}, [])
    if before and not force:
        outcome.after = _compared(before, True)
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
