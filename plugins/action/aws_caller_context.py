# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.modules import aws_caller_context
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils import _shared_reads
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._direct_action import DirectAction


class ActionModule(DirectAction):
    """Runs the module of the same name: once for all hosts with the same credentials and the same region."""

    module = aws_caller_context

    def _run_module(self, name: str, arguments: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
        options = {option: value for option, value in arguments.items() if not option.startswith("_ansible_")}
        # Of one task, so that a later one notices credentials that have expired.
        key = [self._task._uuid, name, options, {**os.environ, **environment}]
        return _shared_reads.read(key, lambda: super(ActionModule, self)._run_module(name, arguments, environment))
