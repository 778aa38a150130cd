# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create a PostgreSQL instance of Amazon RDS. Private to the collection."""

from __future__ import annotations

import typing
from dataclasses import dataclass

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.caller import caller_identity
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import ModuleResult
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.secret_values import read_members
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.tags import tags_to_aws
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.describe import to_result
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import SETTINGS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import DesiredState
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.settings import given
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import wait_ready

# RDS API Reference, CreateDBInstance, MasterUserPassword; its console refuses the single quote too, the API does not.
FORBIDDEN_IN_PASSWORD = '/"@ '


@dataclass(frozen=True)
class Clients:
    """The clients of a run; ``remember`` is called with the password, so that Ansible hides it everywhere."""

    rds: Client
    secretsmanager: Client
    sts: Client
    remember: typing.Callable[[str], None]


def create(clients: Clients, desired: DesiredState, wait_options: WaitOptions, check_mode: bool) -> ModuleResult | None:
    missing = [key for key in ("db_instance_class", "allocated_storage") if key not in desired.settings]
    if not desired.secret_arn:
        missing.append("master_user_secret_arn")
    if missing:
        names = ", ".join(map(desired.option_names.of, missing))
        raise UserError(f"The RDS instance {desired.name} does not exist yet. To create it, set {names}.")
    after = {**dict.fromkeys(SETTINGS), **desired.settings}
    after["tags"] = dict(desired.tags or {})
    if check_mode:
        return ModuleResult(True, {}, given(after), {"instance": _predict(clients, desired)}, [])
    user, password = _credentials(clients, desired)
    params: dict[str, typing.Any] = {
        SETTINGS[option].create: value for option, value in desired.settings.items() if value is not None
    }
    maximum = desired.settings.get("max_allocated_storage")
    if maximum is not None and maximum <= desired.settings["allocated_storage"]:
        del params["MaxAllocatedStorage"]
    if not params.get("EnableCloudwatchLogsExports", True):
        del params["EnableCloudwatchLogsExports"]
    params.update(
        DBInstanceIdentifier=desired.name, Engine="postgres", MasterUsername=user, MasterUserPassword=password
    )
    if after["tags"]:
        params["Tags"] = tags_to_aws(after["tags"])
    try:
        instance = clients.rds.create_db_instance(**params)["DBInstance"]
    except ClientError as e:
        if error_code(e) == "DBInstanceAlreadyExists":
            # An attempt whose answer was lost, or another caller at the same time.
            return None
        raise
    if wait_options.wait:
        instance = wait_ready(clients.rds, desired.name, wait_options)
    return ModuleResult(True, {}, given(after), {"instance": to_result(instance)}, [])


def _predict(clients: Clients, desired: DesiredState) -> dict[str, typing.Any]:
    caller = caller_identity(clients.sts)
    region = clients.rds.meta.region_name
    nested: dict[str, typing.Callable[[typing.Any], typing.Any]] = {
        "DBSubnetGroup": lambda name: {"DBSubnetGroupName": name},
        "VpcSecurityGroups": lambda groups: [{"VpcSecurityGroupId": group} for group in groups],
        "DBParameterGroups": lambda name: [{"DBParameterGroupName": name}],
    }
    settings = {
        SETTINGS[option].shown: value
        for option, value in desired.settings.items()
        if value is not None and option != "port"
    }
    return to_result(
        {
            **{key: nested[key](value) if key in nested else value for key, value in settings.items()},
            "DBInstanceIdentifier": desired.name,
            "DBInstanceArn": f"arn:{caller.partition}:rds:{region}:{caller.account_id}:db:{desired.name}",
            "DBInstanceStatus": "creating",
            "Engine": "postgres",
            "TagList": tags_to_aws(desired.tags),
        }
    )


def _credentials(clients: Clients, desired: DesiredState) -> tuple[str, str]:
    """Read the master user's password from its secret; the user too, unless it was given."""
    arn = desired.secret_arn or ""
    members = read_members(clients.secretsmanager, arn)
    password = (members or {}).get(desired.secret_key)
    if not isinstance(password, str) or not password:
        raise UserError(f"The secret {arn} (master_user_secret_arn) has no text member {desired.secret_key}.")
    clients.remember(password)
    forbidden = sorted(set(FORBIDDEN_IN_PASSWORD) & set(password))
    if not 8 <= len(password) <= 128 or not (password.isascii() and password.isprintable()) or forbidden:
        raise UserError(
            f"The member {desired.secret_key} of the secret {arn} cannot be a master password of RDS: that has 8 to 128"
            " printable ASCII characters, and no slash, quotation mark, at sign or space."
        )
    user = desired.settings.get("master_username")
    named = (members or {}).get("username")
    if user and named and user != named:
        raise UserError(
            f"master_username is {user}, but the secret {arn} (master_user_secret_arn) is that of {named}: make them"
            " agree."
        )
    if not user and not named:
        raise UserError(f"Set master_username, as the secret {arn} (master_user_secret_arn) has no member username.")
    return user or str(named), password
