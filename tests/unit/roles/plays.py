# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of roles play: small playbooks that render a role's variables, without AWS."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
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
    """Run ansible-playbook in a folder; what it printed.

    Args:
        folder: where it runs.
        arguments: as on the command line.
        code: exit code that it must end with.
    """
    output = folder / "output.txt"
    request = {
        "arguments": arguments,
        "environment": {"PWD": str(folder)},
        "folder": str(folder),
        "output": str(output),
    }
    server = _server()
    assert server.stdin and server.stdout
    server.stdin.write(f"{json.dumps(request)}\n")
    server.stdin.flush()
    ended = int(server.stdout.readline())
    said = output.read_text(encoding="utf-8")
    assert ended == code, said
    return said


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Start the server of these tests. Ansible reads its configuration as it is imported, and so once for all plays."""
    home = tempfile.mkdtemp(prefix="ansible-")
    configured = {
        "ANSIBLE_ACTION_PLUGINS": str(Path(__file__).parent / "action_plugins"),
        "ANSIBLE_HOME": home,
    }
    program = [sys.executable, str(Path(__file__).with_name("playbook_server.py"))]
    environment = {**os.environ, **configured}
    server = subprocess.Popen(
        program, env=environment, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def end() -> None:
        # It ends with its input. It is waited for, so that what it cost is counted with these tests.
        server.communicate()
        shutil.rmtree(home, ignore_errors=True)

    atexit.register(end)
    return server


def run(
    folder: Path, play: dict[str, Any], *, extra: dict[str, Any] | None = None, hosts: str = "localhost", code: int = 0
) -> str:
    """Run one play for some hosts (names, separated by commas), with variables as given by -e; what it printed."""
    (folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    variables = ("-e", json.dumps(extra or {}))
    return playbook(folder, "-i", f"{hosts},", "--forks", "1", *variables, str(folder / "play.yml"), code=code)
