# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment is upgraded, while people write to it: with faults, which it goes back from by itself, and without.

One deployment goes through all tests here, in their order, but for that of the oldest version.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from conftest import OLDEST
from conftest import VERSION
from harness import LocalAws
from harness import eventually
from harness import prepare_software
from life import Life

pytestmark = pytest.mark.long

NAME, FORMER = "upgraded", "3.16.1"
COPY = f"mlflow_before_{VERSION.replace('.', '_')}"
# The last one notes that it is done.
STEPS = 8


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The software of the version before."""
    prepare_software(FORMER, tmp_path_factory.mktemp("owner"))


@pytest.fixture(scope="module")
def life(aws: LocalAws, software: None, former: None) -> Iterator[Life]:
    """The deployment."""
    with Life(aws, NAME, mlflow_version=FORMER) as found:
        yield found


def version(life: Life) -> str:
    """What the server says it is."""
    return life.session().get(f"{life.url}/version", timeout=60).text


def service(life: Life) -> dict[str, Any]:
    """The service, as ECS describes it."""
    arn = f"arn:aws:ecs:us-east-1:123456789012:service/default/{life.name}"
    found: dict[str, Any] = life.aws.client("ecs").describe_express_gateway_service(serviceArn=arn, include=["TAGS"])
    return dict(found["service"])


def container(life: Life) -> dict[str, Any]:
    """What the server is run with."""
    return dict(service(life)["activeConfigurations"][0]["primaryContainer"])


def tags(life: Life) -> dict[str, str]:
    """What is marked at the service, but for the record of a deployment."""
    found = {one["key"].rpartition(":")[2]: one["value"] for one in service(life)["tags"]}
    return {key: value for key, value in found.items() if key.startswith(("run", "stopped", "upgrade", "2"))}


def go_back(life: Life) -> None:
    """Take an upgrade back, and drop what that replaces."""
    life.play("rollback", mlflow_version=VERSION, mlflow_rollback_confirm=True).succeeded()
    assert version(life) == FORMER and tags(life) == {}


def kill(process: subprocess.Popen) -> None:
    """End a playbook with all its processes: Ansible's workers have sessions of their own, and would go on alone."""
    playbook = psutil.Process(process.pid)
    for one in [playbook, *playbook.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def test_a_fault_leaves_the_old_version_and_then_the_new_one_has_everything(life: Life) -> None:
    life.post("registered-models/create", name="model")
    before = container(life)
    plan = life.play("upgrade", check=True, mlflow_version=VERSION).succeeded()
    assert f"upgrade '{NAME}' would take {STEPS} steps" in plan.output and version(life) == FORMER
    shown = life.play("plan", mlflow_version=VERSION).succeeded().output
    assert f"upgrade of {NAME}" in shown and "Downtime: the server is away for 8 to 30 minutes" in shown
    refused = life.play("deploy", mlflow_version=VERSION, mlflow_upgrade="refuse").problem()
    assert "this is an upgrade" in refused and f"-e mlflow_version={VERSION}" in refused
    with life.writer() as writer:
        writer.at_least(3)
        # The task that migrates; those before it look and copy.
        what = {
            "subject": f"family:{NAME}-upgrade",
            "skip": 2,
            "message": "OSError: no space left",
            "data": {"code": 2},
        }
        life.aws.order_fault("tasks:Exit", **what)
        failed = life.play("upgrade", mlflow_version=VERSION).problem()
        assert "The task to migrate the database ended with exit code 2" in failed
        assert f"v{FORMER}-full serves now, with 1 task." in failed and "the database mlflow_failed_" in failed
        assert version(life) == FORMER and tags(life) == {} and set(writer.acknowledged) <= life.runs()
        upgraded = life.play("upgrade", mlflow_version=VERSION).succeeded()
        writer.at_least(3)
    assert f"'{NAME}' is upgraded from MLflow {FORMER} to {VERSION}." in upgraded.output and COPY in upgraded.output
    assert version(life) == VERSION and tags(life) == {}
    assert set(writer.acknowledged) <= life.runs()
    assert set(writer.unavailable) <= {503}, writer.unavailable
    assert life.play("upgrade", mlflow_version=VERSION).succeeded().changed == {"localhost": 0}
    assert life.play("deploy", mlflow_version=VERSION, check=True).succeeded().changed == {"localhost": 0}
    downgrade = life.play("deploy", mlflow_version=FORMER).problem()
    assert f"runs MLflow {VERSION}, which is newer than {FORMER}" in downgrade
    lost = life.play("rollback", mlflow_version=VERSION).succeeded()
    assert f"from MLflow {VERSION} to MLflow {FORMER} would lose" in lost.output and version(life) == VERSION
    back = life.play("rollback", mlflow_version=VERSION, mlflow_rollback_confirm=True).succeeded()
    assert f"'{NAME}' is back at MLflow {FORMER}" in back.output and version(life) == FORMER
    assert container(life) == before


def test_a_full_quota_of_snapshots_is_found_before_anything_stops(life: Life) -> None:
    fault = life.aws.order_fault("databases:SnapshotQuota", data={"snapshots": 0})
    with life.writer() as writer:
        writer.at_least(1)
        failed = life.play("upgrade", mlflow_version=VERSION).problem()
        writer.at_least(1)
    life.aws.page(f"faults/{fault}", "DELETE")
    assert "failed at step 1" in failed and "and its quota is 0" in failed
    assert writer.unavailable == [] and tags(life) == {}


def test_a_migration_that_is_killed_is_taken_back(life: Life) -> None:
    ecs = life.aws.client("ecs")

    def running() -> list[str]:
        """The tasks that migrate."""
        arns = ecs.list_tasks(family=f"{NAME}-upgrade", desiredStatus="RUNNING")["taskArns"]
        tasks = ecs.describe_tasks(tasks=arns)["tasks"] if arns else []
        definitions = {
            one["taskArn"]: ecs.describe_task_definition(taskDefinition=one["taskDefinitionArn"])["taskDefinition"]
            for one in tasks
            if one["lastStatus"] == "RUNNING"
        }
        action = {"name": "ACTION", "value": "migrate"}
        return [arn for arn, one in definitions.items() if action in one["containerDefinitions"][0]["environment"]]

    def stop(_process: subprocess.Popen) -> None:
        def work() -> None:
            eventually(running, "a task that migrates")
            for arn in running():
                ecs.stop_task(task=arn, reason="by a test")

        thread.append(threading.Thread(target=work, daemon=True))
        thread[0].start()

    thread: list[threading.Thread] = []
    before = life.runs()
    failed = life.play("upgrade", at="step 5 of", then=stop, mlflow_version=VERSION).problem()
    thread[0].join()
    assert "The task to migrate the database ended with exit code" in failed
    assert f"v{FORMER}-full serves now, with 1 task." in failed and version(life) == FORMER
    assert before <= life.runs() and tags(life) == {}


def test_a_server_that_does_not_start_is_taken_back(life: Life) -> None:
    before = life.runs()
    fault = life.aws.order_fault("tasks:Exit", subject=f"service:{NAME}", times=0, message="no such option")

    def cancel(_process: subprocess.Popen) -> None:
        life.aws.page(f"faults/{fault}", "DELETE")

    failed = life.play("upgrade", at="step 7 of", then=watch(life, cancel), mlflow_version=VERSION).problem()
    assert "failed at step 7" in failed and f"v{FORMER}-full serves now, with 1 task." in failed
    assert version(life) == FORMER and before <= life.runs() and tags(life) == {}


def watch(life: Life, cancel: Any) -> Any:
    """Begin to wait until the upgrade goes back, and then cancel what keeps every server from starting."""

    def begin(process: subprocess.Popen) -> None:
        def work() -> None:
            eventually(lambda: "state=going-back" in tags(life).get("upgrade", ""), "the way back")
            cancel(process)

        threading.Thread(target=work, daemon=True).start()

    return begin


def test_a_playbook_that_is_killed_at_each_step_is_gone_on_with(life: Life) -> None:
    life.play("rollback", mlflow_version=FORMER, mlflow_rollback_remove=COPY)
    with life.writer() as writer:
        writer.at_least(1)
        for number in range(1, STEPS + 1):
            played = life.play("upgrade", at=f"step {number} of", then=kill, mlflow_version=VERSION)
            assert played.code == -signal.SIGKILL, played.output
        life.play("upgrade", mlflow_version=VERSION).succeeded()
        writer.at_least(1)
    assert version(life) == VERSION and tags(life) == {}
    assert set(writer.acknowledged) <= life.runs() and set(writer.unavailable) <= {0, 503}
    for number in range(1, 7):
        arguments = {"mlflow_version": VERSION, "mlflow_rollback_confirm": True}
        played = life.play("rollback", at=f"step {number} of", then=kill, **arguments)
        assert played.code == -signal.SIGKILL, played.output
    # Its last step may be over before the line is shown that it begins.
    if version(life) == FORMER and not tags(life).get("upgrade"):
        assert "is complete" in life.play("rollback", mlflow_version=VERSION, mlflow_rollback_confirm=True).problem()
    else:
        go_back(life)
    assert version(life) == FORMER and tags(life) == {}


def test_the_oldest_version_is_upgraded_with_what_is_in_it(aws: LocalAws, software: None, tmp_path: Any) -> None:
    prepare_software(OLDEST, tmp_path)
    with Life(aws, "oldest", mlflow_version=OLDEST) as life:
        model = life.post("registered-models/create", name="model")["registered_model"]["name"]
        run = life.post("runs/create", experiment_id="0", run_name="one")["run"]["info"]["run_id"]
        life.post("runs/log-metric", run_id=run, key="loss", value=0.5, timestamp=1)
        life.post("model-versions/create", name=model, source=f"runs:/{run}/model", run_id=run)
        life.post("registered-models/alias", name=model, alias="best", version="1")
        life.post("users/create", username="ana", password="made-up-for-the-upgrade-0001")
        assert "Flask-WTF" in container(life)["command"][-1] or "flask-wtf" in container(life)["command"][-1]
        upgraded = life.play("upgrade", mlflow_version=VERSION).succeeded()
        assert f"'oldest' is upgraded from MLflow {OLDEST} to {VERSION}." in upgraded.output
        assert version(life) == VERSION and life.runs() == {"one"}
        assert "lask-" not in container(life)["command"][-1].partition("WTF")[0][-6:]
        [found] = life.post("runs/search", experiment_ids=["0"])["runs"]
        assert found["data"]["metrics"][0]["value"] == 0.5
        answer = life.session().get(
            f"{life.url}/api/2.0/mlflow/registered-models/alias", params={"name": model, "alias": "best"}, timeout=60
        )
        assert answer.json()["model_version"]["run_id"] == run
        with contextlib.closing(life.session()) as session:
            session.auth = ("ana", "made-up-for-the-upgrade-0001")
            assert session.get(f"{life.url}/api/2.0/mlflow/users/get", params={"username": "ana"}).status_code == 200
        # What the upgrade leaves is what a deployment asks for, but for the exact URL that the oldest version needed.
        assert life.play("deploy", mlflow_version=VERSION).succeeded()
        assert life.play("deploy", mlflow_version=VERSION).succeeded().changed == {"localhost": 0}
