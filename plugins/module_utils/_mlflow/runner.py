# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""Run a long command: output line by line, a time limit, no processes left, no secrets in the log."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import site
import subprocess
import threading
import time
import typing
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from .rest import Connection

# The only variables of the caller that a command gets: what a program needs to run on this machine and to reach the
# network, and nothing that a login or a key may be in, such as AWS_SECRET_ACCESS_KEY or another server's
# MLFLOW_TRACKING_TOKEN. (A proxy's address may hold a password, which connections through it need.)
_PASSED_ON = {
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE"),
}
# Locale, and how numerical libraries use this processor.
_PASSED_ON_PREFIXES = ("LC_", "OPENBLAS_", "OMP_")
# Further variables for pip and uv: where packages come from, and where they are kept.
# https://pip.pypa.io/en/stable/cli/pip_install/ https://docs.astral.sh/uv/reference/environment/
_OF_INSTALLERS = {
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_CONFIG_FILE"),
    *("PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES"),
    *("PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_KEYRING_PROVIDER", "NETRC"),
    *("UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_INSECURE_HOST", "UV_OFFLINE"),
    *("UV_CONFIG_FILE", "UV_NO_CONFIG", "UV_CACHE_DIR", "UV_NO_CACHE", "UV_LINK_MODE", "UV_KEYRING_PROVIDER"),
    *("UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_CONCURRENT_DOWNLOADS"),
    *("UV_PYTHON_INSTALL_DIR", "UV_PYTHON_PREFERENCE", "UV_PYTHON_DOWNLOADS"),
}
# UV_INDEX, UV_INDEX_URL, UV_INDEX_STRATEGY, and the login of the index NAME, UV_INDEX_NAME_USERNAME.
_OF_INSTALLERS_PREFIXES = ("UV_INDEX",)
# Each is read by some HTTP library, all before or instead of MLFLOW_TRACKING_SERVER_CERT_PATH where that is not passed
# on: `mlflow demo` asks /health without it.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Log:
    """A log file that can be followed. Without a path everything is dropped.

    Args:
        path: is created with mode 0600, or emptied.
        secrets: are masked.
        tell: also gets the steps (not the command's output), to show them to the user.
    """

    def __init__(
        self, path: str | None, secrets: Iterable[str] = (), tell: Callable[[str], None] | None = None
    ) -> None:
        self.path = path
        self.tell = tell
        self._secrets = [secret for secret in secrets if secret]
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._file: typing.TextIO | None = None
        if path:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "********")
        return text

    def write(self, text: str) -> None:
        """Write a step."""
        if self.tell:
            self.tell(self.mask(text))
        self.output(text)

    def output(self, text: str) -> None:
        """Write a line of the command's output."""
        if self._file:
            with self._lock:
                self._file.write(f"{time.monotonic() - self._started:7.1f} s  {self.mask(text)}\n")

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


@dataclass
class Result:
    """The result of a command.

    Attributes:
        rc: exit code; negative for a signal.
        stdout, stderr: lines.
        seconds: how long it took.
        timed_out: whether it was stopped at the time limit.
    """

    rc: int = 0
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    seconds: float = 0.0
    timed_out: bool = False

    @property
    def lines(self) -> list[str]:
        return self.stdout + self.stderr

    def tail(self, count: int = 5) -> str:
        """Return the last non-empty lines, preferably of stderr."""
        said = [line.strip() for line in (self.stderr or self.stdout) if line.strip()]
        return " / ".join(said[-count:])


def client_environment(connection: Connection, home: str, max_retries: int) -> dict[str, str]:
    """Return the environment with which the MLflow client uses only this server, login and certificates.

    C(mlflow demo) gets nothing else: a client of a tracking server needs no AWS credentials.

    Args:
        connection: the server.
        home: an empty folder that takes the place of the home folder, as C(~/.mlflow/credentials) may hold the login of
            another server, which the client would send.
        max_retries: how often the client repeats a failed request.
    """
    environment = base_environment()
    environment.update(
        # Where boto3 would look for credentials besides.
        AWS_EC2_METADATA_DISABLED="true",
        HOME=home,
        # A client that was installed with `pip install --user` still has to be found.
        PYTHONUSERBASE=os.environ.get("PYTHONUSERBASE") or site.getuserbase(),
        NETRC=os.devnull,
        PYTHONUNBUFFERED="1",
        PYTHONUTF8="1",
        GIT_PYTHON_REFRESH="quiet",
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES=str(max_retries),
    )
    if connection.ca_path:
        ca_path = os.path.abspath(connection.ca_path)
        environment.pop("SSL_CERT_DIR", None)
        environment.update(dict.fromkeys(_CA_VARIABLES, ca_path), MLFLOW_TRACKING_SERVER_CERT_PATH=ca_path)
    if connection.username:
        environment["MLFLOW_TRACKING_USERNAME"] = connection.username
        environment["MLFLOW_TRACKING_PASSWORD"] = connection.password or ""
    if connection.token:
        environment["MLFLOW_TRACKING_TOKEN"] = connection.token
    if connection.is_loopback:
        for name in ("no_proxy", "NO_PROXY"):
            environment[name] = ",".join(part for part in (environment.get(name), connection.host) if part)
    return environment


def base_environment() -> dict[str, str]:
    """Return the caller's variables that every command gets."""
    return {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }


def installer_environment() -> dict[str, str]:
    """Return the same for pip and uv, with the settings of index and cache."""
    more = {
        name: value
        for name, value in os.environ.items()
        if name in _OF_INSTALLERS or name.startswith(_OF_INSTALLERS_PREFIXES)
    }
    return {**base_environment(), **more}


def run(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: str,
    time_limit: float,
    log: Log,
    on_tick: Callable[[], None] | None = None,
    tick: float = 10.0,
) -> Result:
    """Run a command to its end, or to the time limit.

    The command gets a process group of its own, which is stopped as a whole when this ends for whatever reason, so that
    a wrapper script leaves nothing behind.

    Args:
        argv: the command; no secret in it, as every user of the machine sees it.
        environment: its whole environment.
        folder: working directory.
        time_limit: seconds.
        log: gets every line as it comes.
        on_tick: called every C(tick) seconds meanwhile.

    Raises:
        OSError: the command cannot be started.
    """
    result = Result()
    started = time.monotonic()
    lines: queue.Queue[tuple[str, str] | None] = queue.Queue()
    with _terminated_as_exit():
        process = subprocess.Popen(
            list(argv),
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        threads = [
            threading.Thread(target=_read, args=(stream, name, lines), daemon=True)
            for stream, name in ((process.stdout, "stdout"), (process.stderr, "stderr"))
        ]
        try:
            for reader in threads:
                reader.start()
            _follow(process, lines, result, log, deadline=started + time_limit, on_tick=on_tick, tick=tick)
        finally:
            _stop(process)
            for reader in threads:
                reader.join(5)
            _drain(lines, result, log)
    result.rc = process.returncode
    result.seconds = time.monotonic() - started
    return result


def _follow(
    process: subprocess.Popen[bytes],
    lines: queue.Queue[tuple[str, str] | None],
    result: Result,
    log: Log,
    *,
    deadline: float,
    on_tick: Callable[[], None] | None,
    tick: float,
) -> None:
    next_tick = time.monotonic() + tick
    while process.poll() is None:
        now = time.monotonic()
        if now >= deadline:
            result.timed_out = True
            return
        if on_tick and now >= next_tick:
            on_tick()
            next_tick = time.monotonic() + tick
        try:
            _take(lines.get(timeout=0.1), result, log)
        except queue.Empty:
            continue


def _take(item: tuple[str, str] | None, result: Result, log: Log) -> None:
    if item is None:
        return
    name, line = item
    line = log.mask(line)
    getattr(result, name).append(line)
    log.output(line)


def _drain(lines: queue.Queue[tuple[str, str] | None], result: Result, log: Log) -> None:
    while True:
        try:
            _take(lines.get_nowait(), result, log)
        except queue.Empty:
            return


def _read(stream: typing.IO[bytes] | None, name: str, lines: queue.Queue[tuple[str, str] | None]) -> None:
    if stream is None:
        return
    with stream:
        for raw in stream:
            lines.put((name, raw.decode("utf-8", errors="replace").rstrip("\r\n")))


def _stop(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """Stop the whole process group: with SIGTERM, then SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


@contextlib.contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that clean-up runs; only possible in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(143)

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
