# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data plane: health, weights and counts as pure logic; routing, TLS and pass-through against a real listener."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from balancer_support import upstream

from local_aws.authority import Authority
from local_aws.clock import Clock
from local_aws.faults import Faults
from local_aws.network import http_proxy
from local_aws.services.elbv2 import Balancer
from local_aws.services.elbv2.models import Answers

KEY = "arn:aws:ecs:us-east-1:123456789012:service/default/web"
HOST = "we-0123456789abcdef0123456789abcdef.ecs.us-east-1.on.aws"
LOCAL = HOST.removesuffix(".on.aws") + ".localhost"
BLUE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/blue/1"
GREEN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/green/1"


class Setting:
    """A balancer with one route, and an upstream that tells what reached it."""

    def __init__(
        self, balancer: Balancer, tasks: Any, session: aiohttp.ClientSession, port: int, upstream: int
    ) -> None:
        self.balancer = balancer
        self.tasks = tasks
        self.session = session
        self.url = f"https://localhost:{port}"
        self.upstream = upstream

    async def healthy(self) -> None:
        """Waits until the registered targets are healthy."""
        for _attempt in range(3000):
            targets = [target for group in self.balancer.groups.values() for target in group.targets.values()]
            if targets and all(target.state == "healthy" for target in targets):
                return
            await asyncio.sleep(0.02)
        raise AssertionError("no healthy target")

    def keep_healthy(self) -> None:
        """Stop the health checks: healthy targets stay healthy, whatever they do."""
        for check in self.balancer.health_checks._checks.values():
            check.cancel()


@asynccontextmanager
async def setting(home: Path, *, secure: bool = True, registered: bool = True) -> AsyncIterator[Setting]:
    ctx: Any = SimpleNamespace(
        clock=Clock(6000),
        authority=Authority(home / "ca", home / "ca.pem"),
        settings=SimpleNamespace(endpoints="ports", account_id="123456789012", region="us-east-1"),
        changed=lambda: None,
        faults=Faults(),
    )
    tasks: Any = SimpleNamespace(group_at=lambda _address: "")
    balancer = Balancer(ctx, tasks)
    await balancer.start()
    server = await upstream()
    port = server.addresses[0][1]
    route = await balancer.open(KEY, HOST)
    balancer.add_group(BLUE, "/health")
    balancer.weigh(KEY, {BLUE: 100})
    if secure:
        balancer.secure(KEY)
    if registered:
        balancer.register(BLUE, "127.0.0.1", 5000, port)
    context = ssl.create_default_context(cafile=str(home / "ca.pem"))

    class Resolver(aiohttp.abc.AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
            return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

        async def close(self) -> None: ...

    connector = aiohttp.TCPConnector(ssl=context, resolver=Resolver(), force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            yield Setting(balancer, tasks, session, route.port, port)
        finally:
            await balancer.stop()
            await server.cleanup()


def test_tls_fails_before_the_certificate_is_issued(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path, secure=False) as here:
            for url in (here.url, f"https://{LOCAL}:{here.balancer.port}"):
                with pytest.raises(aiohttp.ClientConnectorError):
                    await here.session.get(url)
            here.balancer.secure(KEY)
            await here.healthy()
            async with here.session.get(here.url) as answer:
                assert answer.status == 200

    asyncio.run(scenario())


def test_503_until_a_target_is_healthy(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path, registered=False) as here:
            async with here.session.get(here.url) as answer:
                assert answer.status == 503
                assert answer.headers["Server"] == "awselb/2.0"
                assert "503 Service Temporarily Unavailable" in await answer.text()
            here.balancer.register(BLUE, "127.0.0.1", 5000, here.upstream)
            await here.healthy()
            async with here.session.get(here.url) as answer:
                assert answer.status == 200
            here.balancer.deregister(BLUE, "127.0.0.1")
            async with here.session.get(here.url) as answer:
                assert answer.status == 503

    asyncio.run(scenario())


def test_host_names_lead_to_the_service_and_unknown_ones_do_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            await here.healthy()
            for name in (HOST, LOCAL):
                async with here.session.get(f"https://{name}:{here.balancer.port}/x") as answer:
                    assert answer.status == 200
                    assert (await answer.json())["headers"]["Host"] == f"{name}:{here.balancer.port}"
            with pytest.raises(aiohttp.ClientConnectorError):
                await here.session.get(f"https://web.ecs.us-east-1.on.aws:{here.balancer.port}/")
            headers = {"Host": "web.ecs.us-east-1.on.aws"}
            async with here.session.get(f"https://{LOCAL}:{here.balancer.port}/", headers=headers) as answer:
                assert answer.status == 404

    asyncio.run(scenario())


def test_headers_path_and_method_reach_the_target(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            await here.healthy()
            url = aiohttp.client.URL(f"{here.url}/a%2Fb/%C3%A9?x=1%202&y=", encoded=True)
            sent = {
                "X-Forwarded-For": "203.0.113.9",
                "Authorization": "Basic eA==",
                "Connection": "x-hop",
                "X-Hop": "1",
            }
            async with here.session.delete(url, headers=sent) as answer:
                seen = await answer.json()
            assert seen["path"] == "/a%2Fb/%C3%A9?x=1%202&y="
            assert seen["method"] == "DELETE"
            assert seen["headers"]["X-Forwarded-For"] == "203.0.113.9, 198.51.100.1"
            assert seen["headers"]["X-Forwarded-Proto"] == "https"
            assert seen["headers"]["X-Forwarded-Port"] == here.url.rpartition(":")[2]
            assert seen["headers"]["X-Amzn-Trace-Id"].startswith("Root=1-")
            assert seen["headers"]["Host"] == here.url.removeprefix("https://")
            assert seen["headers"]["Authorization"] == "Basic eA=="
            assert "X-Hop" not in seen["headers"]

    asyncio.run(scenario())


def test_large_body_is_streamed_with_its_length(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            await here.healthy()
            size = 48 * 2**20
            async with here.session.post(f"{here.url}/count", data=bytes(size)) as answer:
                assert await answer.json() == {"bytes": size, "length": str(size)}

            async def chunks() -> AsyncIterator[bytes]:
                for _chunk in range(3):
                    yield b"abc"

            async with here.session.post(f"{here.url}/count", data=chunks()) as answer:
                assert await answer.json() == {"bytes": 9, "length": None}

    asyncio.run(scenario())


def test_answer_is_streamed_as_it_comes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            await here.healthy()
            async with here.session.get(f"{here.url}/stream") as answer:
                assert answer.headers["Content-Type"] == "text/event-stream"
                # The upstream waits for a sign after each event: without streaming nothing would arrive at all.
                first = await asyncio.wait_for(answer.content.readany(), 120)
                assert first == b"data: 0\n\n"

    asyncio.run(scenario())


def test_half_an_answer_is_not_passed_off_as_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            await here.healthy()
            with pytest.raises(aiohttp.ClientError):
                async with here.session.get(f"{here.url}/broken") as answer:
                    await answer.read()

    asyncio.run(scenario())


def test_redirects_and_cookies_are_left_to_the_client(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            await here.healthy()
            async with here.session.get(f"{here.url}/redirect", allow_redirects=False) as answer:
                assert answer.status == 302
                assert answer.headers["Location"] == "/elsewhere"
                assert answer.headers["Set-Cookie"] == "a=b"

    asyncio.run(scenario())


def test_websocket_passes_through(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            await here.healthy()
            async with here.session.ws_connect(f"{here.url}/socket", protocols=["other", "chat"]) as connection:
                assert connection.protocol == "chat"
                await connection.send_str("hello")
                assert await connection.receive_str(timeout=1800) == "https hello"

    asyncio.run(scenario())


def test_target_that_refuses_gives_502_and_is_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            await here.healthy()
            here.keep_healthy()
            here.balancer.groups[BLUE].targets["127.0.0.1"].real_port = 1
            async with here.session.get(here.url) as answer:
                assert answer.status == 502
            answers = here.balancer.answers
            recent = answers.last(BLUE, time.monotonic() + answers.period, Answers.KEEP)
            # The balancer's own answer: a request, but no HTTPCode_Target_5XX_Count.
            assert [counts for counts in recent if counts] == [Counter({Answers.OWN: 1})]

    asyncio.run(scenario())


class Slow:
    """A target that answers after three chunks of an upload, and has time pass whenever it has read one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.passed = 0.0
        self.read = asyncio.Event()
        loop = asyncio.get_running_loop()
        real = loop.time
        loop.time = lambda: real() + self.passed  # type: ignore[method-assign]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        seen = b""
        while b"\r\n0\r\n\r\n" not in seen:
            before = seen.count(b"abc")
            read = await reader.read(65536)
            if not read:
                return
            seen += read
            if seen.count(b"abc") > before:
                self.passed += self.seconds
                self.read.set()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()

    async def upload(self) -> AsyncIterator[bytes]:
        """Each chunk follows when the one before has been read."""
        for _chunk in range(3):
            self.read.clear()
            yield b"abc"
            await self.read.wait()


@pytest.mark.parametrize(("seconds", "status"), [(30, 200), (90, 504)], ids=["a slow upload", "an idle one"])
def test_idle_target_gives_504_but_a_slow_upload_does_not(tmp_path: Path, seconds: float, status: int) -> None:
    assert http_proxy.IDLE == 60

    async def scenario() -> None:
        async with setting(tmp_path) as here:
            await here.healthy()
            here.keep_healthy()
            slow = Slow(seconds)
            target = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
            here.balancer.groups[BLUE].targets["127.0.0.1"].real_port = target.sockets[0].getsockname()[1]
            async with here.session.post(f"{here.url}/count", data=slow.upload()) as answer:
                assert answer.status == status
            target.close()

    asyncio.run(scenario())


def test_a_check_that_breaks_is_not_the_last_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            broken = iter([ValueError("made up"), KeyError("made up")])

            def group_at(_address: str) -> str:
                for error in broken:
                    raise error
                return ""

            here.tasks.group_at = group_at
            await here.healthy()
            assert next(broken, None) is None

    asyncio.run(scenario())


def test_ports_stay_the_same_over_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with setting(tmp_path) as here:
            state = here.balancer.store.state()
            await here.balancer.stop()
            again = Balancer(here.balancer.ctx, here.tasks)
            again.store.restore(state)
            await again.start()
            try:
                assert again.port == here.balancer.port
                assert again.endpoint(KEY) == here.url.removeprefix("https://")
                again.register(BLUE, "127.0.0.1", 5000, here.upstream)
                here.balancer = again
                await here.healthy()
                async with here.session.get(here.url) as answer:
                    assert answer.status == 200
            finally:
                await again.stop()

    asyncio.run(scenario())
