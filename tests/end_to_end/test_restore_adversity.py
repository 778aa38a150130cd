# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores that fail, are killed or meet another verb, on a real server; to the second, and of what was destroyed.

One deployment goes through all tests here, in their order. That each single call may fail or be the last one is shown
with stand-ins (test_restore_steps.py).
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK
from harness import LocalAws
from harness import eventually
from verbs import BUCKET
from verbs import NAME
from verbs import RUNNING
from verbs import VerbsDeployment
from verbs import result_of

pytestmark = pytest.mark.long

# What goes wrong at each step, how often it may go well before, and what is said.
FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("databases:Capacity", {}, "step 1 of 9"),
    ("databases:Connect", {"times": 0, "subject": f"{NAME}-restoring-*"}, "step 2 of 9"),
    ("tasks:Exit", {"subject": f"family:{NAME}-restore", "data": {"code": 3}}, "step 2 of 9"),
    ("ecs:UpdateExpressGatewayService", {"code": "ServerException", "status": 500, "times": 40}, "step 3 of 9"),
    ("databases:SnapshotQuota", {"times": 0, "data": {"snapshots": 1}}, "step 4 of 9"),
    # The settings and the password of the copy come before.
    ("rds:ModifyDBInstance", {"code": "InvalidParameterValue", "skip": 2}, "step 5 of 9"),
    ("rds:ModifyDBInstance", {"code": "InvalidParameterValue", "skip": 3}, "step 6 of 9"),
    ("ecs:UpdateExpressGatewayService", {"code": "InvalidParameterException", "skip": 1}, "step 7 of 9"),
    ("tasks:Exit", {"subject": f"family:{NAME}-restore", "data": {"code": 3}, "skip": 1}, "step 8 of 9"),
]
STEPS = [
    "Restore backup",
    "Check the copy",
    "Scale the server to zero",
    "Take the final snapshot",
    f"Rename {NAME} to",
    f"Rename {NAME}-restoring",
    "Scale the server back",
    "Count the rows",
    "Note that it is done",
]


@pytest.fixture(scope="module")
def deployment(software: None) -> Iterator[VerbsDeployment]:
    """A deployment with two backups, on a local AWS of its own."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    home.chmod(0o755)
    aws = LocalAws(home)
    try:
        aws.up(QUICK)
        made = VerbsDeployment(aws)
        made.play("deploy").succeeded()
        for name in ("even", "odd"):
            create(made, name)
            assert made.run("backup", backup_name=name)["changed"]
        create(made, "later")
        yield made
    finally:
        aws.down()
        shutil.rmtree(home)


@pytest.fixture
def calm(deployment: VerbsDeployment) -> Iterator[VerbsDeployment]:
    """The deployment without faults."""
    deployment.aws.page("faults", "DELETE")
    yield deployment
    deployment.aws.page("faults", "DELETE")


def create(deployment: VerbsDeployment, experiment: str) -> None:
    """Make an experiment."""
    body = {"name": experiment}
    answer = deployment.session().post(f"{deployment.url()}/api/2.0/mlflow/experiments/create", json=body, timeout=1800)
    answer.raise_for_status()


def experiments(deployment: VerbsDeployment) -> set[str]:
    """Those that there are, but for the default one."""
    path = "api/2.0/mlflow/experiments/search?max_results=100"
    answer = deployment.session().get(f"{deployment.url()}/{path}", timeout=1800)
    answer.raise_for_status()
    return {one["name"] for one in answer.json()["experiments"]} - {"Default"}


def instances(deployment: VerbsDeployment) -> list[str]:
    """The identifiers of all instances that are not being deleted."""
    found = deployment.rds.describe_db_instances()["DBInstances"]
    return sorted(one["DBInstanceIdentifier"] for one in found if one["DBInstanceStatus"] != "deleting")


def restore(deployment: VerbsDeployment, **options: Any) -> dict[str, Any]:
    """Run the module; what it returns."""
    return deployment.run("restore", ca_path=deployment.aws.info["ca_bundle"], **options)


def remove_replaced(deployment: VerbsDeployment) -> None:
    """Leave the live instance alone."""
    for name in [one for one in instances(deployment) if "-replaced-" in one]:
        assert restore(deployment, confirm=name)["changed"]
    assert instances(deployment) == [NAME]


@pytest.mark.parametrize(("what", "fields", "said"), FAULTS, ids=[said for _what, _fields, said in FAULTS])
def test_a_fault_at_any_step_leaves_what_there_was(
    calm: VerbsDeployment, what: str, fields: dict[str, Any], said: str
) -> None:
    calm.aws.order_fault(what, **fields)
    failed = restore(calm, backup="even")
    assert failed.get("failed") and said in failed["msg"], failed
    assert "Next: again" in failed["msg"]
    calm.aws.page("faults", "DELETE")
    assert instances(calm) == [NAME] and calm.state() == RUNNING
    assert experiments(calm) == {"even", "odd", "later"}


def test_a_time_is_restored_to_the_second(calm: VerbsDeployment) -> None:
    create(calm, "before")
    time.sleep(1.1)
    moment = datetime.now(UTC).replace(microsecond=0)
    time.sleep(1.1)
    create(calm, "after")

    def is_restorable() -> bool:
        [one] = calm.rds.describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
        return bool(one["LatestRestorableTime"] >= moment)

    eventually(is_restorable, "the transaction logs")
    restored = restore(calm, time=moment.isoformat())
    assert restored.get("changed"), restored
    assert experiments(calm) == {"even", "odd", "later", "before"}
    assert not restore(calm, time=moment.isoformat())["changed"]
    refused = restore(calm, time="2001-01-01T00:00:00Z")
    assert "can be restored to any second from" in refused["msg"]
    remove_replaced(calm)


@pytest.mark.parametrize(("number", "step"), list(enumerate(STEPS)), ids=STEPS)
def test_a_restore_that_was_killed_at_any_step_is_completed(calm: VerbsDeployment, number: int, step: str) -> None:
    backup = ("even", "odd")[number % 2]
    calm.kill_at("restore", step, backup=backup, ca_path=calm.aws.info["ca_bundle"])
    completed = restore(calm, backup=backup)
    assert completed.get("changed"), completed
    assert experiments(calm) == ({"even"} if backup == "even" else {"even", "odd"})
    assert calm.state() == RUNNING and len(instances(calm)) == 2
    assert not restore(calm, backup=backup)["changed"]
    remove_replaced(calm)


def test_another_verb_waits_for_its_end(calm: VerbsDeployment) -> None:
    with calm.begun("restore", backup="odd", ca_path=calm.aws.info["ca_bundle"]) as (process, progress):
        eventually(lambda: "step 1 of 9" in progress.read_text(encoding="utf-8"), "the first step")
        for verb, options in (("drill", {}), ("backup", {"backup_name": "never"}), ("stop", {})):
            assert "is locked by the verb restore" in calm.run(verb, **options)["msg"]
        assert result_of(process)["changed"]
    remove_replaced(calm)


def test_an_instance_that_was_stopped_or_renamed_by_hand_is_said(calm: VerbsDeployment) -> None:
    calm.rds.stop_db_instance(DBInstanceIdentifier=NAME)
    eventually(lambda: calm.database() == "stopped", "the stop")
    assert "start it" in restore(calm, backup="even")["msg"]
    calm.rds.start_db_instance(DBInstanceIdentifier=NAME)
    eventually(lambda: calm.database() == "available", "the start")
    rename = calm.rds.modify_db_instance
    rename(DBInstanceIdentifier=NAME, NewDBInstanceIdentifier="elsewhere", ApplyImmediately=True)
    eventually(lambda: "elsewhere" in instances(calm), "the new name")
    assert f"There is no RDS instance {NAME}" in restore(calm, backup="even")["msg"]

    def is_ready() -> bool:
        [one] = calm.rds.describe_db_instances(DBInstanceIdentifier="elsewhere")["DBInstances"]
        return bool(one["DBInstanceStatus"] == "available")

    eventually(is_ready, "the end of the renaming")
    rename(DBInstanceIdentifier="elsewhere", NewDBInstanceIdentifier=NAME, ApplyImmediately=True)
    eventually(lambda: NAME in instances(calm) and calm.database() == "available", "the former name")


def test_what_was_destroyed_is_brought_back(calm: VerbsDeployment) -> None:
    session = calm.session()
    path = f"{calm.url()}/api/2.0/mlflow-artifacts/artifacts/0/kept.txt"
    assert session.put(path, data=b"kept", timeout=1800).status_code == 200
    assert calm.run("backup", backup_name="last")["changed"]
    there = experiments(calm)
    calm.play("destroy").succeeded()
    assert instances(calm) == []
    calm.play("deploy").succeeded()
    assert experiments(calm) == set()
    final = calm.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    [snapshot] = [one["DBSnapshotIdentifier"] for one in final if "-final-" in one["DBSnapshotIdentifier"]]
    restored = calm.play("restore", mlflow_restore_backup="last").succeeded()
    assert "is ready: version" in restored.output
    assert experiments(calm) == there
    path = f"{calm.url()}/api/2.0/mlflow-artifacts/artifacts/0/kept.txt"
    assert calm.session().get(path, timeout=1800).content == b"kept"
    calm.aws.client("s3").delete_object(Bucket=BUCKET, Key="0/kept.txt")
    restored = calm.play("restore", mlflow_restore_snapshot=snapshot, mlflow_restore_artifacts=True).succeeded()
    assert "were brought back: 1." in restored.output
    assert calm.session().get(path, timeout=1800).content == b"kept"
    assert calm.play("deploy").succeeded().changed == {"localhost": 0}
    replaced = [name for name in instances(calm) if name != NAME]
    refused = calm.play("destroy").problem()
    assert "Nothing was destroyed: a restore or a drill has left" in refused and all(one in refused for one in replaced)
    assert replaced and calm.database() == "available"
    remove_replaced(calm)
