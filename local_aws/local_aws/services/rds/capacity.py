# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Availability Zone has no capacity for an instance class, on order."""

from __future__ import annotations

from ...context import Context
from ...service import ApiError


def check(ctx: Context, name: str) -> None:
    """Refuses to create or start an instance where the fault databases:Capacity is on order; raises ApiError.

    The message is botocore's text on the error InsufficientDBInstanceCapacity.
    """
    if ctx.faults.consume("databases:Capacity", name) is not None:
        raise ApiError(
            "InsufficientDBInstanceCapacity",
            "The specified DB instance class isn't available in the specified Availability Zone.",
        )
