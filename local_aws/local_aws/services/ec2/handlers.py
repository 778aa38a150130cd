# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeAccountAttributes, which Elastic Load Balancing asks for before its service-linked role exists."""

from __future__ import annotations

from typing import Any

from ...context import Context
from ...service import Call
from ...service import Response
from ...service import aws_response

# The values of a new account (Amazon EC2 API Reference, DescribeAccountAttributes).
_ATTRIBUTES = {"supported-platforms": "VPC", "vpc-max-security-groups-per-interface": "5", "max-elastic-ips": "5"}


class AccountAttributes:
    """The attributes of the account."""

    name = "account_attributes"

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def owns(self, call: Call) -> bool:
        """Whether it is DescribeAccountAttributes."""
        return call.service == "ec2" and call.operation == "DescribeAccountAttributes"

    async def handle(self, call: Call) -> Response:
        """The attributes that are asked for, or all."""
        self._ctx.allow(call, "ec2:DescribeAccountAttributes")
        default = [{"Name": "is-default", "Values": ["true"]}]
        vpcs = (await self._ctx.aws("ec2", "describe_vpcs", region=call.region, Filters=default))["Vpcs"]
        values = {**_ATTRIBUTES, "default-vpc": vpcs[0]["VpcId"] if vpcs else "none"}
        wanted = call.params.get("AttributeNames") or list(values)
        shown: list[dict[str, Any]] = [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": values[name]}]}
            for name in wanted
            if name in values
        ]
        return aws_response({"AccountAttributes": shown}, "ec2", call.operation)

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def state(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""
