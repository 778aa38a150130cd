# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes that hold for every AWS module of the collection."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
notes:
  - Region, credentials, endpoint and certificate bundle are taken as C(amazon.aws) takes them, from the options or from
    the environment, see R(the guide of amazon.aws,ansible_collections.amazon.aws.docsite.aws_intro).
  - Throttled calls are repeated with growing pauses.
"""
