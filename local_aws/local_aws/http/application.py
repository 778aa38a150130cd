# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers on the one port, by path.

Imports ministack: environment.prepare() must have been called before.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from ..build import Services
from ..context import Context
from .dispatch import Dispatcher
from .pages import ROOT
from .pages import pages

_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


def application(ctx: Context, services: Services) -> Starlette:
    """The ASGI application. Its start and end are Starlette's own: ministack's are left out, see ``server``."""
    # ministack's own switches, such as reset, need no authentication, and AWS has none of them.
    closed = PlainTextResponse("Not Found\n", 404)
    routes = [
        Mount(ROOT, app=pages(ctx, services)),
        *(Mount(path, app=closed) for path in ("/_ministack", "/_localstack")),
        Mount("/", app=Dispatcher(ctx, services)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_OwnNames)])


class _OwnNames:
    """Answers requests for this machine alone.

    A web page may get a browser to connect here under a name of its own site, by DNS rebinding; the request then has
    that name. Not Starlette's TrustedHostMiddleware, which does not read IPv6 addresses.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's event stream."""
        if scope["type"] != "http" or _is_own_name(_host(scope)):
            await self._app(scope, receive, send)
        else:
            await JSONResponse({"error": "The local AWS is not known by this name."}, 403)(scope, receive, send)


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"), "")


def _is_own_name(host: str) -> bool:
    """Whether it is a name of this machine that no other one can have.

    Names below localhost are never registered (RFC 6761, section 6.3), so S3's bucket names pass.
    """
    name = host.lower() if host.endswith("]") else host.lower().rpartition(":")[0] or host.lower()
    name = name.removesuffix(".")
    return name in _OWN_NAMES or name.endswith(".localhost")
