# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""AssociateKmsKey and DisassociateKmsKey, and the key of a new log group: CloudWatch Logs itself must be let use it.

Amazon CloudWatch Logs User Guide, "Encrypt log data in CloudWatch Logs using AWS Key Management Service": the key's
policy admits the service principal ``logs.<region>.amazonaws.com``. API reference, AssociateKmsKey:
InvalidParameterException where the key does not exist or is disabled.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from ...iam import trust
from ...ministack_adapter import log_groups
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response

# What the guide's example admits the service to, one action of each.
_NEEDED = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey")


class LogGroupKeys:
    """The operations of CloudWatch Logs that are about a KMS key."""

    name = "log_group_keys"

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def owns(self, call: Call) -> bool:
        """Whether it names a key, or takes one away."""
        if call.service != "logs":
            return False
        return call.operation in ("AssociateKmsKey", "DisassociateKmsKey") or (
            call.operation == "CreateLogGroup" and bool(call.params.get("kmsKeyId"))
        )

    async def handle(self, call: Call) -> Response:
        """Checks the key, then keeps it; raises ApiError."""
        if call.operation == "CreateLogGroup":
            await self._check(call, call.params["logGroupName"])
            return await call.passthrough()
        group = await self._group(call)
        self._ctx.allow(call, f"logs:{call.operation}", f"{group['arn'].removesuffix(':*')}:*")
        key = ""
        if call.operation == "AssociateKmsKey":
            await self._check(call, group["logGroupName"])
            key = str(call.params["kmsKeyId"])
        log_groups.set_key(call.account_id, call.region, group["logGroupName"], key)
        self._ctx.changed()
        return aws_response({}, "logs", call.operation)

    async def _group(self, call: Call) -> dict[str, Any]:
        given = str(call.params.get("logGroupName") or call.params.get("resourceIdentifier") or "")
        name = given.partition(":log-group:")[2].removesuffix(":*") or given
        found = await self._ctx.aws("logs", "describe_log_groups", region=call.region, logGroupNamePrefix=name)
        for group in found["logGroups"]:
            if group["logGroupName"] == name:
                return dict(group)
        raise ApiError("ResourceNotFoundException", "The specified log group does not exist.")

    async def _check(self, call: Call, group: str) -> None:
        key = str(call.params["kmsKeyId"])
        arn = f"arn:aws:logs:{call.region}:{call.account_id}:log-group:{group}"
        refused = ApiError(
            "InvalidParameterException",
            f"The specified KMS key does not exist or is not allowed to be used with Arn '{arn}'",
        )
        if not key.startswith("arn:"):
            raise refused
        try:
            found = await self._ctx.aws("kms", "describe_key", region=call.region, KeyId=key)
            policy = await self._ctx.aws("kms", "get_key_policy", region=call.region, KeyId=key, PolicyName="default")
        except ClientError as error:
            raise refused from error
        service = f"logs.{call.region}.amazonaws.com"
        document = json.loads(policy["Policy"])
        context = {"kms:encryptioncontext:aws:logs:arn": arn}
        if not found["KeyMetadata"]["Enabled"] or not all(
            trust.service_may(document, service, action, key, context) for action in _NEEDED
        ):
            raise refused

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def state(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""
