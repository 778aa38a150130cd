# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""aws_caller_context: one sentence for each way in which AWS cannot say who the caller is."""

from __future__ import annotations

import json
from unittest.mock import MagicMock

import botocore.exceptions
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.modules import aws_caller_context

_KEYS = {"access_key": "AKIAMADEUPMADEUPMADE", "secret_key": "made-up-made-up-made-up-made-up-0001"}


def _run(capsys: pytest.CaptureFixture[str], arguments: dict) -> dict:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        aws_caller_context.main()
    return json.loads(capsys.readouterr().out)


def _client_error(code: str) -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": "as AWS words it"}}, "GetCallerIdentity")


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    client = MagicMock()
    client.get_caller_identity.return_value = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"}
    monkeypatch.setattr(AnsibleAWSModule, "client", lambda *_args, **_kwargs: client)
    return client


@pytest.mark.parametrize(
    ("region", "partition", "suffixes"),
    [
        ("eu-central-1", "aws", ("amazonaws.com", "on.aws")),
        ("us-gov-west-1", "aws-us-gov", ("amazonaws.com", "on.aws")),
        ("cn-north-1", "aws-cn", ("amazonaws.com.cn", "on.amazonwebservices.com.cn")),
        ("eusc-de-east-1", "aws-eusc", ("amazonaws.eu", "on.amazonwebservices.eu")),
    ],
)
def test_tells_account_partition_and_region(sts, capsys, region, partition, suffixes):
    result = _run(capsys, {**_KEYS, "region": region})
    assert (result["account_id"], result["region"]) == ("123456789012", region)
    assert (result["partition"], result["dns_suffix"], result["on_dns_suffix"]) == (partition, *suffixes)
    assert result["changed"] is False


def test_no_region_is_said_before_aws_is_asked(sts, capsys):
    result = _run(capsys, dict(_KEYS))
    assert result["failed"] is True
    assert result["msg"].startswith("No AWS region: set AWS_REGION")
    sts.get_caller_identity.assert_not_called()


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"access_key": "AKIAMADEUPMADEUPMADE"}, ("AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY",)),
        ({"secret_key": "made-up-made-up-01"}, ("AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID",)),
        ({"profile": "nobodys"}, ("'nobodys'", "AWS_PROFILE")),
        ({**_KEYS, "profile": "nobodys"}, ("Both a profile and access keys", "unset AWS_PROFILE", "AWS_SESSION_TOKEN")),
    ],
)
def test_incomplete_options_are_said_by_their_names(sts, capsys, given, parts):
    result = _run(capsys, {**given, "region": "eu-central-1"})
    assert result["failed"] is True
    assert [part for part in parts if part not in result["msg"]] == []
    sts.get_caller_identity.assert_not_called()


def test_a_region_that_does_not_exist(sts, capsys):
    result = _run(capsys, {**_KEYS, "region": "nowhere"})
    assert "AWS has no region called 'nowhere'" in result["msg"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (_client_error("InvalidClientTokenId"), "AWS does not know this access key"),
        (_client_error("SignatureDoesNotMatch"), "the secret access key does not belong to this access key"),
        (_client_error("ExpiredToken"), "the temporary credentials have expired"),
        (_client_error("AccessDenied"), "AWS STS refused GetCallerIdentity (AccessDenied): as AWS words it"),
        (botocore.exceptions.NoCredentialsError(), "No AWS credentials: set AWS_ACCESS_KEY_ID"),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="https://sts"), "AWS STS cannot be reached"),
    ],
)
def test_each_failure_has_its_sentence(sts, capsys, error, sentence):
    sts.get_caller_identity.side_effect = error
    result = _run(capsys, {**_KEYS, "region": "eu-central-1"})
    assert result["failed"] is True
    assert sentence in result["msg"]
