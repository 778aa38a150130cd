# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""An AWS on this machine: ministack's API with real processes, databases and HTTPS behind it."""

from __future__ import annotations

__version__ = "0.1.0"
