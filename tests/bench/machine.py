# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a machine is at this moment: two fixed pieces of work, timed, to hold the figures of a benchmark against."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STEPS = 20_000_000
_REPEATED = 3
_LOOP = f"""
import time
begun = time.perf_counter()
total = 0
for number in range({STEPS}):
    total += number
print(time.perf_counter() - begun)
"""
_PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: nothing
"""


@dataclass(frozen=True)
class Speed:
    """What the two pieces of work took, in seconds; the median of three.

    :arg loop: a loop of Python over 20 million numbers, without the start of the interpreter.
    :arg ansible: ansible-playbook with one debug task, from its start to its end.
    """

    loop: float
    ansible: float


def measure(environment: Mapping[str, str]) -> Speed:
    """Time both, one after the other.

    :arg environment: of ansible-playbook.
    """
    return Speed(_median(_time_loop), _median(lambda: _time_ansible(environment)))


def _median(once: Callable[[], float]) -> float:
    return statistics.median(once() for _number in range(_REPEATED))


def _time_loop() -> float:
    done = subprocess.run([sys.executable, "-c", _LOOP], capture_output=True, text=True, check=True)
    return float(done.stdout)


def _time_ansible(environment: Mapping[str, str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "play.yml"
        path.write_text(_PLAY, encoding="utf-8")
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "--inventory", "localhost,", str(path)]
        begun = time.perf_counter()
        subprocess.run(command, env=dict(environment), cwd=folder, capture_output=True, check=True)
        return time.perf_counter() - begun
