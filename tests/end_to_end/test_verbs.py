# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup, stop and start on a real server: under writers, with faults and kills at their steps, at the same time.

One deployment goes through all tests here, in their order. That each single call may fail or be the last one is
shown with stand-ins (test_verbs_power.py, test_backup_create.py).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import QUICK
from examples import documented
from harness import LocalAws
from harness import eventually
from shapes import problems
from verbs import BUCKET
from verbs import NAME
from verbs import RUNNING
from verbs import STOPPED
from verbs import VerbsDeployment
from verbs import Writer
from verbs import result_of

pytestmark = pytest.mark.long


ELSEWHERE = {
    "mlops.mlflow_aws:run:20261130T110000Z-00000000": "verb=upgrade state=held step=4 since=2099-11-30T11:00:00Z"
    " seen=2099-11-30T11:00:00Z process=0123456789ab.1.1 by=arn:aws:iam::123456789012:user/ana"
}


@pytest.fixture(scope="module")
def deployment(software: None) -> Iterator[VerbsDeployment]:
    """A deployment on a local AWS of its own."""
    home = Path(tempfile.mkdtemp(prefix="mlflow-aws-"))
    home.chmod(0o755)
    aws = LocalAws(home)
    try:
        aws.up(QUICK)
        made = VerbsDeployment(aws)
        made.play("deploy").succeeded()
        yield made
    finally:
        aws.down()
        shutil.rmtree(home)


def manifest(deployment: VerbsDeployment, backup: str) -> dict[str, Any]:
    """What is written about a backup."""
    key = f"_backups/{NAME}/{backup}/manifest.json"
    found: dict[str, Any] = json.load(deployment.aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"])
    return found


def test_every_acknowledged_write_is_there_after_backup_stop_and_start(deployment: VerbsDeployment) -> None:
    with Writer(deployment) as writer:
        eventually(lambda: len(writer.artifacts) >= 2, "writes")
        before = len(writer.runs)
        assert deployment.run("backup", backup_name="busy", portable=True)["changed"]
        assert writer.refused == [] and writer.broken == 0, "a backup is noticed by those who write"
        assert before <= manifest(deployment, "busy")["counts"]["runs"]
        # Connections are drained for a while, as at AWS.
        deployment.aws.order_fault("tasks:Stop", subject=f"service:{NAME}", delay=240)
        assert deployment.run("stop")["changed"]
        assert deployment.state() == STOPPED
        eventually(lambda: 503 in writer.refused, "a refusal")
        assert deployment.run("start")["changed"]
        after = len(writer.artifacts)
        eventually(lambda: len(writer.artifacts) >= after + 2, "writes")
    assert set(writer.refused) == {503}
    writer.assert_kept()
    assert deployment.state() == RUNNING


def test_deleted_runs_are_deleted_for_good_but_those_of_registered_versions(deployment: VerbsDeployment) -> None:
    session, url = deployment.session(), deployment.url()

    def post(path: str, **body: Any) -> dict[str, Any]:
        answer = session.post(f"{url}/api/2.0/mlflow/{path}", json=body, timeout=120)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def make_run() -> tuple[str, str]:
        info = post("runs/create", experiment_id="0")["run"]["info"]
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        path = f"{url}/api/2.0/mlflow-artifacts/artifacts/{folder}/n.txt"
        session.put(path, data=b"ten bytes.", timeout=120).raise_for_status()
        post("runs/delete", run_id=info["run_id"])
        return info["run_id"], folder

    def is_stored(folder: str) -> bool:
        s3 = deployment.aws.client("s3")
        return "Contents" in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/")

    (plain, plain_folder), (used, used_folder) = make_run(), make_run()
    post("registered-models/create", name="churn")
    post("model-versions/create", name="churn", source=f"mlflow-artifacts:/{used_folder}/n.txt", run_id=used)
    young = deployment.run("gc", older_than="1h", delete=True)
    assert not young["changed"] and young["lines"] == [f"'{NAME}': there is nothing to delete for good."]
    listed = deployment.run("gc", older_than="0s")
    assert not listed["changed"] and (listed["found"]["runs"], listed["kept"]["runs"]) == (1, 1)
    assert (listed["objects"], listed["bytes"]) == (1, 10) and is_stored(plain_folder)
    collected = deployment.run("gc", older_than="0s", delete=True)
    assert collected["changed"] and collected["deleted"] == {"runs": 1, "logged_models": 0, "experiments": 0}
    assert (is_stored(plain_folder), is_stored(used_folder)) == (False, True)
    statuses = [
        session.get(f"{url}/api/2.0/mlflow/runs/get", params={"run_id": run}, timeout=120).status_code
        for run in (plain, used)
    ]
    assert statuses == [404, 200]
    assert not deployment.run("gc", older_than="0s", delete=True)["changed"]
    assert deployment.state() == RUNNING
    documentation = yaml.safe_load(documented("mlflow_gc", "RETURN"))
    for result in (young, listed, collected):
        assert list(problems(documentation, {key: one for key, one in result.items() if key != "invocation"})) == []


# ---- another run


def test_whatever_changes_a_deployment_refuses_one_that_another_machine_works_on(deployment: VerbsDeployment) -> None:
    deployment.ecs.tag_resource(
        resourceArn=deployment.arn, tags=[{"key": key, "value": value} for key, value in ELSEWHERE.items()]
    )
    changed = {"deploy": {"mlflow_db_backup_retention_days": 9}}
    for playbook in ("deploy", "destroy", "rotate_login", "rotate_session_keys", "start", "stop", "backup"):
        if playbook == "start":
            # Without it, there is nothing that it would change.
            deployment.rds.stop_db_instance(DBInstanceIdentifier=NAME)
            eventually(lambda: deployment.database() == "stopped", "the instance's stop")
        said = deployment.play(playbook, **changed.get(playbook, {})).problem()
        for part in ("locked by the verb upgrade, at step 4", "user/ana", "on another machine", "mlflow_unlock=true"):
            assert part in said, (playbook, said)
        if playbook == "start":
            deployment.rds.start_db_instance(DBInstanceIdentifier=NAME)
            eventually(lambda: deployment.database() == "available", "the instance's start")
    assert deployment.tags() == ELSEWHERE and deployment.tasks() == 1
    deployment.play("rotate_login", mlflow_unlock=True).succeeded()
    assert deployment.state() == RUNNING


def test_of_two_verbs_at_once_one_works_and_the_other_one_says_so(deployment: VerbsDeployment) -> None:
    with (
        deployment.aws.held("rds:CreateDBSnapshot"),
        deployment.begun("backup", backup_name="slow") as (process, _file),
    ):
        eventually(lambda: any(" step=2 " in one for one in deployment.tags().values()), "the second step")
        for verb in ("stop", "backup"):
            said = deployment.run(verb)["msg"]
            assert "Nothing was changed." in said and f"as process {process.pid}" in said
        deployment.aws.page("faults", "DELETE")
        assert result_of(process)["changed"]
    assert deployment.state() == RUNNING


def test_a_run_whose_lock_is_lifted_leaves_off(deployment: VerbsDeployment) -> None:
    with (
        deployment.aws.held("rds:CreateDBSnapshot"),
        deployment.begun("backup", backup_name="lost") as (process, _file),
    ):
        eventually(lambda: any(" step=2 " in one for one in deployment.tags().values()), "the second step")
        deployment.ecs.untag_resource(resourceArn=deployment.arn, tagKeys=list(deployment.tags()))
        deployment.aws.page("faults", "DELETE")
        assert "ended after step 2 of 3: The lock of this run" in result_of(process)["msg"]
    assert deployment.run("backup", backup_name="lost")["changed"]


def test_a_deployment_under_way_is_waited_for(deployment: VerbsDeployment) -> None:
    service = deployment.service()
    scaling = service["activeConfigurations"][0]["scalingTarget"]
    deployment.ecs.update_express_gateway_service(
        serviceArn=deployment.arn, scalingTarget={**scaling, "maxTaskCount": 2}
    )
    for verb in ("stop", "backup"):
        assert f"A deployment of the service '{NAME}' is" in deployment.run(verb)["msg"]
    eventually(lambda: deployment.run("backup", backup_name="later").get("changed"), "the deployment's end")
    assert deployment.run("stop")["changed"] and deployment.state() == STOPPED
    assert deployment.run("start")["changed"] and deployment.state() == RUNNING
    found = deployment.service()["activeConfigurations"][0]["scalingTarget"]
    assert (found["minTaskCount"], found["maxTaskCount"]) == (1, 2)


# ---- killed


@pytest.mark.parametrize("step", ["step 2 of 3"])
def test_a_backup_that_was_killed_is_completed(deployment: VerbsDeployment, step: str) -> None:
    name = step.replace(" ", "-")
    deployment.kill_at("backup", step, backup_name=name)
    assert deployment.run("backup", backup_name=name)["changed"]
    assert manifest(deployment, name)["database"]["snapshot"] == f"{NAME}-backup-{name}"
    assert deployment.state() == RUNNING
    assert not deployment.run("backup", backup_name=name)["changed"]


@pytest.mark.parametrize(
    ("verb", "step", "state"),
    [
        ("stop", "step 2 of 3", STOPPED),
        ("start", "step 2 of 3", RUNNING),
    ],
)
def test_a_stop_and_a_start_that_were_killed_are_completed(
    deployment: VerbsDeployment, verb: str, step: str, state: tuple[Any, ...]
) -> None:
    deployment.kill_at(verb, step)
    deployment.run(verb)
    assert deployment.state() == state
    assert not deployment.run(verb)["changed"]


# ---- faults


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"what": "tasks:Exit", "subject": f"family:{NAME}-backup", "data": {"code": 3}}, "ended with exit code 3"),
        ({"what": "databases:Connect", "subject": NAME, "times": 0}, "ended with exit code 1"),
    ],
    ids=lambda one: one["what"] if isinstance(one, dict) else "",
)
def test_a_backup_that_fails_is_none_and_touches_nothing(
    deployment: VerbsDeployment, fault: dict[str, Any], said: str
) -> None:
    name = fault["what"].replace(":", "-").lower()
    deployment.aws.order_fault(**fault)
    try:
        message = deployment.run("backup", backup_name=name)["msg"]
    finally:
        deployment.aws.page("faults", "DELETE")
    assert said in message and "is incomplete, and counts as none" in message and message.endswith("Next: again")
    assert "Tasks of it that run: 1." in message
    assert deployment.state() == RUNNING
    assert deployment.run("backup", backup_name=name)["changed"] and "runs" in manifest(deployment, name)["counts"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"what": "rds:StopDBInstance", "code": "KMSKeyNotAccessibleFault"}, "'Stop the RDS instance'"),
    ],
    ids=lambda one: one["what"] if isinstance(one, dict) else "",
)
def test_a_stop_that_fails_leaves_a_server_that_serves(
    deployment: VerbsDeployment, fault: dict[str, Any], said: str
) -> None:
    deployment.aws.order_fault(**fault)
    message = deployment.run("stop")["msg"]
    assert said in message and "Tasks of the server that run: 1." in message and message.endswith("Next: again")
    assert deployment.state() == RUNNING
    assert deployment.session().get(f"{deployment.url()}/health", timeout=120).status_code == 200
