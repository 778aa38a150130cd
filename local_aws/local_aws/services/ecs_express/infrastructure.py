# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the API as the infrastructure role of a service.

So a wrong role fails here as on AWS: asynchronously, once, and for good.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from ...context import Context
from .models import Service

PRINCIPAL = "ecs.amazonaws.com"
COLORS = ("blue", "green")


class ProvisioningError(Exception):
    """A managed resource could not be made. ECS does not try again."""


def message_of(error: Exception) -> str:
    """Return AWS's error code and message."""
    if isinstance(error, ClientError):
        details = error.response["Error"]
        return f"{details['Code']}: {details['Message']}"
    return str(error)


class Infrastructure:
    """A client of the API that acts as the infrastructure role of a service."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def call(self, service: Service, api: str, operation: str, **params: Any) -> dict[str, Any]:
        """One call as the service's infrastructure role."""
        return await self._ctx.aws(api, operation, role_arn=service.infrastructure_role, principal=PRINCIPAL, **params)

    def tags(self, service: Service) -> dict[str, str]:
        """The tags of a new managed resource: ECS's own mark and the service's."""
        return {**service.tags, "AmazonECSManaged": "true"}

    def elb_tags(self, service: Service) -> list[dict[str, str]]:
        """The same as ELB, ACM and CloudWatch take them."""
        return [{"Key": key, "Value": value} for key, value in self.tags(service).items()]

    def tag_specification(self, service: Service, kind: str) -> list[dict[str, Any]]:
        """The same as EC2 takes them."""
        return [{"ResourceType": kind, "Tags": self.elb_tags(service)}]

    def group_arn(self, group: str) -> str:
        """The ARN of a security group."""
        return f"arn:aws:ec2:{self._ctx.settings.region}:{self._ctx.settings.account_id}:security-group/{group}"
