# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API on one port: our rooms answer first, ministack's app (mounted in this process) everything else.

Imports ministack: environment.prepare() must have been called before.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import MutableMapping
from dataclasses import asdict
from functools import partial
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import quote

import botocore.exceptions

from .. import coverage
from ..build import Services
from ..context import Context
from ..faults import EVENTS
from ..faults import Fault
from ..iam import checks
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
from ..settings import TOKEN_FILE

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("local_aws.app")
_READS = ("Describe", "List", "Get", "Head", "BatchGet", "Filter", "Lookup", "Search", "Simulate", "Test")
# Log events come often and are worth less than a deployment's state.
_LOG_EVENTS_DELAY = 5.0
_ERROR_HEAD = 4096
_JSON = {"content-type": "application/json"}
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
# What Amazon Cognito shows to browsers and to clients of a user pool, who hold no AWS credentials: the pages of the
# hosted UI and of OAuth 2.0, and the two documents of each pool ("User pool endpoints and managed login reference").
_COGNITO_PATHS = ("/oauth2/authorize", "/oauth2/token", "/oauth2/userInfo", "/oauth2/revoke", "/login", "/logout")
_COGNITO_DOCUMENT = re.compile(r"/[a-z]{2}(?:-[a-z]+)+-\d_\w+/\.well-known/(?:openid-configuration|jwks\.json)")


def _is_read(operation: str) -> bool:
    return operation.startswith(_READS)


class App:
    """The ASGI application."""

    def __init__(self, cloud: Context, services: Services) -> None:
        self.cloud = cloud
        self.rooms = services.all
        self._tasks = services.tasks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's event stream."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(_Exchange(scope, receive, send))

    async def _http(self, exchange: _Exchange) -> None:
        path = exchange.path
        if not _is_own_name(exchange.headers.get("host", "")):
            await exchange.answer(_json({"error": "The local AWS is not known by this name."}, 403))
        elif path.startswith("/_local_aws/"):
            await exchange.answer(await self._admin(exchange))
        elif path.startswith(("/_ministack", "/_localstack")):
            # ministack's own switches are open to everybody, and reset among them: AWS has none of these.
            await exchange.answer(Response(404, {"content-type": "text/plain"}, b"Not Found\n"))
        elif exchange.is_rpc:
            await self._rpc(exchange)
        elif _is_of_cognito(exchange):
            await self._cognito(exchange)
        else:
            await self._rest(exchange)

    # --- JSON and Query services -------------------------------------------------------------------------------------

    async def _rpc(self, exchange: _Exchange) -> None:
        body = await exchange.read()
        request = requests.identify(exchange.headers, exchange.flat_query, body)
        api = f"{request.service}:{request.operation}"
        principal = signatures.principal_arn(request.access_key_id)
        call = Call(
            service=request.service,
            operation=request.operation,
            params=request.params,
            headers=exchange.headers,
            body=body,
            region=request.region or self.cloud.settings.region,
            account_id=self.cloud.settings.account_id,
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
            self.cloud.role_changed(str(request.params["RoleName"]))
        room = next((room for room in self.rooms if room.owns(call)), None)
        if fault is not None:
            response = _error(ApiError(*fault.error(request.service)), request.service)
        elif room is None:
            await self._forward(exchange, api, partial(self._done, exchange, api, principal))
            return
        else:
            response = await self._own(room, call, request, exchange)
        # Before the answer, as everywhere: who has the answer finds the call recorded.
        self._done(exchange, api, principal, responses.error_code(response.status, response.headers, response.body))
        await exchange.answer(response)

    async def _own(self, room: Service, call: Call, request: requests.Request, exchange: _Exchange) -> Response:
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
            response = await room.handle(call)
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
        """IAM, for a room that did not ask: right for reads that AWS allows on "*" alone, late for anything else."""
        if not _is_read(call.operation):
            _log.error("%s:%s was done without asking IAM: a mistake in a room.", call.service, call.operation)
        namespace = models.service_model(call.service).signing_name
        self.cloud.allow(call, f"{namespace}:{call.operation}")

    async def _fault(self, api: str, principal: str) -> Fault | None:
        early = self._too_early(api, principal)
        if early is not None:
            return early
        fault = self.cloud.faults.consume(api, principal)
        if fault is None:
            return None
        await self.cloud.faults.wait(fault, self.cloud.clock.real(fault.delay))
        return fault if fault.code else None

    def _too_early(self, api: str, principal: str) -> Fault | None:
        """The refusal of a role whose policies do not hold yet, where the fault iam:PolicyPropagation is on order."""
        service, _unused, operation = api.partition(":")
        role = signatures.role_of_session(principal)
        if not role or not self.cloud.is_too_young("iam:PolicyPropagation", role):
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

    async def _cognito(self, exchange: _Exchange) -> None:
        """Open to everybody, as at AWS."""
        # ministack believes itself behind something that ends TLS, which is what is true here.
        exchange.replace_header("x-forwarded-proto", "https")
        await exchange.forward(partial(self._done, exchange, f"cognito-idp:{exchange.path}", "", reads=False))

    # --- REST services (S3) ------------------------------------------------------------------------------------------

    async def _rest(self, exchange: _Exchange) -> None:
        """Not read into memory here: ministack gets the stream."""
        headers, query = exchange.headers, exchange.query
        access_key_id, _unused, signing_name = requests.credential_scope(headers, exchange.flat_query)
        named = rest.cbor_operation(exchange.path)
        if named is not None:
            service, operation = named
        else:
            service = server.service_of(exchange.method, exchange.path, headers, query)
            operation = rest.rest_operation(service, exchange.method, exchange.path, query, headers)
        api = f"{service}:{operation}"
        principal = signatures.principal_arn(access_key_id)
        reads = None if named is not None else exchange.method in ("GET", "HEAD", "OPTIONS")
        done = partial(self._done, exchange, api, principal, reads=reads)
        fault = await self._fault(api, principal)
        if fault is not None:
            error = ApiError(*fault.error(service))
            done(error.code)
            await exchange.answer(_error(error, service, models.CBOR if named is not None else ""))
        elif service == "s3" and not signing_name and not _is_signed_v2(exchange):
            # No bucket here is public: the account blocks public access, as AWS does for every new bucket.
            done("AccessDenied")
            await exchange.answer(_error(ApiError("AccessDenied", "Access Denied", 403), "s3"))
        else:
            await self._forward(exchange, api, done, models.CBOR if named is not None else "")

    async def _forward(self, exchange: _Exchange, api: str, done: Callable[[str], None], speaks: str = "") -> None:
        """Lets ministack answer, if it does what the operation promises."""
        service, _unused, operation = api.partition(":")
        try:
            # ministack turns away whoever signs nothing.
            if requests.credential_scope(exchange.headers, exchange.flat_query)[0]:
                coverage.require(service, operation, speaks)
        except ApiError as error:
            done(error.code)
            await exchange.answer(_error(error, service, speaks))
        else:
            await exchange.forward(done)

    def _done(self, exchange: _Exchange, api: str, principal: str, outcome: str, *, reads: bool | None = None) -> None:
        self.cloud.record(api, principal, outcome, exchange.headers.get("user-agent", ""))
        operation = api.partition(":")[2]
        if reads is None:
            reads = _is_read(operation)
        if not reads and outcome.startswith("2"):
            self.cloud.changed(_LOG_EVENTS_DELAY if operation == "PutLogEvents" else 1.0)

    # --- the local AWS's own pages -----------------------------------------------------------------------------------

    def _stranger(self, exchange: _Exchange) -> Response | None:
        """The answer to a client that may not see these pages; None: it may."""
        if "origin" in exchange.headers:
            return _json({"error": "Not for web pages."}, 403)
        if not self._knows_token(exchange.headers.get("authorization", "")):
            home = self.cloud.settings.home
            error = f"Show the token that {home}/{TOKEN_FILE} holds: Authorization: Bearer <token>."
            return Response(401, {**_JSON, "www-authenticate": "Bearer"}, json.dumps({"error": error}).encode())
        return None

    async def _admin(self, exchange: _Exchange) -> Response:
        refusal = self._stranger(exchange)
        if refusal is not None:
            return refusal
        page, _unused, rest = exchange.path.removeprefix("/_local_aws/").partition("/")
        if page == "status" and exchange.method == "GET":
            return _json(self.status())
        if page in ("calls", "permissions"):
            return self._calls(exchange) if page == "calls" else _permissions(exchange)
        if page == "faults":
            return await self._faults(exchange, rest)
        if page == "images" and exchange.method == "POST":
            return await self._image(exchange)
        return _json({"error": f"The local AWS has no page {exchange.path} for {exchange.method}."}, 404)

    def _knows_token(self, authorization: str) -> bool:
        scheme, _unused, offered = authorization.partition(" ")
        expected = self.cloud.settings.token.encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(offered.strip().encode(), expected)

    def status(self) -> dict[str, Any]:
        """What runs here; each room adds what its status() says, if it has one."""
        document: dict[str, Any] = {
            "endpoint_url": self.cloud.endpoint_url,
            "region": self.cloud.settings.region,
            "account_id": self.cloud.settings.account_id,
            "scale": self.cloud.settings.scale,
            "processes": {name: process.pid for name, process in self.cloud.supervisor.running.items()},
            "services": [room.name for room in self.rooms],
        }
        for room in self.rooms:
            describe = getattr(room, "status", None)
            if describe is not None:
                document[room.name] = describe()
        return document

    def _calls(self, exchange: _Exchange) -> Response:
        if exchange.method == "DELETE":
            self.cloud.calls.clear()
            self.cloud.counts.clear()
        calls = [asdict(call) for call in self.cloud.calls]
        return _json({"counts": dict(self.cloud.counts), "calls": calls})

    async def _image(self, exchange: _Exchange) -> Response:
        """Brings the software of an image here; answers when it is there."""
        image = json.loads(await exchange.read())["image"]
        try:
            return _json({"changed": await self._tasks.prepare(image)})
        except Exception as error:
            return _json({"error": str(error)}, 400)

    async def _faults(self, exchange: _Exchange, fault_id: str) -> Response:
        if exchange.method == "DELETE":
            self.cloud.faults.clear(fault_id)
        elif exchange.method == "POST":
            try:
                self.cloud.faults.add(Fault.parse(json.loads(await exchange.read())))
            except (TypeError, ValueError) as error:
                return _json({"error": str(error)}, 400)
        events = {
            name: {"happens": happens, "subject": subject, "data": list(members)}
            for name, (happens, subject, members) in EVENTS.items()
        }
        return _json({"faults": self.cloud.faults.list(), "events": events})


def _permissions(exchange: _Exchange) -> Response:
    """What was asked of policies: action, resource, conditions and outcome, each different question once."""
    if exchange.method == "DELETE":
        checks.CHECKS.clear()
    return _json({"checks": checks.CHECKS.list()})


def _is_own_name(host: str) -> bool:
    """Whether a request is for this machine by a name that nobody else can have.

    A web page may get a browser to connect here under a name of its own site, by DNS rebinding; the request then has
    that name. Below localhost nobody has a name (RFC 6761, section 6.3), so that S3's names of buckets pass.
    """
    name = host.lower() if host.endswith("]") else host.lower().rpartition(":")[0] or host.lower()
    name = name.removesuffix(".")
    return name in _OWN_NAMES or name.endswith(".localhost")


def _json(document: Any, status: int = 200) -> Response:
    return Response(status, _JSON, json.dumps(document).encode())


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


def _is_of_cognito(exchange: _Exchange) -> bool:
    """Never what is signed: an object in S3 may be called login too."""
    if "authorization" in exchange.headers and exchange.headers["authorization"].startswith("AWS"):
        return False
    if "X-Amz-Signature" in exchange.query or "AWSAccessKeyId" in exchange.query:
        return False
    return exchange.path in _COGNITO_PATHS or _COGNITO_DOCUMENT.fullmatch(exchange.path) is not None


def _is_signed_v2(exchange: _Exchange) -> bool:
    return exchange.headers.get("authorization", "").startswith("AWS ") or "AWSAccessKeyId" in exchange.query


async def _lifespan(receive: Receive, send: Send) -> None:
    """ministack's own start-up is left out: it runs scripts found on the machine and looks for Docker."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class _Exchange:
    """One HTTP request and the way to answer it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.raw_headers}
        self.query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        self.flat_query = {name: values[0] for name, values in self.query.items()}
        self._receive = receive
        self._send = send
        self._body: bytes | None = None

    def replace_header(self, name: str, value: str) -> None:
        """Sets a header, whatever the client sent."""
        kept = [(key, old) for key, old in self.raw_headers if key.lower() != name.encode()]
        self.raw_headers = [*kept, (name.encode(), value.encode())]
        self.headers[name] = value
        self.scope = {**self.scope, "headers": self.raw_headers}

    @property
    def raw_path(self) -> str:
        """The path as it was signed."""
        raw: bytes = self.scope.get("raw_path") or quote(self.path).encode()
        return raw.decode("latin-1")

    @property
    def is_rpc(self) -> bool:
        """Whether the request itself names its operation: JSON and Query protocols."""
        is_form = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        return "x-amz-target" in self.headers or "Action" in self.query or (is_form and self.path == "/")

    async def read(self) -> bytes:
        """The whole body; kept."""
        if self._body is None:
            chunks = []
            more = True
            while more:
                message = await self._receive()
                chunks.append(message.get("body", b""))
                more = message.get("more_body", False)
            self._body = b"".join(chunks)
        return self._body

    def _replay(self) -> Receive:
        """The body again, for ministack."""
        if self._body is None:
            return self._receive
        messages = [{"type": "http.request", "body": self._body, "more_body": False}]

        async def receive() -> Message:
            return messages.pop() if messages else await self._receive()

        return receive

    async def answer(self, response: Response) -> None:
        """Sends a response."""
        headers = {**response.headers, "content-length": str(len(response.body))}
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": response.status, "headers": encoded})
        body = b"" if self.method == "HEAD" else response.body
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def forward(self, done: Callable[[str], None]) -> None:
        """Lets ministack answer.

        :arg done: told the HTTP status or AWS's error code of the answer before its end is sent.
        """
        start: dict[str, Any] = {"status": 500, "headers": {}}
        head = b""
        is_told = False

        def tell() -> None:
            nonlocal is_told
            if not is_told:
                is_told = True
                done(responses.error_code(start["status"], start["headers"], head))

        async def send(message: Message) -> None:
            nonlocal head
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                start["status"] = message["status"]
                start["headers"] = _decode(message.get("headers", []))
            elif start["status"] >= 400 and len(head) < _ERROR_HEAD:
                head += message.get("body", b"")
            if is_last:
                tell()
            await self._send(message)

        await server.answer(self.scope, self._replay(), send)
        tell()

    async def collect(self) -> Response:
        """What ministack answers, without sending it."""
        response = Response(500, {}, b"")
        chunks = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                response.status = message["status"]
                response.headers = _decode(message.get("headers", []))
            else:
                chunks.append(message.get("body", b""))

        # A task of its own: ministack keeps the caller in context variables, which must not leak into the room.
        await asyncio.create_task(server.answer(self.scope, self._replay(), send))
        response.body = b"".join(chunks)
        return response


def _decode(headers: Any) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
