# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role local_aws says before it downloads anything."""

from __future__ import annotations

from pathlib import Path

import plays
import pytest


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo 3.10", "which is Python 3.10:"), ("exit 1", "which cannot make virtual environments:")],
)
def test_a_python_that_cannot_do_is_named_before_anything_is_downloaded(tmp_path: Path, script: str, said: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)
    role = {"name": "mlops.mlflow_aws.local_aws", "tasks_from": "install.yml"}
    play = plays.play_of([{"ansible.builtin.include_role": role}])
    given = {"local_aws_home": str(tmp_path / "aws"), "local_aws_python": str(python)}
    output = " ".join(plays.run(tmp_path, play, extra=given, code=2).split())
    assert f"local_aws_python is {python}, {said} Python 3.11, 3.12, 3.13, 3.14 will do." in output
    assert not (tmp_path / "aws").exists()
