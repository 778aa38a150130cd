# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data plane: listeners, routes, target groups and their health checks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from aiohttp import web

from ...network.firewall import Peer
from ...network.http_proxy import CONNECT
from ...network.http_proxy import Forwarder
from ...network.http_proxy import OwnAnswer
from ...network.http_proxy import own_answer
from ...service import ApiError
from ...service import Call
from ...service import Response
from ...service import aws_response
from .models import Answers
from .models import Target
from .models import TargetGroup
from .models import Weights
from .sources import lets_in

if TYPE_CHECKING:
    from ...context import Context

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"


@dataclass
class Route:
    """How one service is reached.

    :arg key: the service's ARN.
    :arg hosts: the names that lead to it on the common port; the first is AWS's own.
    :arg port: the port of this service alone.
    :arg secure: whether its certificate has been issued: until then TLS fails.
    :arg weights: traffic per target group; empty: 503.
    """

    key: str
    hosts: list[str]
    port: int
    secure: bool = False
    weights: Weights = field(default_factory=lambda: Weights({}))
    context: ssl.SSLContext | None = None
    runner: web.ServerRunner | None = None


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

    Host names lead to services on one common HTTPS port; each service also has a port of its own (door), for
    machines that cannot resolve names below ``localhost``.
    """

    name = "balancer"

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.port = 0
        self.routes: dict[str, Route] = {}
        self.groups: dict[str, TargetGroup] = {}
        self.answers = Answers(ctx.clock.real(60))
        self._forwarder = Forwarder()
        self._shared_listener: web.ServerRunner | None = None
        self._checks: dict[tuple[str, str], asyncio.Task[None]] = {}

    # The service ----------------------------------------------------------------------------------------------------

    def owns(self, call: Call) -> bool:
        """DescribeTargetHealth of target groups whose health is really checked here."""
        return (
            call.service == "elbv2"
            and call.operation == "DescribeTargetHealth"
            and call.params.get("TargetGroupArn") in self.groups
        )

    async def handle(self, call: Call) -> Response:
        """Answers DescribeTargetHealth from the checks."""
        self.ctx.allow(call, "elasticloadbalancing:DescribeTargetHealth", "*")
        group = self.groups[call.params["TargetGroupArn"]]
        asked = [item["Id"] for item in call.params.get("Targets") or []]
        unknown = [name for name in asked if name not in group.targets]
        if unknown:
            raise ApiError("InvalidTarget", f"The target '{unknown[0]}' is not registered with the target group.")
        shown = [target for target in group.targets.values() if not asked or target.id in asked]
        output = {"TargetHealthDescriptions": [_described(target) for target in shown]}
        return aws_response(output, "elbv2", "DescribeTargetHealth")

    async def start(self) -> None:
        """Opens the common port and the door of each known service, on the ports they had before."""
        front = await _bind(self.port)
        self.port = front.getsockname()[1]
        context = self.ctx.authority.server_context(["localhost"])
        context.sni_callback = self._by_name
        self._shared_listener = await self._serve(front, context, None)
        for route in self.routes.values():
            await self._open_port(route)
        self.ctx.changed()

    async def stop(self) -> None:
        """Closes all listeners and ends the health checks."""
        for check in self._checks.values():
            check.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)
        self._checks.clear()
        runners = [route.runner for route in self.routes.values()] + [self._shared_listener]
        for runner in runners:
            if runner is not None:
                await runner.cleanup()
        await self._forwarder.close()

    def state(self) -> dict[str, Any]:
        """Ports, routes and target groups."""
        routes = [
            {
                "key": route.key,
                "hosts": route.hosts,
                "door": route.port,
                "secure": route.secure,
                "weights": route.weights.weights,
            }
            for route in self.routes.values()
        ]
        return {"port": self.port, "routes": routes, "groups": [group.settings() for group in self.groups.values()]}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes them back; targets come with their tasks."""
        self.port = state.get("port", 0)
        for item in state.get("routes", []):
            route = Route(item["key"], item["hosts"], item["door"], item["secure"], Weights(item["weights"]))
            self.routes[route.key] = route
        for item in state.get("groups", []):
            self.groups[item["arn"]] = TargetGroup(**item)

    def status(self) -> dict[str, Any]:
        """What was answered in the last minutes: what the metrics of the balancer are made of."""
        period = self.answers.period
        return {"seconds": period, "now": int(time.monotonic() / period), "minutes": self.answers.shown()}

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
            self._end_check(arn, target)
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
        self._end_check(arn, target_id)
        self._checks[(arn, target_id)] = asyncio.get_running_loop().create_task(self._check(group, target))

    def deregister(self, arn: str, target_id: str) -> None:
        """Removes a target: no new request reaches it."""
        self._end_check(arn, target_id)
        group = self.groups.get(arn)
        if group is not None:
            group.targets.pop(target_id, None)

    # Inside ---------------------------------------------------------------------------------------------------------

    def _end_check(self, arn: str, target_id: str) -> None:
        check = self._checks.pop((arn, target_id), None)
        if check is not None:
            check.cancel()

    async def _check(self, group: TargetGroup, target: Target) -> None:
        while True:
            await self.ctx.clock.sleep(group.interval)
            try:
                await self._check_once(group, target)
            except Exception:
                log.exception("health check of %s:%s in %s", target.id, target.port, group.arn)

    async def _check_once(self, group: TargetGroup, target: Target) -> None:
        """One health check, real or ordered."""
        fault = self.ctx.faults.consume("balancer:HealthCheck", self._owner(target, group))
        if fault is None:
            status = await self._probe(group, target)
            target.ordered = 0.0
        else:
            await self.ctx.faults.wait(fault, self.ctx.clock.real(fault.delay))
            target.ordered = target.ordered or time.monotonic()
            status = 0 if fault.data.get("timeout") else fault.data.get("status")
        if group.observe(target, status, time.monotonic()):
            log.info("target %s:%s of %s is %s", target.id, target.port, group.arn, target.state)

    async def _probe(self, group: TargetGroup, target: Target) -> int | None:
        """One health check: the status, 0 for a time-out, None when there was no answer."""
        where = self._where(target)
        if where is None:
            await asyncio.sleep(group.timeout)
            return 0
        return await self._forwarder.probe(f"http://{where}{group.path}", group.timeout)

    def _where(self, target: Target) -> str | None:
        """Host and port of a target; None: its security groups drop what the load balancer sends."""
        if target.source is None:
            return f"{target.id}:{target.real_port}"
        found = self.ctx.tasks.reach(target.id, target.port, target.source)
        return None if found is None else f"{found[0]}:{found[1]}"

    def _owner(self, target: Target, group: TargetGroup) -> str:
        """Whose target it is, as its task says: ``service:<name>``."""
        owners = (task.spec.group for task in self.ctx.tasks.all() if task.ip == target.id)
        return next(owners, group.arn)

    def _by_name(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        """Gives each host name its own certificate; fails for names without one, as before a certificate is issued."""
        route = self._named(name or "")
        if route is None or not route.secure or route.context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = route.context
        return None

    def _named(self, host: str) -> Route | None:
        wanted = host.lower().rstrip(".")
        return next((route for route in self.routes.values() if wanted in route.hosts), None)

    async def _open_port(self, route: Route) -> None:
        server = await _bind(route.port)
        route.port = server.getsockname()[1]
        names = [*route.hosts, "localhost", ADDRESS]
        route.context = self.ctx.authority.server_context(names)
        own_context = self.ctx.authority.server_context(names)

        def gate(_connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
            return None if route.secure else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

        own_context.sni_callback = gate
        route.runner = await self._serve(server, own_context, route)

    async def _serve(self, server: socket.socket, context: ssl.SSLContext, route: Route | None) -> web.ServerRunner:
        port = server.getsockname()[1]

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            host = request.headers.get("Host", "").rsplit(":", 1)[0]
            found = route or self._named(host)
            if found is None or not self._lets_in(found, request.remote or ""):
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

    def _lets_in(self, route: Route, address: str) -> bool:
        settings = self.ctx.settings
        return lets_in(settings.account_id, settings.region, route.hosts[0], address)

    async def _answer(self, route: Route, request: web.BaseRequest, port: int) -> web.StreamResponse:
        arn = route.weights.next()
        group = self.groups.get(arn or "")
        target = group.pick() if group is not None else None
        if group is None or target is None:
            # No metric of a target group counts it: ELB could not choose a target.
            return own_answer(503)
        where = self._where(target)
        if where is None:
            # "The load balancer failed to establish a connection to the target before the connection timeout expired"
            # (ELB user guide, "HTTP 504: Gateway timeout").
            await asyncio.sleep(CONNECT)
            answer: web.StreamResponse = own_answer(504)
        else:
            answer = await self._forwarder.forward(request, where, port)
        self.answers.add(group.arn, answer.status, time.monotonic(), own=isinstance(answer, OwnAnswer))
        return answer


def _described(target: Target) -> dict[str, Any]:
    health = {"State": target.state}
    if target.reason:
        health |= {"Reason": target.reason, "Description": target.description}
    return {
        "Target": {"Id": target.id, "Port": target.port},
        "HealthCheckPort": str(target.port),
        "TargetHealth": health,
    }


async def _bind(port: int) -> socket.socket:
    """Binds; waits a little for a port that a predecessor is just giving up."""
    for _attempt in range(20):
        with contextlib.suppress(OSError):
            return listening_socket(port)
        await asyncio.sleep(0.25)
    raise RuntimeError(f"Port {port} on {ADDRESS}, where a service was reachable before, is taken by another program.")
