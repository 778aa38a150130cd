# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of a listener beside its default one, which ministack does not have."""

from __future__ import annotations

from typing import Any

from ...context import Context
from ...service import Call
from .gateways import Gateways

OPERATIONS = frozenset({"AddListenerCertificates", "RemoveListenerCertificates", "DescribeListenerCertificates"})


class ListenerCertificates:
    """ELB's operations on them."""

    def __init__(self, ctx: Context, gateways: Gateways) -> None:
        self._ctx = ctx
        self._gateways = gateways

    def handle(self, call: Call) -> dict[str, Any]:
        """One of OPERATIONS."""
        listener = call.params["ListenerArn"]
        tags = (
            {"AmazonECSManaged": "true"}
            if any(item.listener == listener for item in self._gateways.gateways.values())
            else {}
        )
        context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        self._ctx.allow(call, f"elasticloadbalancing:{call.operation}", listener, context)
        known = self._gateways.certificates.setdefault(listener, [])
        given = [item["CertificateArn"] for item in call.params.get("Certificates") or []]
        if call.operation == "AddListenerCertificates":
            known += [arn for arn in given if arn not in known]
        elif call.operation == "RemoveListenerCertificates":
            known[:] = [arn for arn in known if arn not in given]
            self._ctx.changed()
            return {}
        self._ctx.changed()
        return {"Certificates": [{"CertificateArn": arn, "IsDefault": False} for arn in known]}
