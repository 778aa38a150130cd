# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""The packages of MLflow's client by its version, with the SHA-256 of each wheel (tests/tools/lock.py).

For CPython 3.11 to 3.14 on Linux (glibc; x86_64, aarch64) and macOS (arm64), as PyPI had them on 2026-11-23.
"""

from __future__ import annotations

from .client_pins_a_to_l import PINS as A_TO_L
from .client_pins_m_to_o import PINS as M_TO_O
from .client_pins_p_to_z import PINS as P_TO_Z

VERSIONS = (
    *("3.10.0", "3.10.1", "3.11.1", "3.12.0", "3.13.0", "3.14.0", "3.15.0", "3.15.1"),
    *("3.15.2", "3.16.0", "3.16.1", "3.17.0", "3.17.1", "3.17.2"),
)

# Of each package, the versions of MLflow that it is for if not for all, and the hashes of its wheels.
PINS = A_TO_L + M_TO_O + P_TO_Z
