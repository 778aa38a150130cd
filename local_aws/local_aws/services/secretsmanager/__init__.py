# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS Secrets Manager: what ministack accepts and AWS does not."""

from .handlers import SecretsManager

__all__ = ["SecretsManager"]
