# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what each part of C(make test) costs: wall-clock seconds, and seconds of CPU.

The CPU seconds are the ones to compare: on a busy machine the wall clock measures the others. They include those of
servers that a part starts and that outlive their parent, such as a local AWS with its databases: this process is their
C(PR_SET_CHILD_SUBREAPER) (prctl(2)), so it inherits them and their times (getrusage(2), C(RUSAGE_CHILDREN)).

    measure.py run FOLDER NAME COMMAND...   run a command, note its times in FOLDER, exit as it does
    measure.py table FOLDER                 show what was noted, and the sum
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans; does nothing where the system is not Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(folder: Path, name: str, command: list[str]) -> int:
    """Run a command, reaping every orphan that it leaves, and write its times. Returns its exit code."""
    adopt_orphans()
    began = time.monotonic()
    # Not closed: make hands the pipe on which its jobs agree how many of them run.
    process = subprocess.Popen(command, close_fds=False)
    # The terminal sends these to the whole group: it is for the command to decide what comes of them.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _frame: process.send_signal(number))
    code = _reap_until(process.pid)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "began": time.time() - (time.monotonic() - began),
        "wall": time.monotonic() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "code": code,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(figures), encoding="utf-8")
    return code


def _reap_until(pid: int) -> int:
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def table(folder: Path) -> str:
    """Lines with the times of all parts in the order in which they began, and their sum."""
    parts = [(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in folder.glob("*.json")]
    parts.sort(key=lambda part: part[1]["began"])
    if not parts:
        return "no part ran"
    wall = max(part["began"] + part["wall"] for _name, part in parts) - parts[0][1]["began"]
    lines = [f"{'part':20} {'wall s':>8} {'CPU s':>8}"]
    lines += [
        f"{name:20} {part['wall']:8.0f} {part['cpu']:8.0f}" + (f"  failed ({part['code']})" if part["code"] else "")
        for name, part in parts
    ]
    lines.append(f"{'together':20} {wall:8.0f} {sum(part['cpu'] for _name, part in parts):8.0f}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    if len(arguments) > 3 and arguments[0] == "run":
        return run(Path(arguments[1]), arguments[2], arguments[3:])
    if len(arguments) == 2 and arguments[0] == "table":
        print(table(Path(arguments[1])))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
