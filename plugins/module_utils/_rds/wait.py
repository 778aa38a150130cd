# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for an instance of Amazon RDS. Private to the collection.

Facts: RDS User Guide, "Viewing Amazon RDS DB instance status".
"""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import ClientError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import WaitTimeoutError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OWN_NAMES
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.option_names import OptionNames
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import ExpectedDuration
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._rds.describe import find

# RDS User Guide, "Creating and connecting to a PostgreSQL DB instance": it can take up to 20 minutes. Terraform users
# show 5 to 10. The rest is PostgreSQL.
EXPECTED_CREATION = ExpectedDuration(5, 20, fixed=20)

READY = ("available", "storage-optimization")

STOPPED = ("stopped", "stopping")

# The database is read-only, but RDS accepts a change of its storage.
FULL = "storage-full"

# Statuses that do not change by waiting.
BROKEN = (
    FULL,
    "failed",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "incompatible-create",
    "incompatible-credentials",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
    "restore-error",
)


def _polls(rds: Client, name: str, waiter: Waiter) -> typing.Iterator[dict[str, typing.Any] | None]:
    """Yield the instance, or None if there is none, at each poll. AWS may be unreachable for a while.

    Raises:
        BotoCoreError, ClientError: the last poll could not reach AWS.
    """
    unreachable: dict[str, typing.Any] | None = {}
    for _poll in waiter.polls():
        instance = waiter.tolerate_outage(lambda: find(rds, name), unreachable)
        if instance is not unreachable:
            yield instance
    waiter.raise_outage()


def wait_ready(
    rds: Client, name: str, wait_options: WaitOptions, not_pending: tuple[str, ...] = ()
) -> dict[str, typing.Any]:
    """Wait until the instance is available and nothing of *not_pending* is pending any more.

    Raises:
        UserError: it is gone, being deleted, stopped, broken, or it takes too long.
    """
    status = pending = ""
    waiter = wait_options.waiter()
    for instance in _polls(rds, name, waiter):
        if instance is None:
            raise UserError(f"The RDS instance {name} does not exist (any more): create it with state present.")
        status = instance["DBInstanceStatus"]
        if (status in BROKEN and not storage_grows(instance)) or status in STOPPED or status == "deleting":
            raise UserError(explain_status(rds, name, status, instance, wait_options.option_names))
        waiting_for = [key for key in not_pending if key in instance.get("PendingModifiedValues", {})]
        # AWS reports the endpoint once the instance is available, and callers need it.
        if status in READY and not waiting_for and instance.get("Endpoint", {}).get("Address"):
            return instance
        pending = f", with {', '.join(waiting_for)} pending," if waiting_for else ""
        waiter.report(f"{status}{pending.rstrip(',')}")
    option = waiter.timeout_option
    raise WaitTimeoutError(
        f"The RDS instance {name} is still {status}{pending} after {wait_options.timeout:g} seconds ({option}). AWS"
        f" continues: run this again, with a longer {option} if need be."
    )


def storage_grows(instance: dict[str, typing.Any]) -> bool:
    """Return whether a change that enlarges full storage is pending."""
    return instance["DBInstanceStatus"] == FULL and "AllocatedStorage" in instance.get("PendingModifiedValues", {})


def explain_status(
    rds: Client,
    name: str,
    status: str,
    instance: dict[str, typing.Any] | None = None,
    option_names: OptionNames = OWN_NAMES,
) -> str:
    if status in STOPPED:
        return (
            f"The RDS instance {name} is {status}: start it with aws rds start-db-instance --db-instance-identifier"
            f" {name} and run this again."
        )
    if status == "deleting":
        return f"The RDS instance {name} is being deleted: wait until it is gone, and run this again."
    if status == FULL:
        size = (instance or {}).get("AllocatedStorage")
        # RDS API Reference, ModifyDBInstance: what is not 10 % more is rounded up to that.
        more = f"{size + max(1, -(-size // 10))} GiB or more" if size else "more"
        # The roles always apply changes immediately.
        at_once = "" if option_names.variables else ", with apply_immediately"
        return (
            f"The storage of the RDS instance {name}{f', {size} GiB,' if size else ''} is full, and its database can"
            f" write nothing: set {option_names.of('allocated_storage')} to {more}{at_once}."
        )
    return f"The RDS instance {name} has the status {status}, which waiting does not end.{_last_event(rds, name)}"


def _last_event(rds: Client, name: str) -> str:
    try:
        events = rds.describe_events(SourceIdentifier=name, SourceType="db-instance", Duration=1440).get("Events", [])
    except ClientError:
        # Without the permission to read the reason, the error is reported without it.
        return " Its events in the RDS console say why."
    messages = [event["Message"] for event in events if event.get("Message")]
    return f" RDS says: {messages[-1]}" if messages else " Its events in the RDS console say why."


def wait_gone(rds: Client, name: str, wait_options: WaitOptions) -> None:
    """Wait until there is no such instance.

    Raises:
        UserError: it takes too long.
    """
    waiter = wait_options.waiter()
    for instance in _polls(rds, name, waiter):
        if instance is None:
            return
        waiter.report(str(instance["DBInstanceStatus"]))
    raise WaitTimeoutError(
        f"The RDS instance {name} is still being deleted after {wait_options.timeout:g} seconds"
        f" ({waiter.timeout_option}). AWS continues: run this again."
    )
