# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ministack does not ask or do: the rights on a secret's KMS key, and the key in a list; RotateSecret.

There is no Lambda here that could rotate a secret, so that fails as it does at AWS without one.
"""

from __future__ import annotations

from typing import Any

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import Response
from . import keys

# AWS's sentences, as users quote them: https://github.com/getmoto/moto/pull/3912 (no function) and
# https://repost.aws/knowledge-center/secrets-manager-invoke-lambda (a function that cannot be invoked).
_NO_FUNCTION = "No Lambda rotation function ARN is associated with this secret."
_NOT_INVOKED = (
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the "
    "principal secretsmanager.amazonaws.com."
)


class SecretsManager:
    """The operations of Secrets Manager that ministack does not carry out, or not alone."""

    name = "secretsmanager"

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def owns(self, call: Call) -> bool:
        """Whether it is RotateSecret, a list, or about a value."""
        own = call.operation in ("ListSecrets", "RotateSecret")
        return call.service == "secretsmanager" and (own or keys.concerns(call))

    async def handle(self, call: Call) -> Response:
        """Passes on what is about a value, if the caller may use its key; completes a list; refuses a rotation.

        :raises ApiError: the key may not be used; for a rotation always (ResourceNotFoundException: DescribeSecret).
        """
        if keys.concerns(call):
            await keys.check(self._ctx, call)
            return await call.passthrough()
        if call.operation == "ListSecrets":
            return keys.add_to_list(call, await call.passthrough())
        secret = await self._ctx.aws(
            "secretsmanager", "describe_secret", region=call.region, SecretId=call.params["SecretId"]
        )
        self._ctx.allow(call, "secretsmanager:RotateSecret", secret["ARN"])
        if call.params.get("RotationLambdaARN"):
            raise ApiError("AccessDeniedException", _NOT_INVOKED)
        raise ApiError("InvalidRequestException", _NO_FUNCTION)

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def state(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""
