# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS PostgreSQL instances as real PostgreSQL clusters on this machine."""

from __future__ import annotations

from .handlers import Databases

__all__ = ["Databases"]
