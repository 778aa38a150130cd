# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""End-to-end tests that take up what others have left run in one process, with the pytest that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

END_TO_END = Path(__file__).resolve().parents[1] / "end_to_end"
TESTS = """
import os
from pathlib import Path

import pytest

{head}

@pytest.mark.parametrize("number", range(3))
def test_one(number):
    here, worker = Path(__file__).parent, os.environ["PYTEST_XDIST_WORKER"]
    (here / f"{group}+{name}+{{number}}+{{worker}}.ran").touch()
"""


def test_all_tests_of_a_group_run_on_one_worker(tmp_path: Path) -> None:
    shutil.copy(END_TO_END / "groups.py", tmp_path / "conftest.py")
    for name, group in (("a", "both"), ("b", "both"), ("c", "c")):
        head = f'GROUP = "{group}"' if name != group else ""
        text = TESTS.format(name=name, group=group, head=head)
        (tmp_path / f"test_{name}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:ansible", "-n", "2", "--dist", "loadgroup", "."]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "9 passed" in done.stdout, done.stdout + done.stderr
    ran = [path.stem.split("+") for path in tmp_path.glob("*.ran")]
    workers = {group: {worker for found, _name, _number, worker in ran if found == group} for group in ("both", "c")}
    assert [len(found) for found in workers.values()] == [1, 1]
