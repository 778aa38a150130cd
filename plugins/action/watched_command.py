# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._progress_action import ProgressAction


class ActionModule(ProgressAction):
    """Run ansible.builtin.command and show its progress.

    A task gets the action plugin that has the name of its module, and ansible.builtin.command has one of its own. So
    showing progress takes a module of another name, and the local_aws role's downloads of minutes need it.
    """

    _supports_check_mode = True
    may_be_direct = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        _unused, given = self.validate_argument_spec(
            argument_spec={
                "argv": {"type": "list", "elements": "str", "required": True},
                "creates": {"type": "path"},
                "subject": {"type": "str", "required": True},
                "usually": {"type": "str", "default": ""},
            }
        )
        self.subject, self.expected_duration = given["subject"], given["usually"] and f"usually {given['usually']}"
        arguments = {name: given[name] for name in ("argv", "creates") if given[name]}
        self.what = {"module_name": "ansible.builtin.command", "module_args": arguments}
        return super().run(tmp, task_vars)
