# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudWatch: ministack answers its calls; what goes on in the background is here."""

from __future__ import annotations

from typing import Any

from ...service import Call
from ...service import Response
from .controller import AlarmController


class CloudWatch:
    """Alarms that are evaluated."""

    name = "cloudwatch"

    def __init__(self, controller: AlarmController) -> None:
        self._controller = controller

    def owns(self, call: Call) -> bool:
        """None: ministack answers them all."""
        return False

    async def handle(self, call: Call) -> Response:
        """Never asked."""
        return await call.passthrough()

    async def start(self) -> None:
        """Begins to evaluate alarms."""
        self._controller.start()

    async def stop(self) -> None:
        """Ends it."""
        await self._controller.stop()

    def state(self) -> dict[str, Any]:
        """Nothing to remember: ministack keeps the alarms, and samples begin anew."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""
