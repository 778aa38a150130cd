# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudWatch Logs: the keys of log groups."""

from .handlers import LogGroupKeys

__all__ = ["LogGroupKeys"]
