# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API: our services answer first, ministack everything else."""

from __future__ import annotations

import contextlib
import logging
import re
from functools import partial

import botocore.exceptions
from starlette.requests import ClientDisconnect
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from .. import coverage
from ..build import Services
from ..context import Context
from ..faults import Fault
from ..iam import signatures
from ..ministack_adapter import server
from ..protocol import models
from ..protocol import requests
from ..protocol import responses
from ..protocol import rest
from ..service import ApiError
from ..service import Call
from ..service import Response
from ..service import Service
from ..service import TrustError
from .exchange import Done
from .exchange import Exchange

_log = logging.getLogger("local_aws.http")
_OBJECT_OPERATIONS = (
    *("PutObject", "CopyObject", "DeleteObject", "DeleteObjects", "UploadPart", "UploadPartCopy"),
    *("CreateMultipartUpload", "CompleteMultipartUpload", "AbortMultipartUpload"),
)
_READS = ("Describe", "List", "Get", "Head", "BatchGet", "Filter", "Lookup", "Search", "Simulate", "Test")
# Data that come often, and real seconds within which what is kept of them is saved. All other changes are saved before
# they are acknowledged. The content of an object is a file of its own, which is written before.
_SIDE_EFFECTS_DELAY = 5.0
_DATA_DELAYS = {
    **dict.fromkeys(("logs:PutLogEvents", "cloudwatch:PutMetricData"), 5.0),
    **dict.fromkeys((f"s3:{operation}" for operation in _OBJECT_OPERATIONS), 1.0),
}
# What Amazon Cognito shows to browsers and to clients of a user pool, who hold no AWS credentials: the pages of the
# hosted UI and of OAuth 2.0, and the two documents of each pool ("User pool endpoints and managed login reference").
_COGNITO_PATHS = ("/oauth2/authorize", "/oauth2/token", "/oauth2/userInfo", "/oauth2/revoke", "/login", "/logout")
_COGNITO_DOCUMENT = re.compile(r"/[a-z]{2}(?:-[a-z]+)+-\d_\w+/\.well-known/(?:openid-configuration|jwks\.json)")


def _is_read(operation: str) -> bool:
    return operation.startswith(_READS)


class Dispatcher:
    """Finds who answers a request, and records the call."""

    def __init__(self, ctx: Context, services: Services) -> None:
        self._ctx = ctx
        self._services = services.all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        exchange = Exchange(scope, receive, send)
        # A client that is gone needs no answer.
        with contextlib.suppress(ClientDisconnect):
            if exchange.names_operation:
                await self._rpc(exchange)
            elif _is_of_cognito(exchange):
                await self._cognito(exchange)
            else:
                await self._rest(exchange)

    # --- JSON and Query services -------------------------------------------------------------------------------------

    async def _rpc(self, exchange: Exchange) -> None:
        body = await exchange.body()
        await self._call(exchange, requests.identify(exchange.fields, exchange.flat_query, body), body)

    async def _call(self, exchange: Exchange, request: requests.Request, body: bytes) -> None:
        """Answers a request whose input has been read."""
        api = f"{request.service}:{request.operation}"
        principal = signatures.principal_arn(request.access_key_id)
        call = Call(
            service=request.service,
            operation=request.operation,
            params=request.params,
            headers=exchange.fields,
            body=body,
            region=request.region or self._ctx.settings.region,
            account_id=self._ctx.settings.account_id,
            principal_arn=principal,
            access_key_id=request.access_key_id,
            _passthrough=exchange.collect,
        )
        fault = await self._fault(api, principal)
        if (
            fault is None
            and request.service == "iam"
            and "RoleName" in request.params
            and not _is_read(request.operation)
        ):
            self._ctx.role_changed(str(request.params["RoleName"]))
        service = next((service for service in self._services if service.owns(call)), None)
        if fault is not None:
            response = _error(ApiError(*fault.error(request.service)), request.service)
        elif service is None:
            await self._forward(exchange, api, partial(self._done, exchange, api, principal))
            return
        else:
            response = await self._own(service, call, request, exchange)
        # Before the answer, as everywhere: who has the answer finds the call recorded.
        await self._done(
            exchange, api, principal, responses.error_code(response.status, response.headers, response.body)
        )
        await exchange.answer(response)

    async def _own(self, service: Service, call: Call, request: requests.Request, exchange: Exchange) -> Response:
        """One of our operations, from the signature to the answer."""
        try:
            signatures.authenticate(
                service=call.service,
                method=exchange.method,
                raw_path=exchange.raw_path,
                query=exchange.query,
                raw_headers=exchange.raw_headers,
                body=call.body,
            )
            _refuse_problems(request)
            response = await service.handle(call)
            if not call.asked:
                self._ask(call)
            return response
        except ApiError as error:
            return _error(error, call.service)
        except TrustError as error:
            return _error(ApiError("AccessDeniedException", str(error), 403), call.service)
        except botocore.exceptions.ClientError as error:
            details = error.response["Error"]
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
            return _error(ApiError(details["Code"], details["Message"], status), call.service)
        except Exception:
            _log.exception("%s:%s failed inside the local AWS.", call.service, call.operation)
            message = f"The local AWS failed in {call.service}:{call.operation}; see daemon.log in its home folder."
            return _error(ApiError("InternalFailure", message, 500), call.service)

    def _ask(self, call: Call) -> None:
        """IAM, for a service that did not ask: right for reads that AWS allows on "*" alone, late for anything else."""
        if not _is_read(call.operation):
            _log.error("%s:%s was done without asking IAM: a mistake in a service.", call.service, call.operation)
        namespace = models.service_model(call.service).signing_name
        self._ctx.allow(call, f"{namespace}:{call.operation}")

    async def _fault(self, api: str, principal: str) -> Fault | None:
        early = self._too_early(api, principal)
        if early is not None:
            return early
        fault = self._ctx.faults.consume(api, principal)
        if fault is None:
            return None
        await self._ctx.faults.wait(fault, self._ctx.clock.real(fault.delay))
        return fault if fault.code else None

    def _too_early(self, api: str, principal: str) -> Fault | None:
        """The refusal of a role whose policies do not hold yet, where the fault iam:PolicyPropagation is on order."""
        service, _unused, operation = api.partition(":")
        role = signatures.role_of_session(principal)
        if not role or not self._ctx.is_too_young("iam:PolicyPropagation", role):
            return None
        speaks = models.protocol_of(service)
        code = {"ec2": "UnauthorizedOperation", "query": "AccessDenied", "rest-xml": "AccessDenied"}
        action = f"{models.service_model(service).signing_name}:{operation}"
        message = (
            f"User: {principal} is not authorized to perform: {action} because no identity-based policy allows the "
            f"{action} action"
        )
        return Fault(api, code=code.get(speaks, "AccessDeniedException"), message=message, status=403)

    # --- pages of Amazon Cognito -------------------------------------------------------------------------------------

    async def _cognito(self, exchange: Exchange) -> None:
        """Open to all callers, as in AWS."""
        # ministack believes itself behind something that ends TLS, which is what is true here.
        kept = [(name, value) for name, value in exchange.raw_headers if name.lower() != b"x-forwarded-proto"]
        done = partial(self._done, exchange, f"cognito-idp:{exchange.path}", "", reads=False)
        await exchange.forward(done, [*kept, (b"x-forwarded-proto", b"https")])

    # --- REST services -----------------------------------------------------------------------------------------------

    async def _rest(self, exchange: Exchange) -> None:
        """Those that speak JSON are read; of S3, ministack gets the stream."""
        headers, query = exchange.fields, exchange.query
        access_key_id, _unused, signing_name = requests.credential_scope(headers, exchange.flat_query)
        named = rest.cbor_operation(exchange.path)
        if named is not None:
            service, operation = named
        else:
            service = server.service_of(exchange.method, exchange.path, headers, query)
            operation = rest.rest_operation(service, exchange.method, exchange.path, query, headers)
        if models.protocol_of(service) == "rest-json" and access_key_id:
            body = await exchange.body()
            path = exchange.raw_path
            request = rest.json_request(
                service, method=exchange.method, raw_path=path, query=query, headers=headers, body=body
            )
            await self._call(exchange, request, body)
            return
        api = f"{service}:{operation}"
        principal = signatures.principal_arn(access_key_id)
        reads = None if named is not None else exchange.method in ("GET", "HEAD", "OPTIONS")
        done = partial(self._done, exchange, api, principal, reads=reads)
        fault = await self._fault(api, principal)
        if fault is not None:
            error = ApiError(*fault.error(service))
            await done(error.code)
            await exchange.answer(_error(error, service, models.CBOR if named is not None else ""))
        elif service == "s3" and not signing_name and not _is_signed_v2(exchange):
            # No bucket here is public: the account blocks public access, as AWS does for every new bucket.
            await done("AccessDenied")
            await exchange.answer(_error(ApiError("AccessDenied", "Access Denied", 403), "s3"))
        else:
            await self._forward(exchange, api, done, models.CBOR if named is not None else "")

    async def _forward(self, exchange: Exchange, api: str, done: Done, speaks: str = "") -> None:
        """Lets ministack answer, if it does what the operation promises."""
        service, _unused, operation = api.partition(":")
        try:
            # ministack refuses unsigned requests.
            if requests.credential_scope(exchange.fields, exchange.flat_query)[0]:
                coverage.require(service, operation, speaks)
        except ApiError as error:
            await done(error.code)
            await exchange.answer(_error(error, service, speaks))
        else:
            await exchange.forward(done)

    async def _done(
        self, exchange: Exchange, api: str, principal: str, outcome: str, *, reads: bool | None = None
    ) -> None:
        """Records a call, and saves what it changed, before its response is sent."""
        self._ctx.record(api, principal, outcome, exchange.fields.get("user-agent", ""))
        service, _unused, operation = api.partition(":")
        if reads is None:
            reads = _is_read(operation)
        if reads or not outcome.startswith("2"):
            return
        if api in _DATA_DELAYS:
            self._ctx.changed(_DATA_DELAYS[api], logs=service == "logs")
        else:
            await self._ctx.commit(logs=service == "logs")
            # What the call set going in other services.
            self._ctx.changed(_SIDE_EFFECTS_DELAY)


def _error(error: ApiError, service: str, speaks: str = "") -> Response:
    status, headers, body = responses.serialize_error(
        error.code, error.message, error.status, service, error.fields, speaks=speaks
    )
    return Response(status, headers, body)


def _refuse_problems(request: requests.Request) -> None:
    """AWS's error for input that does not fit the model."""
    if not request.problems:
        return
    message = " ".join(problem.message for problem in request.problems)
    if request.service == "ecs":
        code = "InvalidParameterException"
    elif models.protocol_of(request.service) in ("query", "ec2"):
        code = "MissingParameter" if request.problems[0].kind == "missing" else "InvalidParameterValue"
    else:
        code = "ValidationException"
    raise ApiError(code, message)


def _is_of_cognito(exchange: Exchange) -> bool:
    """Never what is signed: an object in S3 may be called login too."""
    if "authorization" in exchange.fields and exchange.fields["authorization"].startswith("AWS"):
        return False
    if "X-Amz-Signature" in exchange.query or "AWSAccessKeyId" in exchange.query:
        return False
    return exchange.path in _COGNITO_PATHS or _COGNITO_DOCUMENT.fullmatch(exchange.path) is not None


def _is_signed_v2(exchange: Exchange) -> bool:
    return exchange.fields.get("authorization", "").startswith("AWS ") or "AWSAccessKeyId" in exchange.query
