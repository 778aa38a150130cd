# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""rds_postgresql_instance against an RDS in memory: changes, and what is none or impossible."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import DB
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import cloud_with_secret
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import create_instance
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import run


@pytest.fixture
def cloud(monkeypatch):
    return cloud_with_secret(monkeypatch)


@pytest.fixture
def made(cloud):
    return create_instance(cloud)


def test_logs_go_to_cloudwatch_and_no_longer(made):
    option = "enable_cloudwatch_logs_exports"
    assert not run(made)["changed"], "what is not given is left alone"
    for types, configuration in (
        (["upgrade", "postgresql"], {"EnableLogTypes": ["postgresql", "upgrade"]}),
        (
            ["postgresql", "iam-db-auth-error"],
            {"EnableLogTypes": ["iam-db-auth-error"], "DisableLogTypes": ["upgrade"]},
        ),
        ([], {"DisableLogTypes": ["iam-db-auth-error", "postgresql"]}),
    ):
        before = made.rds.instances["mlflow"]["EnabledCloudwatchLogsExports"]
        check, applied = run(made, check=True, **{option: types}), run(made, **{option: types})
        assert check["diff"]["before"][option] == sorted(before)
        assert check["diff"]["after"][option] == types
        assert check["diff"] == applied["diff"]
        assert made.rds.params("modify_db_instance")["CloudwatchLogsExportConfiguration"] == configuration
        assert not run(made, **{option: types})["changed"]


def test_logs_under_way_are_not_asked_for_twice(made):
    pending = {"LogTypesToEnable": ["postgresql"], "LogTypesToDisable": ["upgrade"]}
    made.rds.instances["mlflow"].update(
        EnabledCloudwatchLogsExports=["upgrade"], PendingModifiedValues={"PendingCloudwatchLogsExports": pending}
    )
    assert not run(made, enable_cloudwatch_logs_exports=["postgresql"], wait=False)["changed"]


@pytest.mark.parametrize("wait", [True, False])
def test_full_storage_can_be_made_larger(made, wait):
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "storage-full"
    for check in (True, False):
        said = run(made, check=check)["msg"]
        assert "instance mlflow, 20 GiB, is full" in said
        assert "set allocated_storage to 22 GiB or more, with apply_immediately." in said
        said = run(made, check=check, variables={"allocated_storage": "mlflow_db_allocated_storage"})["msg"]
        assert "set mlflow_db_allocated_storage to 22 GiB or more." in said
    assert run(made, check=True, allocated_storage=40)["changed"]
    made.rds.script = ["storage-full", "storage-full"]
    if wait:
        made.rds.script += ["modifying", "available"]
    result = run(made, allocated_storage=40, wait=wait)
    assert result["changed"]
    assert made.rds.params("modify_db_instance")["AllocatedStorage"] == 40
    # What waits for it, and the next run, see that it grows.
    made.rds.script = ["storage-full", "modifying", "available"]
    available = {"db_instance_identifier": "mlflow", "state": "available"}
    if not wait:
        assert made.run("rds_postgresql_instance", **available)["instance"]["allocated_storage"] == 40
    made.rds.script = []
    assert not run(made, allocated_storage=40)["changed"]


def test_full_storage_that_grows_is_awaited_and_not_asked_twice(made):
    grows = {"AllocatedStorage": 40}
    made.rds.instances["mlflow"].update(DBInstanceStatus="storage-full", PendingModifiedValues=grows, _next=grows)
    assert not run(made, allocated_storage=40, wait=False)["changed"]
    made.rds.script = ["storage-full", "storage-full", "available"]
    result = run(made, allocated_storage=40)
    assert not result["changed"]
    assert result["instance"]["db_instance_status"] == "available"


@pytest.mark.parametrize(
    ("shown", "change", "sent"),
    [
        ({}, {"allocated_storage": 40}, {"AllocatedStorage": 40}),
        (
            {"AllocatedStorage": 400, "Iops": 14000, "StorageThroughput": 600},
            {"allocated_storage": 500, "max_allocated_storage": 1000},
            {"AllocatedStorage": 500, "Iops": 14000, "StorageThroughput": 600},
        ),
        # Over the size from which on gp3 has IOPS of its own.
        (
            {"Iops": 3000, "StorageThroughput": 125},
            {"allocated_storage": 400, "max_allocated_storage": 1000},
            {"AllocatedStorage": 400, "Iops": 12000, "StorageThroughput": 500},
        ),
        (
            {"AllocatedStorage": 400, "Iops": 12000, "StorageThroughput": 500},
            {"allocated_storage": 400, "max_allocated_storage": 1000, "iops": 16000},
            {"AllocatedStorage": 400, "Iops": 16000, "StorageThroughput": 500},
        ),
        (
            {"StorageType": "io1", "Iops": 1000},
            {"storage_type": "io1", "allocated_storage": 80},
            {"AllocatedStorage": 80, "Iops": 1000},
        ),
        (
            {"StorageType": "io1", "Iops": 1000, "AllocatedStorage": 100},
            {"storage_type": "gp3", "allocated_storage": 100},
            {"StorageType": "gp3"},
        ),
    ],
)
def test_size_and_iops_go_together_where_there_are_iops(made, shown, change, sent):
    made.rds.instances["mlflow"].update(MaxAllocatedStorage=change.get("max_allocated_storage", 100), **shown)
    assert run(made, **change, wait=False)["changed"]
    told = made.rds.params("modify_db_instance")
    assert {key: told[key] for key in told if key not in ("DBInstanceIdentifier", "ApplyImmediately")} == sent


@pytest.mark.parametrize(
    "change",
    [
        {"db_instance_class": "db.t4g.small"},
        {"allocated_storage": 40},
        {"max_allocated_storage": 200},
        {"max_allocated_storage": 20},
        {"multi_az": True},
        {"publicly_accessible": True},
        {"vpc_security_group_ids": ["sg-3"]},
        {"deletion_protection": False},
        {"backup_retention_period": 1},
        {"preferred_backup_window": "02:00-03:00"},
        {"engine_version": "16.9"},
        {"ca_certificate_identifier": "rds-ca-ecc384-g1"},
        {"tags": {"Other": "x"}},
    ],
)
def test_changes_are_made_once(made, change):
    assert run(made, check=True, **change)["changed"]
    made.rds.script = ["available", "modifying", "available"] if set(change) != {"tags"} else []
    result = run(made, **change)
    assert result["changed"]
    assert result["diff"]["before"] != result["diff"]["after"]
    made.rds.script = []
    assert not run(made, **change)["changed"]


def test_what_is_pending_was_asked_for(made):
    made.rds.instances["mlflow"]["PendingModifiedValues"] = {
        "DBInstanceClass": "db.t4g.small",
        "MasterUserPassword": "****",
    }
    result = run(made, db_instance_class="db.t4g.small")
    assert not result["changed"]
    assert "master_user_password" not in result["instance"]["pending_modified_values"]


@pytest.mark.parametrize(
    "same",
    [
        {"engine_version": "16.8"},
        {"vpc_security_group_ids": ["sg-1", "sg-2"]},
        {"preferred_maintenance_window": "sun:05:00-sun:06:00"},
        {"db_parameter_group_name": "MLflow-postgres16"},
        {"kms_key_id": "alias/ours"},
    ],
)
def test_the_same_written_otherwise(made, same):
    assert not run(made, **same)["changed"]


def test_an_older_minor_version_is_a_warning(made):
    result = run(made, engine_version="16.1")
    assert not result["changed"]
    assert "16.1" in str(result["warnings"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"engine_version": "15"}, "cannot go back"),
        ({"engine_version": "17"}, "allow_major_version_upgrade"),
        ({"storage_encrypted": False}, "storage_encrypted"),
        ({"db_name": "other"}, "db_name"),
        ({"master_username": "other"}, "master_username"),
        ({"db_subnet_group_name": "other"}, "db_subnet_group_name"),
        ({"kms_key_id": "11111111-2222-3333-4444-555555555555"}, "kms_key_id"),
    ],
)
def test_what_cannot_be_changed_is_said(made, change, words):
    before = len(made.rds.writes())
    assert words in run(made, **change)["msg"]
    assert len(made.rds.writes()) == before


def test_a_version_of_extended_support(made):
    made.rds.instances["mlflow"]["EngineVersion"] = "12.22-rds.20250220"
    for same in ("12", "12.22", "12.22-rds.20250220"):
        assert not run(made, engine_version=same)["changed"]
    assert run(made, engine_version="12.22-rds.20250508")["changed"]


def test_a_version_that_is_none(made):
    assert "cannot go back" in run(made, engine_version="latest")["msg"]


def test_a_major_upgrade_when_allowed(made):
    made.rds.script = ["available", "upgrading", "available"]
    assert run(made, engine_version="17", allow_major_version_upgrade=True)["changed"]


def test_storage_that_grew_by_itself(made):
    made.rds.instances["mlflow"]["AllocatedStorage"] = 55
    assert not run(made)["changed"]
    made.rds.instances["mlflow"]["MaxAllocatedStorage"] = None
    params = {key: value for key, value in DB.items() if key != "max_allocated_storage"}
    assert "shrink" in made.run("rds_postgresql_instance", **params)["msg"]


def test_growth_that_is_off(cloud):
    cloud.rds.script = ["available"]
    run(cloud, max_allocated_storage=20)
    assert "MaxAllocatedStorage" not in cloud.rds.params("create_db_instance")
    cloud.rds.script = []
    assert not run(cloud, max_allocated_storage=0)["changed"]


def test_an_instance_of_another_engine(made):
    made.rds.instances["mlflow"]["Engine"] = "mysql"
    assert "mysql" in run(made)["msg"]
