# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from botocore.exceptions import EndpointConnectionError

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import Cloud
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake import error

PASSWORD = "unlikely-password-of-a-test-%#+"
DB = {
    "db_instance_identifier": "mlflow",
    "engine_version": "16",
    "db_instance_class": "db.t4g.micro",
    "allocated_storage": 20,
    "max_allocated_storage": 100,
    "storage_type": "gp3",
    "storage_encrypted": True,
    "db_subnet_group_name": "mlflow",
    "vpc_security_group_ids": ["sg-2", "sg-1"],
    "db_parameter_group_name": "mlflow-postgres16",
    "db_name": "mlflow",
    "master_username": "mlflow",
    "master_user_secret_arn": "mlflow/database",
    "backup_retention_period": 7,
    "preferred_maintenance_window": "Sun:05:00-Sun:06:00",
    "deletion_protection": True,
    "copy_tags_to_snapshot": True,
    "tags": {"Project": "mlflow"},
    "apply_immediately": True,
}


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud(monkeypatch)
    value = json.dumps({"username": "mlflow", "password": PASSWORD})
    cloud.secretsmanager.create_secret(Name="mlflow/database", SecretString=value)
    cloud.secretsmanager.calls.clear()
    return cloud


def run(cloud, **params):
    result = cloud.run("rds_postgresql_instance", **{**DB, **params})
    assert PASSWORD not in cloud.printed
    return result


@pytest.fixture
def made(cloud):
    cloud.rds.script = ["creating", "available"]
    assert run(cloud)["changed"]
    cloud.rds.script = []
    cloud.naps.clear()
    return cloud


def test_four_steps(cloud):
    cloud.rds.script = ["creating", "backing-up", "available"]
    check, applied, _check, again = cloud.cycle("rds_postgresql_instance", cloud.rds, **DB)
    assert check["instance"]["db_instance_arn"] == again["instance"]["db_instance_arn"]
    assert applied["instance"]["endpoint"]["address"] == "db.example.com"
    assert again["instance"]["tags"] == {"Project": "mlflow"}
    assert cloud.rds.password == PASSWORD
    assert cloud.naps == [15, 15]
    assert PASSWORD not in cloud.printed


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


def test_started_without_waiting_then_awaited(cloud):
    assert run(cloud, wait=False)["changed"]
    assert cloud.naps == []
    result = run(cloud, wait=False)
    assert not result["changed"]
    cloud.rds.script = ["creating", "available"]
    available = {"db_instance_identifier": "mlflow", "state": "available", "wait_delay": 3}
    result = cloud.run("rds_postgresql_instance", **available)
    assert not result["changed"]
    assert result["instance"]["endpoint"]["port"] == 5432
    assert cloud.naps == [3]


def test_available_in_check_mode_only_looks(cloud):
    available = {"db_instance_identifier": "mlflow", "state": "available", "check": True}
    assert cloud.run("rds_postgresql_instance", **available)["instance"] == {}
    run(cloud, wait=False)
    assert cloud.run("rds_postgresql_instance", **available)["instance"]["db_instance_status"] == "creating"
    assert cloud.naps == []


def test_available_needs_an_instance(cloud):
    result = cloud.run("rds_postgresql_instance", db_instance_identifier="mlflow", state="available")
    assert "does not exist" in result["msg"]


@pytest.mark.parametrize("status", ["failed", "incompatible-network", "stopped", "deleting"])
def test_waiting_ends_where_it_is_hopeless(made, status):
    made.rds.script = [status] * 3
    made.rds.events = ["The subnet has no free address."]
    result = made.run("rds_postgresql_instance", db_instance_identifier="mlflow", state="available")
    assert status in result["msg"] or "being deleted" in result["msg"]
    assert ("no free address" in result["msg"]) is (status in ("failed", "incompatible-network"))
    assert made.naps == []


@pytest.mark.parametrize("wait", [True, False])
def test_full_storage_can_be_made_larger(made, wait):
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "storage-full"
    for check in (True, False):
        said = run(made, check=check)["msg"]
        assert "instance mlflow, 20 GiB, is full" in said
        assert "set allocated_storage to 22 GiB or more" in said
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


AVAILABLE = {"db_instance_identifier": "mlflow", "state": "available"}


def unreachable(number):
    return [EndpointConnectionError(endpoint_url="https://rds.invalid") for _unused in range(number)]


def test_a_wait_survives_that_aws_is_out_of_reach(made):
    made.rds.script = ["creating", "available"]
    original = made.rds.call_describe_db_instances

    def flaky(DBInstanceIdentifier):
        answer = original(DBInstanceIdentifier)
        made.rds.faults["describe_db_instances"] = unreachable(3)
        return answer

    made.rds.call_describe_db_instances = flaky
    result = made.run("rds_postgresql_instance", **AVAILABLE)
    assert result["instance"]["db_instance_status"] == "available"
    assert made.naps == [15] * 4


@pytest.mark.parametrize(
    ("faults", "words", "waited"),
    [
        (unreachable(1000), "endpoint cannot be reached", 300),
        ([error("AccessDenied", message="not authorized")], "not authorized", 0),
    ],
)
def test_a_wait_does_not_bear_everything(made, faults, words, waited):
    made.rds.faults["describe_db_instances"] = faults
    assert words in made.run("rds_postgresql_instance", **AVAILABLE)["msg"]
    assert sum(made.naps) == pytest.approx(waited)


def test_a_deletion_is_awaited_while_aws_is_out_of_reach(made):
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "deleting"
    original = made.rds.call_describe_db_instances

    def flaky(DBInstanceIdentifier):
        made.rds.faults["describe_db_instances"] = unreachable(1)
        made.rds.script = ["gone"] if made.naps else []
        return original(DBInstanceIdentifier)

    made.rds.call_describe_db_instances = flaky
    assert not made.run("rds_postgresql_instance", **GONE, skip_final_snapshot=True).get("failed")
    assert made.rds.instances == {}


def test_waiting_has_an_end(made):
    made.rds.script = ["modifying"] * 1000
    result = run(made, wait_timeout=100)
    assert "wait_timeout" in result["msg"]
    assert sum(made.naps) == pytest.approx(100)
    made.rds.script = []
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "available"
    assert "DBInstanceClass pending" in run(made, db_instance_class="db.t4g.small")["msg"]


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


def test_waits_until_nothing_is_pending(made):
    # RDS says available for a moment before it begins.
    made.rds.instances["mlflow"]["PendingModifiedValues"] = {}
    original = made.rds.call_describe_db_instances
    looks = []

    def slow(DBInstanceIdentifier):
        looks.append(1)
        if len(looks) == 4:
            made.rds.script = ["available"]
        return original(DBInstanceIdentifier)

    made.rds.call_describe_db_instances = slow
    assert run(made, db_instance_class="db.t4g.small")["changed"]
    assert len(looks) == 4


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


def test_a_stopped_instance_is_reported_and_not_started(made):
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "stopped"
    result = run(made)
    assert not result["changed"]
    assert "not started" in str(result["warnings"])
    assert "Nothing was changed" in run(made, db_instance_class="db.t4g.small")["msg"]


def test_a_busy_instance_is_left_alone_without_waiting(made):
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "modifying"
    result = run(made, db_instance_class="db.t4g.small", wait=False)
    assert not result["changed"]
    assert "db_instance_class" in str(result["warnings"])


def test_a_busy_instance_in_check_mode(made):
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "modifying"
    result = run(made, check=True, db_instance_class="db.t4g.small")
    assert not result["changed"]
    assert "db_instance_class" in str(result["warnings"])
    run(made, check=True)
    assert made.warnings == []


def test_an_instance_of_another_engine(made):
    made.rds.instances["mlflow"]["Engine"] = "mysql"
    assert "mysql" in run(made)["msg"]


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


GONE = {"db_instance_identifier": "mlflow", "state": "absent", "disable_deletion_protection": True}


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
