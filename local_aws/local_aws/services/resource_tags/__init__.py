# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Resource Groups Tagging API: which resources have which tags."""

from .handlers import ResourceTags

__all__ = ["ResourceTags"]
