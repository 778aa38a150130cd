# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizes of tasks that AWS Fargate sells. Pure Python, private to the collection."""

from __future__ import annotations

import typing
from collections.abc import Mapping

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import Problems
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import empty
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._inputs.values import whole_number

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

# MiB, with two workers and no background jobs.
LEAST_MEMORY = 2048


def size_problems(inputs: Mapping[str, typing.Any]) -> Problems:
    """Check that Fargate sells the pair of CPU and memory."""
    if empty(inputs.get("mlflow_cpu")) and empty(inputs.get("mlflow_memory")):
        return []
    cpu, memory = whole_number(inputs.get("mlflow_cpu", 1024)), whole_number(inputs.get("mlflow_memory", 4096))
    if cpu not in FARGATE:
        sold = ", ".join(str(units) for units in FARGATE)
        return [
            f"mlflow_cpu is {inputs.get('mlflow_cpu')!r}, but must be in CPU units, of which 1024 are one vCPU: one of"
            f" {sold}."
        ]
    if memory is not None and memory < LEAST_MEMORY:
        return [
            f"mlflow_memory is {inputs.get('mlflow_memory')!r} MiB, but MLflow needs {LEAST_MEMORY} at least; ECS"
            " ends a server that outgrows what it was given."
        ]
    if memory not in FARGATE[cpu]:
        sizes = FARGATE[cpu]
        if len(sizes) > 5:
            step = sizes[1] - sizes[0]
            sold = f"{sizes[0]} to {sizes[-1]} in steps of {step}"
        else:
            sold = ", ".join(str(size) for size in sizes)
        return [
            f"mlflow_memory is {inputs.get('mlflow_memory')!r}, but with mlflow_cpu {cpu} AWS Fargate sells, in MiB,"
            f" {sold}."
        ]
    return []
