# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of secrets, and parameters, under a customer managed key: readers need kms:Decrypt on the key.

Single secrets: services/secretsmanager/keys.py.

Secrets Manager and Systems Manager call KMS in the caller's name, with kms:ViaService and the encryption context that
their guides name (Secrets Manager user guide, "Secret encryption and decryption"; Systems Manager user guide, "How
Parameter Store uses AWS KMS"). The keys of AWS's own, aws/secretsmanager and aws/ssm, are open to all users of their
service. Key policies are not evaluated: each key counts as having the default one, which leaves it to IAM.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from ...service import parse_response

_PARAMETERS = ("GetParameter", "GetParameters", "GetParametersByPath", "GetParameterHistory")
_AWS_MANAGED = "alias/aws/"
_ACCESS_DENIED = "AccessDeniedException"
# As users quote them: https://github.com/aws/aws-cdk/issues/7677 (Secrets Manager) and
# https://github.com/aws/aws-cdk/issues/4498 (Systems Manager).
_SECRET_DENIED = "Access to KMS is not allowed"
_PARAMETER_DENIED = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
    "allowed to access."
)
# botocore's models: secretsmanager, DecryptionFailure; ssm, InvalidKeyId.
_SECRET_UNUSABLE = "Secrets Manager can't decrypt the protected secret text using the provided KMS key."
_PARAMETER_UNUSABLE = "The query key ID isn't valid."


class EncryptedValues:
    """The operations that return what a key has encrypted."""

    name = "encrypted_values"

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def owns(self, call: Call) -> bool:
        """Whether the call returns values of several secrets, or of parameters decrypted."""
        if call.service == "secretsmanager":
            return call.operation == "BatchGetSecretValue"
        return call.service == "ssm" and call.operation in _PARAMETERS and bool(call.params.get("WithDecryption"))

    async def handle(self, call: Call) -> Response:
        """What ministack answers, once the caller may use the keys.

        :raises ApiError: a key may not be used by the caller, or is disabled.
        """
        response = await call.passthrough()
        if response.status != 200:
            return response
        output = parse_response(response, call.service, call.operation)
        if call.operation == "BatchGetSecretValue":
            return await self._readable_secrets(call, output)
        for parameter in _parameters(output):
            await self._check_parameter(call, parameter)
        return response

    async def _readable_secrets(self, call: Call, output: dict[str, Any]) -> Response:
        """A batch has an error for each secret that cannot be read, beside the values of the others."""
        values, errors = [], list(output.get("Errors") or [])
        for value in output.get("SecretValues") or []:
            try:
                await self._check_secret(call, value["ARN"])
                values.append(value)
            except ApiError as error:
                errors.append({"SecretId": value["ARN"], "ErrorCode": error.code, "Message": error.message})
        return aws_response({**output, "SecretValues": values, "Errors": errors}, call.service, call.operation)

    async def _check_secret(self, call: Call, arn: str) -> None:
        described = await self._ctx.aws("secretsmanager", "describe_secret", region=call.region, SecretId=arn)
        await self._check(
            call,
            str(described.get("KmsKeyId") or ""),
            {"kms:EncryptionContext:SecretARN": arn},
            denied=ApiError(_ACCESS_DENIED, _SECRET_DENIED),
            unusable=ApiError("DecryptionFailure", _SECRET_UNUSABLE),
        )

    async def _check_parameter(self, call: Call, parameter: dict[str, Any]) -> None:
        if parameter.get("Type") != "SecureString":
            return
        by_name = [{"Key": "Name", "Option": "Equals", "Values": [parameter["Name"]]}]
        described = await self._ctx.aws("ssm", "describe_parameters", region=call.region, ParameterFilters=by_name)
        for found in described["Parameters"]:
            await self._check(
                call,
                str(found.get("KeyId") or ""),
                {"kms:EncryptionContext:PARAMETER_ARN": found["ARN"]},
                denied=ApiError(_ACCESS_DENIED, _PARAMETER_DENIED),
                unusable=ApiError("InvalidKeyId", _PARAMETER_UNUSABLE),
            )

    async def _check(
        self, call: Call, key: str, context: dict[str, Any], *, denied: ApiError, unusable: ApiError
    ) -> None:
        if not key or key.startswith(_AWS_MANAGED) or f":{_AWS_MANAGED}" in key:
            return
        try:
            found = await self._ctx.aws("kms", "describe_key", region=call.region, KeyId=key)
        except ClientError as error:
            raise unusable from error
        metadata = found["KeyMetadata"]
        if metadata["KeyState"] != "Enabled":
            raise unusable
        given = {**context, "kms:ViaService": f"{call.service}.{call.region}.amazonaws.com"}
        try:
            self._ctx.allow(call, "kms:Decrypt", metadata["Arn"], given)
        except ApiError as error:
            raise denied from error

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def state(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""


def _parameters(output: dict[str, Any]) -> list[dict[str, Any]]:
    return [output["Parameter"]] if "Parameter" in output else list(output.get("Parameters") or [])
