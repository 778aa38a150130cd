# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: what both modules share of Ansible's side: clients, failing, hiding."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from typing import NoReturn

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

from . import api
from . import shapes
from .common import THROTTLING_CODES

MINIMUM_BOTOCORE = "1.41.1"
# Shorter values would be blotted out of innocent places of the output.
_SHORTEST_HIDDEN = 8


def clients(module: Any) -> Callable[[str], Any]:
    """Clients by boto name, made on first use; ``aws_retry=True`` repeats throttled calls with jitter.

    Fails the module if the installed botocore does not know Express Mode.
    """

    @functools.cache
    def client(service: str) -> Any:
        retry = AWSRetry.jittered_backoff(retries=10, delay=1, catch_extra_error_codes=list(THROTTLING_CODES))
        made = module.client(service, retry_decorator=retry)
        if service == "ecs" and not api.supports_express(made):
            module.require_botocore_at_least(MINIMUM_BOTOCORE, reason="to know Amazon ECS Express Mode")
        return made

    return client


def fail(module: Any, error: AnsibleAWSError) -> NoReturn:
    """End the module with the error's message, AWS's answer and the error's further values."""
    if error.exception:
        module.fail_json_aws(error.exception, msg=error.message, **error.kwargs)
    module.fail_json(msg=error.message, **error.kwargs)
    raise AssertionError("unreachable")  # pragma: no cover


def hide_secret_environment(module: Any) -> None:
    """Keep environment values that look like secrets out of all output, Ansible's echo of the arguments included."""
    environment = (module.params.get("primary_container") or {}).get("environment") or {}
    for name, value in environment.items():
        if len(str(value or "")) >= _SHORTEST_HIDDEN and shapes.looks_secret(str(name), value):
            module.no_log_values.add(str(value))
