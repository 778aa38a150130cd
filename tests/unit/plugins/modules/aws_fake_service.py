# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small stand-in for an AWS service, from which those of the single services are made.

It keeps state and answers in the shapes of botocore. It remembers its calls, and answers with an error when told to.
"""

from __future__ import annotations

import copy
import typing
from types import SimpleNamespace

from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
REGION = "eu-central-1"


def error(code: str, operation: str = "Call", message: str = "", **metadata: typing.Any) -> ClientError:
    """Return AWS's error."""
    response = {"Error": {"Code": code, "Message": message or code}, "ResponseMetadata": metadata}
    return ClientError(typing.cast(typing.Any, response), operation)


class Fake:
    """A service. Operations are methods named call_<operation>."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.faults: dict[str, list[Exception]] = {}
        self.meta = SimpleNamespace(region_name=REGION)

    def names(self) -> list[str]:
        return [name for name, _params in self.calls]

    def writes(self) -> list[str]:
        return [
            name for name in self.names() if not name.startswith(("get_", "list_", "describe_", "head_", "simulate"))
        ]

    def params(self, operation: str) -> dict:
        return [params for name, params in self.calls if name == operation][-1]

    def __getattr__(self, name: str) -> typing.Callable[..., typing.Any]:
        if name.startswith(("_", "call_")):
            raise AttributeError(name)
        method = getattr(self, f"call_{name}")

        def call(**params: typing.Any) -> typing.Any:
            self.calls.append((name, params))
            if self.faults.get(name):
                raise self.faults[name].pop(0)
            return copy.deepcopy(method(**params))

        return call

    def get_paginator(self, operation: str) -> typing.Any:
        def paginate(**params: typing.Any) -> typing.Any:
            answer = getattr(self, operation)(**params)
            return SimpleNamespace(build_full_result=lambda: answer)

        return SimpleNamespace(paginate=paginate)
