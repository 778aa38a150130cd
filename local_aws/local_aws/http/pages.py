# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local AWS's own pages, below ``/_local_aws``: for its command line and its tests, who show a token."""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials
from starlette.authentication import AuthenticationBackend
from starlette.authentication import AuthenticationError
from starlette.authentication import SimpleUser
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ..build import Services
from ..context import Context
from ..faults import EVENTS
from ..faults import Fault
from ..iam import checks
from ..settings import TOKEN_FILE

#: Where the pages are.
ROOT = "/_local_aws"


def pages(ctx: Context, services: Services) -> Starlette:
    """The pages as an application, to be mounted at ``ROOT``."""
    found = _Pages(ctx, services)
    routes = [
        Route("/status", found.status, methods=["GET"]),
        Route("/calls", found.calls, methods=["GET", "DELETE"]),
        Route("/permissions", found.permissions, methods=["GET", "DELETE"]),
        Route("/faults", found.faults, methods=["GET", "POST", "DELETE"]),
        Route("/faults/{fault_id}", found.faults, methods=["DELETE"]),
        Route("/images", found.images, methods=["POST"]),
    ]
    token_required = Middleware(AuthenticationMiddleware, backend=_Token(ctx), on_error=_refuse)
    application = Starlette(routes=routes, middleware=[token_required], exception_handlers={HTTPException: _no_page})
    application.router.redirect_slashes = False
    return application


class _NotForWebPagesError(AuthenticationError):
    """Refuse requests from other web pages: a browser sends their origin."""


class _Token(AuthenticationBackend):
    """The token that the home's owner can read."""

    def __init__(self, ctx: Context) -> None:
        self._settings = ctx.settings

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        """Raises AuthenticationError for other callers."""
        if "origin" in conn.headers:
            raise _NotForWebPagesError("Not for web pages.")
        scheme, _unused, offered = conn.headers.get("authorization", "").partition(" ")
        expected = self._settings.token.encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(offered.strip().encode(), expected):
            file = f"{self._settings.home}/{TOKEN_FILE}"
            raise AuthenticationError(f"Show the token that {file} holds: Authorization: Bearer <token>.")
        return AuthCredentials(["owner"]), SimpleUser("owner")


def _refuse(_conn: HTTPConnection, error: Exception) -> JSONResponse:
    if isinstance(error, _NotForWebPagesError):
        return JSONResponse({"error": str(error)}, 403)
    return JSONResponse({"error": str(error)}, 401, {"www-authenticate": "Bearer"})


async def _no_page(request: Request, _error: Exception) -> JSONResponse:
    path = request.scope["path"]
    return JSONResponse({"error": f"The local AWS has no page {path} for {request.method}."}, 404)


class _Pages:
    """What each page answers."""

    def __init__(self, ctx: Context, services: Services) -> None:
        self._ctx = ctx
        self._services = services

    async def status(self, _request: Request) -> JSONResponse:
        """What runs here; each service adds what its status() says, if it has one."""
        ctx = self._ctx
        document: dict[str, Any] = {
            "endpoint_url": ctx.endpoint_url,
            "region": ctx.settings.region,
            "account_id": ctx.settings.account_id,
            "scale": ctx.settings.scale,
            "processes": {name: process.pid for name, process in ctx.supervisor.running.items()},
            "services": [service.name for service in self._services.all],
        }
        for service in self._services.all:
            describe = getattr(service, "status", None)
            if describe is not None:
                document[service.name] = describe()
        return JSONResponse(document)

    async def calls(self, request: Request) -> JSONResponse:
        """The API calls so far."""
        if request.method == "DELETE":
            self._ctx.calls.clear()
            self._ctx.counts.clear()
        calls = [asdict(call) for call in self._ctx.calls]
        return JSONResponse({"counts": dict(self._ctx.counts), "calls": calls})

    async def permissions(self, request: Request) -> JSONResponse:
        """What was asked of policies: action, resource, conditions and outcome, each different question once."""
        if request.method == "DELETE":
            checks.CHECKS.clear()
        return JSONResponse({"checks": checks.CHECKS.list()})

    async def faults(self, request: Request) -> JSONResponse:
        """The ordered faults, and the events to order."""
        faults = self._ctx.faults
        if request.method == "DELETE":
            faults.clear(request.path_params.get("fault_id", ""))
        elif request.method == "POST":
            try:
                faults.add(Fault.parse(json.loads(await request.body())))
            except (TypeError, ValueError) as error:
                return JSONResponse({"error": str(error)}, 400)
        events = {
            name: {"happens": happens, "subject": subject, "data": list(members)}
            for name, (happens, subject, members) in EVENTS.items()
        }
        return JSONResponse({"faults": faults.list(), "events": events})

    async def images(self, request: Request) -> JSONResponse:
        """Downloads the software of an image; answers when it is there."""
        image = json.loads(await request.body())["image"]
        try:
            is_new, folder = await self._services.tasks.prepare(image)
        except Exception as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"changed": is_new, "folder": str(folder)})
