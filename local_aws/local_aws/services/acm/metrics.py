# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""DaysToExpiry of certificates (ACM user guide, "Supported CloudWatch metrics")."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime

from ...ministack_adapter import acm

NAMESPACE = "AWS/CertificateManager"


class CertificateMetrics:
    """The metrics of certificates that are issued."""

    async def read(self, metric: str, dimensions: dict[str, str], _stat: str, minutes: int) -> list[float | None]:
        """The value now, for so many minutes.

        :raises ValueError: a metric that there is none of here.
        """
        if metric != "DaysToExpiry":
            raise ValueError(f"A metric that is not imitated here: {metric}")
        parts = dimensions.get("CertificateArn", "").split(":")
        record = acm.certificate(parts[4], parts[3], ":".join(parts)) if len(parts) == 6 else None
        if record is None or not record.get("NotAfter"):
            return [None] * minutes
        expires = datetime.fromisoformat(str(record["NotAfter"]).replace("Z", "+00:00"))
        return [float((expires.astimezone(UTC) - datetime.now(UTC)).days)] * minutes
