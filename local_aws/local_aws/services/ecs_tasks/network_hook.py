# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives each task an address of its own, inside the task's Python processes.

With Fargate's ``awsvpc`` mode every task has a network interface, so any number of them listen on 0.0.0.0:5000.
Here they share one machine. This file is copied into a runtime and imported when an interpreter starts there; it
turns wildcard addresses into the task's own loopback address. It uses the standard library alone and does nothing
outside a task.

It also shows the task's programs the addresses of clients as they would be at AWS (addresses.py).

Environment: LOCAL_AWS_TASK_NETWORK = ``<address> <own localhost> <container port>=<real port>``, then pairs
``<where a connection comes from>=<what the program sees>``.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: every interpreter of a task would pay for it.
    from typing import Any

_VARIABLE = "LOCAL_AWS_TASK_NETWORK"

if os.environ.get(_VARIABLE):
    # Only in a task: every interpreter of the runtime imports this file.
    import _socket
    import socket

    _ADDRESS, _OWN_LOCALHOST, _ports, *_pairs = os.environ[_VARIABLE].split()
    _SEEN = dict(_pair.split("=") for _pair in _pairs)
    _MAPPED = "::ffff:"
    _CONTAINER_PORT, _REAL_PORT = (int(part) for part in _ports.split("="))
    _WILDCARDS = ("", "0.0.0.0", "::", None)
    _LOOPBACKS = ("127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1")
    _IP = (socket.AF_INET, socket.AF_INET6)

    def _translate(host: Any, port: Any) -> tuple[Any, Any]:
        """Where an address that a server listens on really is; the same address if there is nothing to change."""
        if host in _WILDCARDS:
            return _ADDRESS, _REAL_PORT if port == _CONTAINER_PORT else port
        if host in _LOOPBACKS and port == _CONTAINER_PORT:
            return _OWN_LOCALHOST, _REAL_PORT
        return host, port

    def _for_family(sock: socket.socket, host: Any, port: Any, rest: tuple[Any, ...]) -> tuple[Any, ...]:
        """An IPv4 address for a socket that may be an IPv6 one."""
        return ("::ffff:" + host, port, *rest) if sock.family == socket.AF_INET6 else (host, port)

    def _bind(self: socket.socket, target: Any) -> None:
        if self.family not in _IP or not isinstance(target, tuple):
            return _socket.socket.bind(self, target)
        host, port, rest = target[0], target[1], target[2:]
        changed = _translate(host, port)
        if changed == (host, port):
            return _socket.socket.bind(self, target)
        if self.family == socket.AF_INET6:
            if self.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
                # IPv6 alone: it is not reachable over IPv4 in ECS either, and tasks have no IPv6 address here.
                return _socket.socket.bind(self, ("::1", 0, *rest))
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        return _socket.socket.bind(self, _for_family(self, changed[0], changed[1], rest))

    def _destination(sock: socket.socket, target: Any) -> Any:
        """A task that talks to its own server finds it at its own address; other local ports belong to the machine."""
        if sock.family not in _IP or not isinstance(target, tuple) or target[1] != _CONTAINER_PORT:
            return target
        if target[0] in _LOOPBACKS or target[0] in _WILDCARDS:
            return _for_family(sock, _ADDRESS, _REAL_PORT, target[2:])
        return target

    def _connect(self: socket.socket, target: Any) -> None:
        return _socket.socket.connect(self, _destination(self, target))

    def _connect_ex(self: socket.socket, target: Any) -> int:
        return _socket.socket.connect_ex(self, _destination(self, target))

    def _as_seen(address: Any) -> Any:
        """The address of a client as the task's programs are to see it; any other as it is."""
        if not isinstance(address, tuple) or not address or not isinstance(address[0], str):
            return address
        shown = _SEEN.get(address[0].removeprefix(_MAPPED))
        if shown is None:
            return address
        prefix = _MAPPED if address[0].startswith(_MAPPED) else ""
        return (prefix + shown, *address[1:])

    _plain_accept = socket.socket.accept

    def _accept(self: socket.socket) -> Any:
        accepted, address = _plain_accept(self)
        return accepted, _as_seen(address)

    def _getpeername(self: socket.socket) -> Any:
        return _as_seen(_socket.socket.getpeername(self))

    def _patch_uvicorn(module: Any) -> None:
        """With uvloop a connection is accepted in C, and uvicorn asks its transport for the other end."""
        original = module.get_remote_addr
        module.get_remote_addr = lambda transport: _as_seen(original(transport))

    def _patch_uvloop(module: Any) -> None:
        """uvloop binds in C, so the address is changed before it gets there."""
        original = module.Loop.create_server

        async def create_server(
            self: Any, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
        ) -> Any:
            if options.get("sock") is None and port is not None:
                hosts = [host] if host is None or isinstance(host, str) else list(host)
                changed = list(dict.fromkeys(_translate(name, port) for name in hosts))
                if changed != [(name, port) for name in hosts]:
                    host, port = [pair[0] for pair in changed], changed[0][1]
            return await original(self, protocol_factory, host, port, **options)

        module.Loop.create_server = create_server

    _PATCHES = {"uvloop": _patch_uvloop, "uvicorn.protocols.utils": _patch_uvicorn}

    class _Loader:
        """Loads a module as it would have been loaded, then patches it."""

        def __init__(self, loader: Any, patch: Any) -> None:
            self._loader = loader
            self._patch = patch

        def create_module(self, spec: Any) -> Any:
            return self._loader.create_module(spec)

        def exec_module(self, module: Any) -> None:
            self._loader.exec_module(module)
            self._patch(module)

    class _Finder:
        """Finds a module to patch when it is imported, and costs little until then."""

        def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
            if name not in _PATCHES:
                return None
            for finder in sys.meta_path:
                spec: Any = None if finder is self else finder.find_spec(name, path, target)
                if spec is not None:
                    spec.loader = _Loader(spec.loader, _PATCHES[name])
                    return spec
            return None

    socket.socket.bind = _bind  # type: ignore[method-assign, assignment]
    socket.socket.accept = _accept  # type: ignore[method-assign]
    socket.socket.getpeername = _getpeername  # type: ignore[method-assign, assignment]
    socket.socket.connect = _connect  # type: ignore[method-assign, assignment]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign, assignment]
    sys.meta_path.insert(0, _Finder())
