# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret under a customer managed KMS key is read and written by those who may use the key."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from running import LocalAws
from running import create_client

VIA = {"StringLike": {"kms:ViaService": "secretsmanager.us-east-1.*"}}


def user(aws: LocalAws, *statements: dict[str, Any]) -> Any:
    """A client of Secrets Manager for a user who may do everything there, and what the statements say."""
    iam, name = aws.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    everything = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything, *statements]})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return create_client(
        "secretsmanager",
        region_name="us-east-1",
        endpoint_url=aws.info["endpoint_url"],
        verify=aws.info["ca_bundle"],
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def denied(call: Any, **parameters: Any) -> None:
    """Assert that the key's use is denied."""
    with pytest.raises(ClientError, match="Access to KMS is not allowed") as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_whoever_may_not_use_the_key_neither_reads_nor_writes(local_aws: LocalAws) -> None:
    kms, manager = local_aws.client("kms"), local_aws.client("secretsmanager")
    key, other = (kms.create_key()["KeyMetadata"]["Arn"] for _unused in range(2))
    name = f"own/{uuid.uuid4().hex}"
    manager.create_secret(Name=name, SecretString="first", KmsKeyId=key)
    nobody = user(local_aws)
    elsewhere = user(
        local_aws,
        {
            "Effect": "Allow",
            "Action": "kms:*",
            "Resource": "*",
            "Condition": {"StringEquals": {"kms:ViaService": "rds.us-east-1.amazonaws.com"}},
        },
    )
    reader = user(local_aws, {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": VIA})
    writer = user(
        local_aws,
        {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key, "Condition": VIA},
    )
    for one in (nobody, elsewhere):
        denied(one.get_secret_value, SecretId=name)
        denied(one.create_secret, Name=f"{name}-more", SecretString="x", KmsKeyId=key)
    assert reader.get_secret_value(SecretId=name)["SecretString"] == "first"
    denied(reader.put_secret_value, SecretId=name, SecretString="second")
    writer.put_secret_value(SecretId=name, SecretString="second")
    denied(writer.update_secret, SecretId=name, KmsKeyId=other)
    nobody.update_secret(SecretId=name, Description="no key is needed for it")
    writer.update_secret(SecretId=name, KmsKeyId="")
    assert nobody.get_secret_value(SecretId=name)["SecretString"] == "second"
    assert "KmsKeyId" not in manager.describe_secret(SecretId=name)


def test_a_key_that_is_disabled_or_not_there(local_aws: LocalAws) -> None:
    kms, manager = local_aws.client("kms"), local_aws.client("secretsmanager")
    key, name = kms.create_key()["KeyMetadata"]["Arn"], f"own/{uuid.uuid4().hex}"
    manager.create_secret(Name=name, SecretString="x", KmsKeyId=key)
    kms.disable_key(KeyId=key)
    with pytest.raises(ClientError, match="disabled"):
        manager.get_secret_value(SecretId=name)
    missing = key.rpartition("/")[0] + f"/{uuid.uuid4()}"
    with pytest.raises(ClientError, match="does not exist"):
        manager.create_secret(Name=f"{name}-more", SecretString="x", KmsKeyId=missing)
