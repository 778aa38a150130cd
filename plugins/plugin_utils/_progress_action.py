# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Run a module as Ansible does, and show its progress lines meanwhile."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from ansible import constants
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.display import Display
from ansible.utils.vars import merge_hash

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import FILE_VARIABLE
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.progress import duration
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils._direct_action import DirectAction

# Polling interval of the file, and the silence after which a line says that the wait still goes on, in seconds.
POLL_SECONDS = 0.5
SILENCE_SECONDS = 25.0
# The variable that disables it.
SWITCH = "mlflow_live_progress"


class ProgressAction(DirectAction):
    """The action of a module that reports progress."""

    # Arguments of _execute_module(), if not for the module of the same name, and the texts for its progress.
    what: dict[str, Any] = {}
    subject = ""
    expected_duration = ""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result: dict[str, Any] = super(DirectAction, self).run(tmp, task_vars)
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        if wrap_async or not self._watched(task_vars):
            result = merge_hash(result, self._execute_module(task_vars=task_vars, wrap_async=wrap_async, **self.what))
        else:
            result = merge_hash(result, self._execute_watched(task_vars))
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _watched(self, task_vars: dict[str, Any]) -> bool:
        """Return whether progress is enabled, and the module runs on this machine."""
        if self._task.no_log or self._connection.transport != "local":
            return False
        return bool(boolean(self._templar.template(task_vars.get(SWITCH, True)), strict=False))

    def _execute_watched(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        descriptor, path = tempfile.mkstemp(prefix="progress-", dir=constants.DEFAULT_LOCAL_TMP)
        os.close(descriptor)
        hosts = task_vars.get("ansible_play_hosts_all") or []
        host = f"[{task_vars.get('inventory_hostname')}] " if len(hosts) > 1 else ""
        environment = self._task.environment
        before = environment if isinstance(environment, list) else [environment] if environment else []
        self._task.environment = [*before, {FILE_VARIABLE: path}]
        # On standard error, so that results on standard output (callback json) stay machine-readable.
        tailer = ProgressTailer(
            path,
            lambda line: Display().display(f"  {host}{line}", color="dark gray", stderr=True),
            subject=_printable(self.subject or self._task.get_name(include_role_fqcn=False)),
            expected_duration=_printable(self.expected_duration),
        )
        tailer.start()
        try:
            return dict(self._execute_module(task_vars=task_vars, **self.what))
        finally:
            self._task.environment = environment
            tailer.stop()
            os.unlink(path)


class ProgressTailer(threading.Thread):
    """Show each line that is appended to a file, and that the wait continues, until it is stopped.

    Args:
        path: the file.
        show: takes a line.
        subject, expected_duration: subject and expected duration, until the module reports its own.
        silence: seconds without a line after which ``show`` is called nevertheless.
    """

    def __init__(
        self,
        path: str,
        show: Callable[[str], Any],
        subject: str = "",
        expected_duration: str = "",
        silence: float = SILENCE_SECONDS,
    ) -> None:
        super().__init__(name="progress", daemon=True)
        self._path = path
        self._show = show
        self._silence = silence
        self._position = 0
        self._begin = self._changed = self._spoke = time.monotonic()
        self._last = {"subject": subject, "line": "", "usual": expected_duration}
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(POLL_SECONDS):
            self._read_lines()
            now = time.monotonic()
            if now - self._spoke >= self._silence:
                self._spoke = now
                self._display(
                    now - self._begin, f"unchanged for {duration(now - self._changed)}" if self._last["line"] else ""
                )

    def stop(self) -> None:
        """Show remaining lines, and stop."""
        self._end.set()
        self.join()
        self._read_lines()

    def _display(self, elapsed: float, *more: str) -> None:
        times = ", ".join(part for part in (duration(elapsed), *more, self._last["usual"]) if part)
        line = self._last["line"].rstrip(".") or "running"
        self._show(f"{self._last['subject']}: {line} ({times})")

    def _read_lines(self) -> None:
        try:
            with open(self._path, "rb") as file:
                file.seek(self._position)
                fresh = file.read()
        except OSError:
            return
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._position += len(whole)
        for raw in whole.splitlines():
            said = _parsed(raw)
            if said:
                now = time.monotonic()
                elapsed = said.pop("elapsed")
                self._last = said
                self._begin, self._changed, self._spoke = now - elapsed, now, now
                self._display(elapsed)


def _parsed(raw: bytes) -> dict[str, Any] | None:
    """Return a line of the module's progress; ignore lines that do not parse."""
    try:
        said = json.loads(raw)
        return {
            **{name: _printable(str(said[name])) for name in ("subject", "line", "usual")},
            "elapsed": float(said["elapsed"]),
        }
    except (ValueError, TypeError, KeyError):
        return None


def _printable(text: str) -> str:
    """Return a text without control characters: AWS or a container may have written it."""
    return "".join(char if char.isprintable() else " " for char in text).strip()
