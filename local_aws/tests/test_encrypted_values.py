# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may read secrets and parameters: exactly those that a policy names, and under a customer's key with the key."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from express_support import refused
from running import LocalAws
from test_core_permissions import User
from test_tasks_life import Stage
from test_tasks_life import python

SECRET_DENIED = ("AccessDeniedException", "Access to KMS is not allowed")
MESSAGE = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
    "allowed to access."
)
PARAMETER_DENIED = ("AccessDeniedException", MESSAGE)


class Values:
    """A secret and a parameter under a customer's key, and a reader whose rights on the key are given one by one."""

    def __init__(self, aws: LocalAws, user: User) -> None:
        self.aws, self.user = aws, user
        suffix = uuid.uuid4().hex[:8]
        self.key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        self.alias = f"alias/{suffix}"
        aws.client("kms").create_alias(AliasName=self.alias, TargetKeyId=self.key)
        made = aws.client("secretsmanager").create_secret(
            Name=f"keyed/{suffix}", SecretString="from-secret", KmsKeyId=self.key
        )
        self.secret = made["ARN"]
        self.parameter = f"/keyed/{suffix}"
        aws.client("ssm").put_parameter(
            Name=self.parameter, Value="from-ssm", Type="SecureString", KeyId=self.alias, Tier="Standard"
        )
        self.parameter_arn = f"arn:aws:ssm:{aws.info['region']}:{aws.account_id}:parameter{self.parameter}"

    def give(self, *services: str, key: str = "") -> None:
        """Lets the reader read, and decrypt through these services; every service of AWS, if it is ``*``."""
        statements: list[dict[str, Any]] = [
            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": self.secret},
            {"Effect": "Allow", "Action": "secretsmanager:BatchGetSecretValue", "Resource": "*"},
            {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": self.parameter_arn},
        ]
        if services:
            via = [f"{service}.{self.aws.info['region']}.amazonaws.com" for service in services]
            decrypt = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key or self.key}
            statements.append({**decrypt, "Condition": {"StringEquals": {"kms:ViaService": via}}})
        self.aws.client("iam").put_user_policy(
            UserName=self.user.name,
            PolicyName="only",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )

    def read_secret(self) -> str:
        return self.user.client("secretsmanager").get_secret_value(SecretId=self.secret)["SecretString"]

    def read_parameter(self) -> str:
        found = self.user.client("ssm").get_parameters(Names=[self.parameter], WithDecryption=True)
        return found["Parameters"][0]["Value"]


@pytest.fixture
def values(local_aws: LocalAws) -> Iterator[Values]:
    user = User(local_aws)
    yield Values(local_aws, user)
    user.delete()


def test_a_customers_key_needs_a_right_of_its_own(values: Values) -> None:
    values.give()
    assert refused(values.read_secret) == SECRET_DENIED
    assert refused(values.read_parameter) == PARAMETER_DENIED
    values.give("secretsmanager", "ssm")
    assert values.read_secret() == "from-secret"
    assert values.read_parameter() == "from-ssm"


def test_the_right_may_be_limited_to_a_service_and_is_for_one_key(values: Values) -> None:
    values.give("ssm")
    assert refused(values.read_secret) == SECRET_DENIED
    assert values.read_parameter() == "from-ssm"
    values.give("secretsmanager")
    assert values.read_secret() == "from-secret"
    assert refused(values.read_parameter) == PARAMETER_DENIED
    other = values.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    values.give("secretsmanager", "ssm", key=other)
    assert refused(values.read_secret) == SECRET_DENIED
    # Users who may use the key only through a service may not use it directly.
    values.give("secretsmanager", "ssm")
    kms = values.user.client("kms")
    sealed = values.aws.client("kms").encrypt(KeyId=values.key, Plaintext=b"x")["CiphertextBlob"]
    assert refused(kms.decrypt, CiphertextBlob=sealed)[0] == "AccessDeniedException"


def test_a_batch_tells_of_what_it_may_not_decrypt(values: Values) -> None:
    values.give()
    batch = values.user.client("secretsmanager").batch_get_secret_value(SecretIdList=[values.secret])
    assert batch["SecretValues"] == []
    [error] = batch["Errors"]
    assert (error["ErrorCode"], error["Message"]) == SECRET_DENIED


def test_what_a_parameter_holds_is_shown_encrypted_without_the_right(values: Values) -> None:
    values.give()
    found = values.user.client("ssm").get_parameters(Names=[values.parameter])
    assert found["Parameters"][0]["Value"] != "from-ssm"


def test_nobody_decrypts_with_a_key_that_is_disabled(values: Values) -> None:
    values.give("secretsmanager", "ssm")
    values.aws.client("kms").disable_key(KeyId=values.key)
    assert refused(values.read_secret)[0] == "DecryptionFailure"
    assert refused(values.read_parameter)[0] == "InvalidKeyId"
    values.aws.client("kms").enable_key(KeyId=values.key)
    assert values.read_secret() == "from-secret"


def test_parameters_are_read_by_whom_a_policy_names_each_for(values: Values) -> None:
    """GetParameters is checked on each parameter, asked for by name, version or ARN."""
    root, ssm = values.aws.client("ssm"), values.user.client("ssm")
    plain, other = f"plain-{uuid.uuid4().hex[:8]}", f"/other/{uuid.uuid4().hex[:8]}"
    for name in (plain, other):
        root.put_parameter(Name=name, Value=name, Type="String")
    prefix = f"arn:aws:ssm:{values.aws.info['region']}:{values.aws.account_id}:parameter/"
    values.user.may("ssm:GetParameters", "ssm:GetParameter", Resource=f"{prefix}{plain}")
    for asked in (plain, f"{plain}:1", f"{prefix}{plain}"):
        assert ssm.get_parameters(Names=[asked])["Parameters"][0]["Value"] == plain
        assert ssm.get_parameter(Name=asked)["Parameter"]["Value"] == plain
    for asked in ([other], [plain, other], [f"{prefix}{other[1:]}"], [f"{plain}x"]):
        assert refused(ssm.get_parameters, Names=asked)[0] == "AccessDeniedException"


@pytest.fixture(scope="module")
def stage(local_aws: LocalAws) -> Stage:
    return Stage(local_aws)


def test_a_task_gets_values_under_a_customers_key_with_the_execution_roles_right(stage: Stage, values: Values) -> None:
    secrets = [
        {"name": "SECRET", "valueFrom": values.secret},
        {"name": "PARAMETER", "valueFrom": values.parameter_arn},
    ]
    show = python("import os; print(os.environ['SECRET'], os.environ['PARAMETER'])")
    stage.allow("execution", "secretsmanager:GetSecretValue", resource=values.secret)
    task = stage.reach(stage.run(show, secrets=secrets), "STOPPED")
    assert "AccessDeniedException: Access to KMS is not allowed" in task["stoppedReason"]
    stage.allow("execution", "kms:Decrypt", resource=values.key)
    task = stage.reach(stage.run(show, secrets=secrets), "STOPPED")
    assert stage.output(task) == ["from-secret from-ssm"]
