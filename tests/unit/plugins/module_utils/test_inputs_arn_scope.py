# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARNs and keys of another partition, region or account, and locations of files that users may not name."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._inputs import arn_scope
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import HERE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import SECRET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import problems_of
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.module_utils.input_checks import said_of


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mlflow_bucket_kms_key_arn", "arn:aws:kms:us-east-1:123456789012:key/1", "is of the region us-east-1"),
        ("mlflow_db_kms_key_arn", "arn:aws-cn:kms:eu-central-1:123456789012:key/1", "is of the partition aws-cn"),
        ("mlflow_permissions_boundary_arn", "arn:aws:iam::210987654321:policy/x", "is of the account 210987654321"),
        ("mlflow_permissions_boundary_arn", "arn:aws:iam::aws:policy/PowerUserAccess", ""),
        ("mlflow_bucket_kms_key_arn", "arn:aws:kms:eu-central-1:210987654321:key/1", ""),
        ("mlflow_db_secret_arn", "arn:aws:secretsmanager:us-east-1:210987654321:secret:x-a1B2c3", ""),
        (
            "mlflow_db_secret_arn",
            "arn:aws-us-gov:secretsmanager:x:210987654321:secret:x-a1B2c3",
            "partition aws-us-gov",
        ),
        ("mlflow_validation_token_secret_arn", SECRET.replace("eu-central-1", "eu-west-1"), "region eu-west-1"),
    ],
)
def test_arns_of_elsewhere(name: str, value: str, words: str) -> None:
    problems = said_of(arn_scope.scope_violations, {name: value}, HERE)
    assert len(problems) == bool(words)
    assert all(problem.startswith(f"{name} ") and words in problem for problem in problems)
    # Before AWS was asked, nothing is known to compare with.
    assert said_of(arn_scope.scope_violations, {name: value}, arn_scope.Scope()) == []


def test_secrets_of_another_partition() -> None:
    [problem] = said_of(
        arn_scope.scope_violations,
        {"mlflow_extra_secrets": {"A": SECRET, "B": SECRET.replace("aws", "aws-cn", 1)}},
        HERE,
    )
    assert problem.startswith("mlflow_extra_secrets['B'] is of the partition aws-cn")


def test_keys_of_another_partition() -> None:
    keys = ["arn:aws:kms:eu-central-1:123456789012:key/1", "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1"]
    [problem] = said_of(arn_scope.scope_violations, {"mlflow_extra_secrets_kms_key_arns": keys}, HERE)
    assert problem.startswith("mlflow_extra_secrets_kms_key_arns[1] is of the partition aws-us-gov")


@pytest.mark.parametrize(
    "value",
    [
        "arn:aws:kms:eu-central-1:123456789012:key/1",
        ["arn:aws:kms:eu-central-1:123456789012:alias/x"],
        [SECRET],
        [None],
    ],
)
def test_what_is_no_list_of_keys(value: object) -> None:
    [problem] = problems_of(mlflow_extra_secrets_kms_key_arns=value)
    assert problem.startswith("mlflow_extra_secrets_kms_key_arns")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mlflow_allowed_model_sources": "s3://a/"}, "must be a list"),
        (
            {"mlflow_allowed_model_sources": ["^s3://.*"]},
            "mlflow_allowed_model_sources[0] is '^s3://.*', but must be the beg",
        ),
        ({"mlflow_allowed_model_sources": ["/etc/"]}, "must be the beginning of a URI, such as s3://shared-models/"),
        ({"mlflow_allowed_model_sources": ["file:///etc/"]}, "files of the task end with it"),
        ({"mlflow_allowed_model_sources": ["s3://team"]}, "end it with a slash, 's3://team/'"),
        ({"mlflow_allowed_model_sources": ["s3://a/../b/"]}, "without dots between slashes"),
        ({"mlflow_allowed_model_sources": ["s3://a/", "runs:/"]}, "mlflow_allowed_model_sources[1] is 'runs:/'"),
        ({"mlflow_allowed_artifact_locations": ["models:/"]}, "no place that files can be stored in"),
        ({"mlflow_allowed_artifact_locations": ["mlflow-artifacts:/"]}, "where the files of others are"),
        ({"mlflow_allowed_artifact_locations": ["mlflow-artifacts:/1/"]}, "where the files of others are"),
        ({"mlflow_allowed_artifact_locations": ["mlflow-artifacts://host/x/"]}, "where the files of others are"),
        (
            {"mlflow_extra_args": ["--default-artifact-root", "s3://a/b"]},
            "--default-artifact-root in mlflow_extra_args is 's3:",
        ),
        ({"mlflow_extra_args": ["--default-artifact-root=s3://a/b"]}, "add it to mlflow_allowed_model_sources"),
        (
            {"mlflow_extra_env": {"MLFLOW_DEFAULT_ARTIFACT_ROOT": "s3://a"}},
            "MLFLOW_DEFAULT_ARTIFACT_ROOT in mlflow_extra_env",
        ),
        (
            {"mlflow_extra_env": {"MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": ".*"}},
            "set mlflow_allowed_model_sources",
        ),
    ],
)
def test_places_that_users_may_not_be_given(given: dict[str, Any], words: str) -> None:
    [problem] = problems_of(**given)
    assert words in problem


@pytest.mark.parametrize(
    "given",
    [
        {"mlflow_allowed_model_sources": ["s3://shared-models/", "gs://a/b/"]},
        {"mlflow_allowed_artifact_locations": ["s3://team/x/", "mlflow-artifacts:/team/"]},
        {"mlflow_extra_args": ["--default-artifact-root", "s3://a/b"], "mlflow_allowed_model_sources": ["s3://a/"]},
        {"mlflow_extra_args": ["--default-artifact-root", "s3://a"], "mlflow_uri_guard": False},
        {"mlflow_extra_args": ["--default-artifact-root", "mlflow-artifacts:/x"]},
    ],
)
def test_places_that_users_may_be_given(given: dict[str, Any]) -> None:
    assert problems_of(**given) == []
