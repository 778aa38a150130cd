# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of mlflow_deployment_state on a deployment that has everything."""

from __future__ import annotations

import typing

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import BOUNDARY
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import BUCKET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import KEY
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import THEIR_SECRET
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_deployment import Account

DEPLOYMENT: dict[str, typing.Any] = {
    "name": "tracking",
    "bucket": BUCKET,
    "database": "tracking",
    "parameter_group": "tracking-postgres16",
}
GIVEN = {
    "deployment": {
        **DEPLOYMENT,
        "kms_key_arns": [KEY],
        "secret_arns": [f"{THEIR_SECRET}:token::"],
        "policy_arns": [BOUNDARY],
    },
    "collection_version": "0.1.0",
    "collection_hash": "aaaa",
    "variables_hash": "bbbb",
}


def make_cloud(monkeypatch: pytest.MonkeyPatch, account: Account) -> Cloud:
    """Stand-ins in which the deployment's account answers for all services."""
    made = Cloud(monkeypatch)
    services = ("ecs", "elbv2", "ec2", "rds", "s3", "iam", "secretsmanager", "logs", "kms", "resourcegroupstaggingapi")
    for service in services:
        setattr(made, service, account)
    return made


def run(cloud: Cloud, **given: typing.Any) -> dict:
    result = cloud.run("mlflow_deployment_state", **{**GIVEN, **given})
    assert not result.get("failed"), result
    return result
