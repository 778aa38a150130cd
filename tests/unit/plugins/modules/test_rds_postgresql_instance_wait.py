# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""rds_postgresql_instance against an RDS in memory: waits, and instances that are busy or stopped."""

from __future__ import annotations

import pytest

from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.aws_fake_service import error
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import AVAILABLE
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import cloud_with_secret
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import create_instance
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import run
from ansible_collections.mlops.mlflow_aws.tests.unit.plugins.modules.rds_instance_runs import unreachable


@pytest.fixture
def cloud(monkeypatch):
    return cloud_with_secret(monkeypatch)


@pytest.fixture
def made(cloud):
    return create_instance(cloud)


def test_started_without_waiting_then_awaited(cloud):
    assert run(cloud, wait=False)["changed"]
    assert cloud.sleeps == []
    result = run(cloud, wait=False)
    assert not result["changed"]
    cloud.rds.script = ["creating", "available"]
    available = {"db_instance_identifier": "mlflow", "state": "available", "wait_delay": 3}
    result = cloud.run("rds_postgresql_instance", **available)
    assert not result["changed"]
    assert result["instance"]["endpoint"]["port"] == 5432
    assert cloud.sleeps == [3]


def test_available_in_check_mode_only_reads(cloud):
    available = {"db_instance_identifier": "mlflow", "state": "available", "check": True}
    assert cloud.run("rds_postgresql_instance", **available)["instance"] == {}
    run(cloud, wait=False)
    assert cloud.run("rds_postgresql_instance", **available)["instance"]["db_instance_status"] == "creating"
    assert cloud.sleeps == []


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
    assert made.sleeps == []


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
    assert made.sleeps == [15] * 4


@pytest.mark.parametrize(
    ("faults", "words", "waited"),
    [
        (unreachable(1000), "endpoint cannot be reached", 300),
        ([error("AccessDenied", message="not authorized")], "not authorized", 0),
    ],
)
def test_a_wait_tolerates_only_short_outages(made, faults, words, waited):
    made.rds.faults["describe_db_instances"] = faults
    assert words in made.run("rds_postgresql_instance", **AVAILABLE)["msg"]
    assert sum(made.sleeps) == pytest.approx(waited)


def test_waiting_has_an_end(made):
    made.rds.script = ["modifying"] * 1000
    result = run(made, wait_timeout=100)
    assert "wait_timeout" in result["msg"]
    assert sum(made.sleeps) == pytest.approx(100)
    called = run(made, wait_timeout=100, variables={"wait_timeout": "mlflow_wait_timeout"})["msg"]
    assert "(mlflow_wait_timeout). AWS continues: run this again, with a longer mlflow_wait_timeout" in called
    made.rds.script = []
    made.rds.instances["mlflow"]["DBInstanceStatus"] = "available"
    assert "DBInstanceClass pending" in run(made, db_instance_class="db.t4g.small")["msg"]


def test_waits_until_nothing_is_pending(made):
    # RDS says available for a moment before it begins.
    made.rds.instances["mlflow"]["PendingModifiedValues"] = {}
    original = made.rds.call_describe_db_instances
    polls = []

    def slow(DBInstanceIdentifier):
        polls.append(1)
        if len(polls) == 4:
            made.rds.script = ["available"]
        return original(DBInstanceIdentifier)

    made.rds.call_describe_db_instances = slow
    assert run(made, db_instance_class="db.t4g.small")["changed"]
    assert len(polls) == 4


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
