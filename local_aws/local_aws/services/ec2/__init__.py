# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon EC2: operations that ministack does not have."""

from .handlers import AccountAttributes

__all__ = ["AccountAttributes"]
