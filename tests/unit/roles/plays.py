# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of roles play: small playbooks that render a role's variables, without AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"


def play_of(tasks: list[dict[str, Any]], *files: Path, **variables: Any) -> dict[str, Any]:
    """A play on this machine, with files of variables and further ones."""
    return {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(file) for file in files],
        "vars": {"ansible_python_interpreter": sys.executable, **variables},
        "tasks": tasks,
    }


def shown_in(content: str, path: str) -> dict[str, Any]:
    """A task that writes a template's text into a file (action_plugins/keep.py)."""
    return {"keep": {"content": content, "dest": path}}


def playbook(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run ansible-playbook in a folder, which gets Ansible's own files too; what it printed.

    Args:
        folder: where it runs.
        arguments: as on the command line.
        code: exit code that it must end with.
    """
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", *arguments],
        env={
            **os.environ,
            "ANSIBLE_ACTION_PLUGINS": str(Path(__file__).parent / "action_plugins"),
            "ANSIBLE_HOME": str(folder / "home"),
            "PWD": str(folder),
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def run(
    folder: Path, play: dict[str, Any], *, extra: dict[str, Any] | None = None, hosts: str = "localhost", code: int = 0
) -> str:
    """Run one play for some hosts (names, separated by commas), with variables as given by -e; what it printed."""
    (folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    variables = ("-e", json.dumps(extra or {}))
    return playbook(folder, "-i", f"{hosts},", "--forks", "1", *variables, str(folder / "play.yml"), code=code)
