# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployed, converged, validated and destroyed with the other end of the supported versions than the one in .venv.

The newest Python that is tested, the newest ansible-core and amazon.aws, the oldest boto3, and the collection as users
install it, in a home whose path has a space and a percent sign.

MLFLOW_AWS_VERSIONS: the folder with the virtual environment and amazon.aws (default: .cache/versions).
MLFLOW_AWS_INSTALLED: the folder above ansible_collections, into which the collection was installed.
MLFLOW_AWS_SOFTWARE: the local AWS's software (default: .cache/local_aws).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = Path(os.environ.get("MLFLOW_AWS_VERSIONS", ROOT / ".cache/versions")).resolve()
SOFTWARE = Path(os.environ.get("MLFLOW_AWS_SOFTWARE", ROOT / ".cache/local_aws")).resolve()
OTHERS = ("AWS_", "BOTO_", "ANSIBLE_", "LOCAL_AWS_", "PYTHON")
# Which Python that is, depends on the machine: environment.sh says so when it makes the environment.
PYTHON = VERSIONS / "venv/bin/python"
SMALL = {"mlflow_workers": 1, "mlflow_job_execution": False, "mlflow_memory": 2048}

Run = Callable[..., str]


def version_of(python: Path) -> str:
    """The version of an interpreter, 3.x."""
    command = [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def software() -> Path:
    """The local AWS's software for this Python; what images and clients are is shared with the other tests."""
    if version_of(PYTHON) == version_of(SOFTWARE / "venv/bin/python"):
        return SOFTWARE
    own = VERSIONS / f"software-{version_of(PYTHON)}"
    own.mkdir(exist_ok=True)
    for name in ("runtimes", "clients"):
        (SOFTWARE / name).mkdir(exist_ok=True)
        if not (own / name).is_symlink():
            (own / name).symlink_to(SOFTWARE / name)
    return own


@pytest.fixture(scope="module")
def installed() -> Path:
    """Where the collection was installed."""
    return Path(os.environ["MLFLOW_AWS_INSTALLED"]).resolve()


@pytest.fixture(scope="module")
def run(installed: Path) -> Iterator[Run]:
    """Run a command of that environment, and assert that it succeeds."""
    home = Path(tempfile.mkdtemp(prefix="mlflow versions %2F-"))
    (home / "ansible.cfg").touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*OTHERS, "XDG_"))}
    environment = {
        **kept,
        "HOME": str(home),
        "TMPDIR": str(home),
        "NO_COLOR": "1",
        "PATH": f"{VERSIONS / 'venv/bin'}:{os.defpath}",
        "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": f"{installed}:{VERSIONS / 'collections'}",
    }
    variables = {
        **SMALL,
        "local_aws_software": str(software()),
        "mlflow_confirm_destroy": "mlflow",
    }

    def go(*command: str, playbook: str = "") -> str:
        if playbook:
            command = ("ansible-playbook", f"mlops.mlflow_aws.{playbook}", "-e", json.dumps(variables), *command)
        program = str(VERSIONS / "venv/bin" / command[0])
        done = subprocess.run(
            [program, *command[1:]],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            # What is longer hangs.
            timeout=3600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    try:
        yield go
    finally:
        variables["local_aws_wipe"] = True
        go(playbook="rehearse_down")
        shutil.rmtree(home)


def changed(output: str) -> int:
    """How many tasks of the only host changed something."""
    [number] = re.findall(r"^localhost\s+: ok=\d+\s+changed=(\d+)", output, re.M)
    return int(number)


def test_these_are_the_versions(run: Run, installed: Path) -> None:
    script = "import ansible.release as a, boto3, botocore; print(*(m.__version__ for m in (a, boto3, botocore)))"
    lines = (ROOT / "tests/versions/requirements.txt").read_text(encoding="utf-8").splitlines()
    here = {"python_full_version": f"{version_of(PYTHON)}.0"}
    named = [Requirement(line.partition(" --hash=")[0]) for line in lines if re.match(r"\w", line)]
    pinned = [one for one in named if one.marker is None or one.marker.evaluate(here)]
    wanted = {requirement.name: str(requirement.specifier).removeprefix("==") for requirement in pinned}
    assert run("python", "-c", script).split() == [wanted[name] for name in ("ansible-core", "boto3", "botocore")]
    listed = run("ansible-galaxy", "collection", "list", "--format", "json")
    # What comes after it is a warning: a collection without its MANIFEST.json has no version.
    found: dict[str, Any] = json.loads(listed.splitlines()[0])
    names = {name: Path(folder) for folder, collections in found.items() for name in collections}
    assert names["mlops.mlflow_aws"] == installed / "ansible_collections"
    assert names["amazon.aws"] == VERSIONS / "collections/ansible_collections"
    assert found[str(names["amazon.aws"])]["amazon.aws"]["version"] == "11.4.0"


def test_deployed_and_validated(run: Run) -> None:
    output = run(playbook="rehearse")
    assert "MLflow 3.17.2 'mlflow' runs on this machine" in output
    assert changed(output) > 8
    assert "DEPRECATION" not in output


def test_converged_with_nothing_to_change(run: Run) -> None:
    # The demo's data was proved to be there by the first run.
    assert changed(run("-e", "mlflow_demo=false", playbook="rehearse")) == 0


def test_destroyed(run: Run) -> None:
    output = run(playbook="rehearse_destroy")
    assert "Database snapshot mlflow-final-" in output
