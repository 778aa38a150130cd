# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request, and the ways to answer it: with a response of our own, or with ministack's."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import quote

from starlette import responses as starlette
from starlette.requests import Request
from starlette.types import Message
from starlette.types import Receive

from ..ministack_adapter import server
from ..protocol import responses
from ..service import Response

Done = Callable[[str], Awaitable[None]]
# As much of an error's body as is read to find its code.
_ERROR_HEAD = 4096


class Exchange(Request):
    """An HTTP request and the way to answer it."""

    _kept: bytes | None = None

    @property
    def path(self) -> str:
        """The path, without escapes."""
        return str(self.scope["path"])

    @property
    def raw_path(self) -> str:
        """The path as it was signed."""
        raw: bytes = self.scope.get("raw_path") or quote(self.path).encode()
        return raw.decode("latin-1")

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as they came."""
        return list(self.scope["headers"])

    @functools.cached_property
    def query(self) -> dict[str, list[str]]:
        """The fields of the query."""
        return parse_qs(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)

    @functools.cached_property
    def flat_query(self) -> dict[str, str]:
        """The first value of each field of the query."""
        return {name: values[0] for name, values in self.query.items()}

    @functools.cached_property
    def fields(self) -> dict[str, str]:
        """The headers by their names in lower case."""
        return dict(self.headers)

    @property
    def names_operation(self) -> bool:
        """Whether the request itself names its operation: JSON and Query protocols."""
        is_form = self.fields.get("content-type", "").startswith("application/x-www-form-urlencoded")
        return "x-amz-target" in self.fields or "Action" in self.query or (is_form and self.path == "/")

    async def body(self) -> bytes:
        """The whole body; kept for ministack."""
        self._kept = await super().body()
        return self._kept

    async def answer(self, response: Response) -> None:
        """Sends a response."""
        sent = starlette.Response(response.body, response.status, response.headers)
        if self.method == "HEAD":
            sent.body = b""
        await sent(self.scope, self._receive, self._send)

    async def forward(self, done: Done, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Lets ministack answer.

        :arg done: told the HTTP status or AWS's error code of the answer; the answer's end is sent afterwards.
        :arg headers: those that ministack sees, if not the client's.
        """
        status, fields, head = 500, dict[str, str](), b""
        is_told = False

        async def tell() -> None:
            nonlocal is_told
            if not is_told:
                is_told = True
                await done(responses.error_code(status, fields, head))

        async def send(message: Message) -> None:
            nonlocal status, fields, head
            if message["type"] == "http.response.start":
                status, fields = message["status"], _decode(message.get("headers", []))
            elif status >= 400 and len(head) < _ERROR_HEAD:
                head += message.get("body", b"")
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await tell()
            await self._send(message)

        scope = self.scope if headers is None else {**self.scope, "headers": headers}
        await server.answer(scope, self._replay(), send)
        await tell()

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

        # A task of its own: ministack keeps the caller in context variables, which must not leak into the service.
        await asyncio.create_task(server.answer(self.scope, self._replay(), send))
        response.body = b"".join(chunks)
        return response

    def _replay(self) -> Receive:
        """The body again, for ministack, if it has been read."""
        if self._kept is None:
            return self._receive
        messages: list[Message] = [{"type": "http.request", "body": self._kept, "more_body": False}]

        async def receive() -> Message:
            return messages.pop() if messages else await self._receive()

        return receive


def _decode(headers: Any) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
