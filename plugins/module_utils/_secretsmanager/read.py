# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read secrets of AWS Secrets Manager. Private to the collection."""

from __future__ import annotations

import json
import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.secret_values import read_value
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_from_aws


def describe(client: Client, name: str) -> dict[str, typing.Any] | None:
    """Return the metadata of a secret, without its value, or None."""
    try:
        known: dict[str, typing.Any] = client.describe_secret(SecretId=name)
        return known
    except ClientError as e:
        if error_code(e) == "ResourceNotFoundException":
            return None
        raise


def to_result(secret: dict[str, typing.Any] | None) -> dict[str, typing.Any]:
    if not secret:
        return {}
    current = [version for version, stages in secret.get("VersionIdsToStages", {}).items() if "AWSCURRENT" in stages]
    described = {
        "arn": secret["ARN"],
        "name": secret["Name"],
        "description": secret.get("Description") or "",
        "kms_key_id": secret.get("KmsKeyId") or "",
        "version_id": current[0] if current else "",
        "tags": tags_from_aws(secret.get("Tags")),
        "created_date": secret.get("CreatedDate"),
    }
    if secret.get("DeletedDate"):
        described["deleted_date"] = secret["DeletedDate"]
    return described


def compared(described: dict[str, typing.Any], scheduled: bool) -> dict[str, typing.Any]:
    if not described:
        return {}
    kept = {key: described[key] for key in ("description", "kms_key_id", "tags")}
    # The versions show that the value changes, without showing it.
    return {**kept, "version_id": described["version_id"], "scheduled_for_deletion": scheduled}


def find_secrets(client: Client, name: str, show_value: bool) -> dict[str, typing.Any]:
    """Return a secret as C(secrets), a list of one or none.

    Args:
        client: of Secrets Manager.
        name: name or ARN.
        show_value: whether to return C(value) and C(members), too.

    Raises:
        UserError: the value is binary.
    """
    found: dict[str, typing.Any] = to_result(describe(client, name))
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
