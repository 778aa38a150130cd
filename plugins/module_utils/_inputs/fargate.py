# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizes of tasks that AWS Fargate offers. Pure Python, private to the collection."""

from __future__ import annotations

import typing

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import shown
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.values import whole_number
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation

# AWS Fargate: CPU units to memory in MiB (Amazon ECS Developer Guide, "Task CPU and memory").
FARGATE: dict[int, list[int]] = {
    256: [512, 1024, 2048],
    512: list(range(1024, 4096 + 1, 1024)),
    1024: list(range(2048, 8192 + 1, 1024)),
    2048: list(range(4096, 16384 + 1, 1024)),
    4096: list(range(8192, 30720 + 1, 1024)),
    8192: list(range(16384, 61440 + 1, 4096)),
    16384: list(range(32768, 122880 + 1, 8192)),
}


def pair_problem(cpu_name: str, cpu: typing.Any, memory_name: str, memory: typing.Any) -> Violation | None:
    """Return the violation if Fargate does not offer a pair of CPU and memory.

    Args:
        cpu_name: the variable or option for the CPU units.
        cpu: its value.
        memory_name: the variable or option for the memory in MiB.
        memory: its value.
    """
    units, size = whole_number(cpu), whole_number(memory)
    if units not in FARGATE:
        sold = ", ".join(str(one) for one in FARGATE)
        return Violation(
            cpu_name, f"is {shown(cpu)}, but must be in CPU units, of which 1024 are one vCPU: one of {sold}"
        )
    if size in FARGATE[units]:
        return None
    sizes = FARGATE[units]
    if len(sizes) > 5:
        sold = f"{sizes[0]} to {sizes[-1]} in steps of {sizes[1] - sizes[0]}"
    else:
        sold = ", ".join(str(one) for one in sizes)
    return Violation(memory_name, f"is {shown(memory)}, but with {cpu_name} {units} AWS Fargate offers, in MiB, {sold}")


def next_size(cpu: int, memory: int) -> tuple[int, int] | None:
    """Return the next larger (CPU units, MiB), with as little more CPU as possible; None if there is none."""
    for units, sizes in FARGATE.items():
        for size in sizes:
            if units >= cpu and size > memory:
                return units, size
    return None
