# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage a second value of a secret beside the current one. Private to the collection."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.secret_values import read_members
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.generate import generate
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.read import to_result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.state import NEW_VERSION
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.state import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._secretsmanager.state import module_result

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"


def handle_pending(
    client: Client, desired: DesiredState, secret: dict[str, typing.Any] | None, check_mode: bool
) -> ModuleResult:
    """Keep a second value beside the current one, make it the current one, or forget it.

    These are the staging labels of AWS's own rotation (AWS Secrets Manager User Guide, "Rotation by Lambda function"):
    a value is AWSPENDING until the system that it opens accepts it. Each step can be repeated after an interruption.

    Raises:
        UserError: there is no secret, or none with a value.
    """
    before = to_result(secret)
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
        if desired.value is None and desired.generate_options is None:
            raise UserError(f"The pending value of {desired.name} has to come from somewhere: set generate or value.")
        after["pending_version_id"] = NEW_VERSION
        generated = desired.generate_options is not None
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
    outcome = module_result(after != before, before, after, generated=generated, rotated=rotated)
    outcome.before["pending_version_id"] = before["pending_version_id"]
    outcome.after["pending_version_id"] = after["pending_version_id"]
    return outcome


def _stage(client: Client, desired: DesiredState) -> str:
    value = desired.value
    if desired.generate_options is not None:
        value = generate(desired.generate_options, read_members(client, desired.name))
    answer = client.put_secret_value(SecretId=desired.name, SecretString=value, VersionStages=[PENDING])
    return str(answer.get("VersionId", ""))


def _move(client: Client, name: str, label: str, from_version: str, to_version: str | None) -> None:
    """Take a staging label from one version, and give it to another. AWSPREVIOUS follows AWSCURRENT by itself."""
    more = {"MoveToVersionId": to_version} if to_version else {}
    client.update_secret_version_stage(SecretId=name, VersionStage=label, RemoveFromVersionId=from_version, **more)
