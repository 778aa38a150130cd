# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private: retry calls until AWS has propagated earlier changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from ansible_collections.mlops.mlflow_aws.plugins.module_utils._core.waiting import Waiter
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import EcsExpressError
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import is_draining
from ansible_collections.mlops.mlflow_aws.plugins.module_utils._ecs_express.errors import is_fresh_role

T = TypeVar("T")

FRESH_ROLE_SECONDS = 240  # Terraform's provider retries for 4 minutes.


def retry_fresh_role(call: Callable[[], T], waiter: Waiter, *, bound: float = FRESH_ROLE_SECONDS) -> T:
    """Repeat ``call`` while new roles are not yet effective, for at most ``bound`` seconds."""
    start = waiter.clock()
    while True:
        try:
            return call()
        except EcsExpressError as e:
            if not is_fresh_role(e) or waiter.clock() - start >= min(bound, waiter.timeout):
                raise
        waiter.report("waiting for IAM to make the roles known")
        waiter.sleep(waiter.delay * random.uniform(0.5, 1.0))


def retry_draining(call: Callable[[], T], waiter: Waiter) -> T:
    """Repeat ``call`` while an older service with the name is being deleted, within the waiter's bound."""
    for _poll in waiter.polls():
        try:
            return call()
        except EcsExpressError as e:
            if not is_draining(e):
                raise
            last = e
        waiter.report("the older service of this name is still DRAINING")
    raise last
