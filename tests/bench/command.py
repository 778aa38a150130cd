# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One command, run to its end: its output, how long it took, and what it cost the processors."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_STOP_SECONDS = 60


class BenchError(Exception):
    """The benchmark cannot go on; the message is for the user."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended.

    :arg wall: seconds from its start to its end.
    :arg cpu: seconds of processor time, of the command and of every process below it that it waited for.
    """

    code: int
    output: str
    wall: float
    cpu: float


def run(
    command: list[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    errors: IO[str] | int = subprocess.STDOUT,
) -> Finished:
    """Run it without input.

    :arg errors: where its standard error goes; by default into the output.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        begun = time.monotonic()
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=errors, text=True
        )
        try:
            # Not process.wait(), which does not say what the command cost.
            _pid, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait(_STOP_SECONDS)
            raise
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Finished(process.returncode, output.read(), wall, usage.ru_utime + usage.ru_stime)
