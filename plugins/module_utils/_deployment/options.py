# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The option of modules that says what belongs to a deployment."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import make_client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment.scope import Scope

if typing.TYPE_CHECKING:
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

_TEXTS = {"type": "list", "elements": "str", "default": []}
#: See the documentation fragment C(deployment).
DEPLOYMENT = {
    "type": "dict",
    "required": True,
    "options": {
        "name": {"type": "str", "required": True},
        "cluster": {"type": "str", "default": "default"},
        "account_id": {"type": "str", "default": ""},
        "partition": {"type": "str", "default": ""},
        "bucket": {"type": "str", "required": True},
        "bucket_adopted": {"type": "bool", "default": False},
        "access_log_bucket": {"type": "str", "default": ""},
        "database": {"type": "str", "default": ""},
        "parameter_group": {"type": "str", "default": ""},
        "login": {"type": "bool", "default": True},
        "alarm_prefix": {"type": "str", "default": ""},
        "dashboard": {"type": "str", "default": ""},
        "topic": {"type": "str", "default": ""},
        "schedule_group": {"type": "str", "default": ""},
        "subnet_ids": _TEXTS,
        "database_subnet_ids": _TEXTS,
        "kms_key_arns": {**_TEXTS, "no_log": False},
        "secret_arns": {**_TEXTS, "no_log": False},
        "policy_arns": _TEXTS,
    },
}


def scope_of(module: AnsibleAWSModule) -> Scope:
    """Return what belongs to the deployment; ask STS for the account unless it is known."""
    given = dict(module.params["deployment"])
    account_id, partition = given.pop("account_id"), given.pop("partition")
    if not (account_id and partition):
        caller = caller_identity(make_client(module, "sts"))
        account_id, partition = caller.account_id, caller.partition
    for option in ("kms_key_arns", "secret_arns", "policy_arns"):
        given[{"kms_key_arns": "kms_keys", "secret_arns": "secrets", "policy_arns": "policies"}[option]] = given.pop(
            option
        )
    return Scope(account_id=account_id, region=str(module.region or ""), partition=partition, **given)
