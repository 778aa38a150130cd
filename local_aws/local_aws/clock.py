# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS's durations, divided by a scale, so that their order and overlap stay real."""

from __future__ import annotations

import asyncio
from datetime import UTC
from datetime import datetime


class Clock:
    """Waits as long as AWS would, divided by the scale.

    :arg scale: AWS seconds in one real second; above 0. 60 turns AWS's six minutes into six seconds.
    """

    def __init__(self, scale: float = 60.0) -> None:
        if scale <= 0:
            raise ValueError(f"The scale of the clock must be above 0, not {scale}.")
        self.scale = scale

    def real(self, aws_seconds: float) -> float:
        """The real seconds that AWS's seconds last here."""
        return aws_seconds / self.scale

    async def sleep(self, aws_seconds: float) -> None:
        """Sleeps for so many of AWS's seconds."""
        await asyncio.sleep(self.real(aws_seconds))

    def now(self) -> datetime:
        """The real time, in UTC: timestamps are not scaled."""
        return datetime.now(UTC)
