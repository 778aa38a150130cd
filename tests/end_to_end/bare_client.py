# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user of MLflow who has nothing but a Python with MLflow and what a playbook has printed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("client_session.py")
# A client that cannot reach S3 tries for hours; one on a slow machine does not.
_SECONDS = 900


def printed_exports(output: str) -> list[str]:
    """The lines ``export …`` of a summary that Ansible has printed, without its own quotes."""
    found = re.findall(r"""^\s*(?:- )?(?:'|")?(?:Client:)?\s*(export .*?)(?:(?:'|"),?)?$""", output, re.M)
    return [line.replace("''", "'") for line in found]


def printed_login(output: str) -> list[str]:
    """The same of what the playbook login has printed, as variables that MLflow's documentation names."""
    found = dict(re.findall(r"(User|Password): +([^'\"\s]+)", output))
    return [
        f"export MLFLOW_TRACKING_USERNAME='{found['User']}'",
        f"export MLFLOW_TRACKING_PASSWORD='{found['Password']}'",
    ]


def run_bare(python: Path, exports: list[str], folder: Path, script: Path = SCRIPT) -> str:
    """Run a script of the user's with an environment of these lines alone; return what it wrote.

    Args:
        python: an interpreter that has MLflow.
        exports: lines of a shell.
        folder: the user's home, where nothing else is.
        script: of Python.
    """
    words = ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={folder}", f"TMPDIR={folder}", "bash", "-eu", "-c"]
    text = "\n".join([*exports, f"exec '{python}' '{script}'"])
    done = subprocess.run([*words, text], cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, f"{exports}\n{done.stdout}{done.stderr}"
    return done.stdout
