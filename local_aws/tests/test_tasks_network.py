# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network hook in processes of its own: each way of listening that task programs use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HOOK = Path(__file__).resolve().parents[1] / "local_aws/services/ecs_tasks/network_hook.py"
ADDRESS = "127.71.9.8"
SETTING = f"{ADDRESS} 127.103.9.8 5000=5000"


def run(code: str, setting: str = SETTING) -> str:
    """Runs a program below the hook; what it prints."""
    start = f"import runpy; runpy.run_path({str(HOOK)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(code)],
        env={**os.environ, "LOCAL_AWS_TASK_NETWORK": setting},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("host", ["0.0.0.0", ""])
def test_a_socket_on_all_addresses_gets_the_tasks_own(host: str) -> None:
    code = f"import socket; s = socket.socket(); s.bind(({host!r}, 5000)); print(s.getsockname())"
    assert run(code) == str((ADDRESS, 5000))


def test_two_tasks_listen_on_the_same_port() -> None:
    with socket.create_server((ADDRESS, 5000)):
        code = "import socket; print(socket.create_server(('0.0.0.0', 5000)).getsockname()[0])"
        assert run(code, "127.72.9.8 127.104.9.8 5000=5000") == "127.72.9.8"


def test_a_dual_stack_socket_gets_the_tasks_own() -> None:
    code = """
    import socket
    s = socket.socket(socket.AF_INET6)
    s.bind(("::", 5000))
    print(s.getsockname()[:2])
    """
    assert run(code) == str((f"::ffff:{ADDRESS}", 5000))


def test_asyncio_listens_at_the_tasks_own() -> None:
    code = """
    import asyncio
    async def main():
        server = await asyncio.start_server(lambda r, w: None, "0.0.0.0", 5000)
        print(server.sockets[0].getsockname())
    asyncio.run(main())
    """
    assert run(code) == str((ADDRESS, 5000))


def test_a_server_on_localhost_is_not_at_the_tasks_address() -> None:
    code = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 5000)); print(s.getsockname())"
    assert run(code) == str(("127.103.9.8", 5000))


def test_other_ports_of_localhost_are_the_machines() -> None:
    code = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[0])"
    assert run(code) == "127.0.0.1"


def test_a_task_reaches_its_own_server_on_localhost() -> None:
    code = """
    import socket
    s = socket.create_server(("0.0.0.0", 5000))
    c = socket.create_connection(("127.0.0.1", 5000))
    print(c.getpeername()[0])
    """
    assert run(code) == ADDRESS


def test_a_mapped_port_is_opened_instead() -> None:
    code = "import socket; s = socket.create_server(('0.0.0.0', 80)); print(s.getsockname()[1])"
    assert run(code, f"{ADDRESS} 127.103.9.8 80=18080") == "18080"


def test_unix_sockets_are_left_alone(tmp_path: Path) -> None:
    code = f"""
    import socket
    s = socket.socket(socket.AF_UNIX); s.bind({str(tmp_path / "s")!r}); s.listen()
    c = socket.socket(socket.AF_UNIX); c.connect({str(tmp_path / "s")!r}); print("ok")
    """
    assert run(code) == "ok"


SEEN = f"{SETTING} 127.16.0.1=10.8.0.10"


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_a_client_is_shown_with_the_address_that_it_has_at_aws(family: str) -> None:
    code = f"""
    import socket
    s = socket.socket(socket.{family})
    s.bind(("::" if s.family == socket.AF_INET6 else "0.0.0.0", 5000))
    s.listen()
    for source in ("127.16.0.1", "127.0.0.1"):
        c = socket.create_connection(("{ADDRESS}", 5000), source_address=(source, 0))
        accepted, told = s.accept()
        print(told[0], accepted.getpeername()[0], accepted.getpeername()[1] == c.getsockname()[1])
    """
    prefix = "::ffff:" if family == "AF_INET6" else ""
    shown = [f"{prefix}{address} {prefix}{address} True" for address in ("10.8.0.10", "127.0.0.1")]
    assert run(code, SEEN).splitlines() == shown


def test_asyncio_and_uvicorn_show_a_client_so(tmp_path: Path) -> None:
    """uvicorn asks the transport's socket, and where it has none the transport itself (uvicorn/protocols/utils.py)."""
    (tmp_path / "uvicorn/protocols").mkdir(parents=True)
    (tmp_path / "uvicorn/__init__.py").touch()
    (tmp_path / "uvicorn/protocols/__init__.py").touch()
    (tmp_path / "uvicorn/protocols/utils.py").write_text(
        "def get_remote_addr(transport):\n    return transport.get_extra_info('plain')\n", encoding="ascii"
    )
    code = f"""
    import asyncio, sys
    sys.path.insert(0, {str(tmp_path)!r})
    from uvicorn.protocols.utils import get_remote_addr
    class OfUvloop:
        def get_extra_info(self, name):
            return ("127.16.0.1", 4000)
    async def main():
        done = asyncio.Event()
        def accepted(reader, writer):
            socket = writer.get_extra_info("socket")
            print(writer.get_extra_info("peername")[0], socket.getpeername()[0], get_remote_addr(OfUvloop()))
            done.set()
        server = await asyncio.start_server(accepted, "0.0.0.0", 5000)
        await asyncio.open_connection("{ADDRESS}", 5000, local_addr=("127.16.0.1", 0))
        await done.wait()
    asyncio.run(main())
    """
    assert run(code, SEEN) == "10.8.0.10 10.8.0.10 ('10.8.0.10', 4000)"
