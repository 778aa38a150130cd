# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KMS key of a log group, which ministack keeps from CreateLogGroup on and never changes."""

from __future__ import annotations

from ministack.core.responses import request_scope
from ministack.services import cloudwatch_logs


def set_key(account_id: str, region: str, name: str, key: str) -> None:
    """Changes a log group's key.

    :arg key: the key's ARN; empty: none.
    """
    with request_scope(account_id, region):
        cloudwatch_logs._log_groups[name]["kmsKeyId"] = key or None
