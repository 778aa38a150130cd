# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log group under a KMS key of the customer's: CloudWatch Logs must be let use it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from running import LocalAws

OWNER = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*", "Resource": "*"}
SERVICE = {
    "Effect": "Allow",
    "Principal": {"Service": "logs.us-east-1.amazonaws.com"},
    "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
    "Resource": "*",
}
ANY_GROUP = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:us-east-1:123456789012:log-group:/ours/*"}}


def new_key(aws: LocalAws, *statements: dict[str, Any]) -> str:
    """The ARN of a key with a policy."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": [OWNER, *statements]})
    return str(aws.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])


def key_of(aws: LocalAws, name: str) -> str:
    """What is shown of a group's key."""
    [group] = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return str(group.get("kmsKeyId", ""))


def test_a_key_is_given_changed_and_taken_away(local_aws: LocalAws) -> None:
    logs, name = local_aws.client("logs"), f"/ours/{uuid.uuid4().hex}"
    first = new_key(local_aws, {**SERVICE, "Condition": ANY_GROUP})
    logs.create_log_group(logGroupName=name, kmsKeyId=first)
    assert key_of(local_aws, name) == first
    second = new_key(local_aws, SERVICE)
    logs.associate_kms_key(logGroupName=name, kmsKeyId=second)
    assert key_of(local_aws, name) == second
    logs.disassociate_kms_key(logGroupName=name)
    assert key_of(local_aws, name) == ""


@pytest.mark.parametrize("case", ["no policy", "another group's", "disabled", "none there", "no ARN"])
def test_a_key_that_cloudwatch_logs_may_not_use_is_refused(local_aws: LocalAws, case: str) -> None:
    logs, name = local_aws.client("logs"), f"/others/{uuid.uuid4().hex}"
    key = new_key(local_aws)
    if case == "another group's":
        key = new_key(local_aws, {**SERVICE, "Condition": ANY_GROUP})
    elif case == "disabled":
        key = new_key(local_aws, SERVICE)
        local_aws.client("kms").disable_key(KeyId=key)
    elif case == "none there":
        key = f"arn:aws:kms:us-east-1:123456789012:key/{uuid.uuid4()}"
    elif case == "no ARN":
        key = new_key(local_aws, SERVICE).rpartition("/")[2]
    for call in (logs.create_log_group, logs.associate_kms_key):
        with pytest.raises(ClientError, match="does not exist or is not allowed to be used with Arn") as refused:
            call(logGroupName=name, kmsKeyId=key)
        assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
        if call == logs.create_log_group:
            logs.create_log_group(logGroupName=name)
    assert key_of(local_aws, name) == ""
