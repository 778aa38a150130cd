# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The use of customer managed keys by other services."""

from .handlers import EncryptedValues

__all__ = ["EncryptedValues"]
