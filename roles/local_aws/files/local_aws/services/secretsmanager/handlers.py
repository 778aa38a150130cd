# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RotateSecret: there is no Lambda here that could rotate a secret, so it fails as it does at AWS without one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from ...room import ApiError
from ...room import Call
from ...room import Response

if TYPE_CHECKING:
    from ...cloud import Cloud

# AWS's sentences, as users quote them: https://github.com/getmoto/moto/pull/3912 (no function) and
# https://repost.aws/knowledge-center/secrets-manager-invoke-lambda (a function that cannot be invoked).
_NO_FUNCTION = "No Lambda rotation function ARN is associated with this secret."
_NOT_INVOKED = (
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the "
    "principal secretsmanager.amazonaws.com."
)


class SecretsManager:
    """The operations of Secrets Manager that ministack does not carry out."""

    name = "secretsmanager"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def owns(self, call: Call) -> bool:
        """Whether it is RotateSecret."""
        return call.service == "secretsmanager" and call.operation == "RotateSecret"

    async def handle(self, call: Call) -> Response:
        """Refuses the rotation.

        :raises ApiError: always; ResourceNotFoundException comes from DescribeSecret.
        """
        secret = await self._cloud.aws(
            "secretsmanager", "describe_secret", region=call.region, SecretId=call.params["SecretId"]
        )
        self._cloud.allow(call, "secretsmanager:RotateSecret", secret["ARN"])
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
