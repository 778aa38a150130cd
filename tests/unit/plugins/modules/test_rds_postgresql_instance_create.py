# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""rds_postgresql_instance against an RDS in memory: creation, and the secret that it reads."""

from __future__ import annotations

import json

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import DB
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import PASSWORD
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import cloud_with_secret
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import create_instance
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import run


@pytest.fixture
def cloud(monkeypatch):
    return cloud_with_secret(monkeypatch)


@pytest.fixture
def made(cloud):
    return create_instance(cloud)


def test_four_steps(cloud):
    cloud.rds.script = ["creating", "backing-up", "available"]
    check, applied, _check, again = cloud.cycle("rds_postgresql_instance", cloud.rds, **DB)
    assert check["instance"]["db_instance_arn"] == again["instance"]["db_instance_arn"]
    assert applied["instance"]["endpoint"]["address"] == "db.example.com"
    assert again["instance"]["tags"] == {"Project": "mlflow"}
    assert cloud.rds.password == PASSWORD
    assert cloud.sleeps == [15, 15]
    assert PASSWORD not in cloud.printed


@pytest.mark.parametrize("types", [[], ["postgresql"]])
def test_a_new_instance_has_the_logs_that_are_asked_for(cloud, types):
    cloud.rds.script = ["available"]
    assert run(cloud, enable_cloudwatch_logs_exports=types)["changed"]
    assert cloud.rds.params("create_db_instance").get("EnableCloudwatchLogsExports", []) == types
    assert not run(cloud, enable_cloudwatch_logs_exports=types)["changed"]


def test_check_mode_does_not_read_the_secret(cloud):
    run(cloud, check=True, master_user_secret_arn="arn:aws:secretsmanager:eu-central-1:123456789012:secret:x-??????")
    assert cloud.secretsmanager.calls == []


def test_the_secret_is_read_at_creation_only(made):
    made.secretsmanager.calls.clear()
    run(made)
    assert made.secretsmanager.calls == []


def test_created_meanwhile(made):
    # Not found before, and for a moment after, the creation that is refused.
    made.rds.faults["describe_db_instances"] = [error("DBInstanceNotFound")] * 3
    assert not run(made)["changed"]


def test_created_and_deleted_meanwhile(cloud):
    cloud.rds.faults["create_db_instance"] = [error("DBInstanceAlreadyExists")]
    assert "run this again" in run(cloud)["msg"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"username": "mlflow"}, "no text member password"),
        ({"username": "other", "password": PASSWORD}, "make them agree"),
        ({"username": "mlflow", "password": "with/slash-unlikely"}, "master password"),
        ({"username": "mlflow", "password": "unl-7ch"}, "master password"),
    ],
)
def test_unfit_secrets(cloud, value, words):
    cloud.secretsmanager.values["mlflow/database"] = json.dumps(value)
    assert words in run(cloud)["msg"]
    assert value.get("password", "nothing-to-see") not in cloud.printed
    assert cloud.rds.writes() == []


def test_user_from_the_secret(cloud):
    params = {key: value for key, value in DB.items() if key != "master_username"}
    cloud.run("rds_postgresql_instance", **params, wait=False)
    assert cloud.rds.params("create_db_instance")["MasterUsername"] == "mlflow"


def test_what_is_missing_for_creation(cloud):
    result = cloud.run("rds_postgresql_instance", db_instance_identifier="mlflow")
    for option in ("db_instance_class", "allocated_storage", "master_user_secret_arn"):
        assert option in result["msg"]
