# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance's server logs, sent to CloudWatch Logs.

Amazon RDS User Guide, "Publishing PostgreSQL logs to Amazon CloudWatch Logs": RDS makes the log group
``/aws/rds/instance/<name>/<log>``. The server here writes the log ``postgresql`` alone: no version is upgraded, and
there are no IAM logins.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from ...runtime.log_driver import LogDriver
from ...runtime.log_driver import LogsError
from . import rules
from .models import Record

# botocore's model of RDS, CreateDBInstance, EnableCloudwatchLogsExports, for RDS for PostgreSQL.
TYPES = ("iam-db-auth-error", "postgresql", "upgrade")
_WRITTEN = "postgresql"
_PERIOD = 1.0


def check(types: list[str]) -> None:
    """The log types that a call names.

    :raises ApiError: RDS's refusal.
    """
    others = [one for one in types if one not in TYPES]
    if others:
        raise rules.combination(f"You cannot use the log types '{', '.join(others)}' with engine version postgres.")


def changed(record: Record, params: dict[str, Any]) -> list[str] | None:
    """The logs that are exported after a ModifyDBInstance, or None where it does not change them.

    :raises ApiError: RDS's refusal.
    """
    given = params.get("CloudwatchLogsExportConfiguration") or {}
    on, off = list(given.get("EnableLogTypes") or []), list(given.get("DisableLogTypes") or [])
    check([*on, *off])
    before = sorted(record.get("EnabledCloudwatchLogsExports") or [])
    after = sorted({*before, *on} - set(off))
    return after if after != before else None


def is_sent(record: Record) -> bool:
    """Whether there is anything to send."""
    return _WRITTEN in (record.get("EnabledCloudwatchLogsExports") or [])


async def send(ctx: Context, region: str, record: Record, log: Path) -> None:
    """Sends each new line of the server's log, for as long as this runs; what was sent stays in the record.

    :arg log: the file that the server's output goes to, which grows from one start to the next.
    """
    name = str(record["DBInstanceIdentifier"])
    group, stream = f"/aws/rds/instance/{name}/{_WRITTEN}", f"{name}.0"

    async def call(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            return await ctx.aws("logs", operation, region=region, **parameters)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
        # Deleted by a user: RDS makes it again.
        await make()
        return await ctx.aws("logs", operation, region=region, **parameters)

    async def make() -> None:
        for operation, parameters in (
            ("create_log_group", {"logGroupName": group}),
            ("create_log_stream", {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                await ctx.aws("logs", operation, region=region, **parameters)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                    raise

    driver = LogDriver(call, group, stream)
    with contextlib.suppress(LogsError):
        await driver.open()
    sender = asyncio.create_task(driver.send())
    try:
        while True:
            for line in await asyncio.to_thread(_new_lines, log, record):
                driver.write(line)
            await asyncio.sleep(_PERIOD)
    finally:
        sender.cancel()


def _new_lines(log: Path, record: Record) -> list[bytes]:
    sent = int(record.get("_LogSent") or 0)
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(sent if sent <= size else 0)
            new = file.read()
    except FileNotFoundError:
        return []
    whole = new[: new.rfind(b"\n") + 1]
    record["_LogSent"] = (sent if sent <= size else 0) + len(whole)
    return whole.splitlines(keepends=True)
