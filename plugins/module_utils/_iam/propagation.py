# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until IAM has propagated a change of a role. Private to the collection.

Facts: IAM User Guide, "Changes that I make are not always immediately visible".
"""

from __future__ import annotations

import time
import typing
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.clients import Client
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.errors import UserError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import WaitOptions
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._iam.role_state import read

CONSISTENT_READS = 3
"""So many identical reads in a row count as propagated within IAM."""


@dataclass(frozen=True)
class PropagationOptions(WaitOptions):
    """How to wait until IAM has propagated a change.

    Attributes:
        settle: seconds after a change in which IAM may still answer differently from place to place.
        simulate_actions: actions that IAM's policy simulator must allow the role.
        simulate_resources: on these resources.
    """

    timeout: float = 60
    delay: float = 1
    settle: float = 10
    simulate_actions: list[str] = field(default_factory=list)
    simulate_resources: list[str] = field(default_factory=list)


def seconds_left(changed_at: datetime, wait_options: PropagationOptions) -> float:
    age = (datetime.now(UTC) - changed_at).total_seconds()
    return min(wait_options.settle, wait_options.settle - age)


def wait_for_propagation(
    iam: Client,
    name: str,
    is_as_expected: typing.Callable[[dict[str, typing.Any]], bool],
    pause: float,
    wait_options: PropagationOptions,
) -> dict[str, typing.Any]:
    """Wait for the reads and the simulation, then for what they leave of the pause."""
    started = time.monotonic()
    wait_options.report("waiting until IAM shows the change everywhere")
    role = _wait_for_reads(iam, name, is_as_expected, wait_options)
    if wait_options.simulate_actions:
        _wait_for_simulation(iam, role["arn"], wait_options)
    left = pause - (time.monotonic() - started)
    if left > 0:
        time.sleep(left)
    return role


def _wait_for_reads(
    iam: Client,
    name: str,
    is_as_expected: typing.Callable[[dict[str, typing.Any]], bool],
    wait_options: PropagationOptions,
) -> dict[str, typing.Any]:
    in_a_row = 0
    role = None
    for _poll in wait_options.waiter().polls():
        role = read(iam, name)
        in_a_row = in_a_row + 1 if role is not None and is_as_expected(role) else 0
        if role is not None and in_a_row >= CONSISTENT_READS:
            return role
    raise UserError(
        f"IAM role {name} was changed, but IAM does not show the change consistently after"
        f" {wait_options.timeout:g} seconds (wait_timeout). Run this again; if it happens again, something else changes"
        " the role at the same time."
    )


def _wait_for_simulation(iam: Client, arn: str, wait_options: PropagationOptions) -> None:
    params: dict[str, typing.Any] = {"PolicySourceArn": arn, "ActionNames": wait_options.simulate_actions}
    if wait_options.simulate_resources:
        params["ResourceArns"] = wait_options.simulate_resources
    denied: list[str] = []
    for _poll in wait_options.waiter().polls():
        results = iam.simulate_principal_policy(**params)["EvaluationResults"]
        denied = sorted({r["EvalActionName"] for r in results if r["EvalDecision"] != "allowed"})
        if not denied:
            return
        wait_options.report(f"waiting until IAM's policy simulator allows {', '.join(denied)}")
    raise UserError(
        f"IAM role {arn} is still not allowed {', '.join(denied)} after {wait_options.timeout:g} seconds"
        " (wait_timeout), says IAM's policy simulator: correct simulate_actions, simulate_resources, or the role's"
        " policies and permissions boundary."
    )
