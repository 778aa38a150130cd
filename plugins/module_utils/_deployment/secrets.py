# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Asks AWS about secrets, never for their values."""

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_denied
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import is_missing
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Answer
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Question
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Resources
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope

#: What DescribeSecret tells and ListSecrets does not, or under another name: see botocore's models of both.
ONLY_DESCRIBED = ("CrossAccountPrimary", "CrossAccountReplicas", "ReplicationStatus", "VersionIdsToStages")
ONLY_LISTED = ("SecretVersionsToStages",)


def resources(scope: Scope) -> dict[str, str]:
    """Return the deployment's own secrets: names of resources, with the names that the secrets have."""
    return {f"secret_{one}": name for one, name in scope.own_secrets.items()}


def list_question(scope: Scope) -> Question:
    """Return the question for all of the deployment's own secrets, which is one request.

    "ListSecrets might not reflect changes from the last five minutes."
    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
    """
    return Question("secrets", ("secretsmanager",), lambda client: _read_all(client, scope))


def question(resource: str, name: str, region: str = "") -> Question:
    """Return the question for one secret, by its name or ARN."""
    return Question(resource, ("secretsmanager",), lambda client: {resource: _describe(client, name)}, region)


def _read_all(client: Client, scope: Scope) -> Resources:
    listed = _list(client, scope)
    found: Resources = {}
    for resource, name in resources(scope).items():
        if name in listed:
            found[resource] = _common(listed[name])
            continue
        # A new one may not be listed yet, and not every caller may list.
        try:
            found[resource] = _describe(client, name)
        except ClientError as e:
            if not is_missing(e):
                raise
    return found


def _list(client: Client, scope: Scope) -> dict[str, Answer]:
    """Return the secrets that are listed, by name; none where the caller may not list them."""
    named = {"Key": "name", "Values": [f"{scope.name}/"]}
    try:
        found = client.pages("list_secrets", "SecretList", Filters=[named])
    except ClientError as e:
        if is_denied(e):
            return {}
        raise
    return {str(one["Name"]): one for one in found}


def _describe(client: Client, name: str) -> Answer:
    return _common(client.describe_secret(SecretId=name))


def _common(secret: Answer) -> Answer:
    """Return what both requests tell, what is empty left out; of the versions, which one is current."""
    left_out = (*ONLY_DESCRIBED, *ONLY_LISTED, "ResponseMetadata")
    versions = secret.get("VersionIdsToStages") or secret.get("SecretVersionsToStages") or {}
    current = [version for version, stages in versions.items() if "AWSCURRENT" in stages]
    kept = {key: value for key, value in secret.items() if value and key not in left_out}
    return {**kept, "Versions": {"AWSCURRENT": next(iter(current), "")}}
