# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package index has what is pinned, under the pinned hashes, for each Python and platform that matters."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.client_pins import VERSIONS
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._mlflow.client_requirements import requirements

PINNED = sorted((ROOT / "roles/auth/files/image").glob("*.txt"))
# MLflow's images have Python 3.11 (docker/Dockerfile.full in mlflow/mlflow), and are for both processors.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64")


@pytest.mark.long
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.stem)
def test_what_a_task_installs_can_be_had(path: Path, platform: str, tmp_path: Path) -> None:
    target = ("--python-version", "3.11", "--platform", platform, "--only-binary", ":all:", "--no-deps")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", *target, "-r", str(path)]
    done = subprocess.run([*command, "-d", str(tmp_path)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(list(tmp_path.iterdir())) == len([line for line in lines if not line.startswith("#")])


@pytest.mark.long
@pytest.mark.parametrize("end", [0, -1], ids=["oldest", "newest"])
def test_client_can_be_had_for_each_python_and_platform(end: int, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(requirements(VERSIONS[end]), encoding="utf-8")
    uv = Path(sys.executable).parent / "uv"
    options = ("--only-binary", ":all:", "--require-hashes", "--no-deps", "--dry-run", "--target", str(tmp_path / "x"))
    platforms = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin")
    for python, platform in itertools.product(("3.11", "3.12", "3.13", "3.14"), platforms):
        target = ("--python-version", python, "--python-platform", platform)
        command = [str(uv), "pip", "install", "--quiet", *options, *target, "-r", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"{python} {platform}: {done.stderr}"
