# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The customer managed KMS key of a secret: Secrets Manager uses it with the rights of its caller.

AWS Secrets Manager User Guide, "Secret encryption and decryption": to read a value, the caller needs ``kms:Decrypt``;
to write one, ``kms:GenerateDataKey`` and ``kms:Decrypt``; both through Secrets Manager (``kms:ViaService``). AWS's own
key asks for nothing. What a caller without them gets is a sentence without the key's name.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from ...ministack_adapter import secret_keys
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from ...service import parse_response

_OWN = "alias/aws/secretsmanager"
_DECRYPT, _WRITE = ("kms:Decrypt",), ("kms:GenerateDataKey", "kms:Decrypt")
_DENIED = "Access to KMS is not allowed"


def concerns(call: Call) -> bool:
    """Whether an operation reads or writes a value."""
    return call.operation in ("CreateSecret", "GetSecretValue", "PutSecretValue", "UpdateSecret")


async def check(ctx: Context, call: Call) -> None:
    """Asks IAM for the caller's rights on the keys that an operation needs.

    :raises ApiError: the caller lacks one, or there is no such key, or it is disabled.
    """
    secret = {} if call.operation == "CreateSecret" else await _secret(ctx, call)
    context = {"kms:ViaService": f"secretsmanager.{call.region}.amazonaws.com"}
    if "ARN" in secret:
        context["kms:EncryptionContext:SecretARN"] = secret["ARN"]
    present = str(secret.get("KmsKeyId") or "")
    new = str(call.params.get("KmsKeyId") or "")
    if call.operation == "GetSecretValue":
        await _ask(ctx, call, present, _DECRYPT, context)
    elif call.operation == "UpdateSecret" and "KmsKeyId" in call.params and new != present:
        # The value is decrypted with the one and encrypted with the other.
        await _ask(ctx, call, present, _DECRYPT, context)
        await _ask(ctx, call, new, _WRITE, context)
    elif call.operation != "UpdateSecret" or {"SecretString", "SecretBinary"} & call.params.keys():
        await _ask(ctx, call, new or present, _WRITE, context)


async def _secret(ctx: Context, call: Call) -> dict[str, Any]:
    name = call.params["SecretId"]
    try:
        return await ctx.aws("secretsmanager", "describe_secret", region=call.region, SecretId=name)
    except ClientError:
        # The operation itself says what is wrong.
        return {}


async def _ask(ctx: Context, call: Call, key: str, actions: tuple[str, ...], context: dict[str, str]) -> None:
    if key in ("", _OWN):
        return
    try:
        found = (await ctx.aws("kms", "describe_key", region=call.region, KeyId=key))["KeyMetadata"]
    except ClientError as error:
        raise ApiError("InvalidParameterException", f"The KMS key {key} does not exist.") from error
    for action in actions:
        try:
            ctx.allow(call, action, found["Arn"], context)
        except ApiError as error:
            raise ApiError("AccessDeniedException", _DENIED) from error
    if not found["Enabled"]:
        code = "DecryptionFailure" if actions == _DECRYPT else "EncryptionFailure"
        raise ApiError(code, "Secrets Manager cannot use the KMS key, which is disabled.")


def add_to_list(call: Call, response: Response) -> Response:
    """Adds the KMS keys to what ListSecrets tells."""
    if response.status != 200:
        return response
    found = parse_response(response, call.service, call.operation)
    keys = secret_keys.find_keys(call.account_id, call.region)
    for secret in found["SecretList"]:
        if secret["ARN"] in keys:
            secret["KmsKeyId"] = keys[secret["ARN"]]
    return aws_response(found, call.service, call.operation)
