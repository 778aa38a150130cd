# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service (one part of AWS that this package answers itself) is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol
from typing import runtime_checkable

from .protocol import responses


@dataclass
class Response:
    """An HTTP response.

    :arg headers: names in lower case.
    """

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Call:
    """One AWS API call, authenticated and checked against botocore's service model.

    :arg service: botocore's service name (``ecs``, ``rds``, ``elbv2`` …).
    :arg operation: the operation's name (``CreateDBInstance``).
    :arg params: the input as boto3 would take it: Query parameters become lists, integers, booleans and datetimes.
    :arg headers: the request's headers, names in lower case.
    :arg principal_arn: the caller: root, user, or assumed-role session.
    :arg access_key_id: the key that signed the request.
    :arg asked: whether IAM has been asked, by Context.allow() or by ministack.
    """

    service: str
    operation: str
    params: dict[str, Any]
    headers: dict[str, str]
    body: bytes
    region: str
    account_id: str
    principal_arn: str
    access_key_id: str = ""
    asked: bool = False
    _passthrough: Callable[[], Awaitable[Response]] | None = field(default=None, repr=False)

    async def passthrough(self) -> Response:
        """What ministack answers to this call, IAM policies enforced by it."""
        if self._passthrough is None:
            raise RuntimeError(f"{self.service}:{self.operation} did not come in over HTTP; nothing to pass it on to.")
        self.asked = True
        return await self._passthrough()


class TrustError(Exception):
    """A role cannot be assumed: it does not exist, or its trust policy does not name the principal."""


class ApiError(Exception):
    """AWS's own refusal, rendered by the app in the protocol of the service.

    :arg code: AWS's error code as the API sends it (``ServiceNotFoundException``, ``DBInstanceNotFound``).
    :arg message: the sentence that the user reads.
    :arg status: the HTTP status; botocore's model of the error wins where it has one.
    :arg fields: further members of the error's shape.
    """

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


@runtime_checkable
class Service(Protocol):
    """A part of AWS that this package answers itself."""

    name: str

    def owns(self, call: Call) -> bool:
        """Whether this service answers the call. Cheap: asked for every call of a known operation."""

    async def handle(self, call: Call) -> Response:
        """The answer; raises ApiError.

        Asks IAM by Context.allow(), unless it passes the call on. A read that it did not ask for is asked for on "*".
        """

    async def start(self) -> None:
        """Called once, after state was restored and the port is open: resumes what should run."""

    async def stop(self) -> None:
        """A clean stop of the service's processes and listeners."""

    def state(self) -> dict[str, Any]:
        """What the service must remember over a restart; JSON."""

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what state() gave; called before start()."""


def aws_response(output: dict[str, Any], service: str, operation: str) -> Response:
    """Serialises an operation's output in the service's own protocol (JSON, Query), checked against botocore's model.

    :arg output: the output as boto3 would return it, without ResponseMetadata; datetimes, lists, dicts.
    :raises TypeError: a member is unknown to the model or has the wrong type: a mistake in a service, never a client's.
    """
    headers, body = responses.serialize(output, service, operation)
    return Response(200, headers, body)


def json_response(operation_output: dict[str, Any], service: str, operation: str) -> Response:
    """As aws_response(); the name for services that speak JSON (ecs)."""
    return aws_response(operation_output, service, operation)


def parse_response(response: Response, service: str, operation: str) -> dict[str, Any]:
    """The other way round: what boto3 would make of a response, e.g. of a passthrough, so that a service can change it.

    Without ResponseMetadata; an error response comes back as {"Error": {"Code", "Message"}}.
    """
    return responses.parse(response.status, response.headers, response.body, service, operation)
