# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Keeps what the modules return while the role's entry point plan runs deploy in check mode.

Each task runs in a worker of its own, whose memory ends with it, so the results of a host lie in a file. It is in
Ansible's own temporary directory, which only this user can read, and which ansible-playbook removes when it ends.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan_changes

#: The variable with which the tasks of the entry point switch it on.
SWITCH = "__mlflow_keep_results"


def begin(variables: Mapping[str, Any]) -> None:
    """Forget what an earlier plan of this host has kept."""
    _file(variables).unlink(missing_ok=True)


def keep(
    module: str, arguments: Mapping[str, Any], result: Mapping[str, Any], variables: Mapping[str, Any], *, hidden: bool
) -> None:
    """Keep the result of a module, if this is a plan.

    Args:
        module: full name of the module.
        arguments: what it was called with.
        result: what it returned.
        variables: of the task.
        hidden: whether the task has no_log.
    """
    if not boolean(variables.get(SWITCH, False), strict=False):
        return
    found = plan_changes.reduced(module.rpartition(".")[2], arguments, result)
    if found is None:
        return
    if hidden:
        found["diff"] = {}
    descriptor = os.open(_file(variables), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(found, default=str) + "\n")


def read(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was kept of this host, in the order of its tasks, and forget it."""
    file = _file(variables)
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    file.unlink()
    return [json.loads(line) for line in lines]


def _file(variables: Mapping[str, Any]) -> Path:
    host = hashlib.sha256(str(variables["inventory_hostname"]).encode()).hexdigest()
    return Path(constants.DEFAULT_LOCAL_TMP) / f"plan-{host}"
