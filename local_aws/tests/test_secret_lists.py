# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ListSecrets tells the KMS key of each secret that has one."""

from __future__ import annotations

from running import LocalAws


def test_a_list_tells_the_keys_of_secrets_in_a_body_of_the_right_length(local_aws: LocalAws) -> None:
    kms, client = local_aws.client("kms"), local_aws.client("secretsmanager")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    for number in range(2):
        client.create_secret(Name=f"listed/{number}", KmsKeyId=key, SecretString="a-made-up-value-of-a-test")
    client.create_secret(Name="listed/plain", SecretString="a-made-up-value-of-a-test")
    found = client.list_secrets(Filters=[{"Key": "name", "Values": ["listed/"]}])["SecretList"]
    assert sorted((one["Name"], one.get("KmsKeyId", "")) for one in found) == [
        ("listed/0", key),
        ("listed/1", key),
        ("listed/plain", ""),
    ]
