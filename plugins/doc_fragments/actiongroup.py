# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership of the action group mlops.mlflow_aws.all."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/mlops.mlflow_aws.all) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - mlops.mlflow_aws.all
"""
