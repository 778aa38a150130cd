# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU and memory in the forms that ECS takes, as CPU units and MiB.

Amazon ECS Developer Guide: "Task size" (``1 vCPU``, ``2 GB``, converted to units when registered), and the Express Mode
tutorial, which writes ``--cpu 2 --memory 4``. What DescribeExpressGatewayService returns after the latter is not
documented; units are assumed here, as for task definitions.
"""

from __future__ import annotations

import re

_UNITS_PER_VCPU = 1024
_MIB_PER_GB = 1024
# Below the smallest size in CPU units (256) and in MiB (512), a bare number can only mean vCPU and GB.
_LEAST_UNITS = 256
_LEAST_MIB = 512
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]*)\s*")


def _scaled(text: str, unit: str, factor: int, least: int) -> str:
    match = _FORM.fullmatch(text)
    if match is None or match[2].lower() not in ("", unit):
        return text
    number = float(match[1])
    if not match[2] and number >= least:
        return text
    return f"{number * factor:g}"


def cpu_units(text: str) -> str:
    """CPU units: ``.5 vCPU``, ``2`` and ``2048`` become ``512``, ``2048`` and ``2048``; what is none of these stays."""
    return _scaled(text, "vcpu", _UNITS_PER_VCPU, _LEAST_UNITS)


def memory_mib(text: str) -> str:
    """MiB: ``4 GB``, ``4`` and ``4096`` become ``4096``; what is none of these stays."""
    return _scaled(text, "gb", _MIB_PER_GB, _LEAST_MIB)
