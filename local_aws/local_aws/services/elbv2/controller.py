# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data plane: listeners for host names and for single services, whose requests are shared among target groups."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time

from aiohttp import web

from ...context import Context
from ...network.firewall import Peer
from ...network.http_proxy import CONNECT
from ...network.http_proxy import HttpProxy
from ...network.http_proxy import OwnAnswer
from ...network.http_proxy import own_answer
from .health_checks import HealthChecks
from .health_checks import address_of
from .models import Route
from .models import Target
from .models import TargetGroup
from .models import TaskNetwork
from .models import Weights
from .sources import rule_allows
from .store import BalancerStore

ADDRESS = "127.0.0.1"


def listening_socket(port: int) -> socket.socket:
    """A bound socket on loopback; port 0 takes a free one."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Connections in TIME_WAIT must not keep a restarted daemon from its old port.
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((ADDRESS, port))
    except OSError:
        server.close()
        raise
    return server


class Balancer:
    """All load balancers of Express services, answered by one process.

    Host names lead to services on one common HTTPS port; each service also has a port of its own, for machines that
    cannot resolve names below ``localhost``.
    """

    def __init__(self, ctx: Context, tasks: TaskNetwork) -> None:
        self.ctx = ctx
        self.store = BalancerStore(ctx.clock.real(60))
        self.routes = self.store.routes
        self.groups = self.store.groups
        self.answers = self.store.answers
        self._tasks = tasks
        self._proxy = HttpProxy()
        self.health_checks = HealthChecks(ctx, tasks, self._proxy)
        self._shared_listener: web.ServerRunner | None = None

    @property
    def port(self) -> int:
        """The common port."""
        return self.store.port

    async def start(self) -> None:
        """Opens the common port and that of each known service, as they were before."""
        server = await _bind(self.port)
        self.store.port = server.getsockname()[1]
        context = self.ctx.authority.server_context(["localhost"])
        context.sni_callback = self._by_name
        self._shared_listener = await self._serve(server, context, None)
        for route in self.routes.values():
            await self._open_port(route)
        self.ctx.changed()

    async def stop(self) -> None:
        """Closes all listeners and ends the health checks."""
        await self.health_checks.stop()
        runners = [route.runner for route in self.routes.values()] + [self._shared_listener]
        for runner in runners:
            if runner is not None:
                await runner.cleanup()
        await self._proxy.close()

    # For the control plane ------------------------------------------------------------------------------------------

    async def open(self, key: str, host: str) -> Route:
        """Makes a service reachable; TLS fails until its route is secure.

        :arg key: the service's ARN.
        :arg host: AWS's name of it (``ab-0123….ecs.<region>.on.aws``).
        """
        local = host.removesuffix(".on.aws") + ".localhost"
        route = Route(key, [host, local], 0)
        await self._open_port(route)
        self.routes[key] = route
        self.ctx.changed()
        return route

    async def close(self, key: str) -> None:
        """Takes a service off; its ports are free again."""
        route = self.routes.pop(key, None)
        if route is not None and route.runner is not None:
            await route.runner.cleanup()
        self.ctx.changed()

    def endpoint(self, key: str) -> str:
        """The host and port by which clients reach a service, without a scheme, as the API shows it."""
        route = self.routes[key]
        if self.ctx.settings.endpoints == "ports":
            return f"localhost:{route.port}"
        return f"{route.hosts[1]}:{self.port}"

    def secure(self, key: str) -> None:
        """The certificate of a service has been issued."""
        self.routes[key].secure = True
        self.ctx.changed()

    def weigh(self, key: str, weights: dict[str, float]) -> None:
        """Shares the requests of a service among target groups."""
        self.routes[key].weights = Weights(weights)
        self.ctx.changed()

    def add_group(self, arn: str, path: str) -> TargetGroup:
        """A target group with Express Mode's health check: 30 s, 5 s, 5 healthy, 2 unhealthy, code 200."""
        self.groups[arn] = TargetGroup(arn, path)
        return self.groups[arn]

    def drop_group(self, arn: str) -> None:
        """A target group is gone."""
        group = self.groups.pop(arn, None)
        for target in list(group.targets) if group else []:
            self.health_checks.end(arn, target)
        self.answers.forget(arn)

    def register(self, arn: str, target_id: str, port: int, real_port: int, source: Peer | None = None) -> None:
        """Adds a target and starts to check its health.

        :arg target_id: the task's address, which is also where it is reached.
        :arg port: the container port, as the API shows it.
        :arg real_port: where the task listens.
        :arg source: see Target.
        """
        group = self.groups[arn]
        target = Target(target_id, port, real_port, source, since=time.monotonic())
        group.targets[target_id] = target
        self.health_checks.begin(group, target)

    def deregister(self, arn: str, target_id: str) -> None:
        """Removes a target: no new request reaches it."""
        self.health_checks.end(arn, target_id)
        group = self.groups.get(arn)
        if group is not None:
            group.targets.pop(target_id, None)

    # Requests -------------------------------------------------------------------------------------------------------

    def _by_name(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        """Gives each host name its own certificate; fails for names without one, as before a certificate is issued."""
        route = self.store.route_of_host(name or "")
        if route is None or not route.secure or route.context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = route.context
        return None

    async def _open_port(self, route: Route) -> None:
        server = await _bind(route.port)
        route.port = server.getsockname()[1]
        names = [*route.hosts, "localhost", ADDRESS]
        route.context = self.ctx.authority.server_context(names)
        own_context = self.ctx.authority.server_context(names)

        def check_certificate(_connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
            return None if route.secure else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

        own_context.sni_callback = check_certificate
        route.runner = await self._serve(server, own_context, route)

    async def _serve(self, server: socket.socket, context: ssl.SSLContext, route: Route | None) -> web.ServerRunner:
        port = server.getsockname()[1]

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            host = request.headers.get("Host", "").rsplit(":", 1)[0]
            found = route or self.store.route_of_host(host)
            if found is None or not self._allows(found, request.remote or ""):
                return own_answer(404)
            return await self._answer(found, request, port)

        runner = web.ServerRunner(
            web.Server(handler, max_line_size=65536, max_field_size=65536, access_log=None),
            handle_signals=False,
            shutdown_timeout=1,
        )
        await runner.setup()
        await web.SockSite(runner, server, ssl_context=context).start()
        return runner

    def _allows(self, route: Route, address: str) -> bool:
        settings = self.ctx.settings
        return rule_allows(settings.account_id, settings.region, route.hosts[0], address)

    async def _answer(self, route: Route, request: web.BaseRequest, port: int) -> web.StreamResponse:
        arn = route.weights.next()
        group = self.groups.get(arn or "")
        target = group.pick() if group is not None else None
        if group is None or target is None:
            # No metric of a target group counts it: ELB could not choose a target.
            return own_answer(503)
        where = address_of(target, self._tasks)
        if where is None:
            # "The load balancer failed to establish a connection to the target before the connection timeout expired"
            # (ELB user guide, "HTTP 504: Gateway timeout").
            await asyncio.sleep(CONNECT)
            answer: web.StreamResponse = own_answer(504)
        else:
            answer = await self._proxy.forward(request, where, port)
        self.answers.add(group.arn, answer.status, time.monotonic(), own=isinstance(answer, OwnAnswer))
        return answer


async def _bind(port: int) -> socket.socket:
    """Binds; waits a little for a port that a predecessor is just giving up."""
    for _attempt in range(20):
        with contextlib.suppress(OSError):
            return listening_socket(port)
        await asyncio.sleep(0.25)
    raise RuntimeError(f"Port {port} on {ADDRESS}, where a service was reachable before, is taken by another program.")
