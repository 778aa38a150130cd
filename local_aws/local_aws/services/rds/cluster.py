# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One PostgreSQL cluster: made, started, stopped, copied, and spoken to in SQL.

The server listens on a Unix socket in its own folder only; TLS and the network are the proxy's (tls_proxy.py).

Folder: ``data/`` the cluster, ``socket/``, ``admin`` the password of the internal superuser (0600), ``postgresql.log``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import psutil

from ...runtime.supervisor import Process
from ...runtime.supervisor import Supervisor
from . import programs
from .engine import Engine
from .programs import ClusterError

_log = logging.getLogger(__name__)

SUPERUSER = "rdsadmin"
_PORT = 5432
_START_SECONDS = 900.0
_STOP_SECONDS = 300.0
_KILLED_SECONDS = 60.0
# sun_path is 108 bytes with its final zero on Linux, 104 on the BSDs (unix(7)).
_SOCKET_PATH = 103
# What RDS's rds_superuser may do ("Understanding the rds_superuser role", RDS User Guide), as far as roles give it.
_GRANTED = ("pg_monitor", "pg_signal_backend", "pg_checkpoint")


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Cluster:
    """A cluster in a folder.

    :arg key: unique among clusters; names the process.
    """

    def __init__(self, key: str, folder: Path, engine: Engine, supervisor: Supervisor) -> None:
        self.key = key
        self.folder = folder
        self.engine = engine
        self._supervisor = supervisor
        self._process: Process | None = None

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server has written, from its first start on."""
        return self.folder / "postgresql.log"

    @property
    def process(self) -> Process | None:
        """The postmaster, while it runs."""
        return self._process if self._process is not None and self._process.returncode is None else None

    def exists(self) -> bool:
        """Whether the cluster was made completely."""
        return (self.folder / "admin").exists()

    # Making

    async def create(self, settings: dict[str, str]) -> None:
        """Makes an empty cluster, unless it is there already; what an aborted attempt left is removed first.

        :arg settings: see configure().
        """
        if self.exists():
            return
        await asyncio.to_thread(shutil.rmtree, self.folder, True)
        self._make_folder()
        password = secrets.token_urlsafe(32)
        password_file = self.folder / "password"
        programs.write_secret(password_file, password)
        programs.give_away(password_file)
        try:
            await self._run(
                [
                    self._program("initdb"),
                    f"--pgdata={self.data}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--no-locale",
                    "--no-sync",
                    # Little is written between one archived segment and the next.
                    "--wal-segsize=1",
                ]
            )
        finally:
            password_file.unlink()
        self._write_access()
        self.configure(settings)
        programs.write_secret(self.folder / "admin", password)

    async def create_from(
        self, source: Path, settings: dict[str, str], prepare: Callable[[], None] | None = None
    ) -> None:
        """Makes the cluster as a copy of a snapshot's folder.

        :arg prepare: what else has to be in the folder before the cluster counts as made; called in a thread.
        """
        if self.exists():
            return
        await asyncio.to_thread(shutil.rmtree, self.folder, True)
        self._make_folder()
        await asyncio.to_thread(shutil.copytree, source / "data", self.data, symlinks=True, dirs_exist_ok=True)
        if prepare is not None:
            await asyncio.to_thread(prepare)
        await asyncio.to_thread(programs.give_away, self.folder)
        self._write_access()
        self.configure(settings)
        programs.write_secret(self.folder / "admin", (source / "admin").read_text())

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, mode=0o700)
        for path in (self.data, self.folder / "socket"):
            path.mkdir(mode=0o700)
        for path in (self.folder, self.data, self.folder / "socket"):
            programs.give_away(path)

    def _write_access(self) -> None:
        lines = ["local all all scram-sha-256", f"local replication {SUPERUSER} scram-sha-256"]
        self._write("pg_hba.conf", "\n".join(lines) + "\n")

    def configure(self, settings: dict[str, str]) -> None:
        """Writes the server's settings.

        :arg settings: parameters of the group and the class; those that this server does not know are left out.
        """
        own = {
            "listen_addresses": "",
            "port": str(_PORT),
            # Relative to the data directory: no path is too long for a socket.
            "unix_socket_directories": "../socket",
            "unix_socket_permissions": "0700",
            "password_encryption": "scram-sha-256",
            # Files below the data directory rather than in /dev/shm, where a killed server leaves them.
            "dynamic_shared_memory_type": "mmap",
            "wal_level": "replica",
            "max_wal_senders": "4",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "ssl": "off",
            "logging_collector": "off",
            "log_line_prefix": "%t:%r:%u@%d:[%p]:",
        }
        known = self.engine.parameters
        given = {name: value for name, value in settings.items() if name in known and name not in own}
        everything = {"shared_buffers": "32MB", **given, **own}
        lines = [f"{name} = {_literal(value)}" for name, value in everything.items()]
        self._write("postgresql.conf", "\n".join(lines) + "\n")

    def _write(self, name: str, content: str) -> None:
        path = self.data / name
        new = self.data / f".{name}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(content)
        programs.give_away(new)
        new.replace(path)

    # Running

    async def start(self) -> None:
        """Starts the server and waits until it accepts connections.

        :raises ClusterError: it does not.
        """
        if self.process is not None:
            return
        await asyncio.to_thread(self._clear_locks)
        log = self.log
        self._process = await self._supervisor.spawn(
            f"db/{self.key}",
            programs.unprivileged([self._program("postgres"), "-D", str(self.data)]),
            env=self._environment(),
            cwd=self.folder,
            stdout=log,
            # "Fast shutdown": disconnects the clients.
            stop_signal=signal.SIGINT,
            stop_grace=_STOP_SECONDS,
        )
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while True:
            if self.process is None:
                raise ClusterError(f"PostgreSQL did not start; its log is {log}")
            try:
                await self.sql("SELECT 1")
                return
            except ClusterError as error:
                if asyncio.get_running_loop().time() > deadline:
                    text = f"PostgreSQL takes no connection {_START_SECONDS:.0f} s after its start; its log is {log}"
                    raise ClusterError(text) from error
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Stops the server; does nothing when it does not run."""
        process = self.process
        if process is not None:
            await process.stop(_STOP_SECONDS)
        self._process = None

    def reload(self) -> None:
        """Makes the server read its settings again."""
        process = self.process
        if process is not None:
            process.signal(signal.SIGHUP)

    def _clear_locks(self) -> None:
        """Removes what a killed server left: PostgreSQL trusts its lock files, whose process ids may be others' now."""
        lock = self.data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            holder = psutil.Process(int(lock.read_text().split()[0]))
            if holder.name() == "postgres" and Path(holder.cwd()).samefile(self.data):
                holder.send_signal(signal.SIGQUIT)
                with contextlib.suppress(psutil.TimeoutExpired):
                    holder.wait(_KILLED_SECONDS)
        for path in (lock, *(self.folder / "socket").glob(".s.PGSQL.*")):
            path.unlink(missing_ok=True)

    # Speaking

    async def sql(self, script: str, database: str = "postgres") -> str:
        """Runs statements as the internal superuser; the rows as psql prints them unaligned.

        :raises ClusterError: the server refuses, or cannot be reached.
        """
        command = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", database]
        return await self.run_client(command, script)

    async def run_client(self, command: list[str], script: str = "") -> str:
        """Runs a client program of PostgreSQL's as the internal superuser; what it prints.

        :arg script: what the program reads.
        :raises ClusterError: it failed.
        """
        with self.socket_folder() as (folder, descriptors):
            environment = self._environment() | {
                "PGHOST": folder,
                "PGPORT": str(_PORT),
                "PGUSER": SUPERUSER,
                "PGPASSWORD": (self.folder / "admin").read_text(),
            }
            found = [self._program(command[0]), *command[1:]]
            return await programs.run(found, environment, self.folder, script, descriptors)

    async def set_verifier(self, user: str, verifier: str) -> None:
        """Changes a role's password.

        :arg verifier: see scram.verifier(); the server never sees the password itself.
        """
        await self.sql(f"ALTER ROLE {_quote(user)} PASSWORD {_literal(verifier)};")

    async def create_master(self, user: str, verifier: str, database: str) -> None:
        """Makes the master user, which on RDS is no superuser, and its database; may be repeated.

        :arg database: its name; empty: none.
        """
        role = _quote(user)
        grants = "\n".join(f"GRANT {name} TO rds_superuser WITH ADMIN OPTION;" for name in _GRANTED)
        await self.sql(
            f"""
            SELECT 'CREATE ROLE rds_superuser NOLOGIN'
             WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_superuser') \\gexec
            SELECT format('CREATE ROLE %I LOGIN CREATEDB CREATEROLE', {_literal(user)})
             WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_literal(user)}) \\gexec
            {grants}
            GRANT rds_superuser TO {role} WITH ADMIN OPTION;
            ALTER DATABASE postgres OWNER TO {role};
            """
        )
        await self.set_verifier(user, verifier)
        if database and database != "postgres":
            await self.sql(
                f"""
                SELECT format('CREATE DATABASE %I OWNER %I', {_literal(database)}, {_literal(user)})
                 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {_literal(database)}) \\gexec
                """
            )

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the server as a client has it.

        :raises OSError: the server does not listen.
        """
        with self.socket_folder() as (folder, _descriptors):
            return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{_PORT}")

    @contextlib.contextmanager
    def socket_folder(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """A name of the socket's folder that is short enough, and the descriptors that it needs in a child process."""
        folder = self.folder / "socket"
        if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH:
            yield str(folder), ()
            return
        if sys.platform != "linux":
            raise ClusterError(f"The path {folder} is too long for a Unix socket; choose a shorter home folder.")
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)

    def _program(self, name: str) -> str:
        return str(self.engine.programs / name)

    def _environment(self) -> dict[str, str]:
        return {"PATH": f"{self.engine.programs}:/usr/bin:/bin", "LANG": "C", "LC_ALL": "C", "TZ": "UTC"}

    async def _run(self, command: list[str]) -> str:
        """Runs a program as the server's user."""
        return await programs.run(programs.unprivileged(command), self._environment(), self.folder, "", ())
