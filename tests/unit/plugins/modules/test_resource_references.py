# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""resource_references: what settings refer to is asked for by name, in its own region, and refused in one sentence."""

from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import ACCOUNT
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import REGION
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import Fake
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
OTHER_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/99999999-2222-3333-4444-555555555555"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:team/token-AbCdEf"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
EVERYTHING = {
    "kms_keys": {"log_key": KEY, "keys": [KEY], "unset": "", "none": []},
    "secrets": {"extra": {"TOKEN": f"{SECRET}:member::"}},
    "caller_secrets": {"token": SECRET},
    "policies": {"boundary": POLICY},
}


class Account(Fake):
    """All services in one, where each resource exists."""

    def __init__(self) -> None:
        super().__init__()
        self.key: dict[str, typing.Any] = {"KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT"}
        self.secret: dict[str, typing.Any] = {}

    def call_describe_key(self, KeyId: str) -> dict:
        assert KeyId == KEY
        return {"KeyMetadata": {"Arn": KEY, **self.key}}

    def call_describe_secret(self, SecretId: str) -> dict:
        assert SecretId == SECRET
        return {"ARN": SecretId, **self.secret}

    def call_get_policy(self, PolicyArn: str) -> dict:
        assert PolicyArn == POLICY
        return {"Policy": {"Arn": PolicyArn}}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    return Cloud(monkeypatch)


@pytest.fixture
def account(cloud: Cloud) -> Account:
    account = Account()
    for service in ("iam", "kms", "secretsmanager"):
        setattr(cloud, service, account)
    return account


def test_what_exists_is_accepted_and_nothing_is_written(cloud: Cloud, account: Account) -> None:
    result = cloud.run("resource_references", **EVERYTHING)
    assert (result["changed"], result["unknown"]) == (False, [])
    assert sorted(account.names()) == ["describe_key"] * 2 + ["describe_secret"] * 2 + ["get_policy"]


def test_parameters_of_systems_manager_are_not_secrets(cloud: Cloud, account: Account) -> None:
    parameter = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/team/licence"
    assert cloud.run("resource_references", secrets={"extra": {"LICENCE": parameter}})["unknown"] == []
    assert account.calls == []


def test_settings_without_a_value_ask_for_nothing(cloud: Cloud, account: Account) -> None:
    assert cloud.run("resource_references", kms_keys={"log_key": ""}, secrets={"extra": {}})["unknown"] == []
    assert account.calls == []


@pytest.mark.parametrize(
    ("given", "fault", "words"),
    [
        ("kms_keys", ("describe_key", "NotFoundException"), ["log_key names the KMS key", KEY]),
        ("secrets", ("describe_secret", "ResourceNotFoundException"), ["extra['TOKEN'] names the secret", SECRET]),
        ("caller_secrets", ("describe_secret", "ResourceNotFoundException"), ["token names the secret", SECRET]),
        ("policies", ("get_policy", "NoSuchEntity"), ["boundary names the IAM policy", POLICY]),
    ],
)
def test_what_does_not_exist_is_named(
    cloud: Cloud, account: Account, given: str, fault: tuple[str, str], words: list[str]
) -> None:
    account.faults[fault[0]] = [error(fault[1])] * 2
    message = cloud.run("resource_references", **{given: EVERYTHING[given]})["msg"]
    assert all(word in message for word in [*words, "does not exist: create it, or correct it."]), message


@pytest.mark.parametrize(
    ("operation", "code", "settings"),
    [
        ("describe_key", "AccessDeniedException", ["log_key", "keys[0]"]),
        ("describe_secret", "AccessDeniedException", ["extra['TOKEN']", "token"]),
        ("get_policy", "AccessDenied", ["boundary"]),
    ],
)
def test_what_the_caller_may_not_know_is_no_failure(
    cloud: Cloud, account: Account, operation: str, code: str, settings: list[str]
) -> None:
    account.faults[operation] = [error(code)] * 2
    assert cloud.run("resource_references", **EVERYTHING)["unknown"] == settings


def test_another_error_is_a_failure(cloud: Cloud, account: Account) -> None:
    account.faults["get_policy"] = [error("InvalidInput", message="no ARN")]
    assert "InvalidInput" in cloud.run("resource_references", policies={"boundary": POLICY})["msg"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"KeyState": "PendingDeletion", "KeySpec": "SYMMETRIC_DEFAULT"}, "whose state is PendingDeletion"),
        ({"KeyState": "Disabled", "KeySpec": "SYMMETRIC_DEFAULT"}, "whose state is Disabled"),
        ({"KeyState": "Enabled", "KeySpec": "RSA_4096"}, "asymmetric or for HMAC"),
    ],
)
def test_keys_that_cannot_be_used(cloud: Cloud, account: Account, key: dict[str, str], words: str) -> None:
    account.key = key
    assert words in cloud.run("resource_references", kms_keys={"log_key": KEY})["msg"]


def test_a_secret_that_is_to_be_deleted(cloud: Cloud, account: Account) -> None:
    account.secret = {"DeletedDate": "2026-11-30"}
    message = cloud.run("resource_references", secrets=EVERYTHING["secrets"])["msg"]
    assert "scheduled for deletion" in message
    assert "extra['TOKEN']" in message


@pytest.mark.parametrize("key", [KEY, KEY.rsplit("/", 1)[-1]])
def test_a_secret_under_a_key_that_the_server_may_not_use(cloud: Cloud, account: Account, key: str) -> None:
    account.secret = {"KmsKeyId": key}
    asked = {"secrets": EVERYTHING["secrets"], "usable_kms_keys_setting": "extra_keys"}
    message = cloud.run("resource_references", **asked, usable_kms_key_arns=[OTHER_KEY])["msg"]
    assert f"under the customer managed KMS key {key}" in message
    assert "add the key's ARN to extra_keys." in message
    assert cloud.run("resource_references", **asked, usable_kms_key_arns=[KEY])["unknown"] == []
    # What the caller reads, the caller decrypts.
    assert cloud.run("resource_references", caller_secrets={"token": SECRET})["unknown"] == []
