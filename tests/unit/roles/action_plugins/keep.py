# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a text into a file, as ansible.builtin.copy does, but without the processes of two modules for each text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """The action: C(content), and C(dest), a path on this machine."""

    _VALID_ARGS = frozenset(("content", "dest"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        content = self._task.args["content"]
        text = content if isinstance(content, str) else json.dumps(content)
        Path(self._task.args["dest"]).write_text(text, encoding="utf-8")
        return result
