# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Run a module in Ansible's worker process, if the result is the same as in a process of its own.

Ansible packs a module into an archive, starts a Python interpreter, unpacks the archive and imports boto3 for each
task: about a second of CPU, of which the module needs a tenth. A worker is a fork of ansible-playbook that runs one
task and ends, so a module can run in it without leaving anything behind. ansible.netcommon does the same with
import_modules (its plugins/action/network.py).

An action plugin's file is imported by ansible-playbook itself before it forks (plugins/strategy/linear.py), so what
that file imports, and the service models that are loaded here, are loaded once for all tasks.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from ansible import constants
from ansible.executor.module_common import _BuiltModule
from ansible.module_utils import _internal
from ansible.module_utils import basic
from ansible.module_utils._internal._ansiballz import _loader
from ansible.module_utils.common import warnings
from ansible.module_utils.common.json import Direction
from ansible.module_utils.common.json import get_module_encoder
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader
from ansible.plugins.loader import test_loader
from ansible.utils.display import Display
from ansible.utils.vars import merge_hash

from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils import _plan_results
from ansible_collections.mlops.mlflow_aws.plugins.plugin_utils import _service_models

COLLECTION = "mlops.mlflow_aws"
#: The variable that disables it.
SWITCH = "mlflow_direct_execution"
#: The serialization of modules written in Python (ansible.executor.module_common).
PROFILE = "legacy"


class DirectAction(ActionBase):
    """The action of a module that may run in Ansible's worker process."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = True
    #: The module of the same name, imported before Ansible forks.
    module: ModuleType | None = None
    #: Whether the module may run in this process at all.
    may_be_direct = True
    #: Its name and arguments, while it runs in this process.
    _running: tuple[str, dict[str, Any]] | None = None

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        result = merge_hash(result, self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _is_direct(self, task_vars: dict[str, Any]) -> bool:
        """Return whether the module would run on this machine, as this user, with this interpreter, within the task."""
        if not self.may_be_direct:
            return False
        if self._connection.transport != "local" or self._connection.become or self._task.async_val:
            return False
        # The user wants to inspect the module's files, of which there would be none.
        if constants.DEFAULT_KEEP_REMOTE_FILES:
            return False
        if not boolean(self._templar.template(task_vars.get(SWITCH, True)), strict=False):
            return False
        variables = task_vars
        if self._task.delegate_to:
            variables = (task_vars.get("ansible_delegated_vars") or {}).get(self._task.delegate_to, {})
        interpreter = variables.get("ansible_python_interpreter")
        if interpreter is None:
            interpreter = constants.config.get_config_value("INTERPRETER_PYTHON", variables=variables)
        return bool(self._templar.template(interpreter) == sys.executable)

    # As Ansible's _execute_module() does.

    def _execute_module(
        self, module_name: Any = None, module_args: Any = None, *args: Any, task_vars: Any = None, **more: Any
    ) -> dict[str, Any]:
        self._running = None
        name = module_name or self._task.action
        if self._is_direct(task_vars or {}) and (path := self._python_name(name)):
            self._running = (path, {})
        try:
            done: dict[str, Any] = super()._execute_module(module_name, module_args, *args, task_vars=task_vars, **more)
        finally:
            self._running = None
        arguments = self._task.args if module_args is None else module_args
        _plan_results.keep(name, arguments, done, task_vars or {}, hidden=self._task.no_log)
        return done

    def _python_name(self, name: str) -> str:
        """Return the Python import name of a module; empty if it is not in a collection."""
        if self.module is not None and name == self._task.action:
            return self.module.__name__
        found = self._shared_loader_obj.module_loader.find_plugin_with_context(
            name, ".py", collection_list=self._task.collections
        )
        resolved = found.plugin_resolved_name if found.resolved else ""
        return str(resolved) if str(resolved).startswith("ansible_collections.") else ""

    def _is_pipelining_enabled(self, module_style: str, wrap_async: bool = False) -> bool:
        # There is nothing to transfer.
        return self._running is not None or bool(super()._is_pipelining_enabled(module_style, wrap_async))

    def _configure_module(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> Any:
        if self._running is None:
            return super()._configure_module(module_name, module_args, task_vars)
        self._running = (self._running[0], module_args)
        built = _BuiltModule(
            module_style="new", shebang=f"#!{sys.executable}", b_module_data=b"", serialization_profile=PROFILE
        )
        return built, f"{self._running[0]} (in this process)"

    def _low_level_execute_command(self, cmd: str, *args: Any, **more: Any) -> dict[str, Any]:
        if self._running is None:
            done: dict[str, Any] = super()._low_level_execute_command(cmd, *args, **more)
            return done
        name, arguments = self._running
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        Display().vvv(f"Running {name} in this process", host=self._task.delegate_to)
        return self._run_module(name, arguments, environment)

    def _run_module(self, name: str, arguments: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
        """Run a module in this process; see run_module()."""
        return run_module(name, arguments, environment)


def run_module(name: str, arguments: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
    """Run a module and return the result as of a shell: rc, stdout, stderr.

    Args:
        name: its Python import name.
        arguments: the module's options and Ansible's own (``_ansible_…``).
        environment: variables to add to the environment while it runs.
    """
    encoder = get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
    parameters = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}, cls=encoder).encode()
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_as_module(parameters))
        stack.enter_context(_environment(environment))
        stack.enter_context(_service_models.shared())
        stack.enter_context(contextlib.redirect_stdout(output))
        stack.enter_context(contextlib.redirect_stderr(errors))
        stack.enter_context(_exit_handlers())
        code = _exit_code(name)
    text, error_text = output.getvalue(), errors.getvalue()
    return {
        "rc": code,
        "stdout": text,
        "stdout_lines": text.splitlines(),
        "stderr": error_text,
        "stderr_lines": error_text.splitlines(),
    }


def _exit_code(name: str) -> int:
    """Run the module; return its exit code."""
    try:
        try:
            importlib.import_module(name).main()
            raise RuntimeError("New-style module did not handle its own exit.")
        except Exception as error:
            # As for a module in a process of its own: the task has failed, and its traceback is shown on request.
            _loader._handle_exception(error, PROFILE)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    raise AssertionError("not reached")


@contextlib.contextmanager
def _as_module(parameters: bytes) -> Iterator[None]:
    """Make ansible.module_utils behave as in a module, so that warnings become part of the result."""
    before = basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE, _internal.is_controller
    basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE, _internal.is_controller = parameters, PROFILE, False
    # In a loop all items run in one worker.
    _forget_warnings()
    try:
        yield
    finally:
        basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE, _internal.is_controller = before
        _forget_warnings()


def _forget_warnings() -> None:
    warnings._global_warnings.clear()
    warnings._global_deprecations.clear()


@contextlib.contextmanager
def _environment(variables: dict[str, Any]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({str(name): str(value) for name, value in variables.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _exit_handlers() -> Iterator[None]:
    """Call the module's exit handlers afterwards, which a worker would not call."""
    handlers: list[Callable[[], Any]] = []
    register = atexit.register

    def keep(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        handlers.append(lambda: function(*args, **kwargs))
        return function

    atexit.register = keep  # type: ignore[assignment]
    try:
        yield
    finally:
        atexit.register = register
        for handler in reversed(handlers):
            handler()


def _load_filters() -> None:
    """Load all filters and tests, of Ansible's own and of this collection, instead of once in each worker.

    To find one filter of a collection, Ansible imports all of its files (Jinja2Loader in ansible/plugins/loader.py).
    """
    for loader, name in ((filter_loader, f"{COLLECTION}.as_type"), (test_loader, "ansible.builtin.changed")):
        # KeyError where another than Ansible's own loader has imported this file: there no play runs.
        with contextlib.suppress(KeyError):
            loader.get(name)


def _freeze() -> None:
    """Let no garbage collection in a worker look at what ansible-playbook itself holds.

    Each full collection would look at all of it, the service models among it, in vain, and copy the memory that the
    worker shares: more CPU than all modules need together. https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.freeze()


# At import, before Ansible forks.
_service_models.load()
_load_filters()
_freeze()
