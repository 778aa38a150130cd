# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: Ansible's side of the modules: failing, and hiding secrets."""

from __future__ import annotations

from typing import Any
from typing import NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.validation import check_type_dict

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.results import show_warnings
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express import transformations

# Shorter values would be masked in unrelated places of the output.
_SHORTEST_HIDDEN = 8


def fail(module: Any, error: AnsibleAWSError) -> NoReturn:
    """End the module with the error's message, AWS's answer and the error's further values."""
    show_warnings(error.kwargs.pop("warnings", []))
    if error.exception:
        module.fail_json_aws(error.exception, msg=error.message, **error.kwargs)
    module.fail_json(msg=error.message, **error.kwargs)
    raise AssertionError("unreachable")  # pragma: no cover


class _RedactingModule(AnsibleModule):
    """Keeps environment values that look like secrets out of all output, from the start.

    They cannot be no_log options: a dictionary's values have none, and a short value would be masked wherever else it
    occurs. So long values are masked everywhere, and short ones where they are known to be: in the echo of the
    arguments (invocation, with -vvv) and in the system's log.
    """

    params: dict[str, Any]

    def _load_params(self) -> None:
        super()._load_params()
        # Before the arguments are checked: the error about a wrong argument echoes all of them.
        for name, value in _environment(self.params).items():
            if len(str(value or "")) >= _SHORTEST_HIDDEN and transformations.is_likely_secret(str(name), value):
                self.no_log_values.add(str(value))

    def _log_invocation(self) -> None:
        whole = self.params
        self.params = _redacted(whole)
        try:
            super()._log_invocation()
        finally:
            self.params = whole

    def _return_formatted(self, kwargs: dict[str, Any]) -> None:
        kwargs.setdefault("invocation", {"module_args": _redacted(self.params)})
        super()._return_formatted(kwargs)


def _environment(params: Any) -> dict[str, Any]:
    """Return the environment among unchecked arguments, any of which may be of a wrong type, or text."""
    container = _parsed((params or {}).get("primary_container"))
    environment = _parsed((container or {}).get("environment"))
    return environment or {}


def _parsed(value: Any) -> dict[str, Any] | None:
    try:
        found = check_type_dict(value)
    except (TypeError, ValueError):
        return None
    return dict(found)


def _redacted(params: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with the secrets of the environment hidden."""
    environment = _environment(params)
    if not any(transformations.is_likely_secret(str(name), value) for name, value in environment.items()):
        return params
    container = {**(_parsed(params["primary_container"]) or {}), "environment": environment}
    return {**params, **transformations.masked({"primary_container": container})}


def make_module(**kwargs: Any) -> AnsibleAWSModule:
    """Return an AnsibleAWSModule on top of the redacting module."""
    settings = AnsibleAWSModule.default_settings
    original = settings["module_class"]
    # AnsibleAWSModule has a setting module_class, but only uses its default.
    settings["module_class"] = _RedactingModule
    try:
        return AnsibleAWSModule(**kwargs)
    finally:
        settings["module_class"] = original
