# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.mlops.mlflow_aws.plugins.modules import scheduler_schedule
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._direct_action import DirectAction


class ActionModule(DirectAction):
    """Runs the module of the same name."""

    module = scheduler_schedule
