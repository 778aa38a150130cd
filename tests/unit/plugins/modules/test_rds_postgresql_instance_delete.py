# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""rds_postgresql_instance against an RDS in memory: deletion."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import GONE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import cloud_with_secret
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import create_instance
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import unreachable


@pytest.fixture
def cloud(monkeypatch):
    return cloud_with_secret(monkeypatch)


@pytest.fixture
def made(cloud):
    return create_instance(cloud)


def test_a_deletion_is_awaited_while_aws_is_out_of_reach(made):
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "deleting"
    original = made.rds.call_describe_db_instances

    def flaky(DBInstanceIdentifier):
        made.rds.faults["describe_db_instances"] = unreachable(1)
        made.rds.script = ["gone"] if made.sleeps else []
        return original(DBInstanceIdentifier)

    made.rds.call_describe_db_instances = flaky
    assert not made.run("rds_postgresql_instance", **GONE, skip_final_snapshot=True).get("failed")
    assert made.rds.instances == {}


def test_absent_four_steps(made):
    made.rds.script = ["available"] * 2 + ["deleting", "gone"]
    params = {**GONE, "final_db_snapshot_identifier": "mlflow-final"}
    made.cycle("rds_postgresql_instance", made.rds, **params)
    assert made.rds.params("delete_db_instance")["FinalDBSnapshotIdentifier"] == "mlflow-final"


@pytest.mark.parametrize("check", [True, False])
def test_protected(made, check):
    params = {**GONE, "disable_deletion_protection": False, "skip_final_snapshot": True, "check": check}
    assert "disable_deletion_protection" in made.run("rds_postgresql_instance", **params)["msg"]


def test_the_snapshot_must_be_decided(made):
    assert "final_db_snapshot_identifier" in made.run("rds_postgresql_instance", **GONE)["msg"]
    both = {**GONE, "skip_final_snapshot": True, "final_db_snapshot_identifier": "x"}
    assert "not both" in made.run("rds_postgresql_instance", **both)["msg"]
    assert "mlflow" in made.rds.instances


def test_a_snapshot_of_that_name_exists(made):
    made.rds.faults["delete_db_instance"] = [error("DBSnapshotAlreadyExists")]
    result = made.run("rds_postgresql_instance", **GONE, final_db_snapshot_identifier="mlflow-final")
    assert "mlflow-final already" in result["msg"]


def test_being_deleted_is_awaited(made):
    made.rds.script = ["deleting", "deleting", "gone"]
    assert not made.run("rds_postgresql_instance", **GONE, skip_final_snapshot=True)["changed"]
    assert made.rds.instances == {}


def test_deletion_of_a_busy_instance_waits_for_it(made):
    made.rds.script = ["creating", "creating", "available", "gone"]
    assert made.run("rds_postgresql_instance", **GONE, final_db_snapshot_identifier="x")["changed"]


def test_a_stopped_instance_is_started_as_its_protection_cannot_be_switched_off_otherwise(made):
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "stopped"
    made.rds.script = ["stopping", "stopped", "stopped", "starting", "available", "available", "gone"]
    assert made.run("rds_postgresql_instance", **GONE, final_db_snapshot_identifier="x")["changed"]
    names = [name for name, _params in made.rds.calls]
    assert names.index("start_db_instance") < names.index("modify_db_instance") < names.index("delete_db_instance")
