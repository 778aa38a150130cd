# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a stopped instance of Amazon RDS. Private to the collection."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import error_code
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.describe import find
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.wait import wait_ready

#: What RDS answers while the instance does something else.
BUSY = ("InvalidDBInstanceState", "InvalidDBInstanceStateFault")


def found(rds: Client, name: str) -> dict[str, typing.Any]:
    """Return an instance.

    Raises:
        UserError: there is none.
    """
    instance = find(rds, name)
    if instance is None:
        raise UserError(
            f"There is no RDS instance {name}: check its name and AWS_REGION, or name the host if the database is your"
            " own."
        )
    return instance


def status_of(rds: Client, name: str) -> str:
    """Return the status of an instance.

    Raises:
        UserError: there is none.
    """
    return str(found(rds, name)["DBInstanceStatus"])


def start(rds: Client, name: str, wait_options: WaitOptions) -> None:
    """Start an instance, if it is stopped or being stopped, and wait until it is available.

    Raises:
        UserError: there is none, it is broken, or it takes too long.
    """
    waiter = wait_options.waiter()
    for _poll in waiter.polls():
        status = waiter.tolerate_outage(lambda: status_of(rds, name), otherwise="")
        if status == "stopped":
            try:
                rds.start_db_instance(DBInstanceIdentifier=name)
            except ClientError as e:
                if error_code(e) not in BUSY:
                    raise
        elif status and status != "stopping":
            break
        waiter.report(f"RDS instance {name}: {status}")
    waiter.raise_outage()
    wait_ready(rds, name, wait_options)
