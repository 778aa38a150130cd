# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What variables refer to in AWS must exist, be usable, and lie in the right place; else nothing is created."""

from __future__ import annotations

import pytest
from harness import REGION
from harness import LocalAws
from refusals import KEY
from refusals import SECRET
from refusals import Cases
from refusals import refuse_together

# They share a local AWS.
GROUP = "refusals"


@pytest.fixture(scope="module")
def aws(refusals: LocalAws) -> LocalAws:
    """The one of all files that are about refusals."""
    return refusals


# What is known of AWS only: read with the credentials, and held against the variables before anything is made.
ELSEWHERE: Cases = {
    "bucket_key_elsewhere": (
        {"mlflow_bucket_kms_key_arn": KEY.replace("us-east-1", "eu-west-1")},
        ["mlflow_bucket_kms_key_arn is of the region eu-west-1", REGION],
    ),
    "db_key_elsewhere": (
        {"mlflow_db_kms_key_arn": KEY.replace("us-east-1", "eu-west-1")},
        ["mlflow_db_kms_key_arn is of the region eu-west-1", REGION],
    ),
    "log_key_elsewhere": (
        {"mlflow_log_kms_key_arn": KEY.replace("us-east-1", "eu-west-1")},
        ["mlflow_log_kms_key_arn is of the region eu-west-1", REGION],
    ),
    "secrets_key_elsewhere": (
        {"mlflow_secrets_kms_key_arn": KEY.replace("us-east-1", "eu-west-1")},
        ["mlflow_secrets_kms_key_arn is of the region eu-west-1", REGION],
    ),
    "boundary_elsewhere": (
        {"mlflow_permissions_boundary_arn": "arn:aws:iam::210987654321:policy/boundary"},
        ["mlflow_permissions_boundary_arn is of the account 210987654321", "123456789012"],
    ),
    "partition": (
        {"mlflow_extra_secrets": {"TOKEN": SECRET.replace("arn:aws:", "arn:aws-cn:")}},
        ["mlflow_extra_secrets['TOKEN'] is of the partition aws-cn", "in aws"],
    ),
    "partition_of_key": (
        {"mlflow_extra_secrets_kms_key_arns": [KEY.replace("arn:aws:", "arn:aws-cn:")]},
        ["mlflow_extra_secrets_kms_key_arns[0] is of the partition aws-cn", "in aws"],
    ),
    "token_elsewhere": (
        {"mlflow_validation_token_secret_arn": SECRET.replace("us-east-1", "eu-west-1")},
        ["mlflow_validation_token_secret_arn is of the region eu-west-1", REGION],
    ),
    "too_long_for_the_bucket": (
        {"mlflow_name": "n" * 40},
        ["mlflow_name", f"-artifacts-123456789012-{REGION}", "at most 30 characters"],
    ),
}


ABSENT = "does not exist: create it, or correct it."


def key(number: int) -> str:
    """A key that does not exist."""
    return f"{KEY[:-1]}{number}"


# What does not exist.
MISSING: Cases = {
    "bucket_key": (
        {"mlflow_bucket_kms_key_arn": key(1)},
        ["mlflow_bucket_kms_key_arn names the KMS key", ABSENT],
    ),
    "db_key": ({"mlflow_db_kms_key_arn": key(2)}, ["mlflow_db_kms_key_arn names the KMS key", ABSENT]),
    "log_key": ({"mlflow_log_kms_key_arn": key(3)}, ["mlflow_log_kms_key_arn names the KMS key", ABSENT]),
    "secrets_key": (
        {"mlflow_secrets_kms_key_arn": key(4)},
        ["mlflow_secrets_kms_key_arn names the KMS key", ABSENT],
    ),
    "extra_key": (
        {"mlflow_extra_secrets_kms_key_arns": [key(6)]},
        ["mlflow_extra_secrets_kms_key_arns[0] names the KMS key", ABSENT],
    ),
    "extra_secret": (
        {"mlflow_extra_secrets": {"TOKEN": f"{SECRET}:member::"}},
        ["mlflow_extra_secrets['TOKEN'] names the secret", ABSENT],
    ),
    "db_secret": (
        {"mlflow_db_host": "db.example.com", "mlflow_db_secret_arn": f"{SECRET[:-1]}1"},
        ["mlflow_db_secret_arn names the secret", ABSENT],
    ),
    "token": (
        {"mlflow_validation_token_secret_arn": f"{SECRET[:-1]}2"},
        ["mlflow_validation_token_secret_arn", ABSENT],
    ),
    "boundary": (
        {"mlflow_permissions_boundary_arn": "arn:aws:iam::123456789012:policy/no-such-boundary"},
        ["mlflow_permissions_boundary_arn names the IAM policy", ABSENT],
    ),
}


def unusable(calm: LocalAws) -> Cases:
    """What exists and cannot be used."""
    kms, secrets = calm.client("kms"), calm.client("secretsmanager")
    disabled, used = (kms.create_key()["KeyMetadata"]["Arn"] for _each in range(2))
    kms.disable_key(KeyId=disabled)
    under_key = secrets.create_secret(Name="mine/under-a-key", SecretString="made-up-0042", KmsKeyId=used)["ARN"]
    deleted = secrets.create_secret(Name="mine/deleted", SecretString="made-up-0043")["ARN"]
    secrets.delete_secret(SecretId=deleted)
    return {
        "disabled_key": ({"mlflow_db_kms_key_arn": disabled}, ["mlflow_db_kms_key_arn", "whose state is Disabled"]),
        "secret_under_a_key": (
            {"mlflow_extra_secrets": {"TOKEN": under_key}},
            ["mlflow_extra_secrets['TOKEN']", used, "add the key's ARN to mlflow_extra_secrets_kms_key_arns"],
        ),
        "deleted_secret": (
            {"mlflow_extra_secrets": {"DELETED": deleted}},
            ["mlflow_extra_secrets['DELETED']", "scheduled for deletion"],
        ),
    }


def unfit(calm: LocalAws) -> dict[str, Cases]:
    """Files and an image that lack something; of each host the first is said."""
    no_hashes = calm.home / "client.txt"
    no_hashes.write_text("mlflow==3.17.2\n", encoding="utf-8")
    return {
        "no_client_file": {
            "file": (
                {"mlflow_client_requirements": "/no/such/file.txt"},
                ["mlflow_client_requirements is /no/such/file.txt", "cannot be read"],
            )
        },
        "client_file_without_hashes": {
            "hashes": (
                {"mlflow_client_requirements": str(no_hashes)},
                ["mlflow_client_requirements", "lists no hashes"],
            )
        },
        "old_image_without_what_the_login_needs": {
            "image": (
                {"mlflow_version": "3.13.0", "mlflow_pip_install": False},
                ["mlflow_pip_install", "3.13.0", "Flask-WTF", "3.14.0"],
            )
        },
    }


def test_what_variables_refer_to_must_exist_here_and_be_usable(calm: LocalAws) -> None:
    hosts = {"elsewhere": ELSEWHERE, "missing": MISSING, "unusable": unusable(calm), **unfit(calm)}
    calm.page("calls", "DELETE")
    for check in (True, False):
        refuse_together(calm, hosts, check=check)
