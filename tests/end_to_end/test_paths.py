# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal from a fresh checkout whose path is long and has spaces, a percent sign and letters beyond ASCII."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SMALL = "-e mlflow_workers=1 -e mlflow_job_execution=false -e mlflow_memory=2048"
# Downloads come from the caches of this checkout, where it has them.
_KEPT = ("HOME", "LANG", "LC_ALL", "PIP_", "UV_", "SSL_CERT_", "HTTP", "http", "NO_PROXY", "no_proxy")
# What is longer than this hangs.
_SECONDS = 3600

Make = Callable[..., str]


def _path() -> str:
    """The PATH without this checkout's programs."""
    return os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder).is_relative_to(ROOT)
    )


@pytest.fixture(scope="module", params=["", "python3.13"], ids=["newest on the PATH", "3.13"])
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Run make in such a checkout."""
    python = request.param
    if python:
        search = ["bash", str(ROOT / "tests/tools/find_python.sh"), python.removeprefix("python")]
        found = subprocess.run(search, cwd=ROOT, capture_output=True, text=True, check=False)
        if found.returncode:
            pytest.skip(found.stderr)
    folder = tmp_path_factory.mktemp("paths") / "a b@2" / "x%2Fy" / "Müllers Söhne"
    while len(os.fsencode(folder)) < 170:
        folder /= "deeper and"
    folder /= "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    environment = {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}

    def go(target: str, arguments: str = "") -> str:
        command = ["make", "--no-print-directory", target, f"ARGS={SMALL} {arguments}"]
        done = subprocess.run(
            command + [f"PYTHON={python}"] * bool(python),
            cwd=folder,
            env={**environment, "PATH": _path(), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield go
    go("rehearse-wipe")
    go("clean")
    assert not (folder / ".venv").exists()


def changed(output: str) -> int:
    """How many tasks changed something."""
    [number] = re.findall(r"^localhost\s+: ok=\d+\s+changed=(\d+)", output, re.M)
    return int(number)


@pytest.mark.long
def test_all_of_a_rehearsal_works_there(make: Make) -> None:
    first = make("rehearse")
    assert "filled with MLflow's demo data" in first
    # As Ansible prints it, in YAML: a long line is folded.
    [block] = re.findall(r"^    msg:\n((?:    .*\n)+)", first[first.index("How to use the rehearsal") :], re.M)
    [line] = [line for line in yaml.safe_load(block) if "curl " in line]
    command = f"{line.partition(':')[2]} --silent"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert shown.stdout == "OK", shown.stderr
    assert changed(make("rehearse")) == 0
    assert changed(make("rehearse-check")) == 0
    assert "admin" in make("rehearse-login")
    assert "Database snapshot mlflow-final-" in make("rehearse-destroy", "-e mlflow_confirm_destroy=mlflow")
    assert changed(make("rehearse-down")) == 1
