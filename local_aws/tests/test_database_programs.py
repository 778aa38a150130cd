# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's programs, wherever they lie."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local_aws.services.rds import engine
from local_aws.services.rds import programs


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's programs run as that user")
def test_root_may_have_them_in_a_folder_of_its_own(tmp_path: Path) -> None:
    """They do not run as root, and look at themselves with access(2) first."""
    installed = next(iter(engine.engines().values())).programs
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "programs").symlink_to(installed)
    data = tmp_path / "data"
    data.mkdir()
    programs.give_away(data)
    command = [str(closed / "programs" / "initdb"), "--no-sync", "--pgdata", str(data / "cluster")]
    done = subprocess.run(programs.unprivileged(command), cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "invalid binary" not in done.stderr
