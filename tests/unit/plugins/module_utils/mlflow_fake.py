# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracking server in a thread, real HTTP or HTTPS, that can be told to misbehave."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
TAG = "mlflow.demo.version.DemoFeature."
INVALID_HOST = "Invalid Host header - possible DNS rebinding attack detected"
ALL_FEATURES = ["PROMPTS", "TRACES", "EVALUATION", "JUDGES", "ISSUES", "REVIEW_QUEUES", "CUSTOM_VIEW", "SAVED_VIEWS"]


def make_certificate(folder: Path, name: str = "127.0.0.1", days: int = 1) -> tuple[Path, Path]:
    """A self-signed certificate and its key; a negative number of days makes one that has expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=10))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / f"{name}{days}.pem", folder / f"{name}{days}.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


class FakeMlflow:
    """The server; its attributes are what it is told to be.

    Attributes:
        version: what /version says.
        login: (user, password), or a bearer token, or None.
        database_up: whether experiments/search works.
        canned: (method, path) to (status, headers, body), instead of the real answer.
        calls: (method, path) of every request.
        artifacts: name to content.
        tags: of the demo's experiment; None while there is none.
    """

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.version = "3.17.2"
        self.login: tuple[str, str] | str | None = None
        self.database_up = True
        self.canned: dict[tuple[str, str], tuple[int, dict[str, str], bytes]] = {}
        self.calls: list[tuple[str, str]] = []
        self.artifacts: dict[str, bytes] = {}
        self.artifact_status: dict[str, int] = {}
        self.tags: dict[str, str] | None = None
        self.stage = "active"
        self.artifact_location = "mlflow-artifacts:/1"
        self.traces = self.runs = self.prompts = 0
        self.demo_features = ALL_FEATURES
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_args: object) -> None:
                pass

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.calls.append((self.command, parts.path))
                status, headers, content = fake.answer(self.command, parts.path, parse_qs(parts.query), self, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
            self.scheme = "https"
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def make_demo(self, features: list[str] | None = None) -> None:
        self.tags = {f"{TAG}{name}": "1" for name in (self.demo_features if features is None else features)}
        self.tags["mlflow.experimentKind"] = "genai_development"
        self.stage = "active"
        self.traces, self.runs, self.prompts = 42, 4, 3

    def authorized(self, header: str) -> bool:
        if self.login is None:
            return True
        if isinstance(self.login, str):
            return header == f"Bearer {self.login}"
        return header == "Basic " + base64.b64encode(":".join(self.login).encode()).decode()

    def answer(self, method: str, path: str, query: dict[str, list[str]], request: Any, body: bytes) -> Any:
        if (method, path) in self.canned:
            return self.canned[method, path]
        if path == "/_fake/demo":
            self.make_demo()
        if path in ("/health", "/_fake/demo"):
            return 200, {}, b"anything"
        if not self.authorized(request.headers.get("Authorization", "")):
            return 401, {"WWW-Authenticate": 'Basic realm="mlflow"'}, b"You are not authenticated."
        if path == "/version":
            return 200, {}, self.version.encode()
        if path.startswith(ARTIFACTS):
            return self.artifact(method, path.removeprefix(ARTIFACTS).lstrip("/"), query, body)
        name = path.rpartition("/mlflow/")[2]
        handler = getattr(self, "api_" + name.replace("/", "_").replace("-", "_"), None)
        return handler(json.loads(body or b"{}")) if handler else reply({"error_code": "ENDPOINT_NOT_FOUND"}, 404)

    def artifact(self, method: str, name: str, query: dict[str, list[str]], body: bytes) -> Any:
        status = self.artifact_status.get("LIST" if method == "GET" and not name else method, 200)
        if status != 200:
            return reply({"error_code": "INTERNAL_ERROR", "message": f"{method} is broken"}, status)
        if method == "PUT":
            self.artifacts[name] = body
            return reply({})
        if method == "DELETE":
            return reply({}) if self.artifacts.pop(name, None) is not None else reply({"error_code": "X"}, 404)
        if name:
            return 200, {}, self.artifacts[name]
        folder = query.get("path", [""])[0]
        files = [{"path": key.rpartition("/")[2]} for key in self.artifacts if key.startswith(folder)]
        return reply({"files": files} if files else {})

    def api_server_info(self, _body: dict[str, Any]) -> Any:
        return reply({"store_type": "SqlStore", "workspaces_enabled": False})

    def api_experiments_search(self, _body: dict[str, Any]) -> Any:
        if self.database_up:
            return reply({})
        return reply({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "connection refused"}, 503)

    def api_experiments_get_by_name(self, _body: dict[str, Any]) -> Any:
        if self.tags is None:
            return reply({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}, 404)
        tags = [{"key": key, "value": value} for key, value in self.tags.items()]
        experiment = {
            "experiment_id": "1",
            "artifact_location": self.artifact_location,
            "lifecycle_stage": self.stage,
            "tags": tags,
        }
        return reply({"experiment": experiment})

    def api_experiments_set_experiment_tag(self, body: dict[str, Any]) -> Any:
        assert self.tags is not None
        self.tags[body["key"]] = body["value"]
        return reply({})

    def api_traces_search(self, body: dict[str, Any]) -> Any:
        """In pages of 20, to see that they are followed."""
        first = int(body.get("page_token") or 0)
        found = [{"trace_id": f"tr-{number}"} for number in range(self.traces)][first : first + 20]
        more = {"next_page_token": str(first + 20)} if first + 20 < self.traces else {}
        return reply({"traces": found, **more} if found else {})

    def api_runs_search(self, _body: dict[str, Any]) -> Any:
        return reply({"runs": [{}] * self.runs} if self.runs else {})

    def api_registered_models_search(self, _body: dict[str, Any]) -> Any:
        return reply({"registered_models": [{"name": "mlflow-demo.prompts.x"}] * self.prompts} if self.prompts else {})


def reply(content: dict[str, Any], status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()
