# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KMS key of an encrypted instance.

botocore's text on CreateDBInstance, KmsKeyId: a key's ARN or id, an alias's ARN or name; without it the account's
default key, which is the AWS managed key with the alias aws/rds. What is shown is the key's ARN.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from ...context import Context
from ...service import ApiError
from ...service import Call
from . import rules

DEFAULT_ALIAS = "alias/aws/rds"


async def key(ctx: Context, call: Call) -> str:
    """The ARN of the key that a new instance is encrypted with; empty without encryption; raises ApiError."""
    given = str(call.params.get("KmsKeyId") or "")
    if not call.params.get("StorageEncrypted"):
        if given:
            raise rules.combination("You can't specify a KMS key for an unencrypted DB instance.")
        return ""
    try:
        return await _arn(ctx, given or DEFAULT_ALIAS)
    except ClientError as error:
        if not given:
            return await _make_default(ctx)
        text = f"The specified KMS key [{given}] does not exist, is not enabled or you are not permitted to use it."
        raise ApiError("KMSKeyNotAccessibleFault", text) from error


async def _arn(ctx: Context, name: str) -> str:
    found = await ctx.aws("kms", "describe_key", KeyId=name)
    return str(found["KeyMetadata"]["Arn"])


async def _make_default(ctx: Context) -> str:
    """The AWS managed key, which AWS makes when it is first used."""
    text = "Default key that protects my RDS database volumes when no other key is defined"
    made = await ctx.aws("kms", "create_key", Description=text)
    await ctx.aws("kms", "create_alias", AliasName=DEFAULT_ALIAS, TargetKeyId=made["KeyMetadata"]["KeyId"])
    return str(made["KeyMetadata"]["Arn"])
