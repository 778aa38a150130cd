# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""REST client of a tracking server that explains *why* a server cannot be reached.

Sits on ansible.module_utils.urls, with three differences from its defaults: redirects are never followed (a login
page must not pass for a tracking server, and the login must not travel elsewhere), C(~/.netrc) is not read (it would
add the login of another user), and the certificate authority that the caller names is the only one that counts.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import time
import typing
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from urllib.parse import quote
from urllib.parse import urlencode
from urllib.parse import urlsplit

from ansible.module_utils.urls import Request

# Upper bound of what is read from one answer: enough for 500 traces, too little to fill the memory.
_MAX_BODY = 64 * 1024 * 1024
# mlflow/utils/workspace_utils.py: WORKSPACE_HEADER_NAME.
_WORKSPACE = "X-MLFLOW-WORKSPACE"

# OpenSSL's X509_V_ERR_* (openssl/x509_vfy.h).
_CERTIFICATE_REASONS = {
    9: ("tls_expired", "is not valid yet (or the clock of this machine is wrong)"),
    10: ("tls_expired", "has expired (or the clock of this machine is wrong)"),
    62: ("tls_wrong_host", "was issued for another host name"),
    64: ("tls_wrong_host", "was issued for another address"),
}

# Exceptions of urllib and http.client below an URLError: kind, reason, sentence, whether waiting helps. The order
# matters, as some are subclasses of others.
_CONNECTION_REASONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str, bool], ...] = (
    (
        (UnicodeError, http.client.InvalidURL),
        "bad_uri",
        "tracking_uri {uri} holds a host name that cannot exist: {detail}.",
        False,
    ),
    (socket.gaierror, "dns", "The name {host} does not resolve (yet): {detail}.", True),
    (TimeoutError, "timeout", "{uri} gave no answer within {timeout:g} s (request_timeout).", True),
    (ConnectionRefusedError, "connection_refused", "{uri} refuses connections: nothing listens there.", True),
    (ConnectionError, "connection_closed", "{uri} closed the connection without an answer.", True),
    (http.client.HTTPException, "wrong_service", "{uri} does not answer in HTTP.", False),
)


class MlflowError(Exception):
    """A tracking server cannot be used.

    Args:
        reason: stable code, for programs, for example C(connection_refused).
        message: one sentence, for people.
        waiting_helps: whether waiting may fix it (a name that is not published yet) or rarely does (a wrong
            password).
        at_most: seconds after which waiting does not help either, where it does at all; default: there is no such time.
    """

    def __init__(self, reason: str, message: str, waiting_helps: bool = False, *, at_most: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.waiting_helps = waiting_helps
        self.at_most = at_most


@dataclass(frozen=True)
class Connection:
    """The address of a tracking server and the login.

    Attributes:
        tracking_uri: C(http[s]://host[:port][/prefix]), without trailing slash (see L(parse, connection)).
        ca_path: file with PEM certificates; the only ones that are trusted. Default: those of the system.
        username, password: HTTP basic login.
        token: bearer token, instead of username and password.
        timeout: seconds for one request.
        workspace: the workspace that requests are about; default: the server's own choice.
    """

    tracking_uri: str
    ca_path: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    workspace: str | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.tracking_uri).hostname or ""

    @property
    def has_login(self) -> bool:
        return bool(self.username or self.token)

    @property
    def is_loopback(self) -> bool:
        """Return whether the host is this machine, which no proxy can reach for us."""
        host = self.host
        return host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host == "::1"

    @property
    def secrets(self) -> list[str]:
        return [secret for secret in (self.password, self.token) if secret]


def parse_connection(params: Mapping[str, typing.Any]) -> Connection:
    """Return a Connection from module options; raise MlflowError for invalid values."""
    uri = str(params["tracking_uri"]).strip().rstrip("/")
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 - the property raises on a port that is no number
    except ValueError as error:
        raise MlflowError("bad_uri", f"tracking_uri {uri!r} is not a URL: {error}.") from error
    if parts.username is not None or parts.password is not None:
        raise MlflowError(
            "bad_uri",
            "tracking_uri must not hold a login, as URLs end up in logs; give it as username and password.",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MlflowError(
            "bad_uri", f"tracking_uri {uri!r} is not the URL of a server; expected https://host[:port] (or http://)."
        )
    if parts.query or parts.fragment:
        raise MlflowError("bad_uri", f"tracking_uri {uri!r} must end before the '?' or '#'.")
    ca_path = params.get("ca_path")
    if ca_path:
        _check_ca(ca_path)
    return Connection(
        tracking_uri=uri,
        ca_path=ca_path or None,
        username=params.get("username") or None,
        password=params.get("password") or None,
        token=params.get("token") or None,
        timeout=float(params.get("request_timeout") or 60),
        workspace=params.get("workspace") or None,
    )


def _check_ca(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise MlflowError("bad_ca", f"ca_path {path} holds no certificate in PEM format.") from error
    except OSError as error:
        raise MlflowError("bad_ca", f"ca_path {path} cannot be read: {error.strerror}.") from error


@dataclass(frozen=True)
class Answer:
    """A server's answer, whatever the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> dict[str, typing.Any]:
        """Return the body as a JSON object; an empty one for other bodies."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def error_code(self) -> str:
        """MLflow's own error code, for example C(RESOURCE_DOES_NOT_EXIST); empty if the answer is not MLflow's."""
        code = self.json().get("error_code")
        return code if isinstance(code, str) else ""

    def summary(self, length: int = 300) -> str:
        """Return the server's message, shortened to one line."""
        message = self.json().get("message")
        text = message if isinstance(message, str) else self.text
        line = " ".join(text.split())
        return line if len(line) <= length else line[: length - 1] + "…"


class Client:
    """A client of one tracking server. Every method raises MlflowError if there is no HTTP answer."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        headers = {"Accept": "*/*"}
        authorization = _authorization(connection)
        if authorization:
            headers["Authorization"] = authorization
        if connection.workspace:
            headers[_WORKSPACE] = connection.workspace
        encrypted = connection.tracking_uri.startswith("https:")
        self._request = Request(
            headers=headers,
            http_agent="mlops.mlflow_aws",
            follow_redirects="none",
            use_netrc=False,
            use_proxy=not connection.is_loopback,
            # Reading the system's certificates takes longer than a request, so only where there is TLS.
            context=ssl.create_default_context(cafile=connection.ca_path) if encrypted else None,
        )
        # time.monotonic() by which the caller wants to be done; a request then gets at least 5 s all the same, so that
        # the last reason that is reported stays a telling one.
        self.deadline: float | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, typing.Any] | None = None,
        data: bytes | None = None,
        body: Mapping[str, typing.Any] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Send one request.

        Args:
            method: HTTP method.
            path: below the tracking URI, without leading slash; it is quoted here.
            query: query parameters.
            data: raw request body, or
            body: request body that is sent as JSON.
            timeout: seconds; default is that of the connection.

        Returns:
            The answer, also for statuses 400 and above.
        """
        url = f"{self.connection.tracking_uri}/{quote(path)}"
        if query:
            url = f"{url}?{urlencode(query)}"
        headers = {}
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        elif data is not None:
            headers["Content-Type"] = "application/octet-stream"
        seconds = self.connection.timeout if timeout is None else timeout
        if self.deadline is not None:
            seconds = min(seconds, max(5.0, round(self.deadline - time.monotonic(), 1)))
        started = time.monotonic()
        try:
            response = self._request.open(method, url, data=data, headers=headers, timeout=seconds)
        except urllib.error.HTTPError as error:
            response = error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise explain(error, self.connection, seconds) from error
        try:
            with response:
                content = response.read(_MAX_BODY)
                return Answer(
                    status=int(response.status or 0),
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=content,
                    seconds=time.monotonic() - started,
                )
        except (OSError, http.client.HTTPException) as error:
            raise explain(error, self.connection, seconds) from error


def _authorization(connection: Connection) -> str:
    if connection.token:
        return f"Bearer {connection.token}"
    if connection.username:
        pair = f"{connection.username}:{connection.password or ''}".encode()
        return "Basic " + base64.b64encode(pair).decode()
    return ""


def explain(error: BaseException, connection: Connection, timeout: float) -> MlflowError:
    """Turn an exception of urllib, ssl, socket or http.client into a reason and a sentence."""
    cause: typing.Any = error
    while isinstance(cause, urllib.error.URLError) and cause.reason is not None:
        cause = cause.reason
    uri, host = connection.tracking_uri, connection.host
    if isinstance(cause, ssl.SSLError):  # before TimeoutError and OSError, whose subclass it is
        return _explain_tls(cause, connection)
    for kind, reason, sentence, waiting_helps in _CONNECTION_REASONS:
        if isinstance(cause, kind):
            detail = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            text = sentence.format(uri=uri, host=host, timeout=timeout, detail=detail)
            return MlflowError(reason, text, waiting_helps)
    if "Tunnel connection failed" in str(cause):
        text = f"The proxy of this machine does not let through to {host}: {cause}. See https_proxy and no_proxy."
        return MlflowError("proxy", text, waiting_helps=True)
    text = os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else str(cause)
    return MlflowError("unreachable", f"{uri} cannot be reached: {text}.", waiting_helps=True)


def _explain_tls(cause: ssl.SSLError, connection: Connection) -> MlflowError:
    uri, host = connection.tracking_uri, connection.host
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason, what = _CERTIFICATE_REASONS.get(cause.verify_code, ("", ""))
        if reason:
            # A balancer shows the certificate of another service until the right one is attached: worth waiting for.
            return MlflowError(
                reason,
                f"The certificate that {host} shows {what}: {cause.verify_message.rstrip('.')}.",
                waiting_helps=True,
            )
        trusted = f"by those in ca_path {connection.ca_path}" if connection.ca_path else "by this machine; see ca_path"
        return MlflowError(
            "tls_not_trusted",
            f"The certificate of {host} is signed by an authority that is not trusted {trusted}"
            f" ({cause.verify_message.rstrip('.')}).",
        )
    if cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return MlflowError("tls_failed", f"{uri} answers, but not in TLS; is it http:// rather than https://?", True)
    return MlflowError(
        "tls_failed",
        f"The TLS handshake with {host} fails ({cause.reason or cause}); its certificate may not be there yet.",
        waiting_helps=True,
    )
