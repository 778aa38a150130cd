# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a PostgreSQL instance of Amazon RDS. Private to the collection."""

from __future__ import annotations

import typing

from ansible_collections.amazon.aws.plugins.module_utils.transformation import boto3_resource_to_ansible_dict
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code


def find(rds: Client, name: str) -> dict[str, typing.Any] | None:
    """Return the instance as RDS describes it, or None.

    Raises:
        UserError: it is not a PostgreSQL instance.
    """
    try:
        instances = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    except ClientError as e:
        if error_code(e) in ("DBInstanceNotFound", "DBInstanceNotFoundFault"):
            return None
        raise
    if not instances:
        return None
    if instances[0]["Engine"] != "postgres":
        raise UserError(
            f"The RDS instance {name} runs {instances[0]['Engine']}, not postgres: choose another"
            " db_instance_identifier."
        )
    found: dict[str, typing.Any] = instances[0]
    return found


def to_result(instance: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the instance in snake case, without any trace of a password."""
    clean = dict(instance)
    pending = clean.get("PendingModifiedValues", {})
    clean["PendingModifiedValues"] = {k: v for k, v in pending.items() if k != "MasterUserPassword"}
    clean["Tags"] = clean.pop("TagList", [])
    return dict(boto3_resource_to_ansible_dict(clean) or {})
