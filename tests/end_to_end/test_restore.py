# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment is restored to a backup, while people write to it, and drilled.

One deployment goes through all tests here, in their order. That each single call may fail or be the last one is shown
with stand-ins (test_restore_steps.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import documented
from harness import LocalAws
from life import Life
from shapes import problems

# The short path is the restorer's of test_permissions.py.
pytestmark = pytest.mark.long

NAME = "restored"
TRACE = f"tr-{'0a1b' * 8}"


@pytest.fixture(scope="module")
def life(aws: LocalAws, software: None) -> Iterator[Life]:
    """The deployment."""
    with Life(aws, NAME) as found:
        yield found


def seed(life: Life) -> None:
    """Make one of each kind that a drill reads."""
    session = life.session()
    info = life.post("runs/create", experiment_id="0", run_name="seed")["run"]["info"]
    folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    path = f"{life.url}/api/2.0/mlflow-artifacts/artifacts/{folder}/n.txt"
    assert session.put(path, data=b"kept", timeout=60).status_code == 200
    life.post("registered-models/create", name="churn")
    life.post("model-versions/create", name="churn", source=f"{info['artifact_uri']}/n.txt", run_id=info["run_id"])
    trace: dict[str, Any] = {
        "trace_id": TRACE,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2026-11-23T07:56:00Z",
        "execution_duration": "1s",
        "state": "OK",
    }
    answer = session.post(f"{life.url}/api/3.0/mlflow/traces", json={"trace": {"trace_info": trace}}, timeout=60)
    assert answer.status_code == 200, answer.text


def test_what_came_after_the_backup_is_gone_and_all_else_is_there(life: Life) -> None:
    seed(life)
    with life.writer() as writer:
        writer.at_least(3)
        life.play("backup", mlflow_backup_name="first").succeeded()
        before = writer.acknowledged_before(life.counted_at("first"))
        writer.at_least(3)
        plan = life.play("restore", check=True, mlflow_restore_backup="first").succeeded()
        assert "restore 'restored' would take 9 steps" in plan.output and life.instances() == [NAME]
        settings = life.settings()
        writer.at_least(1)
        after = list(writer.acknowledged)[-1]
        restored = life.play("restore", mlflow_restore_backup="first").succeeded()
        assert f"'{NAME}' is restored to backup 'first'." in restored.output
        writer.at_least(3)
    there = life.runs()
    assert before and set(before) <= there and after not in there
    assert set(writer.unavailable) <= {503}, writer.unavailable
    assert life.settings() == settings
    [replaced] = [name for name in life.instances() if name != NAME]
    assert replaced.startswith(f"{NAME}-replaced-") and f"mlflow_restore_confirm={replaced}" in restored.output
    assert life.play("deploy").succeeded().changed == {"localhost": 0}


def keep_drill(book: Path, result: Path) -> None:
    """Write the playbook drill so that it keeps what the module returned."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [
            {"ansible.builtin.import_role": {"name": "mlops.mlflow_aws.mlflow", "tasks_from": "drill"}},
            {"ansible.builtin.copy": {"content": "{{ mlflow_drill }}", "dest": str(result), "mode": "0600"}},
        ],
    }
    book.write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")


def test_a_drill_starts_the_server_with_a_copy_and_leaves_nothing(life: Life) -> None:
    there = life.instances()
    book, result = life.aws.home / "drill.yml", life.aws.home / "drill.json"
    keep_drill(book, result)
    with life.writer() as writer:
        drilled = life.play(str(book)).succeeded()
    assert writer.unavailable == []
    assert (
        f"Drill of '{NAME}': backup 'first' can be restored" in drilled.output and ", with the login" in drilled.output
    )
    assert "churn/1" in drilled.output and "n.txt" in drilled.output and TRACE in drilled.output
    assert life.instances() == there
    returned = json.loads(result.read_text(encoding="utf-8"))
    assert list(problems(yaml.safe_load(documented("mlflow_drill", "RETURN")), returned)) == []
