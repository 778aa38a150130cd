# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KMS keys of secrets, which ministack leaves out of ListSecrets."""

from __future__ import annotations

from ministack.core.responses import request_scope
from ministack.services import secretsmanager


def find_keys(account_id: str, region: str) -> dict[str, str]:
    """Return the KMS key of each secret that has one, by the secret's ARN."""
    with request_scope(account_id, region):
        secrets = list(secretsmanager._secrets.values())
        return {secret["ARN"]: secret["KmsKeyId"] for secret in secrets if secret.get("KmsKeyId")}
