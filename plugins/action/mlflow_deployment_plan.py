# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a plan of what the modules returned in check mode. It runs in Ansible's own process and takes milliseconds."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.violations import Violation
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._deployment import plan
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils import _plan_results

_OPTIONS = {
    "step": {"type": "str", "required": True, "choices": ["begin", "end"]},
    "name": {"type": "str"},
    "context": {"type": "dict", "default": {}},
    "availability_zones": {"type": "list", "elements": "str", "default": []},
    "public": {"type": "bool", "default": True},
    "deployment_state": {"type": "dict", "default": {}},
    "path": {"type": "str", "default": ""},
}


class ActionModule(ActionBase):
    """Begins to keep results, or makes the plan of those that were kept."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        variables: dict[str, Any] = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _validation, options = self.validate_argument_spec(argument_spec=_OPTIONS)
        result["changed"] = False
        path = Path(options["path"]).expanduser() if options["path"] else None
        if options["step"] == "begin":
            if path and (problem := path_problem(path)):
                raise AnsibleActionFail(str(problem))
            _plan_results.begin(variables)
            return result
        context = options["context"]
        place = plan.Place(
            options["name"] or "",
            str(context.get("account_id") or ""),
            str(context.get("region") or ""),
            len(options["availability_zones"]),
            options["public"],
        )
        data = plan.as_data(plan.make(_plan_results.read(variables), place, options["deployment_state"]))
        if path:
            write(path, data)
        return {**result, **data}


def path_problem(path: Path) -> Violation | None:
    """Return why a plan cannot be written to a file, None if it can."""
    shown, folder = f"is {path}", path.parent
    if path.is_dir():
        return Violation("mlflow_plan_path", f"{shown}, which is a folder", "name a file in it")
    if not folder.is_dir():
        remedy = "create the folder, or name a file in one that exists"
        return Violation("mlflow_plan_path", f"{shown}, but there is no folder {folder}", remedy)
    if not os.access(folder, os.W_OK):
        return Violation("mlflow_plan_path", f"{shown}, but you may not write to the folder {folder}", "name another")
    return None


def write(path: Path, data: dict[str, Any]) -> None:
    """Write the plan, for this user only, as it shows settings; a concurrent reader sees the old or the new one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=2, default=str)
            file.write("\n")
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
